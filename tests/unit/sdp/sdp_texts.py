"""Offers as peers write them, and our side of a negotiation."""

from __future__ import annotations

from sent.sdp.capabilities import Capabilities
from sent.sdp.crypto import Crypto
from sent.sdp.description import SessionDescription
from sent.sdp.formats import Format
from sent.sdp.parser import parse_session

OPUS = Format(111, "opus", 48000, 2, "useinbandfec=1")
PCMU, PCMA = Format(0, "PCMU"), Format(8, "PCMA")
ALL = (OPUS, PCMU, PCMA)

SHA80 = Crypto(0, "AES_CM_128_HMAC_SHA1_80", b"o" * 30)
SHA32 = Crypto(0, "AES_CM_128_HMAC_SHA1_32", b"p" * 30)
THEIR_KEY = "WVNfX19zZW1jdGwgKCkgewkyMjA7fQp9CnVubGVz"
THEIR_LINE = f"a=crypto:3 AES_CM_128_HMAC_SHA1_80 inline:{THEIR_KEY}|2^20"


def ours(codecs: tuple[Format, ...] = ALL, **changes: object) -> Capabilities:
    return Capabilities("192.0.2.1", 4000, codecs, **changes)  # type: ignore[arg-type]


def offered(*lines: str, head: str = "c=IN IP4 198.51.100.7") -> SessionDescription:
    return parse_session("\r\n".join(("v=0", "o=- 7 1 IN IP4 198.51.100.7", "s=-", head, "t=0 0", *lines)))
