"""The file store, over obstore.

A put is atomic: a reader sees the whole old file or the whole new one. On the local folder it is also on the disk
when it returns, so that what was moved here may be deleted where it was.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Awaitable
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sent.infra.storage.keys import check_key, check_prefix
from sent.kit.errors import NotFound, Unavailable

if TYPE_CHECKING:
    from obstore.store import ObjectStore

_SECONDS_PER_REQUEST = 30
_SECONDS_PER_FILE = 600.0
_CHUNK_OCTETS = 1 << 20


class StorageError(Unavailable):
    """``storage.unavailable``, ``storage.bad_url``: the store is away, full, or refuses us."""


class Store:
    """Files by key. ``url`` is a local folder, or ``s3://bucket/prefix``, ``gs://…``, ``az://…``.

    The clouds' credentials come from their usual environment variables. Raises `BadInput` (``storage.bad_key``),
    `NotFound` (``storage.not_found``) and `StorageError`.
    """

    def __init__(self, url: str | Path) -> None:
        self._url = str(url)
        self._store: ObjectStore | None = None
        self._folder = None if "://" in self._url else Path(self._url)

    async def put(self, key: str, source: bytes | Path) -> None:
        """Write, or replace, atomically."""
        check_key(key)
        await self._call(self._backend().put_async(key, source), key, _SECONDS_PER_FILE)
        if self._folder is not None:
            await asyncio.to_thread(_sync, self._folder / key)

    async def get(self, key: str) -> bytes:
        """The whole file. For what may be large use `read` or `read_range`."""
        return b"".join([chunk async for chunk in self.read(key)])

    async def read(self, key: str) -> AsyncIterator[bytes]:
        """The file in chunks of about a megabyte."""
        result = await self._call(self._backend().get_async(check_key(key)), key, _SECONDS_PER_REQUEST)
        chunks = aiter(result.stream(min_chunk_size=_CHUNK_OCTETS))
        while True:
            try:
                chunk = await self._call(anext(chunks), key, _SECONDS_PER_REQUEST)
            except StopAsyncIteration:
                return
            yield bytes(chunk)

    async def read_range(self, key: str, start: int, end: int) -> bytes:
        """The octets from ``start`` up to, not including, ``end``; fewer where the file ends sooner."""
        end = min(end, await self.size(key))
        if start >= end:
            return b""
        ranged = self._backend().get_range_async(key, start=start, end=end)
        return bytes(await self._call(ranged, key, _SECONDS_PER_REQUEST))

    async def size(self, key: str) -> int:
        head = await self._call(self._backend().head_async(check_key(key)), key, _SECONDS_PER_REQUEST)
        return int(head["size"])

    async def delete(self, key: str) -> None:
        """Deleting what is not there is no error."""
        try:
            await self._call(self._backend().delete_async(check_key(key)), key, _SECONDS_PER_REQUEST)
        except NotFound:
            return

    async def list(self, prefix: str = "") -> AsyncIterator[str]:
        """The keys in a folder and below it, in no order."""
        batches = aiter(self._backend().list(check_prefix(prefix) or None))
        while True:
            try:
                batch = await self._call(anext(batches), prefix, _SECONDS_PER_REQUEST)
            except StopAsyncIteration:
                return
            for entry in batch:
                yield entry["path"]

    def _backend(self) -> ObjectStore:
        if self._store is None:
            # Imported with the first file: 2 MB that an idle server does not need.
            from obstore.exceptions import BaseError
            from obstore.store import LocalStore, from_url

            try:
                if self._folder is not None:
                    self._folder.mkdir(parents=True, exist_ok=True, mode=0o700)
                    self._store = LocalStore(self._folder)
                else:
                    self._store = from_url(
                        self._url,
                        client_options={"timeout": timedelta(seconds=_SECONDS_PER_REQUEST)},
                        retry_config={"max_retries": 3, "retry_timeout": timedelta(seconds=_SECONDS_PER_REQUEST)},
                    )
            except (BaseError, OSError, ValueError) as error:
                raise StorageError(
                    "storage.bad_url",
                    f"The file store cannot be opened: {error}. Check the setting SENT_STORE_URL: a folder that this "
                    "server may write to, or s3://bucket/prefix, gs://bucket/prefix, az://container/prefix.",
                ) from error
        return self._store

    async def _call(self, call: Awaitable[Any], key: str, seconds: float) -> Any:
        from obstore.exceptions import BaseError

        try:
            async with asyncio.timeout(seconds):
                return await call
        except FileNotFoundError as error:
            raise NotFound("storage.not_found", f"There is no file {key} in the file store.") from error
        except (BaseError, OSError, TimeoutError) as error:
            raise StorageError(
                "storage.unavailable",
                f"The file store did not do what was asked ({_first_line(error)}). Check that it is reachable, has "
                "space, and that this server may write to it; it is tried again.",
                key=key,
            ) from error


def _first_line(error: BaseException) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0][:200]


def _sync(path: Path) -> None:
    for name, flags in ((path, os.O_RDONLY), (path.parent, os.O_RDONLY | os.O_DIRECTORY)):
        descriptor = os.open(name, flags | os.O_CLOEXEC)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
