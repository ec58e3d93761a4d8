"""What an ending means: the SIP status a caller gets, whom it blames, and which of several the caller hears. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from types import MappingProxyType

from sent.calls.ending import Blame, EndCode, Ending

STATUS: Mapping[EndCode, int] = MappingProxyType(
    {
        EndCode.CANCELLED: 487,
        EndCode.BUSY: 486,
        EndCode.DECLINED: 603,
        EndCode.NO_ANSWER: 480,
        EndCode.NOT_FOUND: 404,
        EndCode.OFFLINE: 480,
        EndCode.NO_COMMON_CODEC: 488,
        EndCode.NOT_ALLOWED: 403,
        EndCode.LIMIT_REACHED: 503,
        EndCode.CARRIER_REFUSED: 502,
        EndCode.CARRIER_UNREACHABLE: 503,
        EndCode.SHUT_DOWN: 503,
        EndCode.FAILED: 500,
    }
)
"""What a caller that was not answered gets when the ending itself brings no final status. The codes that are absent
end an answered leg or cancel an outgoing one; when such an end meets a call in the moment before its answer (an
operator hangs up, a callee answers and is gone), the caller gets `_OTHERWISE`: some final answer it must have."""
_OTHERWISE = 480

BLAME: Mapping[EndCode, Blame] = MappingProxyType(
    {
        EndCode.CANCELLED: Blame.CALLER,
        EndCode.BUSY: Blame.CALLEE,
        EndCode.DECLINED: Blame.CALLEE,
        EndCode.NO_ANSWER: Blame.CALLEE,
        EndCode.OFFLINE: Blame.CALLEE,
        EndCode.CARRIER_REFUSED: Blame.CARRIER,
        EndCode.CARRIER_UNREACHABLE: Blame.CARRIER,
        EndCode.SHUT_DOWN: Blame.US,
        EndCode.INTERRUPTED: Blame.US,
        EndCode.FAILED: Blame.US,
    }
)

_BEST_FIRST = (
    EndCode.DECLINED,
    EndCode.BUSY,
    EndCode.NO_ANSWER,
    EndCode.CARRIER_REFUSED,
    EndCode.NO_COMMON_CODEC,
    EndCode.NOT_ALLOWED,
    EndCode.NOT_FOUND,
    EndCode.LIMIT_REACHED,
    EndCode.OFFLINE,
    EndCode.CARRIER_UNREACHABLE,
)
_RANK = {code: rank for rank, code in enumerate(_BEST_FIRST)}


def completed(ending: Ending, *, answered: bool = False) -> Ending:
    """The same with its blame and, for a call that nobody answered, the status that its caller gets."""
    blame = ending.blame if ending.blame is not Blame.NONE else BLAME.get(ending.code, Blame.NONE)
    status = ending.sip_status
    if status is None and not answered:
        status = STATUS.get(ending.code, _OTHERWISE)
    return replace(ending, blame=blame, sip_status=status)


def settles_all(ending: Ending) -> bool:
    """A 6xx, or a person who declined, speaks for every branch (RFC 3261 §16.7 step 5): nobody else is rung."""
    return ending.code is EndCode.DECLINED or (ending.sip_status or 0) >= 600


def _order(ending: Ending) -> tuple[int, int, int]:
    status = ending.sip_status or 0
    return (
        0 if settles_all(ending) else 1,
        _RANK.get(ending.code, len(_RANK)),
        status // 100 if status >= 300 else 9,
    )


def best(endings: Iterable[Ending]) -> Ending:
    """Of several failures, the one that the caller hears.

    RFC 3261 §16.7 step 6 (a 6xx first, then the lowest class), with one thing before the class: what a *person* did
    (declined, is on the phone, did not answer) tells a caller more than what a machine did. Among equals the first.
    """
    return min(endings, key=_order)
