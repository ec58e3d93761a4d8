"""Why a call or a leg ended: one code for programs, one sentence for people, and the SIP cause beside it."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class EndCode(StrEnum):
    HUNG_UP = "hung_up"
    CANCELLED = "cancelled"
    BUSY = "busy"
    DECLINED = "declined"
    NO_ANSWER = "no_answer"
    NOT_FOUND = "not_found"
    OFFLINE = "offline"
    NO_COMMON_CODEC = "no_common_codec"
    NOT_ALLOWED = "not_allowed"
    LIMIT_REACHED = "limit_reached"
    CARRIER_REFUSED = "carrier_refused"
    CARRIER_UNREACHABLE = "carrier_unreachable"
    SESSION_EXPIRED = "session_expired"
    MEDIA_LOST = "media_lost"
    ANSWERED_ELSEWHERE = "answered_elsewhere"
    COMPLETED = "completed"
    """An announcement or echo test that ran to its end."""
    SHUT_DOWN = "shut_down"
    INTERRUPTED = "interrupted"
    """The node died; closed on its restart or when its lease ran out."""
    FAILED = "failed"


class Blame(StrEnum):
    """Who made a call fail; decides whether another carrier is tried (never after the callee spoke)."""

    NONE = "none"
    CALLER = "caller"
    CALLEE = "callee"
    CARRIER = "carrier"
    US = "us"


@dataclass(frozen=True, slots=True)
class Ending:
    """``words`` is a whole sentence. ``by`` is who ended it: ``caller``, ``callee``, ``carrier`` or ``system``.

    ``sip_status`` is the final status that was received or sent; ``sip_reason`` the far side's ``Reason`` (RFC 3326),
    ``warning`` its ``Warning`` (RFC 3261 §20.43), both as received.
    """

    code: EndCode
    words: str
    by: str = "system"
    blame: Blame = Blame.NONE
    sip_status: int | None = None
    sip_reason: str | None = None
    warning: str | None = None
