"""Calls through carriers, and how trunks stay connected to them. A carrier is a phone on the wire that speaks first."""

from __future__ import annotations

import asyncio
from uuid import UUID

import pytest

from sent.calls.ending import EndCode
from sent.calls.party import Direction
from sent.gateway.endings import Side, from_response
from sent.sip.digest import Challenge, parse_credentials, verify
from sent.sip.digest import ha1 as make_ha1
from sent.sip.events import Accepted, Failed, RequestReceived
from sent.sip.flow import Send, Target
from sent.sip.header_values import NameAddr
from sent.sip.uri import SipUri
from sent.testing.phone import Call, PhoneScript, WirePhone
from sent.trunks.health import TrunkHealth
from sent.trunks.models import CallerIdHeader, SrtpPolicy, TrunkLimits, TrunkMode
from sent.trunks.registration import RegistrationPhase
from tests.scenarios.gateway_world import SERVER, World, play
from tests.scenarios.test_gateway_calls import ending, two_phones, warning

DOMAIN = "sip.nordnet.example"
OUR_NUMBER = "+493023125000"
ELSEWHERE = "903023125999"


class Registrar:
    """Answers REGISTER at a carrier with digest; counts what it sees."""

    def __init__(self, carrier: WirePhone, password: str = "5ecret", granted: int = 600) -> None:
        self.carrier = carrier
        self.password = password
        self.granted = granted
        self.refuse_with: tuple[int, tuple[tuple[str, str], ...]] | None = None
        self.contact: SipUri | None = None
        self.accepted: list[float] = []
        self.seen: list[float] = []
        carrier.on_request = self.answer

    def answer(self, received: RequestReceived) -> None:
        request, agent, now = received.request, self.carrier.agent, self.carrier.now()
        if request.method != "REGISTER":
            agent.respond(received.tx, 200, now)
            return
        self.seen.append(now)
        if self.refuse_with is not None:
            agent.respond(received.tx, self.refuse_with[0], now, headers=self.refuse_with[1])
            if self.refuse_with[0] == 423:
                self.refuse_with = None
            return
        given = parse_credentials(request.headers.get("authorization") or "Basic x=y")
        secret = make_ha1("4930555", DOMAIN, self.password)
        if given is None or not verify(given, method="REGISTER", ha1_hex=secret):
            challenge = str(Challenge(DOMAIN, f"nonce{len(self.seen)}"))
            agent.respond(received.tx, 401, now, headers=(("WWW-Authenticate", challenge),))
            return
        (contact,) = request.contacts
        assert isinstance(contact.uri, SipUri)
        self.contact = contact.uri
        self.accepted.append(now)
        agent.respond(received.tx, 200, now, headers=(("Contact", f"<{contact.uri}>;expires={self.granted}"),))


async def with_trunk(world: World, script: PhoneScript | None = None, **trunk) -> tuple[WirePhone, WirePhone]:
    alice, _ = await two_phones(world)
    carrier = world.carrier("192.0.2.50", script)
    world.wire.name(DOMAIN, ("192.0.2.50", 5060))
    await world.trunk(**trunk)
    return alice, carrier


def calls_in(
    carrier: WirePhone, uri: SipUri, headers: tuple[tuple[str, str], ...] = (), user: str = "+4940123456"
) -> Call:
    """The carrier calls us: ``uri`` is what it dials."""
    media = carrier._media()
    session = carrier.agent.invite(
        uri,
        from_=NameAddr(SipUri("sip", DOMAIN, user), "Ann Outside"),
        targets=[carrier.port.target(SERVER)],
        now=carrier.now(),
        offer=media.sdp(),
        headers=headers,
    )
    call = carrier._add(session, media)
    carrier.port.touch()
    return call


def test_a_call_outside_shows_our_number_and_talks():
    async def scenario(world: World) -> None:
        alice, carrier = await with_trunk(world)
        call = alice.call(ELSEWHERE)
        await call.wait(Accepted)
        incoming = carrier.calls[0].incoming
        assert incoming is not None
        assert str(incoming.uri) == f"sip:+493023125999@{DOMAIN}"
        assert getattr(incoming.from_.uri, "user", None) == OUR_NUMBER
        assert incoming.headers.get("p-asserted-identity") is None
        assert world.usage.running(UUID(int=100)) == 1
        call.hang_up()
        await world.settle()
        assert ending(world) == (EndCode.HUNG_UP, "Alice hung up.")
        assert (world.record.direction, world.record.callee and world.record.callee.number) == (
            Direction.OUTBOUND,
            "+493023125999",
        )
        world.check_released()

    play(scenario)


def test_a_carrier_that_wants_an_asserted_identity_gets_it():
    async def scenario(world: World) -> None:
        alice, carrier = await with_trunk(world, caller_id_header=CallerIdHeader.ASSERTED)
        await alice.call("+493023125999").wait(Accepted)
        incoming = carrier.calls[0].incoming
        assert incoming is not None
        assert incoming.headers.get("p-asserted-identity") == f"<sip:{OUR_NUMBER}@{DOMAIN}>"
        assert getattr(incoming.from_.uri, "user", None) == "4930555"

    play(scenario)


def test_a_challenged_invite_is_repeated_with_the_same_sdp():
    async def scenario(world: World) -> None:
        alice, carrier = await with_trunk(world, PhoneScript(answer_after=None, ring_after=None))
        call = alice.call(ELSEWHERE)
        first = await carrier.wait_for_call()
        challenge = str(Challenge(DOMAIN, "n1"))
        first.session.reject(407, carrier.now(), headers=(("Proxy-Authenticate", challenge),))
        carrier.port.touch()
        second = await carrier.wait_for_call(2)
        assert first.incoming is not None
        assert second.incoming is not None
        given = parse_credentials(second.incoming.headers.get("proxy-authorization") or "")
        assert given is not None
        assert verify(given, method="INVITE", ha1_hex=make_ha1("4930555", DOMAIN, "5ecret"))
        assert first.incoming.body == second.incoming.body
        second.answer()
        await call.wait(Accepted)

    play(scenario)


def test_a_carriers_reason_for_403_is_in_the_record_and_told_to_the_caller():
    async def scenario(world: World) -> None:
        script = PhoneScript(reject_with=403, headers=(("Warning", '399 nordnet "prepaid balance used up"'),))
        alice, _ = await with_trunk(world, script)
        failed = await alice.call(ELSEWHERE).wait(Failed)
        assert failed.status == 403
        assert "prepaid balance used up" in warning(failed)
        await world.settle()
        code, words = ending(world)
        assert code is EndCode.CARRIER_REFUSED
        assert words == "Carrier Nordnet refused the call: 403 Forbidden (prepaid balance used up)."
        assert world.record.ending is not None
        assert world.record.ending.sip_status == 403
        world.check_released()

    play(scenario)


def test_503_goes_on_to_the_carriers_next_address():
    async def scenario(world: World) -> None:
        alice, _ = await with_trunk(world, PhoneScript(reject_with=503))
        second = world.carrier("192.0.2.51")
        world.wire.name(DOMAIN, ("192.0.2.50", 5060), ("192.0.2.51", 5060))
        await alice.call(ELSEWHERE).wait(Accepted)
        assert len(second.calls) == 1

    play(scenario)


def test_a_silent_address_goes_on_to_the_next():
    async def scenario(world: World) -> None:
        alice, first = await with_trunk(world)
        first.vanish()
        world.carrier("192.0.2.51")
        world.wire.name(DOMAIN, ("192.0.2.50", 5060), ("192.0.2.51", 5060))
        await alice.call(ELSEWHERE).wait(Accepted)

    play(scenario)


def test_a_carrier_that_is_silent_altogether_is_named_and_becomes_suspect():
    async def scenario(world: World) -> None:
        alice, carrier = await with_trunk(world, mode=TrunkMode.ADDRESS, sources=("192.0.2.50",))
        world.links.start()
        await asyncio.sleep(1)
        carrier.vanish()
        failed = await alice.call(ELSEWHERE).wait(Failed)
        assert failed.status == 503
        await world.settle()
        assert ending(world) == (EndCode.CARRIER_UNREACHABLE, "Carrier Nordnet does not answer.")
        status = world.links.status(UUID(int=100))
        assert status is not None
        assert status.health.health is not TrunkHealth.UP
        world.check_released()

    play(scenario)


@pytest.mark.parametrize(("srtp", "oversized"), [(SrtpPolicy.OFF, 0), (SrtpPolicy.REQUIRED, 1)])
def test_a_request_that_is_too_long_for_one_packet_goes_over_udp_all_the_same_and_is_counted(
    srtp: SrtpPolicy, oversized: int
):
    async def scenario(world: World) -> None:
        alice, carrier = await with_trunk(world, PhoneScript(answer_after=None, ring_after=None), srtp=srtp)
        alice.call(ELSEWHERE)
        challenge = str(Challenge(DOMAIN, "n" * 48, opaque="o" * 32))
        theirs = await carrier.wait_for_call()
        theirs.session.reject(407, carrier.now(), headers=(("Proxy-Authenticate", challenge),))
        carrier.port.touch()
        await carrier.wait_for_call(2)
        assert world.agent.counters["udp_oversized"] == oversized

    play(scenario)


async def two_trunks(world: World, script: PhoneScript) -> tuple[WirePhone, WirePhone, WirePhone]:
    alice, first = await with_trunk(world, script)
    second = world.carrier("192.0.2.60")
    world.wire.name("backup.example", ("192.0.2.60", 5060))
    await world.trunk(id=UUID(int=101), name="Backup", domain="backup.example", priority=2)
    return alice, first, second


@pytest.mark.parametrize("status", [403, 500, 503])
def test_the_next_carrier_is_tried_when_the_first_fails(status: int):
    async def scenario(world: World) -> None:
        alice, _, second = await two_trunks(world, PhoneScript(reject_with=status))
        await alice.call(ELSEWHERE).wait(Accepted)
        assert len(second.calls) == 1

    play(scenario)


@pytest.mark.parametrize("status", [486, 603, 480, 404])
def test_no_other_carrier_is_tried_after_the_callee_spoke(status: int):
    async def scenario(world: World) -> None:
        alice, _, second = await two_trunks(world, PhoneScript(reject_with=status))
        failed = await alice.call(ELSEWHERE).wait(Failed)
        assert failed.status == status
        assert second.calls == []
        await world.settle()
        assert world.record.ending is not None
        assert world.record.ending.words == from_response(status, "", Side("Nordnet", is_carrier=True)).words

    play(scenario)


def test_a_full_trunk_says_so_and_the_next_one_is_tried():
    async def scenario(world: World) -> None:
        alice, first = await with_trunk(world, limits=TrunkLimits(concurrent_calls=1))
        bob = world.phones[1]
        await alice.call(ELSEWHERE).wait(Accepted)
        failed = await bob.call(ELSEWHERE).wait(Failed)
        assert failed.status == 503
        assert "All 1 lines of trunk Nordnet are in use" in warning(failed)
        assert len(first.calls) == 1
        await bob.call("9112").wait(Accepted)

    play(scenario)


def test_international_calls_are_closed_until_opened():
    async def scenario(world: World) -> None:
        alice, carrier = await with_trunk(world)
        failed = await alice.call("900442079460000").wait(Failed)
        assert failed.status == 403
        assert "International calls to GB are closed on trunk Nordnet" in warning(failed)
        assert carrier.calls == []

    play(scenario)


def test_a_carrier_whose_name_does_not_resolve():
    async def scenario(world: World) -> None:
        alice, _ = await with_trunk(world, domain="nowhere.example")
        failed = await alice.call(ELSEWHERE).wait(Failed)
        assert failed.status == 503
        await world.settle()
        assert ending(world)[1].startswith("Carrier Nordnet cannot be found: ")
        world.check_released()

    play(scenario)


def test_srtp_is_offered_to_a_carrier_and_left_out_when_refused():
    async def scenario(world: World) -> None:
        alice, carrier = await with_trunk(world, PhoneScript(reject_with=488), srtp=SrtpPolicy.OFFERED)
        await alice.call(ELSEWHERE).wait(Failed)
        bodies = [call.incoming.body for call in carrier.calls if call.incoming is not None]
        assert [b"a=crypto:" in body for body in bodies] == [True, False]
        await world.settle()
        assert ending(world)[0] is EndCode.NO_COMMON_CODEC
        world.check_released()

    play(scenario)


# -- staying connected ------------------------------------------------------------------------------------------------


def test_a_trunk_registers_with_digest_refreshes_in_time_and_says_until_when():
    async def scenario(world: World) -> None:
        _, carrier = await with_trunk(world)
        registrar = Registrar(carrier)
        world.links.start()
        await asyncio.sleep(5)
        status = world.links.status(UUID(int=100))
        assert status is not None
        assert status.registration.phase is RegistrationPhase.REGISTERED
        assert status.registration.words == "Registered for 600 seconds."
        await asyncio.sleep(3600)
        gaps = [later - earlier for earlier, later in zip(registrar.accepted, registrar.accepted[1:], strict=False)]
        assert len(gaps) >= 7
        assert all(300 <= gap <= 540 for gap in gaps)
        await world.links.stop()
        assert len(registrar.accepted) == len(gaps) + 2  # the last one took the registration back

    play(scenario)


def test_a_wrong_password_is_said_in_words_and_tried_again_later_and_later():
    async def scenario(world: World) -> None:
        _, carrier = await with_trunk(world, password="wrong")
        registrar = Registrar(carrier)
        world.links.start()
        await asyncio.sleep(10)
        status = world.links.status(UUID(int=100))
        assert status is not None
        assert status.registration.words == (
            "The carrier answered 401 Unauthorized. Check the trunk's user name and password."
        )
        await asyncio.sleep(4 * 3600)
        assert registrar.accepted == []
        assert 10 <= len(registrar.seen) / 2 <= 14
        assert status.health.health is TrunkHealth.UP

    play(scenario)


def test_a_dns_error_ends_nothing_for_good():
    async def scenario(world: World) -> None:
        _, carrier = await with_trunk(world)
        registrar = Registrar(carrier)
        world.wire.name(DOMAIN)
        world.links.start()
        await asyncio.sleep(200)
        status = world.links.status(UUID(int=100))
        assert status is not None
        assert status.registration.phase is RegistrationPhase.RETRYING
        assert DOMAIN in status.registration.words
        world.wire.name(DOMAIN, ("192.0.2.50", 5060))
        await asyncio.sleep(600)
        assert status.registration.phase is RegistrationPhase.REGISTERED
        assert registrar.accepted

    play(scenario)


def test_a_fault_of_ours_is_said_and_ends_no_trunk_for_good():
    async def scenario(world: World) -> None:
        _, carrier = await with_trunk(world)
        registrar = Registrar(carrier)
        resolve = world.port.resolve

        async def fail(uri: SipUri) -> list[Target]:
            raise RuntimeError("a bug")

        world.port.resolve = fail  # type: ignore[method-assign]
        world.links.start()
        await asyncio.sleep(5)
        status = world.links.status(UUID(int=100))
        assert status is not None
        assert "internal error" in status.registration.words
        world.port.resolve = resolve  # type: ignore[method-assign]
        await asyncio.sleep(120)
        assert len(registrar.accepted) == 1
        assert status.registration.phase is RegistrationPhase.REGISTERED

    play(scenario)


def test_retry_after_and_min_expires_are_honoured():
    async def scenario(world: World) -> None:
        _, carrier = await with_trunk(world)
        registrar = Registrar(carrier, granted=1800)
        registrar.refuse_with = (503, (("Retry-After", "1000"),))
        world.links.start()
        await asyncio.sleep(900)
        assert len(registrar.seen) == 1
        registrar.refuse_with = (423, (("Min-Expires", "1800"),))
        await asyncio.sleep(110)
        assert len(registrar.accepted) == 1
        status = world.links.status(UUID(int=100))
        assert status is not None
        assert (status.registration.ask, status.registration.words) == (1800, "Registered for 1800 seconds.")

    play(scenario)


def test_a_trunk_by_address_is_pinged_and_its_outage_noticed():
    async def scenario(world: World) -> None:
        _, carrier = await with_trunk(world, mode=TrunkMode.ADDRESS, sources=("192.0.2.50",))
        world.links.start()
        await asyncio.sleep(130)
        assert [r.request.method for r in carrier.requests] == ["OPTIONS"] * 3
        carrier.port.silent = True
        await asyncio.sleep(200)
        status = world.links.status(UUID(int=100))
        assert status is not None
        assert status.health.health is TrunkHealth.DOWN
        assert not world.links.usable(UUID(int=100))
        carrier.port.silent = False
        await asyncio.sleep(100)
        assert status.health.health is TrunkHealth.UP

    play(scenario)


def test_a_trunk_that_is_switched_off_is_let_go():
    async def scenario(world: World) -> None:
        await with_trunk(world)
        Registrar(world.phones[2])
        world.links.start()
        await asyncio.sleep(1)
        world.accounts.accounts.clear()
        await world.directory.refresh()
        assert world.links.status(UUID(int=100)) is None

    play(scenario)


def test_why_a_carriers_certificate_was_refused_is_said_in_its_status_and_in_the_record():
    async def scenario(world: World) -> None:
        alice, carrier = await with_trunk(world)
        Registrar(carrier)
        words = "its TLS certificate was refused: Hostname mismatch"
        world.port.why_failed = lambda _: words  # type: ignore[method-assign]

        def refuse(send: Send) -> None:
            if send.target.address == "192.0.2.50":
                world.agent.send_failed(send.target, world.port.now())
            else:
                transmit(send)

        transmit = world.port.transmit  # type: ignore[attr-defined]
        world.port.transmit = refuse  # type: ignore[attr-defined]
        world.links.start()
        await asyncio.sleep(2)
        status = world.links.status(UUID(int=100))
        assert status is not None
        assert words in status.registration.words
        await alice.call(ELSEWHERE).wait(Failed)
        await world.settle()
        assert ending(world)[1] == f"Carrier Nordnet cannot be reached over the network: {words}."

    play(scenario)


# -- calls that come in -----------------------------------------------------------------------------------------------


def test_a_call_to_our_number_comes_by_the_contact_that_we_registered():
    async def scenario(world: World) -> None:
        _, carrier = await with_trunk(world, numbers={OUR_NUMBER: "102"})
        registrar = Registrar(carrier)
        world.links.start()
        await asyncio.sleep(1)
        assert registrar.contact is not None
        call = calls_in(carrier, registrar.contact, (("P-Called-Party-ID", f"<sip:{OUR_NUMBER}@{DOMAIN}>"),))
        await call.wait(Accepted)
        incoming = world.phones[1].calls[0].incoming
        assert incoming is not None
        assert (incoming.from_.display, getattr(incoming.from_.uri, "user", None)) == ("Ann Outside", "+4940123456")
        call.hang_up()
        await world.settle()
        assert world.record.direction is Direction.INBOUND
        assert ending(world) == (EndCode.HUNG_UP, "Ann Outside hung up.")
        world.check_released()

    play(scenario)


def test_a_call_from_a_carriers_address_is_taken_and_from_any_other_challenged():
    async def scenario(world: World) -> None:
        _, carrier = await with_trunk(
            world, mode=TrunkMode.ADDRESS, sources=("192.0.2.50/32",), numbers={OUR_NUMBER: "102"}
        )
        call = calls_in(carrier, SipUri("sip", SERVER[0], "4930 23125000".replace(" ", "")))
        await call.wait(Accepted)
        stranger = world.carrier("192.0.2.51")
        failed = await calls_in(stranger, SipUri("sip", SERVER[0], OUR_NUMBER)).wait(Failed)
        assert failed.status == 407

    play(scenario)


def test_a_number_that_is_not_ours_is_404_with_words():
    async def scenario(world: World) -> None:
        _, carrier = await with_trunk(
            world, mode=TrunkMode.ADDRESS, sources=("192.0.2.50",), numbers={OUR_NUMBER: "102"}
        )
        failed = await calls_in(carrier, SipUri("sip", SERVER[0], "+493099999")).wait(Failed)
        assert failed.status == 404
        assert "+493099999 is not one of the numbers of trunk Nordnet" in warning(failed)

    play(scenario)


def test_a_carrier_cannot_dial_out_through_us():
    async def scenario(world: World) -> None:
        _, carrier = await with_trunk(
            world, mode=TrunkMode.ADDRESS, sources=("192.0.2.50",), numbers={OUR_NUMBER: "102"}
        )
        failed = await calls_in(carrier, SipUri("sip", SERVER[0], "+493023125999")).wait(Failed)
        assert failed.status == 404
        await world.settle()
        assert len(carrier.calls) == 1

    play(scenario)


def test_a_withheld_number_stays_withheld():
    async def scenario(world: World) -> None:
        _, carrier = await with_trunk(
            world, mode=TrunkMode.ADDRESS, sources=("192.0.2.50",), numbers={OUR_NUMBER: "102"}
        )
        headers = (("P-Asserted-Identity", "<sip:+4940123456@x>"), ("Privacy", "id"))
        await calls_in(carrier, SipUri("sip", SERVER[0], OUR_NUMBER), headers, user="anonymous").wait(Accepted)
        incoming = world.phones[1].calls[0].incoming
        assert incoming is not None
        assert "4940123456" not in incoming.to_bytes().decode()

    play(scenario)


def test_a_full_trunk_takes_no_further_calls():
    async def scenario(world: World) -> None:
        _, carrier = await with_trunk(
            world,
            mode=TrunkMode.ADDRESS,
            sources=("192.0.2.50",),
            numbers={OUR_NUMBER: "600"},
            limits=TrunkLimits(concurrent_calls=1),
        )
        first = calls_in(carrier, SipUri("sip", SERVER[0], OUR_NUMBER))
        await first.wait(Accepted)
        failed = await calls_in(carrier, SipUri("sip", SERVER[0], OUR_NUMBER)).wait(Failed)
        assert failed.status == 503
        first.hang_up()
        await world.settle()
        world.check_released()

    play(scenario)
