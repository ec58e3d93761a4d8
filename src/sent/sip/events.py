"""What an agent tells its application. Values; the order is the order in which things happened.

``session`` events come for the sessions that `Agent.invite` returned or `InviteReceived` brought. The last event of
every session is `Failed`, `Cancelled` or `Ended`, exactly one of them.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from sent.sip.flow import Flow
from sent.sip.header_extras import Reason
from sent.sip.message import Request, Response
from sent.sip.uri import SipUri

if TYPE_CHECKING:
    from sent.sip.session import Session

TransactionId = tuple[str, ...]
"""Opaque: names the server transaction that `Agent.respond` answers."""
RequestId = int
"""Opaque: what `Agent.request` returned."""


@dataclass(frozen=True, slots=True)
class RequestReceived:
    """Outside of any session: REGISTER, OPTIONS, MESSAGE … Must be answered with `Agent.respond`."""

    tx: TransactionId
    request: Request
    flow: Flow


@dataclass(frozen=True, slots=True)
class InviteReceived:
    """``offer`` is None when the caller leaves the offer to us (it then comes in our 2xx, their answer in the ACK)."""

    session: Session
    tx: TransactionId
    request: Request
    flow: Flow
    offer: bytes | None


@dataclass(frozen=True, slots=True)
class Progress:
    """A provisional response above 100. ``offer_pending``: ``sdp`` is an offer, `Session.answer_offer` must follow."""

    session: Session
    status: int
    reason: str
    sdp: bytes | None
    response: Response
    offer_pending: bool = False


@dataclass(frozen=True, slots=True)
class Accepted:
    """The first 2xx. ``offer_pending``: ``sdp`` is an offer, and `Session.answer_offer` must follow (it sends the ACK).

    ``sdp`` None: the answer came earlier, in a reliable provisional response.
    """

    session: Session
    sdp: bytes | None
    response: Response
    offer_pending: bool = False


@dataclass(frozen=True, slots=True)
class Failed:
    """An outgoing call that was never answered. ``status`` is 408, 503 or 487 where no response is the cause."""

    session: Session
    status: int
    reason: str
    response: Response | None
    cause: Literal["response", "timeout", "transport", "cancelled"]


@dataclass(frozen=True, slots=True)
class Confirmed:
    """The ACK for our 2xx. ``sdp`` is the answer when the 2xx had our offer."""

    session: Session
    sdp: bytes | None


@dataclass(frozen=True, slots=True)
class Offered:
    """A re-INVITE, UPDATE or PRACK with an offer; ``sdp`` None asks for ours.

    `Session.answer_offer` or `Session.refuse_offer` must follow.
    """

    session: Session
    sdp: bytes | None
    method: str


@dataclass(frozen=True, slots=True)
class OfferWithdrawn:
    """The peer cancelled its re-INVITE before we answered it."""

    session: Session


@dataclass(frozen=True, slots=True)
class OfferAnswered:
    session: Session
    sdp: bytes


@dataclass(frozen=True, slots=True)
class OfferRefused:
    """Our offer was refused; the session stays as it was. 408 where no response came."""

    session: Session
    status: int


@dataclass(frozen=True, slots=True)
class Cancelled:
    """The caller gave up before our final response; CANCEL and INVITE are answered already."""

    session: Session
    reason: Reason | None


EndCause = Literal["bye", "timer", "ack_timeout", "dialog_gone", "silent", "rejected", "unanswered"]


@dataclass(frozen=True, slots=True)
class Ended:
    """``dialog_gone``: the peer answered 481; ``silent``: it did not answer a re-INVITE or UPDATE at all.
    ``rejected``: we refused an incoming call. ``unanswered``: nobody answered it within `AgentConfig.ring_limit`.

    ``dialog_gone``: the peer answered 481 or 408, or not at all, to a request inside the dialog.
    """

    session: Session
    cause: EndCause
    reason: Reason | None
    by_remote: bool


@dataclass(frozen=True, slots=True)
class InfoReceived:
    session: Session
    content_type: str
    body: bytes


@dataclass(frozen=True, slots=True)
class ResponseReceived:
    """To `Agent.request`: each provisional one above 100, then one final one (the last event of that request)."""

    request_id: RequestId
    response: Response


@dataclass(frozen=True, slots=True)
class RequestFailed:
    """No target answered."""

    request_id: RequestId
    cause: Literal["timeout", "transport"]


@dataclass(frozen=True, slots=True)
class TargetsNeeded:
    """For the shell, which answers with `Agent.targets_found` and never shows it to the application.

    A request inside a dialog goes to a name (RFC 3263), or to another transport than the dialog came by.
    """

    key: int
    uri: SipUri


SessionEvent = (
    InviteReceived
    | Progress
    | Accepted
    | Failed
    | Confirmed
    | Offered
    | OfferWithdrawn
    | OfferAnswered
    | OfferRefused
    | Cancelled
    | Ended
    | InfoReceived
)
Event = RequestReceived | SessionEvent | ResponseReceived | RequestFailed | TargetsNeeded
