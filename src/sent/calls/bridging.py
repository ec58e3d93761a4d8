"""Two parties talk: bridge, hold, digits, silence, recording. Ends when one of them does.

What each hears follows from who put whom on hold, and is arranged anew after every change:

    caller holds   callee holds   caller hears     callee hears
    no             no             callee           caller
    yes            no             nothing          the hold tone
    no             yes            the hold tone    nothing
    yes            yes            nothing          nothing
"""

from __future__ import annotations

import structlog

from sent.calls.call_recording import CallRecording
from sent.calls.ending import EndCode, Ending
from sent.calls.inbox import TargetReady
from sent.calls.leg import Leg
from sent.calls.live_call import CallOver, LiveCall
from sent.calls.ports import Answered, DigitPressed, HoldChanged, LegEnded, MediaRenegotiated
from sent.calls.quality import silence_words
from sent.calls.ringing import too_late
from sent.calls.state import CallMove
from sent.calls.tones import HOLD
from sent.media.types import MediaLegId, MediaResumed, RecordingFailed, Silence

log = structlog.get_logger("sent.calls")


async def talk(live: LiveCall, callee: Leg, recording: CallRecording) -> Ending:
    """Connect the caller with ``callee``, who has answered, until it ends. Raises `CallOver` like every step."""
    conversation = _Conversation(live, callee, recording)
    return await conversation.run()


class _Conversation:
    def __init__(self, live: LiveCall, callee: Leg, recording: CallRecording) -> None:
        self.live = live
        self.caller = live.call.caller
        self.callee = callee
        self.recording = recording
        self.bridged: tuple[MediaLegId, MediaLegId] | None = None
        self.resumed_at = live.time()
        """When both could hear each other again; silence that began before does not count."""
        self.silent_until: dict[tuple[MediaLegId, int], float] = {}
        """Of legs whose silence began too early to count: when (loop time) it will have lasted that many ms since."""
        self.silent_on_hold: set[tuple[MediaLegId, int]] = set()
        """Reported while somebody held, and not over yet. The engine reports each threshold once."""

    async def run(self) -> Ending:
        live = self.live
        try:
            live.answer_caller(_best_codecs(self.callee, self.caller))
        except CallOver as over:
            live.end_leg(self.callee, over.ending)
            raise
        live.call.talking_to = self.callee
        live.watch_media(self.callee)
        live.answered()
        self._arrange()
        while True:
            event = await live.next(min(self.silent_until.values(), default=None))
            match event:
                case None:
                    if (lost := self._still_silent()) is not None:
                        return lost
                case LegEnded(leg_id=leg_id) if leg_id == self.callee.id:
                    return self.callee.ending or Ending(EndCode.HUNG_UP, f"{self.callee.show()} hung up.", "callee")
                case Answered() | MediaRenegotiated():
                    self._arrange(again=True)
                case HoldChanged():
                    self._hold_changed()
                case DigitPressed(leg_id=leg_id, digit=digit, by_signalling=True):
                    if leg_id in {self.caller.id, self.callee.id}:
                        to = self.callee if leg_id == self.caller.id else self.caller
                        to.port.send_digits(digit)
                case MediaResumed(leg=media):
                    self.silent_until = {key: at for key, at in self.silent_until.items() if key[0] != media}
                    self.silent_on_hold = {key for key in self.silent_on_hold if key[0] != media}
                case Silence(leg=media, ms=ms):
                    if (lost := self._silent(media, ms)) is not None:
                        return lost
                case RecordingFailed():
                    self.recording.failed(event)
                case TargetReady(legs=legs):
                    too_late(live, legs)
                case _:
                    pass

    def _other(self, leg: Leg) -> Leg:
        return self.callee if leg is self.caller else self.caller

    # -- who hears what -------------------------------------------------------------------------------------------

    def _arrange(self, *, again: bool = False) -> None:
        """``again``: the engine's bridge may be out of date, so make it even if it stands."""
        live = self.live
        ours, theirs = live.watch_media(self.caller), live.watch_media(self.callee)
        if ours is None or theirs is None:
            return
        self.recording.begin(ours, theirs)
        if not self.caller.holding and not self.callee.holding:
            if again or self.bridged != (ours, theirs):
                for leg, media in ((self.caller, ours), (self.callee, theirs)):
                    live.on_media("stop the tone for", leg, lambda media=media: live.engine.stop_playback(media))  # type: ignore[misc]
                if live.on_media("bridge", self.callee, lambda: live.engine.bridge(ours, theirs)):
                    self.bridged = (ours, theirs)
            return
        if self.bridged is not None:
            live.on_media("unbridge", self.caller, lambda: live.engine.unbridge(ours))
        self.bridged = None
        for leg, media in ((self.caller, ours), (self.callee, theirs)):
            if self._other(leg).holding and not leg.holding:
                play = lambda media=media: live.engine.play_tone(media, HOLD, loop=True)  # noqa: E731
                live.on_media("play the hold tone to", leg, play)
            else:
                live.on_media("stop the tone for", leg, lambda media=media: live.engine.stop_playback(media))  # type: ignore[misc]

    def _hold_changed(self) -> None:
        held = self.caller.holding or self.callee.holding
        self._arrange()
        if held:
            self.silent_on_hold.update(self.silent_until)
            self.silent_until.clear()
            self.live.move(CallMove.HOLD)
        else:
            self.resumed_at = self.live.time()
            self.silent_until = {(media, ms): self.resumed_at + ms / 1000 for media, ms in self.silent_on_hold}
            self.silent_on_hold.clear()
            self.live.move(CallMove.RESUME)

    # -- silence --------------------------------------------------------------------------------------------------

    def _silent(self, media: MediaLegId, ms: int) -> Ending | None:
        leg = self.live.leg_of(media)
        if leg is None or leg not in {self.caller, self.callee}:
            return None
        if self.caller.holding or self.callee.holding:
            self.silent_on_hold.add((media, ms))
            return None
        heard_since = self.resumed_at + ms / 1000
        if self.live.time() < heard_since:
            # It began on hold or before the answer, when a phone need not send: count from there.
            self.silent_until[media, ms] = heard_since
            return None
        return self._lost(leg, ms)

    def _still_silent(self) -> Ending | None:
        now = self.live.time()
        due = [key for key, at in self.silent_until.items() if now >= at]
        for media, ms in due:
            del self.silent_until[media, ms]
            leg = self.live.leg_of(media)
            if leg is not None and (lost := self._lost(leg, ms)) is not None:
                return lost
        return None

    def _lost(self, leg: Leg, ms: int) -> Ending | None:
        self.live.read_statistics(leg)
        words = silence_words(leg.show(), ms, leg.statistics)
        self.live.flag(words, leg)
        if ms < self.live.tools.times.silence * 1000:
            return None
        log.info("calls.media_lost", call=str(self.live.call.id), leg=str(leg.id), ms=ms)
        return Ending(EndCode.MEDIA_LOST, words)


def _best_codecs(callee: Leg, caller: Leg) -> tuple[str, ...]:
    """To answer the caller with: what the callee took, what else it can do, and then what only the caller can do,
    for which the engine transcodes."""
    taken = callee.port.details.codec
    wanted = [*([taken] if taken else []), *callee.port.codecs, *caller.port.codecs]
    best: dict[str, str] = {}
    for name in wanted:
        best.setdefault(name.casefold(), name)
    return tuple(best.values())
