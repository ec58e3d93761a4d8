"""SIP's way of saying why a call failed, in our words, and back. Pure tables.

Outgoing legs: `from_response` and `from_failure` turn a final status (with the far side's ``Reason`` and ``Warning``)
into an `Ending`. Incoming legs: `answer_for` gives the status, phrase and headers that tell the caller.

Through a carrier, blame decides whether another carrier is tried: what the callee or the network behind the
carrier said about the callee is final, what the carrier said about itself is not. Once the callee's phone has rung,
everything is final (`after_ringing`): another attempt would ring it a second time. A Q.850 cause in ``Reason``
(RFC 3326, RFC 3398 §8.2.6.1) is more exact than the status, so it wins. Cause 21, "call rejected", is not: it may mean
the callee (603) or the carrier (403). A 403 with it is told as the carrier's refusal, and is final all the same: it is
also what a gateway makes of a callee who declined (RFC 3398 §7.2.4.1).
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace

from sent.calls.ending import Blame, EndCode, Ending

CALLEE = "callee"
CARRIER = "carrier"


@dataclass(frozen=True, slots=True)
class Side:
    """Who is at the far end of a leg. ``name`` stands in sentences: a person's name or number, or the trunk's name."""

    name: str
    is_carrier: bool = False

    @property
    def who(self) -> str:
        return CARRIER if self.is_carrier else CALLEE


@dataclass(frozen=True, slots=True)
class SipAnswer:
    """How to refuse an incoming INVITE."""

    status: int
    phrase: str
    headers: tuple[tuple[str, str], ...] = ()


_Meaning = tuple[EndCode, Blame, str]
"""Code, blame, sentence; ``{name}`` is the far side, ``{status}`` its status and phrase."""

_REDIRECTIONS = (300, 301, 302, 305, 380)
_LOOP = "The call went through too many systems ({status}); it may be going round in a loop."
_PERSON: dict[int, _Meaning] = {
    **dict.fromkeys(
        _REDIRECTIONS,
        (EndCode.NO_ANSWER, Blame.CALLEE, "{name}'s phone sends callers elsewhere ({status}); that is not followed."),
    ),
    403: (EndCode.DECLINED, Blame.CALLEE, "{name}'s phone refused the call: {status}."),
    404: (EndCode.OFFLINE, Blame.CALLEE, "{name}'s phone no longer answers to the address that it registered."),
    408: (EndCode.NO_ANSWER, Blame.CALLEE, "{name} did not answer."),
    480: (EndCode.NO_ANSWER, Blame.CALLEE, "{name} is not available at the moment."),
    483: (EndCode.FAILED, Blame.CALLER, _LOOP),
    486: (EndCode.BUSY, Blame.CALLEE, "{name} is busy."),
    487: (EndCode.CANCELLED, Blame.CALLER, "The call was cancelled before {name} answered."),
    488: (EndCode.NO_COMMON_CODEC, Blame.CALLEE, "{name}'s phone cannot do any of the offered media."),
    600: (EndCode.BUSY, Blame.CALLEE, "{name} is busy."),
    603: (EndCode.DECLINED, Blame.CALLEE, "{name} declined the call."),
    604: (EndCode.NOT_FOUND, Blame.CALLEE, "{name} does not exist."),
    606: (EndCode.NO_COMMON_CODEC, Blame.CALLEE, "{name}'s phone cannot do any of the offered media."),
    607: (EndCode.DECLINED, Blame.CALLEE, "{name} does not want calls from this number."),
    608: (EndCode.DECLINED, Blame.CALLEE, "The call was rejected on behalf of {name}."),
}
_CARRIER: dict[int, _Meaning] = {
    **dict.fromkeys(
        _REDIRECTIONS,
        (EndCode.CARRIER_REFUSED, Blame.CARRIER, "Carrier {name} sends the call elsewhere ({status}); not followed."),
    ),
    401: (EndCode.CARRIER_REFUSED, Blame.CARRIER, "Carrier {name} did not accept the trunk's user name and password."),
    403: (EndCode.CARRIER_REFUSED, Blame.CARRIER, "Carrier {name} refused the call: {status}."),
    404: (EndCode.NOT_FOUND, Blame.CALLEE, "The number is not in service, says carrier {name}."),
    407: (EndCode.CARRIER_REFUSED, Blame.CARRIER, "Carrier {name} did not accept the trunk's user name and password."),
    408: (EndCode.CARRIER_UNREACHABLE, Blame.CARRIER, "Carrier {name} gave up waiting: {status}."),
    410: (EndCode.NOT_FOUND, Blame.CALLEE, "The number is no longer in service, says carrier {name}."),
    480: (EndCode.NO_ANSWER, Blame.CALLEE, "The called party is not available at the moment, says carrier {name}."),
    483: (EndCode.FAILED, Blame.CALLER, _LOOP),
    484: (EndCode.NOT_FOUND, Blame.CALLER, "The number is incomplete, says carrier {name}."),
    486: (EndCode.BUSY, Blame.CALLEE, "The called party is busy."),
    487: (EndCode.CANCELLED, Blame.CALLER, "The call was cancelled before it was answered."),
    488: (EndCode.NO_COMMON_CODEC, Blame.CARRIER, "Carrier {name} cannot do any of the offered media."),
    503: (EndCode.CARRIER_UNREACHABLE, Blame.CARRIER, "Carrier {name} is out of service: {status}."),
    504: (EndCode.CARRIER_UNREACHABLE, Blame.CARRIER, "Carrier {name} could not reach its own network: {status}."),
    600: (EndCode.BUSY, Blame.CALLEE, "The called party is busy."),
    603: (EndCode.DECLINED, Blame.CALLEE, "The called party declined the call."),
    604: (EndCode.NOT_FOUND, Blame.CALLEE, "The number does not exist, says carrier {name}."),
    606: (EndCode.NO_COMMON_CODEC, Blame.CARRIER, "Carrier {name} cannot do any of the offered media."),
    607: (EndCode.DECLINED, Blame.CALLEE, "The called party does not want calls from this number."),
    608: (EndCode.DECLINED, Blame.CALLEE, "The call was rejected on behalf of the called party, says carrier {name}."),
}
_Q850: dict[int, tuple[EndCode, Blame, str]] = {
    1: (EndCode.NOT_FOUND, Blame.CALLEE, "The number is not assigned, says {name}."),
    2: (EndCode.CARRIER_REFUSED, Blame.CARRIER, "{name} has no route to that network."),
    3: (EndCode.CARRIER_REFUSED, Blame.CARRIER, "{name} has no route to that number."),
    17: (EndCode.BUSY, Blame.CALLEE, "The called party is busy."),
    18: (EndCode.NO_ANSWER, Blame.CALLEE, "The called party's phone did not respond, says {name}."),
    19: (EndCode.NO_ANSWER, Blame.CALLEE, "The called party did not answer."),
    22: (EndCode.NOT_FOUND, Blame.CALLEE, "The number has changed, says {name}."),
    28: (EndCode.NOT_FOUND, Blame.CALLER, "The number is incomplete or has a wrong format, says {name}."),
    34: (EndCode.CARRIER_UNREACHABLE, Blame.CARRIER, "{name} has no free line."),
    38: (EndCode.CARRIER_UNREACHABLE, Blame.CARRIER, "The network of {name} is out of order."),
    42: (EndCode.CARRIER_UNREACHABLE, Blame.CARRIER, "The network of {name} is congested."),
}

_PHRASES: dict[int, str] = {
    400: "Bad Request",
    403: "Forbidden",
    404: "Not Found",
    408: "Request Timeout",
    480: "Temporarily Unavailable",
    483: "Too Many Hops",
    484: "Address Incomplete",
    486: "Busy Here",
    487: "Request Terminated",
    488: "Not Acceptable Here",
    500: "Server Internal Error",
    502: "Bad Gateway",
    503: "Service Unavailable",
    603: "Decline",
}
_STATUS_FOR: dict[EndCode, int] = {
    EndCode.HUNG_UP: 480,
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
    EndCode.SESSION_EXPIRED: 408,
    EndCode.MEDIA_LOST: 480,
    EndCode.ANSWERED_ELSEWHERE: 487,
    EndCode.COMPLETED: 480,
    EndCode.SHUT_DOWN: 503,
    EndCode.INTERRUPTED: 503,
    EndCode.FAILED: 500,
}
_Q850_FOR: dict[EndCode, int] = {
    EndCode.HUNG_UP: 16,
    EndCode.COMPLETED: 16,
    EndCode.BUSY: 17,
    EndCode.NO_ANSWER: 19,
    EndCode.DECLINED: 21,
    EndCode.NOT_FOUND: 1,
    EndCode.OFFLINE: 20,
    EndCode.NO_COMMON_CODEC: 88,
    EndCode.NOT_ALLOWED: 21,
    EndCode.CARRIER_UNREACHABLE: 41,
    EndCode.CARRIER_REFUSED: 21,
    EndCode.LIMIT_REACHED: 34,
}
_CALL_REJECTED = 21
_PASS_ON = frozenset({404, 410, 480, 483, 484, 486, 488, 600, 603, 604, 606, 607, 608})
"""Statuses that mean to our caller what they meant to us. 401, 407, 5xx concern only our own leg, and so does a
phone's 403; a carrier's 403 is passed on (`answer_for`)."""


def from_response(
    status: int, phrase: str, side: Side, *, reason: str | None = None, warning: str | None = None
) -> Ending:
    """What a final non-2xx status to our INVITE means. ``reason`` and ``warning`` are header values as received."""
    code, blame, words = _meaning(status, side, reason)
    if side.is_carrier and status == 403 and _q850_cause(reason) == _CALL_REJECTED:
        blame = Blame.CALLEE
    said = f"{status} {_clean(phrase)}".rstrip()
    sentence = words.format(name=side.name, status=said)
    text = _quoted_text(reason) or _quoted_text(warning)
    if text and text.lower() not in sentence.lower():
        sentence = f"{sentence.rstrip('.')} ({text})."
    return Ending(code, sentence, side.who, blame, status, reason, warning)


def after_ringing(ending: Ending) -> Ending:
    """The same for a leg whose far end has rung: no other carrier may ring it again."""
    return replace(ending, blame=Blame.CALLEE) if ending.blame is Blame.CARRIER else ending


def from_failure(cause: str, side: Side, why: str = "") -> Ending:
    """An INVITE that got no final answer: ``timeout``, ``transport`` (and ``why``, where known) or ``cancelled``."""
    if cause == "cancelled":
        return Ending(EndCode.CANCELLED, "The call was cancelled before it was answered.", "caller", Blame.CALLER, 487)
    if side.is_carrier:
        what = "does not answer" if cause == "timeout" else "cannot be reached over the network"
        words = f"Carrier {side.name} {what}{': ' if why else ''}{why}."
        return Ending(EndCode.CARRIER_UNREACHABLE, words, CARRIER, Blame.CARRIER, 408 if cause == "timeout" else 503)
    words = f"{side.name}'s phone is registered but does not respond; its network may have changed."
    return Ending(EndCode.OFFLINE, words, "system", Blame.CALLEE, 408 if cause == "timeout" else 503)


_ENDED: dict[str, tuple[EndCode, str]] = {
    "timer": (EndCode.SESSION_EXPIRED, "{name} stopped refreshing the session and has vanished."),
    "silent": (EndCode.SESSION_EXPIRED, "{name} does not answer any more and has vanished."),
    "ack_timeout": (EndCode.FAILED, "{name} never confirmed the answer (no ACK)."),
    "dialog_gone": (EndCode.SESSION_EXPIRED, "{name} no longer knows this call; it may have restarted."),
    "unanswered": (EndCode.NO_ANSWER, "The call of {name} rang for too long."),
}


def from_end(cause: str, side: Side, by: str, *, reason: str | None = None, by_remote: bool = True) -> Ending:
    """A session that ended: ``bye``, ``timer``, ``silent``, ``ack_timeout``, ``dialog_gone``, ``unanswered``.

    ``by`` is this leg's role in the call, ``caller`` or ``callee``.
    """
    if cause == "bye" and by_remote:
        return Ending(EndCode.HUNG_UP, f"{side.name} hung up.", by, Blame.NONE, None, reason)
    code, words = _ENDED.get(cause, (EndCode.FAILED, "The call with {name} ended: " + cause + "."))
    blame = Blame.CARRIER if side.is_carrier else Blame.NONE
    return Ending(code, words.format(name=side.name), "system", blame, None, reason)


def cancelled_by_caller(side: Side, reason: str | None = None) -> Ending:
    words = f"{side.name} hung up before anyone answered."
    return Ending(EndCode.CANCELLED, words, "caller", Blame.CALLER, 487, reason)


def answer_for(ending: Ending, agent: str) -> SipAnswer:
    """The final status for a caller whose call ends with ``ending``. ``agent`` is our host for Warning (§20.43)."""
    status = ending.sip_status if ending.sip_status in _PASS_ON else None
    if status is None and ending.blame in {Blame.CALLER, Blame.US} and ending.sip_status and ending.sip_status >= 400:
        status = ending.sip_status if ending.sip_status in _PHRASES else None
    if ending.code is EndCode.CARRIER_REFUSED and ending.sip_status == 403:
        status = 403
    if status is None:
        status = _STATUS_FOR[ending.code]
    headers = [("Reason", reason_header(ending))]
    if ending.warning:
        headers.append(("Warning", ending.warning))
    else:
        headers.append(("Warning", f'399 {agent} "{_quotable(ending.words)}"'))
    if status == 503:
        headers.append(("Retry-After", "30"))
    return SipAnswer(status, _PHRASES.get(status, "Call Failed"), tuple(headers))


def reason_header(ending: Ending) -> str:
    """``Reason`` (RFC 3326) for a BYE, CANCEL or refusal: the far side's own where it gave one."""
    if ending.sip_reason:
        return ending.sip_reason
    if ending.code is EndCode.ANSWERED_ELSEWHERE:
        return 'SIP;cause=200;text="Call completed elsewhere"'
    cause = _Q850_FOR.get(ending.code)
    if cause is not None:
        return f'Q.850;cause={cause};text="{_quotable(ending.words)}"'
    return f'SIP;cause={_STATUS_FOR[ending.code]};text="{_quotable(ending.words)}"'


def _meaning(status: int, side: Side, reason: str | None) -> _Meaning:
    if side.is_carrier:
        cause = _q850_cause(reason)
        if cause is not None and cause in _Q850:
            return _Q850[cause]
        known = _CARRIER.get(status)
        if known:
            return known
        return EndCode.CARRIER_REFUSED, Blame.CARRIER, "Carrier {name} could not place the call: {status}."
    known = _PERSON.get(status)
    if known:
        return known
    return EndCode.FAILED, Blame.CALLEE, "{name}'s phone could not take the call: {status}."


_CAUSE = re.compile(r"^\s*Q\.850\s*;(?:.*;)?\s*cause\s*=\s*(\d{1,3})\b", re.IGNORECASE)
_QUOTED = re.compile(r'"((?:[^"\\]|\\.)*)"')


def _q850_cause(reason: str | None) -> int | None:
    match = _CAUSE.match(reason) if reason else None
    return int(match[1]) if match else None


def _quoted_text(value: str | None) -> str:
    match = _QUOTED.search(value) if value else None
    return _clean(match[1].replace("\\", "")) if match else ""


def _clean(text: str) -> str:
    """One printable line of at most 120 characters: a carrier's words end up in records and terminals."""
    return "".join(c if c.isprintable() else " " for c in text).strip().rstrip(".")[:120]


def _quotable(text: str) -> str:
    return _clean(text).replace("\\", "").replace('"', "'")
