import base64
import stat

import pytest

from sent.infra.vault import MasterKeys, VaultError, add_master_key, load_master_key


def test_the_first_start_creates_a_file_that_only_we_read(tmp_path):
    path = tmp_path / "keys" / "master.key"
    created = load_master_key(path, {})
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert [p.name for p in path.parent.iterdir()] == ["master.key"]
    sealed = created.seal("test", b"", b"x")
    assert load_master_key(path, {}).open("test", b"", sealed) == b"x"


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o660])
def test_a_file_that_others_can_read_is_refused_with_the_remedy(tmp_path, mode):
    path = tmp_path / "master.key"
    load_master_key(path, {})
    path.chmod(mode)
    with pytest.raises(VaultError, match=f"chmod 600 {path}") as caught:
        load_master_key(path, {})
    assert caught.value.code == "vault.master_key_unsafe"


@pytest.mark.parametrize("content", ["", "# nothing\n", "c2hvcnQ=\n", "not base64!\n"])
def test_a_damaged_file_is_neither_used_nor_replaced(tmp_path, content):
    path = tmp_path / "master.key"
    path.touch(0o600)
    path.write_text(content)
    with pytest.raises(VaultError) as caught:
        load_master_key(path, {})
    assert caught.value.code == "vault.master_key_bad"
    assert path.read_text() == content


def test_the_environment_goes_before_the_file(tmp_path):
    path = tmp_path / "master.key"
    keys = load_master_key(path, {"SENT_MASTER_KEY": base64.b64encode(b"e" * 32).decode()})
    assert not path.exists()
    assert MasterKeys((b"e" * 32,), "test").open("test", b"", keys.seal("test", b"", b"x")) == b"x"


def test_a_bad_key_in_the_environment_is_named_and_not_shown(tmp_path):
    with pytest.raises(VaultError, match="SENT_MASTER_KEY") as caught:
        load_master_key(tmp_path / "master.key", {"SENT_MASTER_KEY": "geheim"})
    assert "geheim" not in str(caught.value)


def test_an_added_key_seals_and_the_old_one_still_opens(tmp_path):
    path = tmp_path / "master.key"
    old = load_master_key(path, {})
    sealed = old.seal("test", b"", b"x")
    both = add_master_key(path)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert both.current_id("test") != old.current_id("test")
    assert both.open("test", b"", sealed) == b"x"
    assert load_master_key(path, {}).open("test", b"", both.seal("test", b"", b"y")) == b"y"
    with pytest.raises(VaultError) as caught:
        old.open("test", b"", both.seal("test", b"", b"y"))
    assert caught.value.code == "vault.master_key_missing"


def test_each_purpose_has_its_own_key():
    keys = MasterKeys((b"m" * 32,), "test")
    with pytest.raises(VaultError):
        keys.open("one", b"", keys.seal("another", b"", b"x"))


def test_the_repr_hides_the_key():
    key = b"\xfe" * 32
    shown = repr(MasterKeys((key,), "test"))
    assert key.hex() not in shown
    assert repr(key)[2:10] not in shown
