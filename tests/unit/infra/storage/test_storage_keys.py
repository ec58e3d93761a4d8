import pytest

from sent.infra.storage.keys import check_key, check_prefix
from sent.kit.errors import BadInput


@pytest.mark.parametrize("key", ["a", "recordings/0190/x.spool", "A-1_b.tar.gz", "a" * 512])
def test_good_keys(key):
    assert check_key(key) == key


@pytest.mark.parametrize(
    "key",
    ["", "/", "/etc/passwd", "a//b", "a/", "../a", "a/../b", "a/.hidden", ".", "a\\b", "a b", "a\x00", "é", "a#1",
     "a%2e", "a\n", "a" * 513],
)  # fmt: skip
def test_bad_keys_are_refused(key):
    with pytest.raises(BadInput) as caught:
        check_key(key)
    assert caught.value.code == "storage.bad_key"


def test_a_prefix_is_a_folder():
    assert check_prefix("a/b/") == "a/b"
    assert check_prefix("") == ""
