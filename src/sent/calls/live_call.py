"""A call in progress: its inbox, its legs and their media. The steps (ringing, services, bridging) work on it.

Legs and the engine post events into the inbox; the call's one task takes them out with `LiveCall.next`, which deals
with what means the same in every step (the caller left, a command hangs up, time is over) by raising `CallOver`.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine

import structlog

from sent.calls.call import Call
from sent.calls.ending import Blame, EndCode, Ending
from sent.calls.inbox import CallEvent, HangUp, Inbox
from sent.calls.leg import Leg, LegMove, LegState, Role
from sent.calls.ports import Answered, LegEnded, LegEvent, LegPort, MediaRenegotiated
from sent.calls.state import CallMove
from sent.calls.tools import Tools
from sent.media.port import MediaError
from sent.media.types import MediaEvent, MediaLegId, PlaybackEnded, RecordingFailed

log = structlog.get_logger("sent.calls")


class CallOver(Exception):
    """Ends the plan, whatever step it is in."""

    def __init__(self, ending: Ending) -> None:
        super().__init__(ending.words)
        self.ending = ending


class LiveCall:
    def __init__(self, call: Call, tools: Tools, changed: Callable[[], None]) -> None:
        self.call = call
        self.tools = tools
        self.engine = tools.engine
        self.inbox = Inbox()
        self.talk_until: float | None = None
        """Loop time at which the call has lasted as long as it may."""
        self.accepts_legs = True
        self._changed = changed
        self._tasks: set[asyncio.Task[None]] = set()
        self._subscriptions: dict[MediaLegId, Callable[[], None]] = {}
        call.caller.port.listen(self._leg_event)

    # -- events ---------------------------------------------------------------------------------------------------

    def _leg_event(self, event: LegEvent) -> None:
        leg = self.call.leg(event.leg_id)
        if leg is None:
            self.call.ignored += 1
            return
        if isinstance(event, LegEnded):
            self.read_statistics(leg)
        if not leg.accept(event, self.call.now()):
            return
        self.inbox.post(event, essential=isinstance(event, LegEnded | Answered))

    def media_event(self, event: MediaEvent) -> None:
        self.inbox.post(event, essential=isinstance(event, PlaybackEnded | RecordingFailed))

    def hang_up(self, ending: Ending) -> None:
        self.inbox.post(HangUp(ending), essential=True)

    async def next(self, deadline: float | None = None) -> CallEvent | None:
        """The next event that the step must look at; None at ``deadline`` (loop time). Raises `CallOver`."""
        limit = min((t for t in (deadline, self.talk_until) if t is not None), default=None)
        event = await self.inbox.get(limit)
        match event:
            case None:
                if self.talk_until is not None and self.time() >= self.talk_until:
                    raise CallOver(self._too_long())
            case HangUp(ending=ending):
                raise CallOver(ending)
            case LegEnded(leg_id=leg_id) if leg_id == self.call.caller.id:
                raise CallOver(self.caller_left())
            case Answered(leg_id=leg_id) | MediaRenegotiated(leg_id=leg_id):
                if (leg := self.call.leg(leg_id)) is not None:
                    self.watch_media(leg)
            case _:
                pass
        return event

    def caller_left(self) -> Ending:
        ending = self.call.caller.ending or Ending(EndCode.CANCELLED, "The caller left.", "caller", Blame.CALLER)
        if ending.code is EndCode.HUNG_UP and self.call.answered_at is None:
            words = f"{self.call.caller.show()} hung up before anyone answered."
            return Ending(EndCode.CANCELLED, words, "caller", Blame.CALLER, sip_reason=ending.sip_reason)
        return ending

    def _too_long(self) -> Ending:
        hours = (self.call.plan.max_seconds if self.call.plan else 0.0) / 3600
        return Ending(EndCode.LIMIT_REACHED, f"The call was ended after {hours:g} h, the longest that it may last.")

    @staticmethod
    def time() -> float:
        return asyncio.get_running_loop().time()

    # -- state ----------------------------------------------------------------------------------------------------

    def move(self, move: CallMove) -> None:
        if self.call.move(move):
            self._changed()

    def changed(self) -> None:
        """Tell those who watch: something besides the state changed (a flag, the recording)."""
        self._changed()

    def flag(self, words: str, leg: Leg | None = None) -> None:
        self.call.flag(words, leg)
        self._changed()

    def answered(self) -> None:
        """The caller has been answered: the clock of the longest call starts, and the record says so."""
        if self.call.plan is not None and self.talk_until is None:
            self.talk_until = self.time() + self.call.plan.max_seconds
        self.move(CallMove.ANSWER)
        self.tools.records.put(self.call.record())

    # -- legs -----------------------------------------------------------------------------------------------------

    def adopt(self, port: LegPort) -> Leg:
        """Take in a new outgoing leg. When the call is over already, it is ended at once."""
        leg = Leg(port, Role.CALLEE, self.call.now())
        self.call.add_leg(leg)
        port.listen(self._leg_event)
        if not self.accepts_legs:
            self.end_leg(leg, self.call.ending or Ending(EndCode.CANCELLED, "The call had ended before it rang."))
        return leg

    def end_leg(self, leg: Leg, ending: Ending) -> None:
        if leg.is_over:
            return
        self.read_statistics(leg)
        leg.ending = ending
        leg.move(LegMove.STOP)
        leg.port.end(ending)

    def alert_caller(self, *, early_media: bool) -> None:
        caller = self.call.caller
        if caller.is_over:
            return
        if caller.state is not LegState.EARLY and caller.move(LegMove.EARLY if early_media else LegMove.RINGING):
            caller.ringing_at = caller.ringing_at or self.call.now()
            caller.port.alert(early_media=early_media)
        self.watch_media(caller)

    def answer_caller(self, codecs: tuple[str, ...] = ()) -> None:
        """Accept the caller's leg. Raises `CallOver` when the caller has left in the meantime."""
        caller = self.call.caller
        if caller.is_over:
            raise CallOver(self.caller_left())
        if caller.move(LegMove.ANSWERED):
            caller.answered_at = self.call.now()
            caller.port.answer(codecs)
            if caller.is_over:
                # It could not be answered (no common codec), and the leg said so at once.
                raise CallOver(self.caller_left())
        self.watch_media(caller)

    # -- media ----------------------------------------------------------------------------------------------------

    def watch_media(self, leg: Leg) -> MediaLegId | None:
        """The leg's media, with the engine's events about it coming in from now on."""
        media = leg.port.media
        if media is not None and not leg.is_over:
            leg.media = media
            if media not in self._subscriptions:
                self._subscriptions[media] = self.tools.media_events.subscribe(media, self.media_event)
        return None if leg.is_over else media

    def leg_of(self, media: MediaLegId) -> Leg | None:
        return next((leg for leg in self.call.legs if leg.media == media), None)

    def read_statistics(self, leg: Leg) -> None:
        """Keep the newest counters. A media leg that is closed already keeps what was read before."""
        media = leg.port.media if leg.port.media is not None else leg.media
        if media is None or leg.state is LegState.ENDED:
            return
        leg.media = media
        try:
            leg.statistics = self.engine.statistics(media)
        except MediaError as error:
            log.debug("calls.no_statistics", call=str(self.call.id), leg=str(leg.id), code=error.code)

    def on_media(self, what: str, leg: Leg, action: Callable[[], object]) -> bool:
        """Do ``action`` on the engine. An engine that refuses since the leg is closing is no fault of the call."""
        try:
            action()
        except MediaError as error:
            log.warning("calls.media_refused", call=str(self.call.id), leg=str(leg.id), what=what, code=error.code)
            if not leg.is_over:
                self.flag(f"The media engine could not {what} {leg.show()}: {error.message}", leg)
            return False
        return True

    def release_media(self) -> None:
        for unsubscribe in self._subscriptions.values():
            unsubscribe()
        self._subscriptions.clear()
        for leg in self.call.legs:
            media = leg.port.media if leg.port.media is not None else leg.media
            if media is not None:
                self.on_media("close", leg, lambda media=media: self.engine.close(media))  # type: ignore[misc]

    # -- work beside the call -------------------------------------------------------------------------------------

    def spawn(self, work: Coroutine[object, object, None]) -> None:
        """Run ``work`` beside the step; it posts what comes of it. Cancelled when the call ends."""
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def stop_work(self) -> None:
        tasks = tuple(self._tasks)
        for task in tasks:
            task.cancel()
        for outcome in await asyncio.gather(*tasks, return_exceptions=True):
            if isinstance(outcome, Exception):
                log.error("calls.work_failed", call=str(self.call.id), exc_info=outcome)

    async def all_ended(self, seconds: float) -> None:
        """Wait until every leg has reported its end; after ``seconds``, or when cut short, the rest are taken for
        ended, and flagged."""
        begun = self.time()
        deadline = begun + seconds
        try:
            while any(leg.state is not LegState.ENDED for leg in self.call.legs):
                if await self.inbox.get(deadline) is None and self.time() >= deadline:
                    return
        finally:
            for leg in self.call.legs:
                if leg.state is not LegState.ENDED:
                    leg.move(LegMove.ENDED)
                    leg.ended_at = self.call.now()
                    waited = round(self.time() - begun, 1)
                    self.call.flag(f"{leg.show()}'s leg did not confirm its end within {waited:g} s.", leg)
