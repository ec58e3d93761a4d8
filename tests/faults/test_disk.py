"""The disk fills up while calls are recorded: they go on, and what was recorded until then is kept and flagged."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from sent.media.engine import RustEngine
from tests.faults.phones import ALICE_HZ, BOB_HZ, alice_and_bob, hear_each_other
from tests.faults.records import ended_records, listen_to, recording_of
from tests.faults.serving import Server, server_folder
from tests.interop.product import new_house

pytestmark = [
    pytest.mark.faults,
    pytest.mark.skipif(os.geteuid() != 0, reason="only root can mount a small disk"),
]


@contextlib.contextmanager
def small_disk(folder: Path, megabytes: int) -> Iterator[None]:
    folder.mkdir(parents=True, mode=0o700)
    done = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", f"size={megabytes}m,mode=0700", "tmpfs", str(folder)],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    if done.returncode != 0:
        pytest.skip(f"no disk can be mounted here: {done.stderr.strip()}")
    try:
        yield
    finally:
        subprocess.run(["umount", "-l", str(folder)], check=True)


def fill(folder: Path) -> Path:
    """Until not an octet is left."""
    file = folder / "filler"
    with file.open("wb", buffering=0) as out:
        size = 1 << 20
        while size:
            try:
                out.write(bytes(size))
            except OSError as error:
                assert error.errno == errno.ENOSPC
                size //= 2
    return file


@pytest.fixture
def small_server() -> Iterator[Server]:
    with server_folder() as folder:
        server = Server(folder)
        with small_disk(server.settings.data_dir / "spool" / "recordings", 130):
            try:
                server.start()
                yield server
            finally:
                server.end()


async def test_a_full_disk_ends_the_recording_and_not_the_call(
    small_server: Server, engine: RustEngine, tmp_path: Path
) -> None:
    spool = small_server.settings.data_dir / "spool" / "recordings"
    async with new_house(small_server.product) as house, alice_and_bob(engine, house) as (alice, bob):
        await house.record_calls(inside=True)
        await asyncio.sleep(0.5)
        talk = await alice.talk_to("102")
        bob_talk = await bob.answered()
        await asyncio.sleep(3.5)
        filler = await asyncio.to_thread(fill, spool)
        await asyncio.sleep(1.5)
        await hear_each_other(talk, bob_talk)
        talk.call.hang_up()
        await talk.over()

        # A call that begins now is not recorded at all, and says so.
        talk = await alice.talk_to("102")
        await hear_each_other(talk, await bob.answered(2))
        talk.call.hang_up()
        await talk.over()
        first, second = await ended_records(house, 2)
        assert (first.call.end_code, second.call.end_code) == ("hung_up", "hung_up")
        assert "stopped early: No space left on device" in (first.call.recording_error or "")
        assert "kept up to there" in (first.call.recording_error or "")
        assert "not recorded" in (second.call.recording_error or "")
        assert second.call.recording_id is None

        recording = await recording_of(house, first.call.id)
        assert recording.state == "stored", recording.error
        assert "No space left on device" in (recording.error or "")
        left, right = await listen_to(house, recording, tmp_path)
        for side, hertz in ((left, ALICE_HZ), (right, BOB_HZ)):
            assert 2.4 < side.seconds < 5.6
            assert side.hears(hertz)

        # With room again the next call is recorded whole.
        filler.unlink()
        talk = await alice.talk_to("102")
        await hear_each_other(talk, await bob.answered(3), 3.0)
        talk.call.hang_up()
        await talk.over()
        third = (await ended_records(house, 3))[-1]
        assert third.call.recording_error is None
        recording = await recording_of(house, third.call.id)
        assert (recording.state, recording.error, recording.truncated) == ("stored", None, False)
        left, _ = await listen_to(house, recording, tmp_path)
        assert left.hears(ALICE_HZ)
    log = small_server.log_text()
    assert "Traceback" not in log, log[log.index("Traceback") - 300 :][:2000]
