"""A small world for calls on virtual time: a loop that never waits, an engine that takes notes, scripted phones."""

from __future__ import annotations

import asyncio
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
from sent.media.types import MediaLegId, RecordingHandle
from sent.testing.clock import VirtualLoop
from sent.testing.engine import FakeEngine

T = TypeVar("T")
EPOCH = datetime(2026, 3, 1, 9, 0, tzinfo=UTC)
ORGANIZATION = uuid7(1_700_000_000_000)


class _Loop(VirtualLoop):
    """What would run in a thread runs at once, so that virtual time does not pass it by."""

    def run_in_executor(self, executor: Any, func: Any, *args: Any) -> Any:
        future = self.create_future()
        try:
            future.set_result(func(*args))
        except Exception as error:  # noqa: BLE001 (it is handed on, as an executor does)
            future.set_exception(error)
        return future


def run(scenario: Coroutine[Any, Any, T]) -> T:
    with asyncio.Runner(loop_factory=_Loop) as runner:
        return runner.run(scenario)


class Engine(FakeEngine):
    """With commands that fail, and the keys of recordings."""

    def __init__(self) -> None:
        super().__init__()
        self.fail: dict[str, Exception] = {}
        self.keys: list[bytes] = []

    def _note(self, name: str, *arguments: object) -> None:
        super()._note(name, *arguments)
        if name in self.fail:
            raise self.fail[name]

    def start_recording(
        self, file: Path, key: bytes, recording_id: bytes, left: MediaLegId, right: MediaLegId
    ) -> RecordingHandle:
        self.keys.append(key)
        return super().start_recording(file, key, recording_id, left, right)


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
            self._media = self.world.engine.open_rtp("192.0.2.1")[0]

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
    engine: Engine = field(default_factory=Engine)
    recorder: Recorder = field(default_factory=Recorder)
    records: Any = field(default_factory=Records)
    metrics: CountingMetrics = field(default_factory=CountingMetrics)
    limits: Limits = field(default_factory=Limits)
    times: Times = field(default_factory=Times)

    def __post_init__(self) -> None:
        self.media_events = MediaEvents()
        self.engine.listen(self.media_events.dispatch)
        self.plans: dict[str, Plan] = {}
        self.plan_seconds = 0.0
        self.plan_error: Exception | None = None
        self.phones: dict[str, list[Phone]] = {}
        self.target_seconds: dict[str, float] = {}
        self.target_errors: dict[str, Exception] = {}
        self.stubborn: set[str] = set()
        """Targets that make their legs even when nobody wants them any more."""
        self.snapshots: list[CallSnapshot] = []
        self.start_time = asyncio.get_running_loop().time()
        self.ladder = Ladders()
        tools = Tools(
            engine=self.engine,
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
        try:
            await asyncio.sleep(self.target_seconds.get(number, 0.0))
        except asyncio.CancelledError:
            if number not in self.stubborn:
                raise
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
        self.engine.check_released()
        assert len(self.media_events) == 0, "subscriptions leaked"
        return self.records.final(call_id)


def refused(code: EndCode, words: str, **more: Any) -> CallRefused:
    return CallRefused(Ending(code, words, **more))
