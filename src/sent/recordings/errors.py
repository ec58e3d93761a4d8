"""What can go wrong with a recording. None of it ends a call."""

from __future__ import annotations

from sent.kit.errors import BadInput, Conflict, NotFound, Unavailable


class RecordingRefused(Unavailable):
    """``recording.no_space``, ``recording.spool``: the call goes on without being recorded; the message says why."""


class RecordingNotFound(NotFound):
    """``recording.not_found``, ``recording.expired``."""


class RecordingNotReady(Conflict):
    """``recording.running``, ``recording.failed``, ``recording.elsewhere``."""


class BadFormat(BadInput):
    """``recording.format``."""
