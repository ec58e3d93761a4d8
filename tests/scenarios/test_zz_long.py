"""Whatever legs, engine, recorder and people do, in whatever order: each call ends, once, with a whole record."""

import asyncio

from hypothesis import given, settings
from hypothesis import strategies as st
from structlog.testing import capture_logs

from sent.calls.ending import Blame, EndCode, Ending
from sent.calls.plan import Echo, PlayFile
from sent.calls.state import CallState
from sent.kit.errors import Unavailable
from sent.media.port import MediaError
from sent.media.types import RecordingFailed
from tests.scenarios.calls_world import ORGANIZATION, World, run
from tests.scenarios.test_calls_services import FILE
from tests.unit.properties import bounded

_SAYS = ("ringing", "early", "answer", "hold", "resume", "digit", "info-digit", "renegotiated", "hangup", "cancel")
_ENDINGS = ("busy", "declined", "carrier_refused", "carrier_unreachable", "session_expired", "no_common_codec")
_ENGINE = ("bridge", "unbridge", "play_tone", "play_file", "stop_playback", "start_recording", "stop_recording")

delays = st.sampled_from((0.0, 0.0, 0.0, 0.01, 0.3, 4.0, 31.0))
phones = st.sampled_from(("alice", "bob", "bob", "bob", "bob2", "carrier"))
actions = st.one_of(
    st.tuples(st.just("say"), phones, st.sampled_from(_SAYS + _ENDINGS)),
    st.tuples(st.just("silent"), phones, st.sampled_from((5_000, 30_000))),
    st.tuples(st.just("resumed"), phones, st.none()),
    st.tuples(st.just("media goes"), phones, st.none()),
    st.tuples(st.just("engine refuses"), st.sampled_from(_ENGINE), st.sampled_from((MediaError, RuntimeError))),
    st.tuples(st.just("engine recovers"), st.none(), st.none()),
    st.tuples(st.just("recording fails"), st.none(), st.none()),
    st.tuples(st.just("hang up"), st.none(), st.none()),
    st.tuples(st.just("drain"), st.none(), st.sampled_from((0.0, 3.0))),
    st.tuples(st.just("cancel task"), st.none(), st.none()),
)
worlds = st.fixed_dictionaries(
    {
        "step": st.sampled_from(("ring", "ring", "ring two", "ring then carrier", "echo", "play")),
        "record": st.booleans(),
        "recorder": st.sampled_from(("fast", "slow", "hangs", "fails", "breaks", "declines")),
        "plan": st.sampled_from(("fast", "fast", "fast", "slow", "hangs", "fails", "breaks")),
        "targets": st.sampled_from(("fast", "fast", "fast", "slow", "hangs", "fails", "breaks", "stubborn")),
        "never confirm": st.sets(phones),
        "without media": st.sets(phones),
    }
)
SECONDS = {"slow": 2.0, "hangs": 10_000.0, "stubborn": 40.0}
ERRORS = {"fails": Unavailable("db.unavailable", "The database is away."), "breaks": RuntimeError("a bug")}


def build(how):
    world = World()
    cast = {"alice": world.caller(), "bob": world.phone("Bob", "102"), "bob2": world.phone("Bob", "102")}
    cast["carrier"] = world.phone("Carrier", "+49301234567", trunk=True)
    world.engine.files[FILE] = 4_000
    steps = {
        "ring": (world.ring("102", seconds=20.0),),
        "ring two": (world.ring("102", "+49301234567", seconds=20.0),),
        "ring then carrier": (
            world.ring("102", seconds=20.0, go_on_after=frozenset(Blame)),
            world.ring("+49301234567", seconds=20.0),
        ),
        "echo": (Echo(seconds=50.0),),
        "play": (PlayFile(FILE),),
    }[how["step"]]
    world.route("102", *steps, record=how["record"], max_seconds=300.0)
    world.recorder.seconds = SECONDS.get(how["recorder"], 0.0)
    world.recorder.fail, world.recorder.declines = ERRORS.get(how["recorder"]), how["recorder"] == "declines"
    world.plan_seconds, world.plan_error = SECONDS.get(how["plan"], 0.0), ERRORS.get(how["plan"])
    world.target_seconds["102"] = SECONDS.get(how["targets"], 0.0)
    if how["targets"] == "stubborn":
        world.stubborn.add("102")
    if (error := ERRORS.get(how["targets"])) is not None:
        world.target_errors["102"] = error
    for name in how["never confirm"]:
        cast[name].silent_end = True
    for name in how["without media"]:
        cast[name].media_at_start = False
    return world, cast


def act(world, cast, call, what, who, detail):
    phone = cast.get(who)
    match what:
        case "say":
            if phone.sink is not None and not phone.ended:
                phone.say(detail)
        case "silent":
            if phone.media in world.engine.legs:
                world.engine.fall_silent(phone.media, detail)
        case "resumed":
            if phone.media in world.engine.legs:
                world.engine.resume(phone.media)
        case "media goes":
            if phone.media is not None:
                world.engine.close(phone.media)
        case "engine refuses":
            world.engine.fail[who] = detail("media.gone", "It is gone.") if detail is MediaError else detail("a bug")
        case "engine recovers":
            world.engine.fail.clear()
        case "recording fails":
            for handle in world.engine.recordings:
                world.engine.inject(RecordingFailed(handle, "No space left on device"))
        case "hang up":
            world.registry.hang_up(call, ORGANIZATION, Ending(EndCode.HUNG_UP, "An operator ended the call."))
        case "drain":
            cast["tasks"].append(asyncio.ensure_future(world.registry.drain(detail)))
        case "cancel task":
            if (running := world.registry._running.get(call)) is not None:
                running.task.cancel()


@settings(max_examples=2500, deadline=None)
@given(worlds, st.lists(st.tuples(delays, actions), max_size=14))
def test_each_call_ends_once_with_a_whole_record_and_leaks_nothing(how, story):
    async def scenario():
        world, cast = build(how)
        people = dict(cast)
        cast["tasks"] = []
        call = world.start(cast["alice"])
        for seconds, (what, who, detail) in story:
            await asyncio.sleep(seconds)
            act(world, cast, call, what, who, detail)
        async with asyncio.timeout(2_000):
            while world.registry.get(call, ORGANIZATION) is not None:  # noqa: ASYNC110 (virtual time)
                await asyncio.sleep(1)
            await asyncio.gather(*cast["tasks"])
        await asyncio.sleep(50)  # for legs that came after the end

        record = world.records.final(call)
        assert record.state is CallState.ENDED
        assert record.ending.words.endswith(".")
        assert record.answered_at is not None or record.ending.sip_status is not None
        assert record.disposition is not None
        assert [state.at for state in record.states] == sorted(state.at for state in record.states)
        assert record.states[-1].state is CallState.ENDED
        assert all(leg.ended_at is not None and leg.ending is not None for leg in record.legs)
        versions = [put.version for put in world.records.put_records]
        assert versions == list(range(1, len(versions) + 1))
        assert len(world.metrics.endings) == world.metrics.begun == 1

        assert len(world.registry) == 0
        assert len(world.media_events) == 0
        assert [ticket.id for ticket in world.recorder.begun] == [done for done, _ in world.recorder.finished]
        for phone in people.values():
            if phone.sink is not None and not phone.ended and not phone.silent_end:
                raise AssertionError(f"{phone.party.name}'s leg was left up: {phone.commands}")
        if "stop_recording" not in world.engine.fail:
            world.engine.check_released()
        assert not world.engine.legs

    with capture_logs():  # hundreds of calls with their faults; printing each would take most of the time
        run(scenario())
