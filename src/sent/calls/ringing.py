"""The `Ring` step: ring all targets at once; the first answer wins, the others are told so."""

from __future__ import annotations

import asyncio
from uuid import UUID

import structlog

from sent.calls.ending import Blame, EndCode, Ending
from sent.calls.endings import best, completed, settles_all
from sent.calls.inbox import TargetFailed, TargetReady
from sent.calls.leg import Leg, LegMove, LegState
from sent.calls.live_call import LiveCall
from sent.calls.plan import Ring, RingTarget, TrunkTarget
from sent.calls.ports import Answered, CallRefused, LegEnded, MediaRenegotiated, Ringing
from sent.calls.state import CallMove
from sent.calls.tones import RINGBACK
from sent.kit.errors import SentError

log = structlog.get_logger("sent.calls")


async def ring(live: LiveCall, step: Ring) -> Leg | Ending:
    """The leg that answered (all others are being ended), or why nobody did. Raises `CallOver`."""
    return await _Attempt(live, step).run()


class _Attempt:
    def __init__(self, live: LiveCall, step: Ring) -> None:
        self.live = live
        self.step = step
        self.legs: list[Leg] = []
        self.opening = len(step.targets)
        self.waiting: set[UUID] = set()
        """Legs whose end was not seen yet."""
        self.failures: list[Ending] = []
        self.early: Leg | None = None
        """The leg whose early media the caller hears."""

    async def run(self) -> Leg | Ending:
        if not self.step.targets:
            return Ending(EndCode.OFFLINE, "There is nobody to ring.", blame=Blame.CALLEE)
        deadline = self.live.time() + self.step.seconds
        for target in self.step.targets:
            self.live.spawn(_open(self.live, target, self))
        while self.opening or self.waiting:
            event = await self.live.next(deadline)
            match event:
                case None:
                    return self._timed_out()
                case TargetFailed(attempt=attempt, ending=ending) if attempt is self:
                    self.opening -= 1
                    self.failures.append(completed(ending))
                case TargetReady(attempt=attempt, legs=legs) if attempt is self:
                    self.opening -= 1
                    self._start(legs)
                case TargetReady(legs=legs):
                    too_late(self.live, legs)
                case Ringing(leg_id=leg_id, early_media=early) if (leg := self._mine(leg_id)) is not None:
                    self._rings(leg, early_media=early)
                case MediaRenegotiated() if self.early is not None:
                    self._bridge_early(self.early)
                case Answered(leg_id=leg_id) if (leg := self._mine(leg_id)) is not None:
                    return self._answered(leg)
                case LegEnded(leg_id=leg_id) if (leg := self.live.call.leg(leg_id)) is not None and leg in self.legs:
                    ending = completed(leg.ending or Ending(EndCode.FAILED, f"{leg.show()}'s leg ended."))
                    self.failures.append(ending)
                    self.waiting.discard(leg.id)
                    self._drop_early(leg)
                    if settles_all(ending):
                        self._end_others(None, ending)
                        return ending
                case _:
                    pass
        self._drop_early(self.early)
        return best(self.failures)

    def _mine(self, leg_id: object) -> Leg | None:
        return next((leg for leg in self.legs if leg.id == leg_id and not leg.is_over), None)

    def _start(self, legs: tuple[Leg, ...]) -> None:
        caller = self.live.call.caller
        for leg in legs:
            self.legs.append(leg)
            self.waiting.add(leg.id)
            if leg.move(LegMove.START):
                leg.port.ring(caller.party, tuple(caller.port.codecs))

    def _rings(self, leg: Leg, *, early_media: bool) -> None:
        live = self.live
        if early_media and self.early is None:
            self.early = leg
            live.alert_caller(early_media=True)
            self._bridge_early(leg)
            live.move(CallMove.EARLY_MEDIA)
            return
        live.alert_caller(early_media=False)
        live.move(CallMove.RING)
        caller = live.call.caller
        media = live.watch_media(caller)
        if self.early is None and caller.state is LegState.EARLY and media is not None:
            # An earlier carrier opened the caller's audio and failed; a 180 would now be silence.
            live.on_media("play to", caller, lambda: live.engine.play_tone(media, RINGBACK, loop=True))

    def _bridge_early(self, leg: Leg) -> None:
        live = self.live
        ours, theirs = live.watch_media(live.call.caller), live.watch_media(leg)
        if ours is not None and theirs is not None:
            live.on_media("stop the tone for", live.call.caller, lambda: live.engine.stop_playback(ours))
            live.on_media("bridge", leg, lambda: live.engine.bridge(ours, theirs))

    def _drop_early(self, leg: Leg | None) -> None:
        if leg is None or leg is not self.early:
            return
        self.early = None
        caller = self.live.call.caller
        media = self.live.watch_media(caller)
        if media is not None:
            self.live.on_media("unbridge", caller, lambda: self.live.engine.unbridge(media))

    def _answered(self, winner: Leg) -> Leg:
        words = f"{winner.show()} answered on another phone." if len(self.legs) > 1 else "Answered elsewhere."
        self._end_others(winner, Ending(EndCode.ANSWERED_ELSEWHERE, words))
        return winner

    def _end_others(self, winner: Leg | None, ending: Ending) -> None:
        for leg in self.legs:
            if leg is not winner:
                self.live.end_leg(leg, ending)
        if winner is None:
            self._drop_early(self.early)

    def _timed_out(self) -> Ending:
        seconds = self.step.seconds
        for leg in self.legs:
            if leg.is_over:
                continue
            if leg.state is not LegState.CALLING:
                words = f"{leg.show()} did not answer within {seconds:g} s."
                ending = Ending(EndCode.NO_ANSWER, words, blame=Blame.CALLEE)
            elif leg.party.trunk_id is not None:
                words = f"The carrier gave no sign of life for {leg.show()} within {seconds:g} s."
                ending = Ending(EndCode.CARRIER_UNREACHABLE, words, blame=Blame.CARRIER)
            else:
                words = f"{leg.show()}'s phone did not react within {seconds:g} s."
                ending = Ending(EndCode.OFFLINE, words, blame=Blame.CALLEE)
            self.failures.append(completed(ending))
            self.live.end_leg(leg, ending)
        if not self.failures:
            self.failures.append(completed(Ending(EndCode.FAILED, f"Nothing could be rung within {seconds:g} s.")))
        self._drop_early(self.early)
        return best(self.failures)


def too_late(live: LiveCall, legs: tuple[Leg, ...]) -> None:
    """Legs that were made after their attempt was over: they never ring."""
    for leg in legs:
        live.end_leg(leg, Ending(EndCode.CANCELLED, f"It was settled before {leg.show()}'s phone was reached."))


async def _open(live: LiveCall, target: RingTarget, attempt: object) -> None:
    """Make the legs of a target and post them. What goes wrong is an ending of that target, not of the call."""
    who = target.party.name or target.party.number
    try:
        async with asyncio.timeout(live.tools.times.targets):
            ports = await live.tools.targets.legs_for(target, live.call.id, live.call.organization_id)
        legs = tuple(live.adopt(port) for port in ports)
    except CallRefused as refused:
        failure = refused.ending
    except TimeoutError:
        failure = Ending(EndCode.FAILED, f"Looking up how to reach {who} took too long.", blame=Blame.US)
    except SentError as error:
        failure = Ending(EndCode.FAILED, error.message, blame=Blame.US)
    except Exception:
        log.exception("calls.target_failed", call=str(live.call.id))
        failure = Ending(EndCode.FAILED, f"An internal error kept the call from reaching {who}.", blame=Blame.US)
    else:
        if legs:
            live.inbox.post(TargetReady(attempt, legs), essential=True)
            return
        what = "The carrier has no line for this call." if isinstance(target, TrunkTarget) else f"{who} is offline."
        failure = Ending(EndCode.OFFLINE, what, blame=Blame.CALLEE)
    live.inbox.post(TargetFailed(attempt, failure), essential=True)
