"""The file store on a real folder."""

import stat

import pytest

from sent.infra.storage import StorageError, Store
from sent.kit.errors import BadInput, NotFound


@pytest.fixture
def store(tmp_path):
    return Store(tmp_path / "files")


async def test_what_was_put_comes_back(store, tmp_path):
    await store.put("a/b.bin", b"hello world")
    assert await store.get("a/b.bin") == b"hello world"
    assert await store.size("a/b.bin") == 11
    assert (tmp_path / "files/a/b.bin").read_bytes() == b"hello world"
    assert stat.S_IMODE((tmp_path / "files").stat().st_mode) == 0o700


async def test_a_large_file_goes_in_by_path_and_out_in_chunks(store, tmp_path):
    content = bytes(range(256)) * 45_000
    (tmp_path / "big").write_bytes(content)
    await store.put("big", tmp_path / "big")
    chunks = [chunk async for chunk in store.read("big")]
    assert b"".join(chunks) == content
    assert len(chunks) > 5
    assert (tmp_path / "big").exists()


async def test_ranges_end_where_the_file_ends(store):
    await store.put("x", b"0123456789")
    assert await store.read_range("x", 2, 5) == b"234"
    assert await store.read_range("x", 8, 100) == b"89"
    assert await store.read_range("x", 10, 100) == b""


async def test_a_put_replaces_whole_and_leaves_nothing_beside(store, tmp_path):
    await store.put("x", b"long old content")
    await store.put("x", b"new")
    assert await store.get("x") == b"new"
    assert [path.name for path in (tmp_path / "files").iterdir()] == ["x"]


async def test_what_is_not_there(store):
    for ask in (store.get("no"), store.size("no"), store.read_range("no", 0, 1)):
        with pytest.raises(NotFound) as caught:
            await ask
        assert caught.value.code == "storage.not_found"
    await store.delete("no")


async def test_delete_and_list(store):
    for key in ("r/1", "r/2", "other/3"):
        await store.put(key, b"")
    assert sorted([key async for key in store.list("r")]) == ["r/1", "r/2"]
    await store.delete("r/1")
    assert sorted([key async for key in store.list()]) == ["other/3", "r/2"]


async def test_a_bad_key_reaches_no_file(store, tmp_path):
    with pytest.raises(BadInput):
        await store.put("../outside", b"x")
    assert not (tmp_path / "outside").exists()


async def test_a_store_that_cannot_be_opened_names_its_setting(tmp_path):
    (tmp_path / "file").touch()
    for url in (tmp_path / "file" / "below", "nonsense://bucket"):
        with pytest.raises(StorageError, match="SENT_STORE_URL") as caught:
            await Store(url).put("x", b"")
        assert caught.value.code == "storage.bad_url"


async def test_a_folder_in_the_way_is_unavailable_and_says_so(store, tmp_path):
    await store.put("a/b", b"")
    with pytest.raises(StorageError) as caught:
        await store.put("a/b/c", b"")
    assert caught.value.code == "storage.unavailable"
