"""Runs one call from its request to its record: asks for the plan, executes its steps, cleans up whatever happened.

    request ── plan ── step, step, … ── talk ── ending ──► legs ended ─► recording closed ─► media closed ─► record

Everything after the ending happens always and in this order: a bug in a step ends the call as `FAILED` and is logged,
and a cancelled task ends it as `SHUT_DOWN`. The record is handed over exactly once complete.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import structlog

from sent.calls.bridging import talk
from sent.calls.call import Call
from sent.calls.call_recording import CallRecording
from sent.calls.ending import Blame, EndCode, Ending
from sent.calls.endings import best, completed
from sent.calls.inbox import Woken
from sent.calls.ladder_bound import gather
from sent.calls.leg import Leg
from sent.calls.live_call import CallOver, LiveCall
from sent.calls.models import CallRecord, Ladder
from sent.calls.plan import Echo, Plan, PlayFile, PlayTone, Refuse, Ring
from sent.calls.ports import CallRefused
from sent.calls.ringing import ring
from sent.calls.services import echo, play_file, play_tone
from sent.calls.state import CallMove, CallState
from sent.calls.tools import Tools
from sent.kit.errors import SentError

log = structlog.get_logger("sent.calls")


class CallRunner:
    """``changed`` is called after each change that those who watch should see."""

    def __init__(self, call: Call, tools: Tools, changed: Callable[[], None]) -> None:
        self.call = call
        self.tools = tools
        self.live = LiveCall(call, tools, changed)
        self._recording = CallRecording(self.live, wanted=False)

    def hang_up(self, ending: Ending) -> None:
        """End the call, in whatever state it is. Harmless on one that has ended."""
        self.live.hang_up(ending)

    def read_quality(self) -> None:
        """Take the newest statistics of legs that are up, for who looks at the call now."""
        for leg in self.call.legs:
            if not leg.is_over:
                self.live.read_statistics(leg)

    async def run(self, refusal: Ending | None = None) -> CallRecord:
        """Run the call to its end and return its record. ``refusal`` ends it before a plan is asked for."""
        try:
            self.tools.records.put(self.call.record())
            ending = refusal or await self._execute()
        except CallOver as over:
            ending = over.ending
        except asyncio.CancelledError:
            ending = Ending(EndCode.SHUT_DOWN, "The server was stopped while the call was up.", blame=Blame.US)
        except Exception:
            log.exception("calls.step_failed", call=str(self.call.id), state=str(self.call.state))
            ending = Ending(EndCode.FAILED, "An internal error ended the call; the log has its cause.", blame=Blame.US)
        return await self._finish(ending)

    async def _execute(self) -> Ending:
        live = self.live
        live.move(CallMove.ROUTE)
        plan = await self._plan()
        if isinstance(plan, Ending):
            return plan
        self.call.plan = plan
        live.changed()
        met: list[Ending] = []
        for step in plan.steps:
            if self.call.state is not CallState.ROUTING:
                live.move(CallMove.ROUTE)
            match step:
                case Refuse(ending=ending):
                    met.append(completed(ending))
                    break
                case PlayFile():
                    return await play_file(live, step)
                case PlayTone():
                    return await play_tone(live, step)
                case Echo():
                    return await echo(live, step)
                case Ring():
                    outcome = await ring(live, step)
                    if isinstance(outcome, Leg):
                        self._recording = CallRecording(live, wanted=plan.record)
                        return await talk(live, outcome, self._recording)
                    met.append(outcome)
                    if outcome.blame not in step.go_on_after:
                        break
        if not met:
            return Ending(EndCode.FAILED, "The dialplan had no step for this call.", blame=Blame.US)
        return best(met)

    async def _plan(self) -> Plan | Ending:
        """Ask the dialplan, while the caller may leave at any time."""
        asking = asyncio.ensure_future(self.tools.dialplan.plan(self.call.request))
        asking.add_done_callback(lambda _: self.live.inbox.post(Woken(), essential=True))
        deadline = self.live.time() + self.tools.times.plan
        try:
            while not asking.done():
                if await self.live.next(deadline) is None:
                    return Ending(EndCode.FAILED, "Deciding where the call goes took too long.", blame=Blame.US)
            return asking.result()
        except CallRefused as refused:
            return refused.ending
        except SentError as error:
            return Ending(EndCode.FAILED, error.message, blame=Blame.US)
        finally:
            asking.cancel()

    async def _finish(self, ending: Ending) -> CallRecord:
        """Each part is done whatever became of the one before it."""
        live, call = self.live, self.call
        live.accepts_legs = False
        call.end(ending)
        final = call.ending or ending
        for leg in call.legs:
            try:
                live.end_leg(leg, final)
            except Exception:
                log.exception("calls.leg_end_failed", call=str(call.id), leg=str(leg.id))
        for part in (live.stop_work, self._recording.finish, lambda: live.all_ended(self.tools.times.ended)):
            try:
                await part()
            except Exception:
                log.exception("calls.finish_failed", call=str(call.id))
            except asyncio.CancelledError:
                log.warning("calls.finish_cut_short", call=str(call.id))
        try:
            live.release_media()
        except Exception:
            log.exception("calls.media_not_released", call=str(call.id))
        call.ignored += live.inbox.dropped
        record = call.record(self._ladder())
        self.tools.records.put(record)
        live.changed()
        return record

    def _ladder(self) -> Ladder | None:
        try:
            return gather(self.tools.ladder, [leg.port.details.signalling_id for leg in self.call.legs])
        except Exception:
            # The record is worth more than its ladder.
            log.exception("calls.ladder_failed", call=str(self.call.id))
            return None
