"""Everything that a call takes is given back: after hundreds of calls the server is what it was."""

from __future__ import annotations

import asyncio
import itertools
import os

import psutil
import pytest

from sent.media.engine import RustEngine
from sent.softphone.call import PhoneState
from tests.faults.audio_sockets import audio_ports
from tests.faults.phones import ALICE_HZ, BOB_HZ, Voice, voice
from tests.faults.serving import Server
from tests.interop.product import House

pytestmark = pytest.mark.faults

CALLS, AT_ONCE = 200, 20
POOL = 10
"""Connections to the database that come and go with the load; a leak of one in ten calls would be twice that."""
WORKERS = min(32, (os.cpu_count() or 1) + 4)
"""asyncio's own pool grows to so many threads, by what is done at once; a thread for each call would be many more."""
ROOM_OCTETS = 12 * 1024 * 1024


def taken(server: Server) -> dict[str, int]:
    process = psutil.Process(server.pid)
    metrics = server.metrics()
    return {
        "files": process.num_fds(),
        "threads": process.num_threads(),
        "audio ports": len(audio_ports(server)),
        "calls": int(metrics["sent_calls_active"]),
        "legs": int(metrics["sent_media_legs"]),
        "sockets": int(metrics["sent_media_sockets"]),
    }


async def one_call(caller: Voice, kind: int) -> None:
    """Of five ways that a call may go."""
    number = ("102", "600", "102", "999", "102")[kind % 5]
    call = await caller.dial(number)
    state = PhoneState.CALLING
    async with asyncio.timeout(10):
        if kind % 5 == 4:
            await asyncio.sleep(0.005)
            call.hang_up()  # before or after it was answered
        while call.state not in (PhoneState.TALKING, PhoneState.OVER):
            state = await call.changed(state, 10)
        if call.state is PhoneState.TALKING:
            await asyncio.sleep(0.15)
            call.hang_up()
        while call.state is not PhoneState.OVER:
            await call.changed(PhoneState.TALKING, 10)


async def wave(alice: Voice, bob: Voice, count: int, kinds: itertools.count[int]) -> None:
    await asyncio.gather(*(one_call(alice if n % 2 else bob, next(kinds)) for n in range(count)))


async def test_after_two_hundred_calls_nothing_is_left(shared_server: Server, house: House, engine: RustEngine) -> None:
    await house.record_calls(inside=True)
    kinds = itertools.count()
    async with voice(engine, house, house.alice, ALICE_HZ) as alice, voice(engine, house, house.bob, BOB_HZ) as bob:
        await wave(alice, bob, AT_ONCE, kinds)
        await wave(alice, bob, AT_ONCE, kinds)
        await asyncio.sleep(6)  # jobs, samples, lingering transactions
        before = await asyncio.to_thread(taken, shared_server)
        memory = psutil.Process(shared_server.pid).memory_info().rss
        for _ in range(CALLS // AT_ONCE):
            await wave(alice, bob, AT_ONCE, kinds)
        await asyncio.sleep(1)
        after: dict[str, int] = {}
        for _ in range(40):
            after = await asyncio.to_thread(taken, shared_server)
            idle = not (after["calls"] or after["legs"] or after["sockets"])
            if idle and after["files"] <= before["files"] + POOL:
                break
            await asyncio.sleep(0.5)
    assert after["audio ports"] == after["calls"] == after["legs"] == after["sockets"] == 0, after
    assert after["files"] <= before["files"] + POOL, (before, after)
    assert after["threads"] <= before["threads"] + WORKERS, (before, after)
    grown = psutil.Process(shared_server.pid).memory_info().rss - memory
    assert grown < ROOM_OCTETS, f"{grown / 1e6:.1f} MB more"
    log = shared_server.log_text()
    assert "Traceback" not in log, log[log.index("Traceback") - 300 :][:2000]
