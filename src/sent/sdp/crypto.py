"""SDES keys in SDP: ``a=crypto`` (RFC 4568), for the suites that the media engine has."""

from __future__ import annotations

import binascii
from base64 import b64decode, b64encode
from collections.abc import Iterable
from dataclasses import dataclass, field

from sent.sdp.errors import MalformedSdp

KEY_SALT_LENGTHS = {
    "AES_CM_128_HMAC_SHA1_80": 30,
    "AES_CM_128_HMAC_SHA1_32": 30,
    "AES_256_CM_HMAC_SHA1_80": 46,
    "AES_256_CM_HMAC_SHA1_32": 46,
}
"""Master key and salt in octets (RFC 4568 §6.2, RFC 6188 §4). Others are passed over."""


@dataclass(frozen=True, slots=True)
class Crypto:
    """One ``a=crypto`` line. ``lifetime`` is in packets; ``mki`` is (value, length in octets)."""

    tag: int
    suite: str
    key_salt: bytes = field(repr=False)
    lifetime: int | None = None
    mki: tuple[int, int] | None = None
    session_parameters: tuple[str, ...] = ()

    def __str__(self) -> str:
        text = f"{self.tag} {self.suite} inline:{b64encode(self.key_salt).decode()}"
        if self.lifetime is not None:
            text += f"|{self.lifetime}"
        if self.mki is not None:
            text += f"|{self.mki[0]}:{self.mki[1]}"
        return " ".join((text, *self.session_parameters))

    @property
    def problem(self) -> str | None:
        """Why we cannot use it, in words; None if we can."""
        if self.suite not in KEY_SALT_LENGTHS:
            return f"suite {self.suite[:40]} is unknown"
        if len(self.key_salt) != KEY_SALT_LENGTHS[self.suite]:
            return "the key has the wrong length"
        if self.mki is not None:
            return "a master key identifier is not supported"
        # RFC 4568 §6.3.7: what is not understood voids the line, unless it begins with '-'. WSH only advises.
        if any(not parameter.startswith(("-", "WSH=")) for parameter in self.session_parameters):
            return "its session parameters are not supported"
        return None


def _parse_number(text: str, limit: int) -> int:
    if not text.isascii() or not text.isdigit() or len(text) > 16 or int(text) > limit:
        raise MalformedSdp("an a=crypto line holds a malformed number")
    return int(text)


def _parse_lifetime(text: str) -> int:
    if text.startswith("2^"):
        return 1 << _parse_number(text[2:], 48)
    return _parse_number(text, 1 << 48)


def parse_crypto(value: str) -> Crypto:
    """The value of one ``a=crypto`` attribute. Raises `MalformedSdp`. Of several keys in a line only the first is read:
    more than one needs an MKI."""
    parts = value.split()
    if len(parts) < 3 or not parts[2].lower().startswith("inline:"):
        raise MalformedSdp("an a=crypto line is malformed")
    first, *more = parts[2][7:].split(";")
    key, *details = first.split("|")
    if len(details) > 2:
        raise MalformedSdp("an a=crypto line is malformed")
    try:
        # Some phones leave the padding out.
        key_salt = b64decode(key + "=" * (-len(key) % 4), validate=True)
    except (binascii.Error, ValueError):
        raise MalformedSdp("an a=crypto line holds no base64") from None
    lifetime: int | None = None
    mki: tuple[int, int] | None = None
    for detail in details:
        identifier, colon, length = detail.partition(":")
        if colon:
            mki = (_parse_number(identifier, 1 << 48), _parse_number(length, 128))
        else:
            lifetime = _parse_lifetime(detail)
    if more and mki is None:
        raise MalformedSdp("an a=crypto line holds several keys without identifiers")
    return Crypto(_parse_number(parts[0], 999_999_999), parts[1], key_salt, lifetime, mki, tuple(parts[3:]))


def read_cryptos(values: Iterable[str]) -> tuple[list[Crypto], list[str]]:
    """The usable lines in order, and for each other one why it is not."""
    usable: list[Crypto] = []
    problems: list[str] = []
    for value in values:
        try:
            crypto = parse_crypto(value)
        except MalformedSdp:
            problems.append("malformed")
            continue
        problem = crypto.problem
        if problem is None:
            usable.append(crypto)
        else:
            problems.append(problem)
    return usable, problems
