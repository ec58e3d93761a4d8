"""Who may register and call, and what happens to everybody else."""

from __future__ import annotations

import asyncio
from dataclasses import replace

from sent.calls.ending import EndCode
from sent.identity.models import DigestAlgorithm
from sent.kit.errors import Unavailable
from sent.sip.config import AgentConfig
from sent.sip.events import Accepted, Failed, ResponseReceived
from sent.sip.headers import Headers
from sent.sip.message import Request, Response
from sent.sip.uri import SipUri
from sent.testing.phone import WirePhone
from tests.scenarios.gateway_world import SERVER, World, play
from tests.scenarios.test_gateway_calls import two_phones, warning


async def ask(phone: WirePhone, method: str, *headers: tuple[str, str], user: str | None = None) -> Response:
    """One request outside of a call, and its final answer."""
    answer: asyncio.Future[Response] = asyncio.get_running_loop().create_future()
    handle = phone._handle

    def listen(event: object) -> None:
        if isinstance(event, ResponseReceived) and event.response.status >= 200 and not answer.done():
            answer.set_result(event.response)
        else:
            handle(event)

    phone.port.listen(listen)
    request = Request(method, SipUri("sip", phone.domain, user), Headers(list(headers)))
    phone.agent.request(request, [phone.port.target(SERVER)], phone.now(), phone.login)
    phone.port.touch()
    try:
        return await answer
    finally:
        phone.port.listen(handle)


def test_a_wrong_password_is_challenged_again_and_counted():
    async def scenario(world: World) -> None:
        mallory = world.phone("alice", "10.0.6.6", "101", password="guess")
        response = await mallory.register()
        assert response.status == 401
        assert "Digest" in (response.headers.get("www-authenticate") or "")
        assert world.flood.counters["wrong_password"] == 1
        assert len(world.registrations) == 0

    play(scenario)


def test_an_unknown_user_is_answered_exactly_like_a_wrong_password():
    async def scenario(world: World) -> None:
        known = world.phone("alice", "10.0.6.6", "101", password="guess")
        unknown = world.stranger("nobody", "10.0.6.7", password="guess")
        answers = [await phone.register() for phone in (known, unknown)]
        shapes = [[name for name, _ in answer.headers.items()] for answer in answers]
        assert shapes[0] == shapes[1]
        assert [answer.status for answer in answers] == [401, 401]
        assert world.flood.counters["unknown_user"] == 1

    play(scenario)


def test_an_invite_without_credentials_is_challenged_and_becomes_no_call():
    async def scenario(world: World) -> None:
        alice, bob = await two_phones(world)
        alice.login = None
        failed = await alice.call("102").wait(Failed)
        assert failed.status == 407
        assert failed.response is not None
        assert "Digest" in (failed.response.headers.get("proxy-authenticate") or "")
        await world.settle()
        assert bob.calls == []
        assert world.records.records == {}
        world.check_released()

    play(scenario)


def test_a_device_cannot_claim_anothers_from():
    async def scenario(world: World) -> None:
        alice, bob = await two_phones(world)
        for claimed in ("bob", "102", "+493012345"):
            alice.user = claimed
            failed = await alice.call("102").wait(Failed)
            assert failed.status == 403
            assert "From does not belong to this device" in warning(failed)
        assert bob.calls == []
        assert world.records.records == {}
        alice.user = "alice"
        assert (await ask(alice, "REGISTER", ("From", "<sip:bob@sent.test>"))).status == 403

    play(scenario)


def test_a_device_may_show_its_own_extension():
    async def scenario(world: World) -> None:
        alice, bob = await two_phones(world)
        world.extensions["111"] = world.extensions["101"]
        alice.user = "111"
        await alice.call("102").wait(Accepted)
        incoming = bob.calls[0].incoming
        assert incoming is not None
        assert getattr(incoming.from_.uri, "user", None) == "111"

    play(scenario)


def test_nobody_registers_for_somebody_else():
    async def scenario(world: World) -> None:
        alice, _ = await two_phones(world)
        headers = (("From", "<sip:alice@sent.test>"), ("To", "<sip:bob@sent.test>"), ("Contact", "<sip:x@10.9.9.9>"))
        assert (await ask(alice, "REGISTER", *headers)).status == 403

    play(scenario)


def test_a_device_that_does_sha_256_is_asked_for_it_and_no_other_is():
    async def scenario(world: World) -> None:
        modern = world.phone("alice", "10.0.1.1", "101", algorithm=DigestAlgorithm.SHA_256)
        plain = world.phone("bob", "10.0.1.2", "102")
        for phone in (modern, plain):
            assert (await phone.register()).status == 200
        asked = [p.data.decode() for p in world.wire.packets if p.source == SERVER and b"SIP/2.0 401" in p.data]
        assert ["algorithm=SHA-256" in text for text in asked] == [True, False]

    play(scenario)


def test_a_disabled_device_neither_registers_nor_calls():
    async def scenario(world: World) -> None:
        alice, _ = await two_phones(world)
        world.credentials.devices["alice"] = replace(world.credentials.devices["alice"], disabled=True)
        assert (await alice.register()).status == 403
        failed = await alice.call("102").wait(Failed)
        assert failed.status == 403
        assert "disabled" in warning(failed)

    play(scenario)


def test_registrations_are_listed_refreshed_refused_when_too_short_and_removed():
    async def scenario(world: World) -> None:
        alice, _ = await two_phones(world)
        too_brief = await alice.register(expires=10)
        assert too_brief.status == 423
        assert too_brief.headers.get("min-expires") == "60"
        await asyncio.sleep(100)
        listed = await ask(alice, "REGISTER", ("From", "<sip:alice@sent.test>"), ("To", "<sip:alice@sent.test>"))
        (contact,) = listed.contacts
        assert (contact.expires, getattr(contact.uri, "host", None)) == (3500, "10.0.1.1")
        removed = await alice.register(expires=0)
        assert (removed.status, removed.contacts) == (200, [])

    play(scenario)


def test_a_phone_behind_an_edge_proxy_is_called_by_its_path():
    async def scenario(world: World) -> None:
        alice, bob = await two_phones(world)
        own = ("From", "<sip:bob@sent.test>"), ("To", "<sip:bob@sent.test>")
        instance = '<sip:bob@10.0.1.2>;+sip.instance="<urn:uuid:1>";reg-id=1'
        edge = ("Path", "<sip:10.0.1.2;lr;ob>"), ("Supported", "path, outbound")
        answer = await ask(bob, "REGISTER", *own, ("Contact", instance), *edge)
        assert answer.status == 200
        assert [str(path.uri) for path in answer.paths] == ["sip:10.0.1.2;lr;ob"]
        assert "outbound" in answer.require
        assert any('+sip.instance="<urn:uuid:1>";reg-id=1' in value for value in answer.headers.get_all("contact"))
        await alice.call("102").wait(Accepted)
        routes = [call.incoming.headers.get("route") for call in bob.calls if call.incoming is not None]
        assert "<sip:10.0.1.2;lr;ob>" in routes

    play(scenario)


def test_a_number_longer_than_any_is_refused():
    async def scenario(world: World) -> None:
        alice, _ = await two_phones(world)
        assert (await alice.call("9" * 200).wait(Failed)).status == 414
        assert (await alice.call("sip:1%0d%0aX-Evil:1@sent.test").wait(Failed)).status == 404
        assert world.records.records == {}

    play(scenario)


def test_a_registration_that_runs_out_is_reported_and_its_phone_offline():
    async def scenario(world: World) -> None:
        changes = []
        world.registrations.listen(lambda change: changes.append((change.kind.value, change.online)))
        alice, bob = await two_phones(world)
        await bob.register(expires=60)
        await asyncio.sleep(61)
        failed = await alice.call("102").wait(Failed)
        assert failed.status == 480
        world.registrations.sweep()
        assert changes[-1] == ("expired", False)

    play(scenario)


def test_options_is_answered_without_asking_who_wants_to_know():
    async def scenario(world: World) -> None:
        alice, _ = await two_phones(world)
        alice.login = None
        response = await ask(alice, "OPTIONS")
        assert response.status == 200
        assert {"INVITE", "REGISTER", "UPDATE"} <= response.allow
        assert response.headers.get("accept") == "application/sdp"
        assert "timer" in response.supported

    play(scenario)


def test_what_is_not_served_is_refused_by_its_name():
    async def scenario(world: World) -> None:
        alice, _ = await two_phones(world)
        assert (await ask(alice, "SUBSCRIBE", ("Event", "presence"), user="102")).status == 489
        assert (await ask(alice, "PUBLISH", ("Event", "presence"), user="102")).status == 489
        message = await ask(alice, "MESSAGE", user="102")
        assert message.status == 501
        assert "INVITE" in message.allow
        assert (await ask(alice, "NOTIFY", ("Event", "x"), user="102")).status == 481

    play(scenario)


def test_a_server_that_drains_takes_no_new_calls_and_keeps_phones_registered():
    async def scenario(world: World) -> None:
        alice, _ = await two_phones(world)
        call = alice.call("600")
        await call.wait(Accepted)
        world.server.drain()
        failed = await alice.call("102").wait(Failed)
        assert failed.status == 503
        assert failed.response is not None
        assert failed.response.headers.get("retry-after") == "10"
        assert (await alice.register()).status == 200
        assert call.last is None

    play(scenario)


def test_a_register_flood_from_one_address_hurts_nobody_else():
    async def scenario(world: World) -> None:
        attacker = ("203.0.113.9", 5060)
        alice, bob = await two_phones(world)
        for n in range(3_000):
            text = (
                f"REGISTER sip:sent.test SIP/2.0\r\nVia: SIP/2.0/UDP 203.0.113.9;branch=z9hG4bK{n}\r\n"
                f"From: <sip:u{n}@sent.test>;tag={n}\r\nTo: <sip:u{n}@sent.test>\r\nCall-ID: f{n}\r\n"
                "CSeq: 1 REGISTER\r\nMax-Forwards: 70\r\nContact: <sip:x@203.0.113.9>\r\nContent-Length: 0\r\n\r\n"
            )
            world.wire.carry(attacker, SERVER, text.encode())
            if n % 100 == 0:
                await asyncio.sleep(0.05)
        await asyncio.sleep(0.1)
        answered = [p for p in world.wire.packets if p.destination == attacker]
        assert 50 < len(answered) < 200
        assert world.flood.counters["dropped"] > 2_000
        call = alice.call("102")
        await call.wait(Accepted)
        late = world.phone("late", "10.0.1.9", "109")
        assert (await late.register()).status == 200
        call.hang_up()
        await world.settle()
        assert bob.calls[0].last is not None
        world.check_released()

    play(scenario)


def test_an_office_behind_one_address_registers_at_once():
    async def scenario(world: World) -> None:
        phones = [world.phone(f"p{n}", "198.51.100.1", port=6000 + n) for n in range(150)]
        statuses = [response.status for response in await asyncio.gather(*(phone.register() for phone in phones))]
        assert statuses == [200] * 150

    play(scenario)


def test_stolen_credentials_do_not_fit_another_number():
    async def scenario(world: World) -> None:
        alice, bob = await two_phones(world)
        call = alice.call("102")
        await call.wait(Accepted)
        signed = next(
            p.data for p in world.wire.packets if p.data.startswith(b"INVITE sip:102") and b"Authorization" in p.data
        )
        stolen = signed.replace(b"INVITE sip:102@", b"INVITE sip:600@").replace(b"branch=z9hG4bK", b"branch=z9hG4bKx")
        stolen = stolen.replace(b"Call-ID: ", b"Call-ID: x")
        world.wire.carry(("203.0.113.9", 5060), SERVER, stolen)
        world.wire.carry(("203.0.113.9", 5060), SERVER, signed.replace(b"Call-ID: ", b"Call-ID: y"))
        await asyncio.sleep(2)
        assert len(world.records.records) == 1
        assert len(bob.calls) == 1
        call.hang_up()
        await world.settle()
        assert world.record.ending is not None
        assert world.record.ending.code is EndCode.HUNG_UP

    play(scenario)


def test_while_credentials_cannot_be_looked_up_phones_are_told_to_come_back_and_calls_go_on():
    async def scenario(world: World) -> None:
        alice, bob = await two_phones(world)
        call = alice.call("102")
        await call.wait(Accepted)

        async def away(_: str) -> None:
            raise Unavailable("db.unavailable", "The database does not answer.")

        world.credentials.find = away  # type: ignore[assignment]
        refused = await bob.register()
        assert (refused.status, refused.headers.get("retry-after")) == (503, "10")
        failed = await bob.call("101").wait(Failed)
        assert failed.status == 503
        await asyncio.sleep(60)
        assert call.last is None
        call.hang_up()
        await world.settle()
        world.check_released()

    play(scenario)


def test_a_fault_of_ours_is_answered_with_500_and_not_with_silence():
    async def scenario(world: World) -> None:
        alice, _ = await two_phones(world)

        async def broken(_: str) -> None:
            raise RuntimeError("a bug")

        world.credentials.find = broken  # type: ignore[assignment]
        assert (await alice.call("102").wait(Failed)).status == 500
        assert (await alice.register()).status == 500

    play(scenario)


def test_a_phone_may_require_path_and_outbound_but_nothing_that_is_not_there():
    async def scenario(world: World) -> None:
        alice = world.phone("alice", "10.0.1.1", "101")
        contact = ("Contact", '<sip:alice@10.0.1.1>;+sip.instance="<urn:uuid:1>";reg-id=1')
        own = (("From", "<sip:alice@sent.test>"), ("To", "<sip:alice@sent.test>"), contact)
        response = await ask(alice, "REGISTER", *own, ("Require", "path, outbound"), ("Supported", "path, outbound"))
        assert response.status == 200
        assert "outbound" in response.require
        assert len(world.registrations) == 1
        response = await ask(alice, "REGISTER", *own, ("Require", "path, gruu"))
        assert (response.status, response.headers.get("unsupported")) == (420, "gruu")
        assert (await ask(alice, "OPTIONS", ("Require", "path"))).status == 420

    play(scenario)


def test_the_way_to_a_phone_behind_a_nat_is_kept_open_and_to_no_other():
    async def scenario(world: World) -> None:
        alice, bob = await two_phones(world)
        other = world.phone("alice2", "10.0.1.9", "109")
        other.agent.config = AgentConfig(advertise=lambda _: ("192.168.1.8", 5060), methods=frozenset())
        await other.register()
        await asyncio.sleep(101)
        pings = [p.destination for p in world.wire.packets if p.data == b"\r\n\r\n"]
        assert pings == [("10.0.1.9", 5060)] * 4
        await other.register(expires=0)
        await asyncio.sleep(100)
        assert len([p for p in world.wire.packets if p.data == b"\r\n\r\n"]) == 4
        await alice.call("102").wait(Accepted)
        assert bob.calls[0].last is None

    play(scenario)
