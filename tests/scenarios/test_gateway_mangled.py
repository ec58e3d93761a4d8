"""Whole calls in which every third message to the gateway is damaged on its way: nothing raises, nothing stays."""

from __future__ import annotations

import asyncio
import random

import pytest

from sent.gateway.flood import FloodLimits
from sent.sip.errors import LocalProtocolError
from sent.sip.uri import SipUri
from sent.testing.phone import Call, PhoneScript
from sent.trunks.models import SrtpPolicy, TrunkMode
from tests.scenarios.gateway_world import SERVER, World, play
from tests.scenarios.test_gateway_trunks import ELSEWHERE, OUR_NUMBER, calls_in, with_trunk

HEADERS = (
    "Reason: ;;;",
    "Warning: x",
    "Require: 100rel",
    "Supported: <",
    'Allow: "x',
    "RSeq: 99999999999",
    "RSeq: 0",
    "RAck: x",
    "Session-Expires: 0",
    "Session-Expires: 91;refresher=x",
    "Min-SE: 99999999",
    "Contact: *",
    "Contact: <tel:1>",
    "Contact: <sip:[::1>",
    "Record-Route: <sip:x>",
    "Record-Route: <tel:1;lr>",
    "Route: <x:y>",
    "Content-Type: multipart/mixed",
    "Content-Type: text/plain",
    "Content-Encoding: gzip",
    "P-Asserted-Identity: <sip:%00@x>",
    "Privacy: ;;",
    "Retry-After: x",
    "Max-Forwards: 0",
    "To: <sip:x@y>;tag=z",
    "From: <mailto:x>;tag=q",
    'Authorization: Digest username="alice"',
    'WWW-Authenticate: Digest realm="a", nonce="b", qop="auth-int"',
)
LINES = (
    "m=audio 0 RTP/AVP 0",
    "m=audio 1 RTP/AVP",
    "m=audio 99999 RTP/AVP 0",
    "c=IN IP4 0.0.0.0",
    "c=IN IP6 ::1",
    "c=IN IP4 no.ip",
    "a=inactive",
    "a=sendonly",
    "m=video 1 RTP/AVP 99",
    "a=crypto:1 X inline:zz",
    "a=rtcp-mux",
    "a=rtcp:1",
    "a=ptime:0",
    "a=rtpmap:0 OPUS/1",
    "s=",
)
STATUSES = (100, 180, 183, 199, 202, 299, 300, 302, 401, 407, 422, 423, 481, 488, 491, 500, 503, 603, 699)
PIECES = ("%00", "\u202e", '"', "<", ">", ";", ",", "\\", "[", "=", ":", "\r\n ")


def damaged(data: bytes, chance: random.Random) -> bytes:
    try:
        head, empty, body = data.decode().partition("\r\n\r\n")
    except UnicodeDecodeError:
        return data
    lines = head.split("\r\n")
    at = chance.randrange(len(lines))
    match chance.randrange(7):
        case 0:
            lines.insert(at + 1, chance.choice(HEADERS))
        case 1:
            header = chance.choice(HEADERS)
            lines = [header if line.partition(":")[0] == header.partition(":")[0] else line for line in lines]
        case 2 if at:
            del lines[at]
        case 3 if body:
            media = body.split("\r\n")
            media[chance.randrange(len(media))] = chance.choice(LINES)
            body = "\r\n".join(media)
            length = f"Content-Length: {len(body.encode())}"
            lines = [length if line.startswith("Content-Length") else line for line in lines]
        case 4 if lines[0].startswith("SIP/2.0"):
            lines[0] = f"SIP/2.0 {chance.choice(STATUSES)} Other"
        case 5:
            octets = bytearray(data)
            octets[chance.randrange(len(octets))] = chance.randrange(256)
            return bytes(octets)
        case 6:
            cut = chance.randrange(len(lines[at]) + 1)
            lines[at] = lines[at][:cut] + chance.choice(PIECES) + lines[at][cut:]
    return ("\r\n".join(lines) + empty + body).encode()


async def fidget(call: Call, chance: random.Random) -> None:
    """What people and phones do in a call, at any time."""
    for _ in range(4):
        await asyncio.sleep(chance.random() * 2)
        if call.last is None and call.session.dialog is not None:
            try:
                chance.choice((call.hold, call.unhold, call.ask_for_offer, call.update))()
            except LocalProtocolError:
                continue  # too early for that; the phone's own matter
    if call.last is None:
        call.hang_up()


@pytest.mark.parametrize("seed", range(24))
def test_calls_with_damaged_messages_raise_nothing_and_leave_nothing(seed: int):
    async def scenario(world: World) -> None:
        chance = random.Random(seed)
        script = PhoneScript(reliable=chance.random() < 0.5, answer_after=1.5)
        policy = chance.choice(list(SrtpPolicy))
        trunk = {"mode": TrunkMode.ADDRESS, "sources": ("192.0.2.50",), "numbers": {OUR_NUMBER: "102"}, "srtp": policy}
        alice, carrier = await with_trunk(world, script, **trunk)
        world.phones[1].script.reliable = chance.random() < 0.5
        world.links.start()
        carry = world.wire.carry

        def carried(source: tuple[str, int], destination: tuple[str, int], data: bytes) -> None:
            hit = destination == SERVER and chance.random() < 0.3
            carry(source, destination, damaged(data, chance) if hit else data)

        world.wire.carry = carried  # type: ignore[method-assign]
        for _ in range(5):
            late = chance.random() < 0.4
            match chance.randrange(4):
                case 0:
                    call = alice.call("102", late_offer=late)
                case 1:
                    call = alice.call(ELSEWHERE, late_offer=late)
                case 2:
                    call = calls_in(carrier, SipUri("sip", SERVER[0], OUR_NUMBER))
                case _:
                    call = alice.call("600")
            await fidget(call, chance)
        world.wire.carry = carry  # type: ignore[method-assign]
        await asyncio.sleep(4000)  # for session timers to find out what was lost
        assert world.records.records
        world.check_released()

    play(scenario, seed=seed, flood=FloodLimits(burst=1e9))
