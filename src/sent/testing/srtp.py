"""SRTP for test phones (RFC 3711), written apart from the engine so that each checks the other. RTP only."""

from __future__ import annotations

import hashlib
import hmac
import struct

from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes

from sent.media.types import SrtpKey, SrtpSuite

_KEY_OCTETS = {
    SrtpSuite.AES_CM_128_HMAC_SHA1_80: 16,
    SrtpSuite.AES_CM_128_HMAC_SHA1_32: 16,
    SrtpSuite.AES_256_CM_HMAC_SHA1_80: 32,
}
_TAG_OCTETS = {
    SrtpSuite.AES_CM_128_HMAC_SHA1_80: 10,
    SrtpSuite.AES_CM_128_HMAC_SHA1_32: 4,
    SrtpSuite.AES_256_CM_HMAC_SHA1_80: 10,
}


class SrtpFailure(Exception):
    """The packet is not authentic under this key."""


def derive(master: bytes, salt: bytes, label: int, length: int) -> bytes:
    """Key derivation with rate 0 (RFC 3711 §4.3.1)."""
    block = int.from_bytes(salt, "big") ^ label << 48
    return _key_stream(master, (block << 16).to_bytes(16, "big"), length)


class SrtpContext:
    """One direction under one master key. Sequence numbers that wrap are followed."""

    def __init__(self, key: SrtpKey) -> None:
        size = _KEY_OCTETS[key.suite]
        master, salt = key.key_salt[:size], key.key_salt[size:]
        self._tag = _TAG_OCTETS[key.suite]
        self._key = derive(master, salt, 0, size)
        self._auth = derive(master, salt, 1, 20)
        self._salt = int.from_bytes(derive(master, salt, 2, 14), "big")
        self._rollover = 0
        self._last: int | None = None

    def protect(self, packet: bytes) -> bytes:
        rollover = self._follow(packet)
        sealed = self._crypt(packet, rollover)
        return sealed + self._sign(sealed, rollover)

    def unprotect(self, packet: bytes) -> bytes:
        sealed, tag = packet[: -self._tag], packet[-self._tag :]
        before = self._rollover, self._last
        rollover = self._follow(sealed)
        if len(sealed) < 12 or not hmac.compare_digest(tag, self._sign(sealed, rollover)):
            self._rollover, self._last = before
            raise SrtpFailure
        return self._crypt(sealed, rollover)

    def _follow(self, packet: bytes) -> int:
        """The packet's rollover counter (RFC 3711 §3.3.1)."""
        sequence = int.from_bytes(packet[2:4], "big")
        if self._last is None:
            self._last = sequence
        if sequence < self._last and self._last - sequence > 0x8000:
            self._rollover += 1
            self._last = sequence
        elif sequence > self._last and sequence - self._last > 0x8000:
            return self._rollover - 1
        self._last = max(self._last, sequence)
        return self._rollover

    def _crypt(self, packet: bytes, rollover: int) -> bytes:
        (sequence,) = struct.unpack_from("!H", packet, 2)
        (ssrc,) = struct.unpack_from("!I", packet, 8)
        counter = self._salt << 16 ^ ssrc << 64 ^ (rollover << 16 | sequence) << 16
        header = 12 + 4 * (packet[0] & 0x0F)
        stream = _key_stream(self._key, counter.to_bytes(16, "big"), len(packet) - header)
        return packet[:header] + bytes(a ^ b for a, b in zip(packet[header:], stream, strict=True))

    def _sign(self, sealed: bytes, rollover: int) -> bytes:
        return hmac.new(self._auth, sealed + struct.pack("!I", rollover), hashlib.sha1).digest()[: self._tag]


def _key_stream(key: bytes, counter: bytes, length: int) -> bytes:
    encryptor = Cipher(algorithms.AES(key), modes.CTR(counter)).encryptor()
    return encryptor.update(bytes(length)) + encryptor.finalize()
