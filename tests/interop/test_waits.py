"""What takes long: nobody answers, a carrier is silent, phones vanish, sessions are refreshed or run out.

All of it goes on at the same time; each test waits for its own part.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from pathlib import Path

import pytest
import pytest_asyncio

from sent.calls.history import CallDetail
from tests.interop import needs, sipp
from tests.interop.kamailio import kamailio
from tests.interop.ports import free_port_block
from tests.interop.product import House, Product, new_house
from tests.interop.sipp import Messages, callee, header, steps

pytestmark = [pytest.mark.interop, needs.SIPP, pytest.mark.asyncio(loop_scope="module")]

RINGS = (steps.rung(), steps.answer("180 Ringing"))
ANSWERS = (*RINGS, steps.answer("200 OK", body=steps.sdp()))
HELD = steps.sdp("a=sendonly", version=2)
"""A held call may be silent for as long as it likes: only its session timer can end it."""
LONGEST_S = 80.0

Outcome = tuple[CallDetail, Messages]


async def nobody_answers(house: House, folder: Path) -> Outcome:
    async with callee(folder, house.product, house.bob, *RINGS, steps.cancelled(), seconds=40) as bob:
        seen = await _alice(house, folder, steps.call("102", house.alice.user), steps.refused(480, "102"))
        await bob.done()
    return await house.record(), seen


async def the_carrier_is_silent(house: House, folder: Path) -> Outcome:
    async with (
        kamailio(folder / "first", phone_port=free_port_block(4)) as first,
        kamailio(folder / "second", phone_port=free_port_block(4), faultless=True) as second,
    ):
        for priority, carrier in enumerate((first, second)):
            login = (carrier.user, carrier.password)
            await house.add_trunk(
                ("first", "second")[priority], f"127.0.0.1:{carrier.port}", login=login, priority=priority,
                number=f"+1202555011{priority}",
            )  # fmt: skip
        theirs = steps.scenario(*ANSWERS, steps.take("BYE"))
        server = f"127.0.0.1:{second.port}"
        async with sipp.sipp(folder, server, theirs, port=second.phone_port, seconds=LONGEST_S) as phone:
            call = steps.call("92025550000", house.alice.user)
            seen = await _alice(house, folder, call, steps.answered(), steps.hang_up())
            await phone.done()
        return await house.record(), seen


async def both_phones_vanish(house: House, folder: Path) -> Outcome:
    """Without hold: no audio comes any more, which is noticed long before the session runs out."""
    async with callee(folder, house.product, house.bob, *ANSWERS, steps.pause(0.2)) as bob:
        seen = await _alice(house, folder, steps.call("102", house.alice.user), steps.answered())
        await bob.done()
    return await house.record(seconds=LONGEST_S), seen


async def the_caller_stops_refreshing(house: House, folder: Path) -> Outcome:
    timer = ("Supported: timer", "Session-Expires: 90;refresher=uac")
    async with callee(folder, house.product, house.bob, *ANSWERS, steps.take("BYE"), seconds=LONGEST_S) as bob:
        seen = await _alice(
            house, folder,
            steps.call("102", house.alice.user, headers=timer), steps.answered(), steps.reinvite(3, HELD, timer),
        )  # fmt: skip
        await bob.done()
    return await house.record(), seen


async def the_callee_stops_refreshing(house: House, folder: Path) -> Outcome:
    timer = ("Require: timer", "Session-Expires: 90;refresher=uas")
    bob_does = (*RINGS, steps.answer("200 OK", *timer, body=steps.sdp()))
    async with callee(folder, house.product, house.bob, *bob_does) as bob:
        seen = await _alice(
            house, folder,
            steps.call("102", house.alice.user), steps.answered(), steps.reinvite(3, HELD), steps.take("BYE"),
        )  # fmt: skip
        await bob.done()
    return await house.record(), seen


async def the_server_refreshes(house: House, folder: Path) -> Outcome:
    timer = ("Supported: timer", "Allow: INVITE, ACK, CANCEL, BYE, UPDATE", "Session-Expires: 90;refresher=uas")
    bob_does = (*ANSWERS, steps.pause(65), steps.ask("BYE", 1))
    async with callee(folder, house.product, house.bob, *bob_does, seconds=LONGEST_S) as bob:
        seen = await _alice(
            house, folder,
            steps.call("102", house.alice.user, headers=timer), steps.answered(), steps.reinvite(3, HELD, timer),
            steps.take("UPDATE", "Require: timer", "Session-Expires: 90;refresher=uac"), steps.take("BYE"),
        )  # fmt: skip
        await bob.done()
    return await house.record(), seen


async def _alice(house: House, folder: Path, *parts: str) -> Messages:
    return await sipp.run(folder, house.product, house.alice, *parts, seconds=LONGEST_S)


Story = Callable[[House, Path], Awaitable[Outcome]]
Waiting = Mapping[Story, asyncio.Task[Outcome]]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def waiting(sent_server: Product, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Waiting]:
    folder = tmp_path_factory.mktemp("waits")

    async def run(story: Story) -> Outcome:
        async with new_house(sent_server) as house:
            return await story(house, folder)

    stories = [nobody_answers, both_phones_vanish, the_caller_stops_refreshing, the_callee_stops_refreshing,
               the_server_refreshes]  # fmt: skip
    if not needs.KAMAILIO.args[0]:
        stories.append(the_carrier_is_silent)
    tasks: Waiting = {story: asyncio.create_task(run(story)) for story in stories}
    yield tasks
    for task in tasks.values():
        task.cancel()
    await asyncio.gather(*tasks.values(), return_exceptions=True)


async def test_a_call_that_nobody_answers_ends_after_half_a_minute(waiting: Waiting) -> None:
    record, seen = await waiting[nobody_answers]
    assert "Bob did not answer within 30 s" in header(seen.answer(480), "Warning")
    assert (record.call.end_code, record.call.disposition) == ("no_answer", "missed")
    assert record.call.end_words == "Bob did not answer within 30 s."


@needs.KAMAILIO
async def test_where_a_carrier_is_silent_the_next_is_asked(waiting: Waiting) -> None:
    record, _ = await waiting[the_carrier_is_silent]
    silent, answered = record.legs[1:]
    assert (silent.end_code, silent.end_words) == ("carrier_unreachable", "Carrier first does not answer.")
    assert answered.end_code == "hung_up"
    assert record.call.disposition == "answered"


async def test_phones_that_vanish_without_bye_are_noticed_by_their_silence(waiting: Waiting) -> None:
    record, _ = await waiting[both_phones_vanish]
    assert record.call.end_code == "media_lost"
    assert record.call.answered_at is not None
    assert record.call.ended_at is not None
    assert 28 < (record.call.ended_at - record.call.answered_at).total_seconds() < 40
    assert record.call.flags


async def test_a_session_that_the_server_refreshes_goes_on(waiting: Waiting) -> None:
    record, seen = await waiting[the_server_refreshes]
    update = seen.request("UPDATE")
    assert header(update, "Session-Expires") == "90;refresher=uac"
    assert (record.call.end_code, record.call.end_words) == ("hung_up", "Bob hung up.")


async def test_a_caller_that_stops_refreshing_has_vanished(waiting: Waiting) -> None:
    record, seen = await waiting[the_caller_stops_refreshing]
    assert header(seen.answer(200, "3 INVITE"), "Session-Expires") == "90;refresher=uac"
    assert (record.call.end_code, record.call.end_words) == (
        "session_expired", "Alice stopped refreshing the session and has vanished.",
    )  # fmt: skip


async def test_a_callee_that_stops_refreshing_has_vanished(waiting: Waiting) -> None:
    record, seen = await waiting[the_callee_stops_refreshing]
    assert (record.call.end_code, record.call.end_words) == (
        "session_expired", "Bob stopped refreshing the session and has vanished.",
    )  # fmt: skip
    assert "cause=408" in header(seen.request("BYE"), "Reason")
