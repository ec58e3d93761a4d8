"""Between SDP and the media engine: what we can do, and an agreement as the engine wants it. Pure."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from sent.media.types import Codec, RtpPorts, RtpSettings, SrtpKey, SrtpSuite
from sent.sdp.capabilities import Capabilities, Encryption, Negotiated
from sent.sdp.crypto import KEY_SALT_LENGTHS, Crypto
from sent.sdp.formats import Format

FORMATS: tuple[Format, ...] = (
    Format(96, "opus", 48000, 2, "useinbandfec=1"),
    Format(0, "PCMU"),
    Format(8, "PCMA"),
)
"""What the engine has, in our own order of preference."""

SUITES = (SrtpSuite.AES_CM_128_HMAC_SHA1_80, SrtpSuite.AES_256_CM_HMAC_SHA1_80, SrtpSuite.AES_CM_128_HMAC_SHA1_32)


def ordered(preferred: Sequence[str]) -> tuple[Format, ...]:
    """All our formats, those named in ``preferred`` first and in its order (the other leg's need no transcoding)."""
    rank = {name.lower(): n for n, name in reversed(list(enumerate(preferred)))}
    return tuple(sorted(FORMATS, key=lambda fmt: rank.get(fmt.name.lower(), len(rank))))


def fresh_cryptos(random_bytes: Callable[[int], bytes]) -> tuple[Crypto, ...]:
    """One new key per suite, for one leg."""
    return tuple(
        Crypto(tag, suite.value, random_bytes(KEY_SALT_LENGTHS[suite.value]))
        for tag, suite in enumerate(SUITES, start=1)
    )


def capabilities(
    address: str, ports: RtpPorts, preferred: Sequence[str], encryption: Encryption, cryptos: tuple[Crypto, ...]
) -> Capabilities:
    """``address`` is the one to advertise, which behind NAT is not the one that ``ports`` are on."""
    return Capabilities(
        address=address,
        port=ports.port,
        codecs=ordered(preferred),
        rtcp_port=ports.rtcp_port,
        encryption=encryption,
        cryptos=cryptos,
    )


def settings(agreed: Negotiated, latch_from: tuple[str, ...]) -> RtpSettings:
    return RtpSettings(
        receive=tuple(_codec(fmt) for fmt in agreed.receive),
        send=_codec(agreed.codec),
        remote=agreed.remote,
        remote_rtcp=agreed.remote_rtcp,
        rtcp_mux=agreed.rtcp_mux,
        latch_from=latch_from,
        dtmf_receive=agreed.dtmf_receive,
        dtmf_send=agreed.dtmf_send,
        dtmf_clock=agreed.dtmf_clock,
        packet_ms=agreed.packet_ms,
        may_send=agreed.may_send,
        may_receive=agreed.may_receive,
        local_srtp=_key(agreed.local_crypto),
        remote_srtp=_key(agreed.remote_crypto),
    )


def _codec(fmt: Format) -> Codec:
    return Codec(fmt.payload_type, fmt.name, fmt.clock_rate, fmt.channels, fmt.fmtp)


def _key(crypto: Crypto | None) -> SrtpKey | None:
    return SrtpKey(SrtpSuite(crypto.suite), crypto.key_salt) if crypto is not None else None
