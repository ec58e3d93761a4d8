import os
import stat
import subprocess
import sys
from dataclasses import replace
from datetime import UTC, datetime
from uuid import uuid4

import pytest

from sent.infra.vault import MasterKeys, VaultError
from sent.kit.ids import uuid7
from sent.recordings.models import RecordingTicket
from sent.recordings.spool import Spool, SpoolEntry

MASTER = MasterKeys((b"m" * 32,), "test")
AT = datetime(2026, 5, 4, 12, 0, tzinfo=UTC)


@pytest.fixture
def spool(tmp_path):
    opened = Spool(tmp_path / "spool", MASTER)
    yield opened
    opened.close()


def entry(spool, **more):
    recording_id = uuid7()
    ticket = RecordingTicket(recording_id, uuid4(), uuid4(), AT, spool.file(recording_id), os.urandom(32))
    return SpoolEntry(ticket, spool.owner, **more)


def test_a_ticket_comes_back_with_its_key(spool):
    written = entry(spool, ended_at=AT, error="The disk was full.")
    spool.write(written)
    assert spool.read(written.ticket.id) == written


def test_the_key_is_not_on_the_disk(spool):
    written = entry(spool)
    spool.write(written)
    (path,) = spool.folder.glob("*.ticket")
    assert written.ticket.key not in path.read_bytes()
    assert written.ticket.key.hex() not in path.read_text()
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(spool.folder.stat().st_mode) == 0o700


def test_a_ticket_hides_its_key():
    ticket = RecordingTicket(uuid7(), uuid4(), uuid4(), AT, None, b"\xfe" * 32)
    assert "xfe" not in repr(ticket)
    assert "xfe" not in repr(SpoolEntry(ticket, "x"))


def test_without_the_master_key_a_ticket_stays_and_does_not_open(spool, tmp_path):
    written = entry(spool)
    spool.write(written)
    other = Spool(spool.folder, MasterKeys((b"x" * 32,), "test"))
    with pytest.raises(VaultError):
        other.read(written.ticket.id)
    assert list(other.entries()) == []
    assert spool.read(written.ticket.id) == written
    other.close()


@pytest.mark.parametrize("junk", ["", "{", "[]", '{"version": 1}', '{"version": 9}', "null"])
def test_a_damaged_ticket_does_not_hide_the_others(spool, junk):
    written = entry(spool)
    spool.write(written)
    (spool.folder / f"{uuid7()}.ticket").write_text(junk)
    (spool.folder / "no id.ticket").write_text(junk)
    assert list(spool.entries()) == [written]


def test_only_the_dead_are_inherited(spool):
    dead, living = Spool(spool.folder, MASTER), Spool(spool.folder, MASTER)
    ours, theirs, left = entry(spool), entry(living), entry(dead)
    for one, of in ((ours, spool), (theirs, living), (left, dead)):
        of.write(one)
    dead.close()
    adopted = list(spool.adopt_orphans())
    assert adopted == [replace(left, owner=spool.owner)]
    assert spool.read(left.ticket.id).owner == spool.owner
    assert list(spool.adopt_orphans()) == []
    assert {one.ticket.id for one in spool.own()} == {ours.ticket.id, left.ticket.id}
    living.close()


def test_a_killed_process_is_dead(spool):
    code = f"""
import os, signal, pathlib
from sent.infra.vault import MasterKeys
from sent.recordings.spool import Spool
s = Spool(pathlib.Path({str(spool.folder)!r}), MasterKeys((b"m" * 32,), "test"))
print(s.owner, flush=True)
os.kill(os.getpid(), signal.SIGKILL)
"""
    killed = subprocess.run(
        [sys.executable, "-c", code], env={"PYTHONPATH": "src"}, capture_output=True, text=True, check=False
    )
    owner = killed.stdout.strip()
    assert (spool.folder / f"{owner}.lock").exists()
    left = replace(entry(spool), owner=owner)
    spool.write(left)
    assert [one.ticket.id for one in spool.adopt_orphans()] == [left.ticket.id]
    assert not (spool.folder / f"{owner}.lock").exists()


def test_removing_takes_the_file_and_then_the_ticket(spool):
    written = entry(spool)
    spool.write(written)
    written.ticket.file.write_bytes(b"x")
    spool.remove(written.ticket.id)
    assert not spool.has_ticket(written.ticket.id)
    assert [path.suffix for path in spool.folder.iterdir()] == [".lock"]
    spool.remove(written.ticket.id)


def test_a_full_disk_leaves_the_old_ticket(spool, monkeypatch):
    written = entry(spool)
    spool.write(written)

    def full(_descriptor):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space"):
        spool.write(replace(written, ended_at=AT))
    monkeypatch.undo()
    assert spool.read(written.ticket.id) == written
    assert list(spool.folder.glob("*.draft")) == []
