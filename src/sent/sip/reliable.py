"""Reliable provisional responses: RFC 3262. The sender queues and repeats; the receiver keeps the order."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable

from sent.sip.header_values import RAck
from sent.sip.message import Response
from sent.sip.timers import Timer, Timers

MAX_QUEUED = 16


class ReliableSender:
    """UAS side (§3): one response at a time is on its way; it is repeated at T1, 2*T1 … until its PRACK or 64*T1.

    ``send`` transmits a response that has its RSeq. ``gave_up`` is called when no PRACK came: refuse the INVITE then.
    """

    __slots__ = (
        "_cseq",
        "_current",
        "_gave_up",
        "_interval",
        "_queue",
        "_rseq",
        "_send",
        "_t1",
        "_timer",
        "_timers",
        "_until",
    )

    def __init__(
        self,
        timers: Timers,
        cseq: int,
        first_rseq: int,
        t1: float,
        send: Callable[[Response, float], None],
        gave_up: Callable[[float], None],
    ) -> None:
        self._timers = timers
        self._cseq = cseq
        self._rseq = first_rseq - 1
        self._t1 = t1
        self._send = send
        self._gave_up = gave_up
        self._queue: deque[Response] = deque()
        self._current: Response | None = None
        self._timer: Timer | None = None
        self._interval = t1
        self._until = 0.0

    @property
    def waiting(self) -> bool:
        """A response is not acknowledged yet."""
        return self._current is not None

    @property
    def waiting_with_sdp(self) -> bool:
        """§3: then a 2xx has to wait."""
        return any(response.body for response in (self._current, *self._queue) if response is not None)

    def submit(self, response: Response, now: float) -> bool:
        """Queue ``response`` (a 101-199 without RSeq). False when too many wait already."""
        if len(self._queue) >= MAX_QUEUED:
            return False
        self._queue.append(response)
        if self._current is None:
            self._next(now)
        return True

    def _next(self, now: float) -> None:
        if not self._queue:
            return
        response = self._current = self._queue.popleft()
        self._rseq += 1
        response.headers.add("Require", "100rel")
        response.headers.add("RSeq", str(self._rseq))
        self._interval, self._until = self._t1, now + 64 * self._t1
        self._send(response, now)
        self._timer = self._timers.arm(now + self._interval, self._repeat)

    def _repeat(self, now: float) -> None:
        assert self._current is not None
        if now >= self._until:
            self.stop()
            self._gave_up(now)
            return
        self._send(self._current, now)
        self._interval *= 2
        self._timer = self._timers.arm(min(now + self._interval, self._until), self._repeat)

    def acknowledge(self, rack: RAck, now: float) -> Response | None:
        """The response that a PRACK acknowledges, or None: answer 481 then."""
        response = self._current
        if response is None or rack.rseq != self._rseq or rack.cseq != self._cseq or rack.method != "INVITE":
            return None
        self._timers.cancel(self._timer)
        self._current = None
        self._next(now)
        return response

    def stop(self) -> None:
        self._timers.cancel(self._timer)
        self._current = None
        self._queue.clear()


class ReliableReceiver:
    """UAC side (§4), one per early dialog."""

    __slots__ = ("_last",)

    def __init__(self) -> None:
        self._last: int | None = None

    def accept(self, rseq: int) -> bool:
        """True for the next response in order; a repetition or one that is ahead is to be ignored."""
        if self._last is not None and rseq != self._last + 1:
            return False
        self._last = rseq
        return True
