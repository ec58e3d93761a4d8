"""Calls in and out through Kamailio as a carrier, and through a carrier that is known by its address."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
import pytest_asyncio

from sent.trunks.models import Trunk
from sent.trunks.service import TrunkService
from tests.interop import needs, sipp
from tests.interop.kamailio import Carrier, kamailio
from tests.interop.ports import free_port_block
from tests.interop.product import House, Product, new_house
from tests.interop.sipp import Messages, callee, header, steps

pytestmark = [pytest.mark.interop, needs.KAMAILIO, needs.SIPP, pytest.mark.asyncio(loop_scope="module")]

ANSWERS = (steps.rung(), steps.answer("180 Ringing"), steps.answer("200 OK", body=steps.sdp()))
OWN = "+12025550100"
"""What the carrier gave us."""
ALSO_LOOPBACK = "127.0.0.2"
"""A carrier by address lives there, so that the phones at 127.0.0.1 are not taken for it."""


@dataclass(frozen=True, slots=True)
class Line:
    """A house that is registered at a carrier, for a whole module: each test calls another number."""

    house: House
    carrier: Carrier
    trunk: Trunk


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def line(sent_server: Product, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Line]:
    folder = tmp_path_factory.mktemp("carrier")
    async with (
        kamailio(folder, phone_port=free_port_block(4), expires=4) as carrier,
        new_house(sent_server) as house,
    ):
        login = (carrier.user, carrier.password)
        yield Line(house, carrier, await house.add_trunk("carrier", f"127.0.0.1:{carrier.port}", login=login))


async def dial(house: House, folder: Path, number: str, *parts: str, seconds: float = 20) -> Messages:
    call = steps.call(number, house.alice.user)
    return await sipp.run(folder, house.product, house.alice, call, *parts, seconds=seconds)


async def test_a_number_outside_is_called_with_digest_and_caller_id(line: Line, tmp_path: Path) -> None:
    house, carrier = line.house, line.carrier
    theirs = steps.scenario(*ANSWERS, steps.take("BYE"))
    async with sipp.sipp(tmp_path, f"127.0.0.1:{carrier.port}", theirs, port=carrier.phone_port) as phone:
        await dial(house, tmp_path, "92025550142", steps.answered(), steps.pause(0.5), steps.hang_up())
        invite = (await phone.done()).request("INVITE")
    assert invite.startswith("INVITE sip:+12025550142@")
    assert f"sip:{OWN}@" in header(invite, "From")
    assert "Authorization" not in invite, "Kamailio took the credentials, and they were right"
    record = await house.record("+12025550142")
    assert (record.call.direction, record.call.end_words) == ("outbound", "Alice hung up.")
    assert record.call.callee_number == "+12025550142"
    assert record.ladder is not None
    challenged = [m.text for m in record.ladder.messages if m.text.startswith("SIP/2.0 407") and not m.sent]
    assert challenged, "the carrier asked for the password"
    assert not any(carrier.password in m.text or 'response="' in m.text for m in record.ladder.messages)


async def test_a_call_from_outside_rings_the_extension_of_its_number(line: Line, tmp_path: Path) -> None:
    house, carrier = line.house, line.carrier
    caller = "+12025550177"
    theirs = steps.scenario(
        steps.invite("anything", caller, 1, steps.sdp()), steps.answered(1), steps.pause(0.5), steps.hang_up(2)
    )
    async with callee(tmp_path, house.product, house.alice, *ANSWERS, steps.take("BYE")) as alice:
        server = f"127.0.0.1:{carrier.port}"
        async with sipp.sipp(tmp_path, server, theirs, port=carrier.phone_port) as phone:
            await phone.done()
        rung = (await alice.done()).request("INVITE")
    assert caller in header(rung, "From")
    record = await house.record(caller)
    assert (record.call.direction, record.call.dialed, record.call.callee_number) == ("inbound", OWN, "101")
    assert (record.call.end_code, record.call.end_by) == ("hung_up", "caller")


async def test_why_the_carrier_refused_is_in_the_record(line: Line, tmp_path: Path) -> None:
    seen = await dial(line.house, tmp_path, "92025550403", steps.refused(403, "92025550403"))
    words = "Carrier carrier refused the call: 403 Forbidden (number barred by the carrier)"
    assert words in header(seen.answer(403), "Warning")
    record = await line.house.record("+12025550403")
    assert (record.call.end_code, record.call.end_by) == ("carrier_refused", "carrier")
    assert (record.call.end_words, record.call.disposition) == (f"{words}.", "refused")
    assert record.call.end_reason == 'Q.850;cause=21;text="number barred by the carrier"'
    assert record.legs[1].end_status == 403


async def test_a_carrier_that_is_out_of_service_is_named(line: Line, tmp_path: Path) -> None:
    seen = await dial(line.house, tmp_path, "92025550503", steps.refused(503, "92025550503"))
    record = await line.house.record("+12025550503")
    assert (record.call.end_code, record.call.end_by) == ("carrier_unreachable", "carrier")
    assert "Carrier carrier is out of service" in (record.call.end_words or "")
    assert "out of service" in header(seen.answer(503), "Warning")


@pytest.mark.parametrize(
    ("number", "status", "words"),
    [
        pytest.param("9011442079460958", 403, "International calls to GB are closed", id="international"),
        pytest.param("+442079460958", 403, "International calls to GB are closed", id="e164"),
        pytest.param("919005550142", 403, "Premium and service numbers are closed", id="premium"),
        pytest.param("912", 404, "There is no number 912 here", id="no-number"),
    ],
)
async def test_what_costs_extra_never_reaches_the_carrier(
    line: Line, tmp_path: Path, number: str, status: int, words: str
) -> None:
    seen = await dial(line.house, tmp_path, number, steps.refused(status, number))
    assert words in header(seen.answer(status), "Warning")
    record = await line.house.record(number)
    assert words in (record.call.end_words or "")
    assert len(record.legs) == 1


async def test_no_more_calls_at_once_than_the_trunk_may(line: Line, tmp_path: Path) -> None:
    house, carrier, trunk = line.house, line.carrier, line.trunk
    service = TrunkService(house.local.database, house.local.vault)
    organization, actor = house.principal.organization_id, house.principal.actor
    await service.set_limits(organization, trunk.id, replace(trunk.limits, concurrent_calls=1), actor)
    await asyncio.sleep(5.5)  # the server reads its trunks every five seconds
    try:
        theirs = steps.scenario(*ANSWERS, steps.take("BYE"))
        server = f"127.0.0.1:{carrier.port}"
        async with sipp.sipp(tmp_path, server, theirs, port=carrier.phone_port) as phone, asyncio.TaskGroup() as both:
            both.create_task(dial(house, tmp_path, "92025550151", steps.answered(), steps.pause(2), steps.hang_up()))
            await house.trunk_status(trunk, lambda seen: seen.calls_up == 1)
            second = await dial(house, tmp_path, "92025550152", steps.refused(503, "92025550152"))
            await phone.done()
    finally:
        await service.set_limits(organization, trunk.id, trunk.limits, actor)
        await asyncio.sleep(5.5)
    assert "All 1 lines of trunk carrier are in use" in header(second.answer(503), "Warning")
    record = await house.record("+12025550152")
    assert (record.call.end_code, record.call.end_status) == ("limit_reached", 503)


async def test_the_registration_is_shown_and_refreshed_in_time(line: Line) -> None:
    house, trunk = line.house, line.trunk
    first = await house.trunk_status(trunk, lambda seen: seen.phase == "registered")
    until = first.registered_until
    assert until is not None
    again = await house.trunk_status(trunk, lambda seen: (seen.registered_until or until) > until, seconds=6)
    assert (again.phase, again.health) == ("registered", "up")
    listed = await house.product.sent("trunk", "list", "--organization", house.slug)
    assert listed.returncode == 0, listed.stderr
    for words in ("carrier", OWN, "101", "Registered for 4 seconds"):
        assert words in listed.stdout


async def test_trunk_add_says_whether_the_carrier_takes_the_password(line: Line) -> None:
    carrier = line.carrier
    async with new_house(line.house.product) as house:
        words = ("trunk", "add", "other", f"127.0.0.1:{carrier.port}", "--user", carrier.user,
                 "--organization", house.slug)  # fmt: skip
        good = await house.product.sent(*words, stdin=carrier.password + "\n")
        assert good.returncode == 0, good.stdout + good.stderr
        assert "Registered for" in good.stdout
        removed = await house.product.sent("trunk", "remove", "other", "--organization", house.slug)
        assert removed.returncode == 0, removed.stderr
        bad = await house.product.sent(*words, stdin="wrong\n")
    assert bad.returncode == 1
    assert "password" in bad.stdout
    assert carrier.password not in good.stdout + bad.stdout


async def test_where_one_carrier_is_out_of_service_the_next_is_asked(line: Line, tmp_path: Path) -> None:
    async with (
        kamailio(tmp_path / "second", phone_port=free_port_block(4), faultless=True) as second,
        new_house(line.house.product) as house,
    ):
        await asyncio.gather(
            *(
                house.add_trunk(
                    name, f"127.0.0.1:{carrier.port}", login=(carrier.user, carrier.password), priority=priority,
                    number=number,
                )
                for priority, (name, carrier, number) in enumerate(
                    (("first", line.carrier, "+12025550101"), ("second", second, "+12025550102"))
                )
            )
        )  # fmt: skip
        theirs = steps.scenario(*ANSWERS, steps.take("BYE"))
        async with sipp.sipp(tmp_path, f"127.0.0.1:{second.port}", theirs, port=second.phone_port) as phone:
            await dial(house, tmp_path, "92025551503", steps.answered(), steps.hang_up())
            await phone.done()
        record = await house.record("+12025551503")
    failed, answered = record.legs[1:]
    assert (failed.end_code, failed.end_status) == ("carrier_unreachable", 503)
    assert "Carrier first is out of service" in (failed.end_words or "")
    assert answered.end_code == "hung_up"
    assert record.call.disposition == "answered"


async def test_a_carrier_that_is_known_by_its_address(line: Line, tmp_path: Path) -> None:
    port = free_port_block(2)
    here = f"{ALSO_LOOPBACK}:{port}"
    async with new_house(line.house.product) as house:
        ping = steps.scenario(steps.take("OPTIONS"))
        async with sipp.sipp(tmp_path, house.product.sip, ping, port=port, address=ALSO_LOOPBACK) as pinged:
            await house.add_trunk("neighbour", here, sources=(ALSO_LOOPBACK,), number="+12025550199")
            await pinged.done()

        theirs = steps.scenario(*ANSWERS, steps.take("BYE"))
        async with sipp.sipp(tmp_path, house.product.sip, theirs, port=port, address=ALSO_LOOPBACK) as phone:
            await dial(house, tmp_path, "92025550143", steps.answered(), steps.hang_up())
            invite = (await phone.done()).request("INVITE")
        assert "sip:+12025550199@" in header(invite, "From")
        assert (await house.record("+12025550143")).call.disposition == "answered"

        calls = steps.scenario(
            steps.invite("2025550199", "2025550178", 1, steps.sdp()), steps.answered(1), steps.hang_up(2)
        )
        async with callee(tmp_path, house.product, house.alice, *ANSWERS, steps.take("BYE")) as alice:
            async with sipp.sipp(tmp_path, house.product.sip, calls, port=port, address=ALSO_LOOPBACK) as phone:
                await phone.done()
            await alice.done()
        record = await house.record("+12025550178")
        assert (record.call.direction, record.call.callee_number) == ("inbound", "101")

        wrong = steps.scenario(steps.invite("2025550122", "2025550179", 1, steps.sdp()), steps.final(404, "2025550122"))
        async with sipp.sipp(tmp_path, house.product.sip, wrong, port=port, address=ALSO_LOOPBACK) as phone:
            refused = await phone.done()
        assert "is not one of the numbers of trunk neighbour" in header(refused.answer(404), "Warning")
