"""The steps that SENT answers itself: announcement, tone, echo, refusal. Each returns how the call ended."""

from __future__ import annotations

from collections.abc import Callable

from sent.calls.ending import Blame, EndCode, Ending
from sent.calls.leg import Leg
from sent.calls.live_call import LiveCall
from sent.calls.plan import Echo, PlayFile, PlayTone
from sent.calls.ports import Answered, MediaRenegotiated
from sent.calls.quality import silence_words
from sent.media.port import MediaError
from sent.media.types import MediaLegId, PlaybackEnded, PlaybackId, Silence


async def play_file(live: LiveCall, step: PlayFile) -> Ending:
    return await _play(
        live, lambda media: live.engine.play_file(media, step.file), f"the announcement {step.file.name}"
    )


async def play_tone(live: LiveCall, step: PlayTone) -> Ending:
    return await _play(live, lambda media: live.engine.play_tone(media, step.steps), "the tone")


async def echo(live: LiveCall, step: Echo) -> Ending:
    """Send the caller its own audio until it hangs up, falls silent, or ``seconds`` are over."""
    media = await _answer(live)
    if isinstance(media, Ending):
        return media
    caller = live.call.caller
    live.on_media("echo to", caller, lambda: live.engine.bridge(media, media))
    deadline = live.time() + step.seconds
    while (event := await live.next(deadline)) is not None:
        match event:
            case MediaRenegotiated() if (again := live.watch_media(caller)) is not None:
                live.on_media("echo to", caller, lambda again=again: live.engine.bridge(again, again))  # type: ignore[misc]
            case Silence(leg=silent, ms=ms) if silent == caller.media and not caller.holding:
                live.read_statistics(caller)
                words = silence_words(caller.show(), ms, caller.statistics)
                live.flag(words, caller)
                if ms >= live.tools.times.silence * 1000:
                    return Ending(EndCode.MEDIA_LOST, words)
            case _:
                pass
    return Ending(EndCode.COMPLETED, f"The echo test ran for its {step.seconds:g} s.")


async def _play(live: LiveCall, start: Callable[[MediaLegId], PlaybackId], what: str) -> Ending:
    media = await _answer(live)
    if isinstance(media, Ending):
        return media
    await _confirmed(live, live.call.caller)
    try:
        playback = start(media)
    except MediaError as error:
        return Ending(EndCode.FAILED, f"{what.capitalize()} could not be played: {error.message}", blame=Blame.US)
    deadline: float | None = None
    while (event := await live.next(deadline)) is not None:
        match event:
            case PlaybackEnded(playback=ended, completed=True) if ended == playback:
                return Ending(EndCode.COMPLETED, f"{what.capitalize()} was played to its end.")
            case PlaybackEnded(playback=ended) if ended == playback:
                # Its leg is closing, so the caller's end is on its way.
                deadline = live.time() + live.tools.times.ended
            case _:
                pass
    return Ending(EndCode.FAILED, f"{what.capitalize()} was cut off.", blame=Blame.US)


async def _answer(live: LiveCall) -> MediaLegId | Ending:
    """Answer the caller and wait for its media. An ending when that never comes."""
    live.answer_caller()
    live.answered()
    caller = live.call.caller
    deadline = live.time() + live.tools.times.ended
    while (media := live.watch_media(caller)) is None:
        if await live.next(deadline) is None:
            return Ending(EndCode.FAILED, f"{caller.show()}'s call has no audio that could be opened.", blame=Blame.US)
    return media


async def _confirmed(live: LiveCall, caller: Leg) -> None:
    """Wait a moment for the caller's ACK: what is played before it may fall on deaf ears (a late offer, NAT)."""
    deadline = live.time() + live.tools.times.confirmed
    while not caller.confirmed:
        event = await live.next(deadline)
        if event is None or isinstance(event, Answered):
            return
