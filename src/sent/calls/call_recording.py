"""The recording of one call: begun when two parties talk, finished however it ends. Never ends the call itself."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import structlog

from sent.calls.live_call import LiveCall
from sent.calls.tools import RecordingTicket
from sent.kit.errors import SentError
from sent.media.port import MediaError
from sent.media.types import MediaEvent, MediaLegId, RecordingClosed, RecordingFailed, RecordingHandle

log = structlog.get_logger("sent.calls")


class CallRecording:
    """``begin`` may be called as often as the media is arranged; the first time counts."""

    def __init__(self, live: LiveCall, *, wanted: bool) -> None:
        self._live = live
        self._wanted = wanted and live.tools.recorder is not None
        if wanted and live.tools.recorder is None:
            live.call.recording_error = "The call was to be recorded, but this node has no recorder."
        self._ticket: RecordingTicket | None = None
        self._handle: RecordingHandle | None = None
        self._unsubscribe: Callable[[], None] | None = None
        self._beginning: asyncio.Task[None] | None = None
        self._ended = asyncio.Event()
        """The engine has closed the file, or given it up."""

    def begin(self, left: MediaLegId, right: MediaLegId) -> None:
        """``left`` is the caller's media, ``right`` the callee's."""
        if self._wanted:
            self._wanted = False
            self._beginning = asyncio.get_running_loop().create_task(self._begin(left, right))

    async def _begin(self, left: MediaLegId, right: MediaLegId) -> None:
        live, call, recorder = self._live, self._live.call, self._live.tools.recorder
        assert recorder is not None, "begin is only reached with a recorder"
        try:
            async with asyncio.timeout(live.tools.times.recorder):
                self._ticket = await recorder.begin(call.organization_id, call.id)
            if self._ticket is None:
                return
            if not live.accepts_legs:
                self._not_recorded("it ended before the recorder was ready")
                return
            call.recording_id = self._ticket.id
            self._handle = live.engine.start_recording(
                self._ticket.file, self._ticket.key, self._ticket.id.bytes, left, right
            )
        except TimeoutError:
            self._not_recorded("the recorder did not answer in time")
        except SentError as error:
            self._not_recorded(error.message)
        except Exception:
            log.exception("calls.recorder_failed", call=str(call.id))
            self._not_recorded("an internal error")
        else:
            self._unsubscribe = live.tools.media_events.subscribe_recording(self._handle, self._on_event)
            call.is_recording = True
            live.changed()

    def _on_event(self, event: MediaEvent) -> None:
        match event:
            case RecordingFailed():
                self._ended.set()
                # Here, and not through the call's inbox alone, which nobody reads any more when the call ends.
                self.failed(event)
                self._live.media_event(event)
            case RecordingClosed():
                self._ended.set()
            case _:
                pass

    def _not_recorded(self, why: str) -> None:
        self._live.call.recording_error = f"The call was not recorded: {why.rstrip('.')}."
        self._live.flag(self._live.call.recording_error)

    def failed(self, event: RecordingFailed) -> None:
        """The engine gave up (a full disk): kept up to there, and the record says so."""
        call = self._live.call
        if event.recording != self._handle or call.recording_error is not None:
            return
        call.recording_error = f"The recording stopped early: {event.error.rstrip('.')}. It is kept up to there."
        call.is_recording = False
        log.warning("calls.recording_failed", call=str(call.id), error=event.error)
        self._live.flag(call.recording_error)

    async def finish(self) -> None:
        """Close the file and hand it over, once the engine says that it is whole."""
        call, recorder = self._live.call, self._live.tools.recorder
        if self._beginning is not None:
            # Not cancelled: a ticket that was handed out must be given back. It is bounded by its own time-out.
            await self._beginning
        if self._handle is not None:
            await self._close_file(self._handle)
        if self._unsubscribe is not None:
            self._unsubscribe()
        call.is_recording = False
        if self._ticket is None or recorder is None:
            return
        try:
            async with asyncio.timeout(self._live.tools.times.recorder):
                await recorder.finish(self._ticket, call.recording_error)
        except (TimeoutError, SentError) as error:
            why = error.message if isinstance(error, SentError) else "the recorder did not answer in time"
            call.recording_error = call.recording_error or f"The recording is still in the spool: {why}"
            log.warning("calls.recording_not_finished", call=str(call.id), why=why)

    async def _close_file(self, handle: RecordingHandle) -> None:
        live, call = self._live, self._live.call
        try:
            live.engine.stop_recording(handle)
            async with asyncio.timeout(live.tools.times.recorder):
                await self._ended.wait()
        except (TimeoutError, MediaError) as error:
            why = error.message if isinstance(error, MediaError) else "the disk did not answer in time."
            call.recording_error = call.recording_error or f"The recording did not close: {why}"
