"""How many calls may be up at once. Protects the machine and the bill; says which limit it was."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from uuid import UUID

from sent.calls.ending import Blame, EndCode, Ending
from sent.calls.ports import CallRequest


@dataclass(frozen=True, slots=True)
class Limits:
    """Concurrent calls: on this node, of one organization, made by one user."""

    total: int = 2_000
    per_organization: int = 500
    per_user: int = 10


class CallCounter:
    """Counts the calls that are up. Every `enter` is followed by exactly one `leave` with the same request."""

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self.total = 0
        self._organizations: Counter[UUID] = Counter()
        self._users: Counter[UUID] = Counter()

    def refusal(self, request: CallRequest) -> Ending | None:
        """Why one more call is too many; None when it is not."""
        limits, user = self._limits, request.caller.user_id
        if self.total >= limits.total:
            words = f"This server carries {limits.total} calls, all that it may; try again in a moment."
            return Ending(EndCode.LIMIT_REACHED, words, blame=Blame.US, sip_status=503)
        if self._organizations[request.organization_id] >= limits.per_organization:
            words = f"Your organization has {limits.per_organization} calls up, all that it may; try again in a moment."
            return Ending(EndCode.LIMIT_REACHED, words, blame=Blame.CALLER, sip_status=503)
        if user is not None and self._users[user] >= limits.per_user:
            words = f"You have {limits.per_user} calls up, all that one person may; end one of them first."
            return Ending(EndCode.LIMIT_REACHED, words, blame=Blame.CALLER, sip_status=486)
        return None

    def enter(self, request: CallRequest) -> None:
        self._count(request, 1)

    def leave(self, request: CallRequest) -> None:
        self._count(request, -1)

    def of(self, organization_id: UUID) -> int:
        return self._organizations.get(organization_id, 0)

    def _count(self, request: CallRequest, by: int) -> None:
        self.total += by
        keys = ((self._organizations, request.organization_id), (self._users, request.caller.user_id))
        for counter, key in keys:
            if key is not None:
                counter[key] += by
                if not counter[key]:
                    del counter[key]
