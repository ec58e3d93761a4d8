"""Recordings over a real database and a real folder. The engine's spool file is stood in for by a plain one."""

import asyncio
import base64
import contextlib
import os
import stat
import threading
import wave
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from uuid import uuid4

import psycopg
import pytest

from sent.infra.db import Actor
from sent.infra.jobs import GiveUp, Jobs
from sent.infra.storage import Store
from sent.infra.telemetry import Metrics
from sent.infra.vault import MasterKeys, Vault
from sent.kit.errors import BadInput, SentError, Unavailable
from sent.media.port import MediaError
from sent.media.spool import SpoolInfo
from sent.recordings import Keeping, Recorder, RecordingRefused, RecordingState, repository
from sent.recordings import jobs as recording_jobs
from sent.recordings import recorder as recorder_module
from sent.recordings.errors import BadFormat, RecordingNotFound, RecordingNotReady
from sent.recordings.exports import ExportFormat, Exports
from sent.recordings.keeping import DEFAULT_KEEP_DAYS
from sent.recordings.recorder import INTERRUPTED
from sent.recordings.retention import ExpireRecordings
from sent.recordings.spool import Spool
from sent.recordings.storing import NO_FILE, StoreRecording, store_key
from sent.recordings.sweeping import SweepSpool

pytestmark = pytest.mark.database
MASTER = MasterKeys((b"m" * 32,), "test")
ALICE = Actor("user", "alice")
PCM = b"\x01\x00\x02\x00" * 3_200


class PlainReader:
    """Instead of the engine's: the key, a mark, and the frames in clear."""

    def __init__(self, file, key, sample_rate):
        content = file.read_bytes()
        if content[:32] != key:
            raise MediaError("media.bad_file", "The recording does not open with this key.")
        self.rest = content[33:]
        self.truncated = content[32:33] == b"T"

    def info(self):
        return SpoolInfo(b"", len(self.rest) // 64, self.truncated, 0)

    def read(self, max_frames):
        frames, self.rest = self.rest[: max_frames * 4], self.rest[max_frames * 4 :]
        return frames

    def close(self):
        self.rest = b""


class House:
    """One process: everything that app wires, and what a restart keeps."""

    def __init__(self, tmp_path, database):
        self.database = database
        self.metrics = Metrics()
        self.vault = Vault(MASTER)
        self.spool = Spool(tmp_path / "spool", MASTER)
        self.store = Store(tmp_path / "files")
        self.jobs = Jobs(database.server_dsn, self.metrics)
        self.recorder = Recorder(self.spool, database, self.vault, self.jobs, self.metrics)
        self.storing = StoreRecording(self.spool, self.store, database, self.vault, PlainReader, self.metrics)
        self.expiring = ExpireRecordings(database, self.store)
        self.sweeping = SweepSpool(database, self.jobs, now=lambda: datetime.now(UTC) + timedelta(hours=5))
        recording_jobs.register(self.jobs, self.storing, self.expiring, self.sweeping)
        self.keeping = Keeping(database)
        self.exports = Exports(database, self.vault, self.store, PlainReader, spool=self.spool)

    @contextlib.asynccontextmanager
    async def running(self):
        stop = asyncio.Event()
        task = asyncio.create_task(self.recorder.run(stop))
        try:
            yield
        finally:
            stop.set()
            await asyncio.wait_for(task, 10)

    async def record(self, organization, *, finish=True, error=None, mark=b" "):
        ticket = await self.recorder.begin(organization, uuid4())
        ticket.file.write_bytes(ticket.key + mark + PCM)
        if finish:
            await self.recorder.finish(ticket, error)
        return ticket

    async def row(self, ticket):
        found = await self.exports.of_call(ticket.organization_id, ALICE, ticket.call_id)
        return found[0] if found else None

    async def until(self, ticket, state):
        async with asyncio.timeout(8):
            while (row := await self.row(ticket)) is None or row.state is not state:  # noqa: ASYNC110  # in the database
                await asyncio.sleep(0.02)
        return row

    async def run_store(self, ticket):
        await self.storing(str(ticket.id), str(ticket.organization_id))


@pytest.fixture
def house(tmp_path, database):
    return House(tmp_path, database)


@pytest.fixture
def organization():
    return uuid4()


async def stored(house, organization, **more):
    async with house.running():
        ticket = await house.record(organization, **more)
    await house.run_store(ticket)
    return ticket


async def test_from_the_first_sample_to_the_file_store(house, organization, owner_dsn):
    stop = asyncio.Event()
    working = asyncio.create_task(house.jobs.run(stop))
    async with house.running():
        ticket = await house.record(organization, finish=False)
        assert (await house.until(ticket, RecordingState.RECORDING)).ended_at is None
        await house.recorder.finish(ticket, None)
        row = await house.until(ticket, RecordingState.STORED)
    stop.set()
    await asyncio.wait_for(working, 15)
    assert (row.duration_ms, row.truncated, row.error) == (200, False, None)
    assert row.octets == 33 + len(PCM)
    assert await house.store.get(store_key(organization, ticket.id)) == ticket.key + b" " + PCM
    assert [path.suffix for path in house.spool.folder.iterdir()] == [".lock"]
    assert row.sealed_key is not None
    assert ticket.key not in row.sealed_key


async def test_finishing_twice_is_finishing_once(house, organization):
    async with house.running():
        ticket = await house.record(organization, error="The disk was full.")
        await house.recorder.finish(ticket, "Something else.")
        assert (await house.until(ticket, RecordingState.SPOOLED)).error == "The disk was full."


async def test_a_call_does_not_wait_for_a_database_that_is_away(house, organization, tmp_path):
    async def away(*_):
        raise Unavailable("db.unavailable", "away")
        yield

    gone = SimpleNamespace(transaction=contextlib.asynccontextmanager(away))
    real, house.recorder._database = house.recorder._database, gone
    async with house.running():
        tickets = [await asyncio.wait_for(house.record(organization), 1) for _ in range(3)]
        await asyncio.sleep(0.05)
        assert house.recorder.unwritten == 3
        house.recorder._database = real
        for ticket in tickets:
            assert (await house.until(ticket, RecordingState.SPOOLED)).call_id == ticket.call_id
    assert house.recorder.unwritten == 0
    await house.run_store(tickets[0])
    assert (await house.row(tickets[0])).state is RecordingState.STORED


async def test_what_did_not_fit_into_memory_is_found_on_the_disk(house, organization, monkeypatch):
    monkeypatch.setattr(recorder_module, "_MAX_PENDING", 2)
    tickets = [await house.record(organization) for _ in range(5)]
    assert house.recorder.unwritten == 2
    async with house.running():
        for ticket in tickets:
            await house.until(ticket, RecordingState.SPOOLED)


async def test_a_killed_process_loses_no_recording(tmp_path, database, organization):
    before = House(tmp_path, database)
    unfinished = await before.record(organization, finish=False, mark=b"T")
    finished = await before.record(organization)
    os.close(before.spool._lock)  # what the kernel does for a process that was killed; nothing was in the database
    after = House(tmp_path, database)
    assert await after.recorder.recover() == 2
    async with after.running():
        pass
    for ticket in (unfinished, finished):
        await after.run_store(ticket)
    row = await after.row(unfinished)
    assert (row.state, row.truncated, row.error) == (RecordingState.STORED, True, INTERRUPTED)
    assert row.ended_at >= row.started_at
    assert (await after.row(finished)).error is None
    await after.exports.export(organization, ALICE, unfinished.id, ExportFormat.WAV, tmp_path / "out.wav")
    with wave.open(str(tmp_path / "out.wav")) as heard:
        assert heard.readframes(10_000) == PCM


async def test_a_living_process_keeps_its_recordings(tmp_path, database, organization):
    living = House(tmp_path, database)
    ticket = await living.record(organization, finish=False)
    assert await House(tmp_path, database).recorder.recover() == 0
    assert living.spool.read(ticket.id).owner == living.spool.owner


async def test_too_little_space_refuses_the_recording_in_words(house, organization, monkeypatch):
    monkeypatch.setattr(house.spool, "free_octets", lambda: 99 * 1024 * 1024)
    with pytest.raises(RecordingRefused, match="only 99 MB left") as caught:
        await house.recorder.begin(organization, uuid4())
    assert caught.value.code == "recording.no_space"
    assert house.recorder.unwritten == 0
    assert b'sent_recordings_total{outcome="refused"} 1.0' in house.metrics.exposition()


async def test_a_spool_that_cannot_be_written_refuses_in_words(house, organization, monkeypatch):
    def full(_entry):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(house.spool, "write", full)
    with pytest.raises(RecordingRefused, match="No space left on device"):
        await house.recorder.begin(organization, uuid4())


async def test_a_disk_that_is_full_at_the_end_keeps_what_there_is(house, organization, monkeypatch):
    ticket = await house.record(organization, finish=False)

    def full(_entry):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(house.spool, "write", full)
    await house.recorder.finish(ticket, "No space left on device")
    async with house.running():
        row = await house.until(ticket, RecordingState.SPOOLED)
    assert row.error == "No space left on device"


async def test_storing_twice_or_after_a_crash_in_between_is_the_same(house, organization):
    ticket = await stored(house, organization)
    first = await house.row(ticket)
    ticket.file.write_bytes(b"a file that a crash left behind")
    await house.run_store(ticket)
    assert await house.row(ticket) == first
    assert not ticket.file.exists()


async def test_nothing_recorded_is_said(house, organization):
    async with house.running():
        ticket = await house.recorder.begin(organization, uuid4())
        await house.recorder.finish(ticket, "No media.")
    await house.run_store(ticket)
    row = await house.row(ticket)
    assert (row.state, row.error) == (RecordingState.FAILED, f"No media. {NO_FILE}")
    with pytest.raises(RecordingNotReady, match="No media"):
        await house.exports.export(organization, ALICE, ticket.id, ExportFormat.WAV, house.spool.folder / "x.wav")


async def test_another_nodes_file_is_left_to_that_node(house, organization):
    async with house.running():
        ticket = await house.record(organization)
    ticket.file.unlink()
    house.spool._ticket_path(ticket.id).unlink()
    with pytest.raises(FileNotFoundError):
        await house.run_store(ticket)
    assert (await house.row(ticket)).state is RecordingState.SPOOLED


async def test_an_unreadable_file_is_kept_and_flagged(house, organization):
    async with house.running():
        ticket = await house.record(organization, finish=False)
        ticket.file.write_bytes(b"nonsense")
        await house.recorder.finish(ticket, None)
    await house.run_store(ticket)
    row = await house.row(ticket)
    assert row.state is RecordingState.FAILED
    assert "cannot be read" in row.error
    assert await house.store.get(row.store_key) == b"nonsense"


async def test_what_no_job_moved_is_asked_for_again(house, organization, owner_dsn):
    async with house.running():
        ticket = await house.record(organization)
    with psycopg.connect(owner_dsn) as conn:
        conn.execute("TRUNCATE jobs.procrastinate_jobs CASCADE")  # its own job gave up
    await SweepSpool(house.database, house.jobs)()  # too young
    await house.sweeping()
    with psycopg.connect(owner_dsn) as conn:
        jobs = conn.execute(
            "SELECT task_name, args FROM jobs.procrastinate_jobs WHERE args ->> 'recording_id' = %s", (str(ticket.id),)
        ).fetchall()
    assert jobs == [
        ("recordings.store", {"recording_id": str(ticket.id), "organization_id": str(organization)}),
    ]


async def test_a_job_for_what_is_not_there_gives_up(house, organization):
    with pytest.raises(GiveUp):
        await house.storing(str(uuid4()), str(organization))


async def test_an_export_is_a_private_stereo_file_and_is_audited(house, organization, tmp_path):
    ticket = await stored(house, organization)
    out = tmp_path / "call.wav"
    await house.exports.export(organization, ALICE, ticket.id, ExportFormat.WAV, out)
    with wave.open(str(out)) as heard:
        assert (heard.getnchannels(), heard.getsampwidth(), heard.getframerate()) == (2, 2, 16_000)
        assert heard.getnframes() == len(PCM) // 4
        assert heard.readframes(10_000) == PCM
    assert stat.S_IMODE(out.stat().st_mode) == 0o600
    assert sorted(path.name for path in tmp_path.iterdir()) == ["call.wav", "files", "spool"]
    async with house.database.transaction(organization, ALICE) as conn:
        cursor = await conn.execute(
            "SELECT actor, row_id, delta FROM audit WHERE action = 'recording.export' AND subject = 'recordings'"
        )
        assert await cursor.fetchall() == [("user:alice", str(ticket.id), {"format": "wav"})]


async def test_an_export_before_the_file_was_moved_reads_the_spool(house, organization, tmp_path):
    async with house.running():
        ticket = await house.record(organization)
    await house.exports.export(organization, ALICE, ticket.id, ExportFormat.WAV, tmp_path / "call.wav")
    assert (tmp_path / "call.wav").stat().st_size == 44 + len(PCM)
    elsewhere = Exports(house.database, house.vault, house.store, PlainReader)
    with pytest.raises(RecordingNotReady) as caught:
        await elsewhere.export(organization, ALICE, ticket.id, ExportFormat.WAV, tmp_path / "x.wav")
    assert caught.value.code == "recording.elsewhere"


async def test_what_cannot_be_exported_says_why_and_writes_nothing(house, organization, tmp_path):
    async with house.running():
        ticket = await house.record(organization, finish=False)
        await house.until(ticket, RecordingState.RECORDING)
        for whose, which, form, error, code in (
            (organization, ticket.id, ExportFormat.WAV, RecordingNotReady, "recording.running"),
            (organization, uuid4(), ExportFormat.WAV, RecordingNotFound, "recording.not_found"),
            (uuid4(), ticket.id, ExportFormat.WAV, RecordingNotFound, "recording.not_found"),
            (organization, ticket.id, ExportFormat.OGG, BadFormat, "recording.format"),
        ):
            with pytest.raises(error) as caught:
                await house.exports.export(whose, ALICE, which, form, tmp_path / "x")
            assert caught.value.code == code
    assert not (tmp_path / "x").exists()


async def test_ogg_goes_through_the_engines_renderer(house, organization, tmp_path):
    ticket = await stored(house, organization)
    house.exports._render_ogg = lambda file, key, out: out.write_bytes(b"OggS" + file.read_bytes()[:4])
    await house.exports.export(organization, ALICE, ticket.id, ExportFormat.OGG, tmp_path / "call.ogg")
    assert (tmp_path / "call.ogg").read_bytes() == b"OggS" + ticket.key[:4]


async def test_when_its_time_is_over_key_and_file_are_gone_and_the_row_stays(tmp_path, database, organization):
    house = House(tmp_path, database)
    await house.keeping.set_days(organization, ALICE, 30)
    old, young = await stored(house, organization), await stored(house, organization)
    row = await house.row(old)
    assert row.expires_at == row.ended_at + timedelta(days=30)
    await house.expiring()
    assert (await house.row(old)).state is RecordingState.STORED
    async with database.transaction(organization, ALICE) as conn:
        await conn.execute("UPDATE recordings SET expires_at = now() WHERE id = %s", (old.id,))
    await house.expiring()
    row = await house.row(old)
    assert (row.state, row.sealed_key, row.store_key) == (RecordingState.EXPIRED, None, None)
    assert (row.duration_ms, row.call_id) == (200, old.call_id)
    assert [key async for key in house.store.list()] == [store_key(organization, young.id)]
    with pytest.raises(RecordingNotFound) as caught:
        await house.exports.export(organization, ALICE, old.id, ExportFormat.WAV, tmp_path / "x")
    assert caught.value.code == "recording.expired"
    assert (await house.row(young)).state is RecordingState.STORED


async def test_a_file_that_could_not_be_deleted_is_tried_again(house, organization):
    ticket = await stored(house, organization)
    async with house.database.transaction(organization, ALICE) as conn:
        await conn.execute("UPDATE recordings SET expires_at = now() WHERE id = %s", (ticket.id,))

    async def away(_key):
        raise Unavailable("storage.unavailable", "away")

    real, house.store.delete = house.store.delete, away
    await house.expiring()
    row = await house.row(ticket)
    assert (row.state, row.sealed_key) == (RecordingState.EXPIRED, None)
    assert row.store_key is not None
    house.store.delete = real
    await house.expiring()
    assert (await house.row(ticket)).store_key is None
    assert [key async for key in house.store.list()] == []


async def test_no_key_reaches_the_audit_log(house, organization):
    ticket = await stored(house, organization)
    row = await house.row(ticket)
    async with house.database.transaction(organization, ALICE) as conn:
        deltas = await (await conn.execute("SELECT delta::text FROM audit WHERE subject = 'recordings'")).fetchall()
    assert len(deltas) == 3
    assert not any(row.sealed_key.hex() in delta or ticket.key.hex() in delta for (delta,) in deltas)


async def test_a_recording_is_kept_as_long_as_its_organization_says(house, organization):
    other = uuid4()
    assert await house.keeping.days(organization, ALICE) == DEFAULT_KEEP_DAYS
    first, foreign = await stored(house, organization), await stored(house, other)
    assert (await house.row(first)).expires_at == (await house.row(first)).ended_at + timedelta(days=DEFAULT_KEEP_DAYS)
    await house.keeping.set_days(organization, ALICE, 7)
    second = await stored(house, organization)
    for ticket, days in ((first, 7), (second, 7), (foreign, DEFAULT_KEEP_DAYS)):
        row = await house.row(ticket)
        assert row.expires_at == row.ended_at + timedelta(days=days)
    await house.keeping.set_days(organization, ALICE, None)
    third = await stored(house, organization)
    assert [(await house.row(ticket)).expires_at for ticket in (first, second, third)] == [None, None, None]
    assert await house.keeping.days(organization, ALICE) is None
    async with house.database.transaction(organization, ALICE) as conn:
        cursor = await conn.execute("SELECT actor FROM audit WHERE subject = 'recording_settings'")
        assert await cursor.fetchall() == [("user:alice",), ("user:alice",)]
    with pytest.raises(BadInput, match="1 to 36500 days"):
        await house.keeping.set_days(organization, ALICE, 0)


async def test_who_shortens_the_time_is_told_what_it_destroys(house, organization):
    old, young = await stored(house, organization), await stored(house, organization)
    async with house.database.transaction(organization, ALICE) as conn:
        await conn.execute("UPDATE recordings SET ended_at = now() - interval '40 days' WHERE id = %s", (old.id,))
    assert [await house.keeping.ending_with(organization, ALICE, days) for days in (30, 50, None)] == [1, 0, 0]
    await house.keeping.set_days(organization, ALICE, 30)
    await house.expiring()
    states = [(await house.row(ticket)).state for ticket in (old, young)]
    assert states == [RecordingState.EXPIRED, RecordingState.STORED]


@pytest.mark.parametrize("step", ["put", "size", "stored", "remove"])
async def test_a_crash_at_any_step_of_moving_is_done_again(house, organization, monkeypatch, step):
    async with house.running():
        ticket = await house.record(organization)

    class Killed(BaseException):
        pass

    def killed(*_, **__):
        raise Killed

    place = {"put": house.store, "size": house.store, "remove": house.spool}.get(step, repository)
    with monkeypatch.context() as patch:
        patch.setattr(place, step, killed)
        with pytest.raises(Killed):
            await house.run_store(ticket)
    assert (await house.row(ticket)).state is (RecordingState.STORED if step == "remove" else RecordingState.SPOOLED)
    assert ticket.file.exists()
    await house.run_store(ticket)
    assert (await house.row(ticket)).state is RecordingState.STORED
    assert await house.store.get(store_key(organization, ticket.id)) == ticket.key + b" " + PCM
    assert [path.suffix for path in house.spool.folder.iterdir()] == [".lock"]


async def test_a_ticket_that_a_crash_left_beside_a_stored_recording_goes_at_the_next_start(
    tmp_path, database, organization
):
    before = House(tmp_path, database)
    async with before.running():
        ticket = await before.record(organization)
    before.spool.remove = lambda _id: None  # killed after the database and before the spool; its job is never rescued
    await before.run_store(ticket)
    os.close(before.spool._lock)
    after = House(tmp_path, database)
    await after.recorder.recover()
    async with after.running():
        pass
    assert (await after.row(ticket)).state is RecordingState.STORED
    assert [path.suffix for path in after.spool.folder.iterdir()] == [".lock"], "a key outlives its recording's time"


async def test_who_stops_waiting_for_a_slow_disk_leaves_no_ticket(house, organization):
    write, may_write = house.spool.write, threading.Event()

    def slow(entry):
        may_write.wait(5)
        write(entry)

    house.spool.write = slow
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.05):
            await house.recorder.begin(organization, uuid4())
    may_write.set()
    await house.recorder.begin(organization, uuid4())  # waits its turn behind the other
    await asyncio.to_thread(house.recorder._threads.shutdown)
    assert len(list(house.spool.folder.glob("*.ticket"))) == 1
    assert house.recorder.unwritten == 1


async def test_a_slow_disk_at_the_end_does_not_lose_the_end(house, organization):
    ticket = await house.record(organization, finish=False)
    write, may_write = house.spool.write, threading.Event()

    def slow(entry):
        may_write.wait(5)
        write(entry)

    house.spool.write = slow
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.05):
            await house.recorder.finish(ticket, "The disk is slow.")
    may_write.set()
    async with house.running():
        row = await house.until(ticket, RecordingState.SPOOLED)
    assert row.error == "The disk is slow."


async def test_an_export_that_meets_the_move_to_the_file_store_is_written_all_the_same(house, organization, tmp_path):
    async with house.running():
        ticket = await house.record(organization)
    spooled_file = house.exports._spooled_file

    async def moved_meanwhile(recording, folder):
        file = await spooled_file(recording, folder)
        if recording.store_key is None:
            await house.run_store(ticket)
        return file

    house.exports._spooled_file = moved_meanwhile
    await house.exports.export(organization, ALICE, ticket.id, ExportFormat.WAV, tmp_path / "call.wav")
    assert (tmp_path / "call.wav").stat().st_size == 44 + len(PCM)


async def test_an_export_that_fails_is_in_the_audit_log_too(house, organization, tmp_path):
    ticket = await stored(house, organization)
    await house.store.delete(store_key(organization, ticket.id))
    with pytest.raises(SentError):
        await house.exports.export(organization, ALICE, ticket.id, ExportFormat.WAV, tmp_path / "call.wav")
    assert not (tmp_path / "call.wav").exists()
    async with house.database.transaction(organization, ALICE) as conn:
        cursor = await conn.execute("SELECT row_id FROM audit WHERE action = 'recording.export'")
        assert await cursor.fetchall() == [(str(ticket.id),)]


async def test_the_data_key_is_nowhere_on_the_disk_in_clear(house, organization, tmp_path, caplog):
    async with house.running():
        ticket = await house.recorder.begin(organization, uuid4())
        ticket.file.write_bytes(b"what the engine wrote")
        await house.recorder.finish(ticket, None)
    secrets = {ticket.key, ticket.key.hex().encode(), base64.b64encode(ticket.key)}
    for path in tmp_path.rglob("*"):
        if path.is_file():
            assert not any(secret in path.read_bytes() for secret in secrets), path
            assert path.suffix == ".spool" or stat.S_IMODE(path.stat().st_mode) == 0o600, path
    assert not any(ticket.key.hex() in text for text in (repr(ticket), str(ticket), caplog.text))
