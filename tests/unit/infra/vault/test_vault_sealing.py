from uuid import UUID

import pytest

from sent.infra.vault.errors import VaultError
from sent.infra.vault.sealing import Key, key_id_of, new_key, open_sealed, seal
from sent.kit.ids import uuid7

KEY = Key(UUID(int=7), b"k" * 32)


def test_the_layout_is_version_key_id_nonce_ciphertext():
    sealed = seal(KEY, b"place", b"hunter2")
    assert sealed[0] == 1
    assert sealed[1:17] == UUID(int=7).bytes
    assert len(sealed) == 1 + 16 + 12 + len(b"hunter2") + 16
    assert key_id_of(sealed) == UUID(int=7)
    assert b"hunter2" not in sealed


def test_it_opens_with_key_and_place():
    assert open_sealed(KEY, b"place", seal(KEY, b"place", b"hunter2")) == b"hunter2"
    assert open_sealed(KEY, b"place", seal(KEY, b"place", b"")) == b""


def test_equal_values_are_not_equal_when_sealed():
    assert seal(KEY, b"place", b"x") != seal(KEY, b"place", b"x")


def test_it_does_not_open_elsewhere():
    with pytest.raises(VaultError) as caught:
        open_sealed(KEY, b"other place", seal(KEY, b"place", b"hunter2"))
    assert caught.value.code == "vault.cannot_open"
    assert "hunter2" not in str(caught.value)


def test_each_altered_octet_is_noticed():
    sealed = seal(KEY, b"place", b"hunter2")
    for at in (0, *range(17, len(sealed))):
        altered = sealed[:at] + bytes((sealed[at] ^ 1,)) + sealed[at + 1 :]
        with pytest.raises(VaultError):
            open_sealed(KEY, b"place", altered)


@pytest.mark.parametrize("junk", [b"", b"\x01", b"\x01" + bytes(43), b"\x02" + bytes(60)])
def test_what_is_no_sealed_value_says_so(junk):
    with pytest.raises(VaultError, match="not a sealed value"):
        key_id_of(junk)


def test_a_key_hides_itself():
    key = new_key(uuid7())
    assert key.octets.hex() not in repr(key)
    assert repr(key.octets)[2:-1] not in repr(key)
