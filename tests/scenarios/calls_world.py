"""A small world for calls on virtual time: a loop that never waits, an engine that takes notes, scripted phones."""

from __future__ import annotations

import asyncio
import selectors
from collections.abc import Callable, Coroutine, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, TypeVar
from uuid import UUID

from sent.calls.ending import Blame, EndCode, Ending
from sent.calls.limits import Limits
from sent.calls.media_events import MediaEvents
from sent.calls.models import CallRecord, CallSnapshot, LadderMessage
from sent.calls.party import Direction, Party, PartyKind
from sent.calls.plan import Plan, Ring, RingTarget, Step, TrunkTarget, UserTarget
from sent.calls.ports import (
    Answered,
    CallRefused,
    CallRequest,
    DigitPressed,
    HoldChanged,
    LegDetails,
    LegEnded,
    LegEvent,
    MediaRenegotiated,
    Ringing,
)
from sent.calls.registry import CallRegistry
from sent.calls.tools import Times, Tools
from sent.kit.ids import uuid7
from sent.media.port import MediaError
from sent.media.types import LegStatistics, MediaEvent, MediaLegId, PlaybackId, RecordingHandle, ToneStep

T = TypeVar("T")
EPOCH = datetime(2026, 3, 1, 9, 0, tzinfo=UTC)
ORGANIZATION = uuid7(1_700_000_000_000)


class _VirtualSelector(selectors.SelectSelector):
    def __init__(self) -> None:
        super().__init__()
        self.now = 1_000.0

    def select(self, timeout: float | None = None) -> list[Any]:
        ready = super().select(0)
        if not ready:
            if timeout is None:
                raise RuntimeError("the scenario waits for something that will never happen")
            self.now += timeout
        return ready


class VirtualLoop(asyncio.SelectorEventLoop):
    """Time jumps to the next timer. What would run in a thread runs at once."""

    def __init__(self) -> None:
        self._virtual = _VirtualSelector()
        super().__init__(self._virtual)

    def time(self) -> float:
        return self._virtual.now

    def run_in_executor(self, executor: Any, func: Any, *args: Any) -> Any:
        future = self.create_future()
        try:
            future.set_result(func(*args))
        except Exception as error:  # noqa: BLE001 (it is handed on, as an executor does)
            future.set_exception(error)
        return future


def run(scenario: Coroutine[Any, Any, T]) -> T:
    with asyncio.Runner(loop_factory=VirtualLoop) as runner:
        return runner.run(scenario)


class FakeEngine:
    """Keeps what is bridged, played and recorded, and a log of commands."""

    def __init__(self) -> None:
        self.next_id = 1
        self.open: set[MediaLegId] = set()
        self.bridges: dict[MediaLegId, MediaLegId] = {}
        self.playing: dict[MediaLegId, tuple[PlaybackId, object]] = {}
        self.recordings: dict[RecordingHandle, tuple[Path, bytes, bytes, MediaLegId, MediaLegId]] = {}
        self.recorded: list[tuple[Path, bytes, bytes, MediaLegId, MediaLegId]] = []
        self.stats: dict[MediaLegId, LegStatistics] = {}
        self.sink: Callable[[MediaEvent], None] = lambda _: None
        self.log: list[str] = []
        self.fail: dict[str, MediaError] = {}

    def _id(self) -> int:
        self.next_id += 1
        return self.next_id

    def _check(self, what: str, *legs: MediaLegId) -> None:
        self.log.append(what)
        if what in self.fail:
            raise self.fail[what]
        for leg in legs:
            if leg not in self.open:
                raise MediaError("media.no_such_leg", f"There is no leg {leg}.")

    def open_stream(self, sample_rate: int = 8000, max_buffer_ms: int = 2_000) -> MediaLegId:
        leg = MediaLegId(self._id())
        self.open.add(leg)
        return leg

    def bridge(self, a: MediaLegId, b: MediaLegId) -> None:
        self._check("bridge", a, b)
        self.unbridge_quietly(a)
        self.unbridge_quietly(b)
        self.bridges[a], self.bridges[b] = b, a

    def unbridge_quietly(self, leg: MediaLegId) -> None:
        other = self.bridges.pop(leg, None)
        if other is not None:
            self.bridges.pop(other, None)

    def unbridge(self, leg: MediaLegId) -> None:
        self._check("unbridge", leg)
        self.unbridge_quietly(leg)

    def play_file(self, leg: MediaLegId, file: Path, *, loop: bool = False) -> PlaybackId:
        self._check("play_file", leg)
        playback = PlaybackId(self._id())
        self.playing[leg] = (playback, file)
        return playback

    def play_tone(self, leg: MediaLegId, steps: tuple[ToneStep, ...], *, loop: bool = False) -> PlaybackId:
        self._check("play_tone", leg)
        playback = PlaybackId(self._id())
        self.playing[leg] = (playback, steps)
        return playback

    def stop_playback(self, leg: MediaLegId) -> None:
        self._check("stop_playback", leg)
        self.playing.pop(leg, None)

    def start_recording(
        self, file: Path, key: bytes, recording_id: bytes, left: MediaLegId, right: MediaLegId
    ) -> RecordingHandle:
        self._check("start_recording", left, right)
        handle = RecordingHandle(self._id())
        self.recordings[handle] = (file, key, recording_id, left, right)
        self.recorded.append(self.recordings[handle])
        return handle

    def stop_recording(self, recording: RecordingHandle) -> None:
        self._check("stop_recording")
        self.recordings.pop(recording, None)

    def statistics(self, leg: MediaLegId) -> LegStatistics:
        self._check("statistics", leg)
        return self.stats.get(leg, LegStatistics())

    def close(self, leg: MediaLegId) -> LegStatistics:
        self.open.discard(leg)
        self.unbridge_quietly(leg)
        self.playing.pop(leg, None)
        return LegStatistics()

    def hears(self, leg: MediaLegId) -> object:
        """What this leg hears now: ('tone', steps), ('leg', id) or None."""
        if leg in self.playing:
            return ("play", self.playing[leg][1])
        if leg in self.bridges:
            return ("leg", self.bridges[leg])
        return None


class Phone:
    """A scripted `LegPort`. ``script`` is [(seconds after ring(), event kind)]; commands are written down."""

    def __init__(
        self, world: World, party: Party, script: Sequence[tuple[float, str]] = (), *, confirms: bool = True
    ) -> None:
        self.world = world
        self._id = uuid7()
        self._party = party
        self.script = script
        self.confirms = confirms
        self.sink: Callable[[LegEvent], None] | None = None
        self._media: MediaLegId | None = None
        self.media_at_start = True
        self.silent_end = False
        """Never reports its end."""
        self.crosses: str | None = None
        """Reports this once after it was told to end, as messages that cross do."""
        self.commands: list[str] = []
        self.endings: list[Ending] = []
        self.offered: Sequence[str] = ()
        self.answered_with: Sequence[str] = ()
        self.codec: str | None = "PCMA"
        self._codecs: Sequence[str] = ("PCMU", "PCMA")
        self.ended = False

    leg_id = property(lambda self: self._id)
    party = property(lambda self: self._party)
    media = property(lambda self: self._media)
    codecs = property(lambda self: self._codecs)

    @property
    def details(self) -> LegDetails:
        return LegDetails(signalling_id=f"sip-{self._id}", transport="UDP", codec=self.codec)

    def listen(self, sink: Callable[[LegEvent], None]) -> None:
        assert self.sink is None, "listen is called once"
        self.sink = sink

    def _open(self) -> None:
        if self._media is None and self.media_at_start:
            self._media = self.world.engine.open_stream()

    def ring(self, caller: Party, codecs: Sequence[str]) -> None:
        self.commands.append("ring")
        self.offered = codecs
        self._open()
        for seconds, what in self.script:
            self.later(seconds, what)

    def later(self, seconds: float, what: str) -> None:
        asyncio.get_running_loop().call_later(seconds, self.say, what)

    def say(self, what: str) -> None:
        """Report one thing, whatever was reported before."""
        assert self.sink is not None
        name = self._party.name
        match what:
            case "ringing":
                self.sink(Ringing(self._id))
            case "early":
                self.sink(Ringing(self._id, early_media=True))
            case "answer":
                self.sink(Answered(self._id))
            case "hold":
                self.sink(HoldChanged(self._id, held=True))
            case "resume":
                self.sink(HoldChanged(self._id, held=False))
            case "digit":
                self.sink(DigitPressed(self._id, "5", 100))
            case "info-digit":
                self.sink(DigitPressed(self._id, "7", 100, by_signalling=True))
            case "renegotiated":
                self.sink(MediaRenegotiated(self._id))
            case "hangup":
                self.finish(Ending(EndCode.HUNG_UP, f"{name} hung up.", by="callee" if self.offered else "caller"))
            case "cancel":
                self.finish(
                    Ending(EndCode.CANCELLED, f"{name} hung up before anyone answered.", "caller", Blame.CALLER)
                )
            case _:
                code = EndCode(what)
                self.finish(ENDINGS.get(code) or Ending(code, f"{name}: {what}."))

    def finish(self, ending: Ending) -> None:
        assert self.sink is not None
        self.ended = True
        self.sink(LegEnded(self._id, ending))
        if self._media is not None:
            self.world.engine.close(self._media)

    def alert(self, *, early_media: bool = False) -> None:
        self.commands.append("183" if early_media else "180")
        if early_media:
            self._open()

    def answer(self, codecs: Sequence[str] = ()) -> None:
        self.commands.append("answer")
        self.answered_with = tuple(codecs)
        self._open()
        if self.confirms:
            self.later(0.05, "answer")

    def end(self, ending: Ending) -> None:
        self.commands.append(f"end {ending.code}")
        self.endings.append(ending)
        if self.crosses is not None:
            self.later(0.01, self.crosses)
        if not self.ended and not self.silent_end:
            asyncio.get_running_loop().call_later(0.02, self._ended_by_us, ending)

    def _ended_by_us(self, ending: Ending) -> None:
        if not self.ended:
            self.finish(ending)

    def send_digits(self, digits: str) -> None:
        self.commands.append(f"digits {digits}")


ENDINGS = {
    EndCode.BUSY: Ending(EndCode.BUSY, "Bob is busy.", "callee", Blame.CALLEE, 486),
    EndCode.DECLINED: Ending(EndCode.DECLINED, "Bob declined the call.", "callee", Blame.CALLEE, 603),
    EndCode.CARRIER_REFUSED: Ending(
        EndCode.CARRIER_REFUSED,
        "Carrier One refused the call.",
        "carrier",
        Blame.CARRIER,
        403,
        None,
        '399 x "no credit"',
    ),
    EndCode.CARRIER_UNREACHABLE: Ending(
        EndCode.CARRIER_UNREACHABLE, "Carrier One is out of service.", "carrier", Blame.CARRIER, 503
    ),
    EndCode.NO_COMMON_CODEC: Ending(EndCode.NO_COMMON_CODEC, "No common codec.", "callee", Blame.CALLEE, 488),
    EndCode.NOT_FOUND: Ending(EndCode.NOT_FOUND, "The number does not exist.", "carrier", Blame.CALLEE, 404),
}


@dataclass
class Ticket:
    id: UUID
    key: bytes
    file: Path


class Recorder:
    def __init__(self) -> None:
        self.begun: list[Ticket] = []
        self.finished: list[tuple[UUID, str | None]] = []
        self.fail: Exception | None = None
        self.seconds = 0.0
        self.declines = False

    async def begin(self, organization_id: UUID, call_id: UUID) -> Ticket | None:
        await asyncio.sleep(self.seconds)
        if self.fail is not None:
            raise self.fail
        if self.declines:
            return None
        ticket = Ticket(uuid7(), b"k" * 32, Path(f"/spool/{call_id}"))
        self.begun.append(ticket)
        return ticket

    async def finish(self, ticket: Any, error: str | None) -> None:
        self.finished.append((ticket.id, error))


class Records:
    """A `RecordSink` that keeps everything."""

    def __init__(self) -> None:
        self.put_records: list[CallRecord] = []

    def put(self, record: CallRecord) -> None:
        self.put_records.append(record)

    def final(self, call_id: UUID) -> CallRecord:
        finals = [r for r in self.put_records if r.id == call_id and r.ending is not None]
        assert len(finals) == 1, "a record is completed exactly once"
        return finals[0]


class Ladders:
    def take(self, signalling_id: str) -> tuple[Sequence[LadderMessage], int]:
        return (LadderMessage(EPOCH, signalling_id, True, "192.0.2.1:5060", f"INVITE {signalling_id}"),), 1


class CountingMetrics:
    def __init__(self) -> None:
        self.begun = 0
        self.endings: list[EndCode] = []
        self.ignored_events = 0

    def started(self) -> None:
        self.begun += 1

    def ended(self, code: EndCode, direction: Direction | None, talk_seconds: float) -> None:
        self.endings.append(code)

    def ignored(self, events: int) -> None:
        self.ignored_events += events


@dataclass
class World:
    engine: FakeEngine = field(default_factory=FakeEngine)
    recorder: Recorder = field(default_factory=Recorder)
    records: Any = field(default_factory=Records)
    metrics: CountingMetrics = field(default_factory=CountingMetrics)
    limits: Limits = field(default_factory=Limits)
    times: Times = field(default_factory=Times)

    def __post_init__(self) -> None:
        self.media_events = MediaEvents()
        self.engine.sink = self.media_events.dispatch
        self.plans: dict[str, Plan] = {}
        self.plan_seconds = 0.0
        self.plan_error: Exception | None = None
        self.phones: dict[str, list[Phone]] = {}
        self.target_seconds: dict[str, float] = {}
        self.target_errors: dict[str, Exception] = {}
        self.snapshots: list[CallSnapshot] = []
        self.start_time = asyncio.get_running_loop().time()
        self.ladder = Ladders()
        tools = Tools(
            engine=self.engine,  # type: ignore[arg-type]  # the few methods that calls use
            media_events=self.media_events,
            targets=self,
            dialplan=self,
            records=self.records,
            now=self.now,
            node_id=uuid7(),
            recorder=self.recorder,
            ladder=self.ladder,
            metrics=self.metrics,
            times=self.times,
        )
        self.registry = CallRegistry(tools, self.limits, self.snapshots.append)

    def now(self) -> datetime:
        return EPOCH + timedelta(seconds=asyncio.get_running_loop().time() - self.start_time)

    async def plan(self, request: CallRequest) -> Plan:
        await asyncio.sleep(self.plan_seconds)
        if self.plan_error is not None:
            raise self.plan_error
        return self.plans[request.dialed]

    async def legs_for(self, target: RingTarget, call_id: UUID, organization_id: UUID) -> Sequence[Phone]:
        number = target.party.number
        await asyncio.sleep(self.target_seconds.get(number, 0.0))
        if number in self.target_errors:
            raise self.target_errors[number]
        return self.phones.get(number, [])

    # -- building -------------------------------------------------------------------------------------------------

    def phone(self, name: str, number: str, *script: tuple[float, str], trunk: bool = False) -> Phone:
        """A phone that rings when ``number`` is a target."""
        kind = PartyKind.OUTSIDE if trunk else PartyKind.USER
        party = Party(kind, number, name, trunk_id=uuid7() if trunk else None, user_id=None if trunk else uuid7())
        phone = Phone(self, party, script)
        self.phones.setdefault(number, []).append(phone)
        return phone

    def caller(self, name: str = "Alice", number: str = "101", user_id: UUID | None = None) -> Phone:
        return Phone(self, Party(PartyKind.USER, number, name, user_id=user_id or uuid7()))

    def route(self, dialed: str, *steps: Step, record: bool = False, max_seconds: float = 8 * 3600.0) -> None:
        callee = Party(PartyKind.USER, dialed, "Bob")
        self.plans[dialed] = Plan(Direction.INTERNAL, callee, steps, record, max_seconds)

    def ring(self, *numbers: str, seconds: float = 30.0, **more: Any) -> Ring:
        return Ring(tuple(self._target(number) for number in numbers), seconds, **more)

    def _target(self, number: str) -> RingTarget:
        phones = self.phones.get(number, [])
        party = phones[0].party if phones else Party(PartyKind.USER, number, "Bob", user_id=uuid7())
        if party.trunk_id is not None:
            return TrunkTarget(party, party.trunk_id, number, None)
        return UserTarget(party, party.user_id or uuid7())

    def start(self, caller: Phone, dialed: str = "102") -> UUID:
        return self.registry.start(CallRequest(ORGANIZATION, caller.party, dialed, caller))

    async def finished(self, call_id: UUID, within: float = 40_000.0) -> CallRecord:
        """Wait for the call's end; checks that nothing leaked."""
        async with asyncio.timeout(within):
            while self.registry.get(call_id, ORGANIZATION) is not None:  # noqa: ASYNC110 (virtual time)
                await asyncio.sleep(0.5)
        assert not self.engine.open, "media legs leaked"
        assert not self.engine.recordings, "a recording was left open"
        assert len(self.media_events) == 0, "subscriptions leaked"
        return self.records.final(call_id)

    def emit(self, event: MediaEvent) -> None:
        self.engine.sink(event)


def refused(code: EndCode, words: str, **more: Any) -> CallRefused:
    return CallRefused(Ending(code, words, **more))
