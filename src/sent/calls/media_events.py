"""Hands the engine's events to whoever holds the leg that they are about.

The engine has one sink; ``app`` gives it `MediaEvents.dispatch`. Calls and legs subscribe by media leg, and calls also
by recording. Events that nobody waits for (a leg that was just closed) are dropped.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from sent.media.types import MediaEvent, MediaLegId, RecordingClosed, RecordingFailed, RecordingHandle

Sink = Callable[[MediaEvent], None]
_Key = TypeVar("_Key", MediaLegId, RecordingHandle)


class MediaEvents:
    def __init__(self) -> None:
        self._legs: dict[MediaLegId, list[Sink]] = {}
        self._recordings: dict[RecordingHandle, list[Sink]] = {}

    def dispatch(self, event: MediaEvent) -> None:
        if isinstance(event, RecordingFailed | RecordingClosed):
            sinks = self._recordings.get(event.recording, ())
        else:
            sinks = self._legs.get(event.leg, ())
        for sink in tuple(sinks):
            sink(event)

    def subscribe(self, leg: MediaLegId, sink: Sink) -> Callable[[], None]:
        """Returns what ends the subscription; calling it twice does no harm."""
        return _subscribe(self._legs, leg, sink)

    def subscribe_recording(self, recording: RecordingHandle, sink: Sink) -> Callable[[], None]:
        return _subscribe(self._recordings, recording, sink)

    def __len__(self) -> int:
        return len(self._legs) + len(self._recordings)


def _subscribe(table: dict[_Key, list[Sink]], key: _Key, sink: Sink) -> Callable[[], None]:
    table.setdefault(key, []).append(sink)

    def unsubscribe() -> None:
        sinks = table.get(key)
        if sinks is not None and sink in sinks:
            sinks.remove(sink)
            if not sinks:
                del table[key]

    return unsubscribe
