"""What happens to a new request before anybody works on it: RFC 3261 §8.2, §9.2, §12.2.2, §18.2.1."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sent.sip.bodies import SDP, sdp_of
from sent.sip.config import EXTENSIONS, REGISTER_EXTENSIONS
from sent.sip.dialog import Dialog
from sent.sip.errors import RemoteProtocolError
from sent.sip.events import InviteReceived, RequestReceived
from sent.sip.flow import Flow
from sent.sip.header_values import Via, parse_via
from sent.sip.headers import Headers
from sent.sip.message import Request
from sent.sip.refusal import Abilities, refuse
from sent.sip.session_state import SessionState
from sent.sip.session_timer import IntervalTooSmall, agree_as_server
from sent.sip.session_uas import IncomingInvite
from sent.sip.transaction.layer import response_target
from sent.sip.transaction.server import ServerTransaction

if TYPE_CHECKING:
    from sent.sip.agent import Agent

_ONLY_IN_DIALOG = frozenset({"BYE", "PRACK", "UPDATE", "INFO"})
_SUBSCRIPTIONS = frozenset({"SUBSCRIBE", "NOTIFY", "REFER"})
_WITH_OFFER = frozenset({"INVITE", "UPDATE", "PRACK"})
_SDP_TYPES = (SDP, "multipart/mixed")


def complete_via(headers: Headers, flow: Flow) -> Via:
    """Write into the top Via where the request came from: RFC 3261 §18.2.1, RFC 3581 §4.

    Raises `RemoteProtocolError` where it cannot be read.
    """
    vias = headers.get_all("Via")
    if not vias:
        raise RemoteProtocolError("no Via header field")
    top = parse_via(vias[0])
    params = top.params
    if top.host != flow.remote[0] or top.wants_rport or params.has("received"):
        params = params.with_("received", flow.remote[0])
    if top.wants_rport:
        params = params.with_("rport", str(flow.remote[1]))
    if params is top.params:
        return top
    completed = Via(top.transport, top.host, top.port, params)
    headers.set("Via", str(completed))
    for via in vias[1:]:
        headers.add("Via", via)
    return completed


class Intake:
    """The user of the transaction layer's server side."""

    __slots__ = ("_abilities", "_agent")

    def __init__(self, agent: Agent) -> None:
        self._agent = agent
        self._abilities = Abilities(agent.methods, EXTENSIONS, _SDP_TYPES)

    # ---- TransactionUser

    def on_request(self, transaction: ServerTransaction, now: float) -> None:
        request = transaction.request
        try:
            transaction.to_tag = request.to.tag or self._agent.new_token()
            self._dispatch(transaction, request, now)
        except RemoteProtocolError as error:
            self._agent.counters["malformed"] += 1
            if not transaction.final_sent:
                self._agent.reply(transaction, error.status, now, reason=error.reason)

    def on_overload(self, request: Request, flow: Flow, now: float) -> None:
        agent = self._agent
        agent.counters["overload"] += 1
        response = request.reply(503, None, agent.new_token())
        response.headers.add("Retry-After", str(agent.config.retry_after))
        agent.reply_statelessly(response, response_target(request.top_via, flow), now)

    def on_ack(self, ack: Request, flow: Flow, now: float) -> None:
        known = self._agent.dialogs.get((ack.call_id, ack.to.tag or "", ack.from_.tag or ""))
        if known is None:
            self._agent.counters["acks_unmatched"] += 1
            return
        known[0].receive_ack(ack, now)

    # ---- requests

    def _dispatch(self, tx: ServerTransaction, request: Request, now: float) -> None:
        agent = self._agent
        method = request.method
        if method == "CANCEL":
            self._cancel(tx, now)
            return
        tag = request.to.tag
        if tag is None and agent.layer.is_merged(tx):
            agent.reply(tx, 482, now)
            return
        abilities = self._abilities
        if method not in _WITH_OFFER:  # the application knows what bodies it takes
            extensions = (*EXTENSIONS, *REGISTER_EXTENSIONS) if method == "REGISTER" else EXTENSIONS
            abilities = Abilities(abilities.methods, extensions, (request.content_type or "",))
        refusal = refuse(request, abilities)
        if refusal is not None:
            agent.counters["refused"] += 1
            agent.reply(tx, refusal.status, now, reason=refusal.reason, headers=refusal.headers)
            return
        if tag is not None:
            self._inside(tx, request, tag, now)
        elif method == "INVITE":
            self._invite(tx, request, now)
        elif method in _ONLY_IN_DIALOG:
            agent.reply(tx, 481, now)
        else:
            agent.emit(RequestReceived(tx.key, request, tx.flow))

    def _inside(self, tx: ServerTransaction, request: Request, tag: str, now: float) -> None:
        known = self._agent.dialogs.get((request.call_id, tag, request.from_.tag or ""))
        if known is not None:
            known[0].receive_request(tx, known[1], now)
        elif request.method in _SUBSCRIPTIONS:  # dialogs that the application keeps
            self._agent.emit(RequestReceived(tx.key, request, tx.flow))
        else:
            self._agent.counters["dialogs_unknown"] += 1
            self._agent.reply(tx, 481, now)

    def _cancel(self, tx: ServerTransaction, now: float) -> None:
        invite = self._agent.layer.invite_for_cancel(tx.request)
        if invite is None:
            self._agent.reply(tx, 481, now)
            return
        tx.to_tag = invite.to_tag  # §9.2: the same tag as in the answer to the INVITE
        self._agent.reply(tx, 200, now)
        if invite.on_cancel is not None:
            invite.on_cancel(tx.request, now)

    def _invite(self, tx: ServerTransaction, request: Request, now: float) -> None:
        agent = self._agent
        if request.max_forwards == 0:
            agent.reply(tx, 483, now)
            return
        if len(agent.sessions) >= agent.config.max_sessions:
            agent.counters["overload"] += 1
            agent.reply(tx, 503, now, headers=(("Retry-After", str(agent.config.retry_after)),))
            return
        config = agent.config
        try:
            terms = agree_as_server(request, config.session_expires, config.min_session_expires)
        except IntervalTooSmall:
            agent.reply(tx, 422, now, headers=(("Min-SE", str(config.min_session_expires)),))
            return
        assert tx.to_tag is not None
        dialog = Dialog.as_server(request, tx.to_tag, tx.flow)
        offer = sdp_of(request)
        session = agent.new_session(request.call_id, SessionState.INCOMING, None)
        session.dialog = dialog
        session.remote_sdp = offer
        session.contact_user = getattr(request.uri, "user", None)
        agent.know(dialog, session)
        session.uas = IncomingInvite(session, tx, terms, offer, now)
        tx.on_cancel = session.uas.receive_cancel
        agent.emit(InviteReceived(session, tx.key, request, tx.flow, offer))
