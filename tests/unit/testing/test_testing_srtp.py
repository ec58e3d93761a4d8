"""RFC 3711 Appendix B.3: key derivation test vectors; and both directions."""

import pytest

from sent.media.types import SrtpKey, SrtpSuite
from sent.testing.srtp import SrtpContext, SrtpFailure, derive

MASTER = bytes.fromhex("E1F97A0D3E018BE0D64FA32C06DE4139")
SALT = bytes.fromhex("0EC675AD498AFEEBB6960B3AABE6")
KEY = SrtpKey(SrtpSuite.AES_CM_128_HMAC_SHA1_80, MASTER + SALT)


def test_rfc3711_b3_cipher_key_salt_and_authentication_key() -> None:
    assert derive(MASTER, SALT, 0, 16).hex().upper() == "C61E7A93744F39EE10734AFE3FF7A087"
    assert derive(MASTER, SALT, 2, 14).hex().upper() == "30CBBC08863D8C85D49DB34A9AE1"
    assert derive(MASTER, SALT, 1, 20).hex().upper() == "CEBE321F6FF7716B6FD4AB49AF256A156D38BAA4"


def packet(sequence: int) -> bytes:
    return b"\x80\x00" + sequence.to_bytes(2, "big") + bytes(8) + b"audio"


def test_there_and_back_over_a_wrapped_sequence() -> None:
    sender, receiver = SrtpContext(KEY), SrtpContext(KEY)
    for sequence in (65_534, 65_535, 0, 1):
        sealed = sender.protect(packet(sequence))
        assert b"audio" not in sealed
        assert receiver.unprotect(sealed) == packet(sequence)


def test_another_key_is_refused() -> None:
    other = SrtpKey(KEY.suite, bytes(30))
    with pytest.raises(SrtpFailure):
        SrtpContext(other).unprotect(SrtpContext(KEY).protect(packet(1)))
