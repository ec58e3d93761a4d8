"""One request of ours, over as many transactions as it takes: the next target when one fails, digest when challenged.

send ──▶ 1xx ─────────────────▶ on_provisional
     ──▶ 401/407, credentials ─▶ send again to the same target, CSeq + 1, with Authorization (RFC 3261 §22.2)
     ──▶ 503, time-out, transport error, target left ─▶ send to the next one, fresh branch (RFC 3263 §4.3)
     ──▶ any other final ─────▶ on_final  (further 2xx to an INVITE too)
     ──▶ no target left ──────▶ on_final (the 503) or on_request_failed
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol

from sent.sip.authorization import Authorizer
from sent.sip.flow import Target
from sent.sip.message import Request, Response
from sent.sip.transaction.client import ClientTransaction, FailureCause
from sent.sip.transaction.layer import Transactions

MAX_FAILED = 1_000
"""Failed targets that wait for a shell to ask for them."""


class RequestUser(Protocol):
    def on_provisional(self, response: Response, now: float) -> None: ...

    def on_final(self, response: Response, now: float) -> None: ...

    def on_request_failed(self, cause: FailureCause, now: float) -> None: ...


class ClientRequest:
    """``request`` is a template without Via; each attempt sends a copy, so the body is the same octets every time.

    ``next_cseq`` gives the number for a repetition with credentials. ``complete`` may add what depends on the target
    (Contact). `current` is the transaction of the latest attempt.
    """

    __slots__ = (
        "_authorizer",
        "_complete",
        "_layer",
        "_next_cseq",
        "_request",
        "_targets",
        "_user",
        "current",
        "give_up",
    )

    def __init__(
        self,
        layer: Transactions,
        request: Request,
        targets: Sequence[Target],
        user: RequestUser,
        next_cseq: Callable[[], int],
        authorizer: Authorizer | None = None,
        complete: Callable[[Request, Target], None] | None = None,
    ) -> None:
        self._layer = layer
        self._request = request
        self._targets = list(targets[: layer.config.max_targets])
        self._user = user
        self._next_cseq = next_cseq
        self._authorizer = authorizer
        self._complete = complete
        self.current: ClientTransaction | None = None
        self.give_up = False
        """Set when nobody wants the answer any more: no further target is tried and no challenge answered."""

    @property
    def target(self) -> Target | None:
        return self.current.target if self.current is not None else None

    def start(self, now: float) -> None:
        if not self._targets:
            # Through the heap, so that the caller has its handle before it hears of the failure.
            self._layer.timers.arm(now, lambda later: self._user.on_request_failed("transport", later))
            return
        self._attempt(self._targets.pop(0), now)

    def _attempt(self, target: Target, now: float, authorization: Sequence[tuple[str, str]] = ()) -> None:
        template = self._request
        request = Request(template.method, template.uri, template.headers.copy(), template.body)
        if self._complete is not None:
            self._complete(request, target)
        for name, value in authorization:
            request.headers.add(name, value)
        self.current = self._layer.start_client(request, target, self, now)

    # ---- ClientUser

    def on_response(self, response: Response, now: float) -> None:
        status = response.status
        if status < 200:
            if status > 100 or template_is_invite(self._request):
                self._user.on_provisional(response, now)
            return
        if not self.give_up:
            if status in {401, 407} and self._answer_challenge(response, now):
                return
            if status == 503:
                self._mark_failed()
                if self._next_target(now):
                    return
        self._user.on_final(response, now)

    def on_failure(self, cause: FailureCause, now: float) -> None:
        self._layer.counters[f"requests_{cause}"] += 1
        self._mark_failed()
        if self.give_up or not self._next_target(now):
            self._user.on_request_failed(cause, now)

    def _mark_failed(self) -> None:
        if self.current is not None and len(self._layer.failed) < MAX_FAILED:
            self._layer.failed.append(self.current.target)

    def _next_target(self, now: float) -> bool:
        if not self._targets:
            return False
        self._layer.counters["failovers"] += 1
        self._attempt(self._targets.pop(0), now)
        return True

    def _answer_challenge(self, response: Response, now: float) -> bool:
        assert self.current is not None
        if self._authorizer is None:
            return False
        authorization = self._authorizer.answer(self._request, response)
        if not authorization:
            return False
        self._request.headers.set("CSeq", f"{self._next_cseq()} {self._request.method}")
        self._attempt(self.current.target, now, authorization)
        return True


def template_is_invite(request: Request) -> bool:
    return request.method == "INVITE"
