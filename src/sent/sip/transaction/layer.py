"""Which transaction a message belongs to (RFC 3261 §17.1.3 and §17.2.3), and the tables of them all."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from typing import Protocol

from sent.sip.config import AgentConfig, Trace
from sent.sip.flow import Flow, Send, Target
from sent.sip.header_values import Via
from sent.sip.message import Message, Request, Response
from sent.sip.timers import Timers
from sent.sip.transaction.client import ClientTransaction, ClientUser
from sent.sip.transaction.machine import State
from sent.sip.transaction.server import ServerKey, ServerTransaction

MAGIC_COOKIE = "z9hG4bK"
UDP_LIMIT = 1300
"""Octets of a request that surely fit into one packet (RFC 3261 §18.1.1)."""


class TransactionUser(Protocol):
    def on_request(self, transaction: ServerTransaction, now: float) -> None:
        """A new request, once. Must be answered through the transaction."""

    def on_overload(self, request: Request, flow: Flow, now: float) -> None:
        """A new request for which there is no room. Nothing is kept of it."""

    def on_ack(self, ack: Request, flow: Flow, now: float) -> None:
        """An ACK that belongs to no INVITE that was refused: one for a 2xx."""


class Transactions:
    """The transaction layer. Every request sent or received is one entry in a table until its last timer is over."""

    def __init__(
        self, config: AgentConfig, new_token: Callable[[], str], user: TransactionUser, counters: Counter[str]
    ) -> None:
        self.config = config
        self.user = user
        self.counters = counters
        self.timers = Timers()
        self.output: list[Send] = []
        self.failed: list[Target] = []
        """Targets that gave no answer, or 503, since the shell asked."""
        self.clients: dict[tuple[str, str], ClientTransaction] = {}
        self.servers: dict[ServerKey, ServerTransaction] = {}
        self._new_token = new_token
        self._by_remote: dict[tuple[str, str, int], set[ClientTransaction]] = {}
        self._merge: dict[tuple[str, ...], ServerTransaction] = {}

    def __len__(self) -> int:
        return len(self.clients) + len(self.servers)

    # ---- sending

    def transmit(self, target: Target, message: Message, data: bytes, now: float) -> None:
        """Over the transport of ``target``, however long it is: RFC 3261 §18.1.1 would switch a request above 1300
        octets to TCP, which phones behind NAT and carriers on UDP do not have (ADR 13). It is counted."""
        if target.transport == "UDP" and len(data) > UDP_LIMIT and isinstance(message, Request):
            self.counters["udp_oversized"] += 1
        self.output.append(Send(target, data))
        if self.config.trace is not None:
            self.config.trace(Trace("out", target, message, now))

    def via_for(self, target: Target, branch: str) -> str:
        host, port = self.config.advertise(target)
        sent_by = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
        # RFC 3581 §3: rport asks the server to answer where the request came from.
        return f"SIP/2.0/{target.transport} {sent_by};rport;branch={branch}"

    def new_branch(self) -> str:
        return MAGIC_COOKIE + self._new_token()

    def start_client(self, request: Request, target: Target, user: ClientUser, now: float) -> ClientTransaction:
        """Send ``request`` (which has no Via of ours yet) in a transaction of its own."""
        branch = self.new_branch()
        request.headers.prepend("Via", self.via_for(target, branch))
        key = (branch, request.method)
        transaction = ClientTransaction(self, key, request, target, user)
        self.clients[key] = transaction
        self._by_remote.setdefault(_remote(target), set()).add(transaction)
        transaction.start(now)
        return transaction

    def start_cancel(self, invite: ClientTransaction, cancel: Request, user: ClientUser, now: float) -> None:
        """RFC 3261 §9.1: the CANCEL has the branch of the INVITE, so it is only sent once for it."""
        cancel.headers.prepend("Via", invite.request.headers.get("Via") or "")
        key = (invite.key[0], "CANCEL")
        transaction = ClientTransaction(self, key, cancel, invite.target, user)
        self.clients[key] = transaction
        self._by_remote.setdefault(_remote(invite.target), set()).add(transaction)
        transaction.start(now)

    # ---- receiving

    def receive_response(self, response: Response, now: float) -> bool:
        """False when it belongs to nothing here."""
        branch = response.top_via.branch or ""
        method = response.cseq.method
        transaction = self.clients.get((branch, method))
        if transaction is None:
            self.counters["responses_unmatched"] += 1
            return False
        transaction.receive(response, now)
        return True

    def receive_request(self, request: Request, flow: Flow, now: float) -> None:
        """``request`` is validated and its top Via completed (RFC 3261 §18.2.1, RFC 3581 §4)."""
        key = server_key(request)
        known = self.servers.get(key)
        if request.method == "ACK":
            if known is not None and not _is_ack_for_success(known):
                known.ack(now)
            else:
                self.user.on_ack(request, flow, now)
            return
        if known is not None:
            self.counters["requests_retransmitted"] += 1
            known.retransmission(now)
            return
        if len(self) >= self.config.max_transactions and request.to.tag is None:
            self.user.on_overload(request, flow, now)
            return
        transaction = ServerTransaction(self, key, request, flow, response_target(request.top_via, flow))
        self.servers[key] = transaction
        transaction.start(now)

    def is_merged(self, transaction: ServerTransaction) -> bool:
        """RFC 3261 §8.2.2.2: the same request arrived over another path. Call once for a request without a To tag."""
        request = transaction.request
        cseq = request.cseq
        key = (request.from_.tag or "", request.call_id, str(cseq.number), cseq.method)
        if self._merge.setdefault(key, transaction) is not transaction:
            return True
        transaction.merge_key = key
        return False

    def invite_for_cancel(self, cancel: Request) -> ServerTransaction | None:
        return self.servers.get((*server_key(cancel)[:-1], "INVITE"))

    # ---- errors from below, ends

    def transport_failed(
        self, transport: str, remote: tuple[str, int], flow: Flow | None, now: float, server_name: str | None = None
    ) -> None:
        """What was sent to ``remote`` (over ``flow``, or over none in particular) did not get there. ``server_name``:
        only where the certificate had to be for that name."""
        for transaction in list(self._by_remote.get((transport, *remote), ())):
            own = transaction.target.flow
            if server_name is not None and transaction.target.server_name != server_name:
                continue
            if flow is None or own is None or own == flow:
                transaction.transport_failed(now)

    def client_ended(self, transaction: ClientTransaction) -> None:
        self.clients.pop(transaction.key, None)
        remote = _remote(transaction.target)
        peers = self._by_remote.get(remote)
        if peers is not None:
            peers.discard(transaction)
            if not peers:
                del self._by_remote[remote]

    def server_ended(self, transaction: ServerTransaction) -> None:
        self.servers.pop(transaction.key, None)
        if transaction.merge_key is not None:
            self._merge.pop(transaction.merge_key, None)


def _remote(target: Target) -> tuple[str, str, int]:
    return (target.transport, target.address, target.port)


def _is_ack_for_success(transaction: ServerTransaction) -> bool:
    # A client that uses the INVITE's branch for the ACK of a 2xx (RFC 2543 did) must still reach its dialog.
    return transaction.machine.state is State.ACCEPTED


def server_key(request: Request) -> ServerKey:
    """The last element is the method, INVITE for ACK."""
    via = request.top_via
    method = "INVITE" if request.method == "ACK" else request.method
    branch = via.branch or ""
    if branch.startswith(MAGIC_COOKIE):
        return (branch, via.host.lower(), str(via.port or ""), method)
    # RFC 3261 §17.2.3 for clients of RFC 2543, whose branch means nothing. The To tag is left out, because the ACK has
    # the one that we made and the INVITE has none.
    cseq = request.cseq
    return (
        str(request.uri),
        request.from_.tag or "",
        request.call_id,
        str(cseq.number),
        via.host.lower(),
        str(via.port or ""),
        branch,
        method,
    )


def response_target(via: Via, flow: Flow) -> Target:
    """RFC 3261 §18.2.2 and RFC 3581 §4, with the completed top Via of a request.

    ``maddr`` is not obeyed: it would let anybody aim our answers at a third party.
    """
    if flow.transport != "UDP":
        return Target(flow.transport, flow.remote[0], flow.remote[1], flow.local, flow=flow)
    port = flow.remote[1] if via.wants_rport else via.port or 5060
    return Target("UDP", flow.remote[0], port, flow.local, flow=flow)
