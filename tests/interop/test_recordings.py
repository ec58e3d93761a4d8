"""A call that is recorded: what comes out of `sent recordings export` is what both sides said."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path

import pytest

from tests.interop import needs
from tests.interop.baresip import ALICE_HZ, BOB_HZ, OPUS, SECURE, Kind, alice_and_bob
from tests.interop.product import House
from tests.interop.tones import read_wav

pytestmark = [pytest.mark.interop, needs.BARESIP]

TALK_S = 4.0
AUDIT_SQL = """
SELECT actor FROM sent.audit
WHERE action = 'recording.export' AND subject = 'recordings' AND row_id = %(id)s::text"""


@pytest.mark.parametrize(
    ("alice_kind", "bob_kind"),
    [
        pytest.param(Kind(), Kind(), id="pcmu"),
        pytest.param(SECURE, Kind(codec=OPUS), id="tls-srtp-calls-opus"),
    ],
)
async def test_the_caller_is_on_the_left_and_the_callee_on_the_right(
    house: House, tmp_path: Path, alice_kind: Kind, bob_kind: Kind
) -> None:
    await house.record_calls(inside=True)
    async with alice_and_bob(tmp_path, house, alice_kind, bob_kind) as (alice, bob):
        await alice.call("102")
        start = time.monotonic()
        await asyncio.sleep(TALK_S)
        await alice.hang_up()
        talked = time.monotonic() - start
        await asyncio.gather(alice.wait_for("CALL_CLOSED"), bob.wait_for("CALL_CLOSED"))
        record = await house.record()

    assert record.call.recording_id is not None
    assert record.call.recording_error is None
    file = tmp_path / "call.wav"
    await _export(house, str(record.call.id), file)
    left, right = read_wav(file)
    assert left.hears(ALICE_HZ), f"{left.decibels(ALICE_HZ):.1f} dB"
    assert left.lacks(BOB_HZ)
    assert right.hears(BOB_HZ), f"{right.decibels(BOB_HZ):.1f} dB"
    assert right.lacks(ALICE_HZ)
    assert left.seconds == pytest.approx(talked, abs=0.1)
    assert right.seconds == left.seconds
    assert await _exports_in_audit(house, str(record.call.recording_id)) == 1


async def test_a_call_that_nobody_wanted_recorded_is_not(house: House, tmp_path: Path) -> None:
    await house.record_calls(outside=True)
    async with alice_and_bob(tmp_path, house) as (alice, bob):
        await alice.call("102")
        await asyncio.sleep(1)
        await alice.hang_up()
        await bob.wait_for("CALL_CLOSED")
        record = await house.record()
    assert record.call.recording_id is None
    refused = await house.product.sent(
        "recordings", "export", str(record.call.id), "-o", str(tmp_path / "no.wav"), "--organization", house.slug
    )
    assert refused.returncode == 1
    assert "was not recorded" in refused.stderr
    assert not (tmp_path / "no.wav").exists()


async def _export(house: House, call: str, file: Path) -> None:
    """The recording is moved to the file store within seconds after the call; until then the command says so."""
    words = ("recordings", "export", call, "-o", str(file), "--organization", house.slug)
    async with asyncio.timeout(15):
        while (done := await house.product.sent(*words)).returncode != 0:
            assert "try again" in done.stderr.lower(), done.stderr
            await asyncio.sleep(0.5)


async def _exports_in_audit(house: House, recording: str) -> int:
    organization, actor = house.principal.organization_id, house.principal.actor
    async with house.local.database.transaction(organization, actor) as connection:
        cursor = await connection.execute(AUDIT_SQL, {"id": recording})
        return len(await cursor.fetchall())
