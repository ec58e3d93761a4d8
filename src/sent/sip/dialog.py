"""A dialog: RFC 3261 §12. Identity, sequence numbers, route set and remote target; builds the requests inside of it."""

from __future__ import annotations

from contextlib import suppress

from sent.sip.errors import RemoteProtocolError
from sent.sip.flow import Flow, Target
from sent.sip.header_values import NameAddr
from sent.sip.headers import Headers
from sent.sip.message import Request, Response
from sent.sip.uri import SipUri, Uri

DialogId = tuple[str, str, str]
"""Call-ID, our tag, their tag."""


class Dialog:
    """``peer`` is where its last message came from or went to; requests go there when no other way is known.

    ``local`` and ``remote`` are whole From or To values with their tags.
    """

    __slots__ = (
        "cached_route",
        "call_id",
        "local",
        "local_cseq",
        "local_tag",
        "peer",
        "peer_allow",
        "peer_supported",
        "remote",
        "remote_cseq",
        "remote_tag",
        "remote_target",
        "routes",
        "symmetric",
    )

    def __init__(
        self,
        *,
        call_id: str,
        local: str,
        local_tag: str,
        remote: str,
        remote_tag: str,
        remote_target: Uri,
        routes: list[NameAddr],
        local_cseq: int,
        remote_cseq: int | None,
        peer: Flow | Target,
    ) -> None:
        self.call_id = call_id
        self.local = local
        self.local_tag = local_tag
        self.remote = remote
        self.remote_tag = remote_tag
        self.remote_target = remote_target
        self.routes = routes
        self.local_cseq = local_cseq
        self.remote_cseq = remote_cseq
        self.peer = peer
        self.symmetric = False
        """Always send to `peer`: for phones, whose Contact is not reliable."""
        self.cached_route: tuple[Uri, list[Target]] | None = None
        self.peer_allow: frozenset[str] = frozenset()
        self.peer_supported: frozenset[str] = frozenset()

    @property
    def id(self) -> DialogId:
        return (self.call_id, self.local_tag, self.remote_tag)

    @classmethod
    def as_client(cls, invite: Request, response: Response, target: Target) -> Dialog:
        """§12.1.2: from a response (101-299) with a To tag. Raises `RemoteProtocolError` when it is malformed."""
        contacts = response.contacts
        dialog = cls(
            call_id=invite.call_id,
            local=invite.headers.get("From") or "",
            local_tag=invite.from_.tag or "",
            remote=response.headers.get("To") or "",
            remote_tag=response.to.tag or "",
            # A response without Contact breaks the RFC; the URI that was called is the best guess then.
            remote_target=contacts[0].uri if contacts else invite.uri,
            routes=response.record_routes[::-1],
            local_cseq=invite.cseq.number,
            remote_cseq=None,
            peer=target,
        )
        dialog.learn(response)
        return dialog

    @classmethod
    def as_server(cls, invite: Request, local_tag: str, flow: Flow) -> Dialog:
        """§12.1.1. Raises `RemoteProtocolError` when the request is malformed."""
        contacts = invite.contacts
        dialog = cls(
            call_id=invite.call_id,
            local=f"{invite.headers.get('To') or ''};tag={local_tag}",
            local_tag=local_tag,
            remote=invite.headers.get("From") or "",
            remote_tag=invite.from_.tag or "",
            remote_target=contacts[0].uri if contacts else invite.from_.uri,
            routes=invite.record_routes,
            local_cseq=0,
            remote_cseq=invite.cseq.number,
            peer=flow,
        )
        dialog.learn(invite)
        return dialog

    def learn(self, message: Request | Response) -> None:
        """What the peer says of itself: methods, extensions. Where that cannot be read, it has said nothing: a call is
        not refused for it."""
        with suppress(RemoteProtocolError):
            if message.headers.has("Allow"):
                self.peer_allow = message.allow
        with suppress(RemoteProtocolError):
            if message.headers.has("Supported"):
                self.peer_supported = message.supported

    def refresh_target(self, message: Request | Response) -> None:
        """§12.2.1.2 and §12.2.2: INVITE and UPDATE, and their 2xx, may move the remote target."""
        contacts = message.contacts
        if contacts:
            self.remote_target = contacts[0].uri
        self.learn(message)

    def take_routes(self, response: Response) -> None:
        """§13.2.2.4: the 2xx to the INVITE has the last word about the route set of an early dialog."""
        self.routes = response.record_routes[::-1]

    def next_cseq(self) -> int:
        self.local_cseq += 1
        return self.local_cseq

    def next_hop(self) -> Uri:
        return self.routes[0].uri if self.routes else self.remote_target

    def request(self, method: str, cseq: int | None = None) -> Request:
        """§12.2.1.1. Without ``cseq`` the next number is used (ACK and CANCEL have that of their INVITE)."""
        uri, routes = self.remote_target, [str(route) for route in self.routes]
        if self.routes:
            first = self.routes[0].uri
            if isinstance(first, SipUri) and not first.params.has("lr"):
                # A strict router wants to see itself in the Request-URI, and the remote target last.
                uri = first
                routes = [*routes[1:], f"<{self.remote_target}>"]
        fields = [
            ("Max-Forwards", "70"),
            ("From", self.local),
            ("To", self.remote),
            ("Call-ID", self.call_id),
            ("CSeq", f"{self.next_cseq() if cseq is None else cseq} {method}"),
        ]
        fields += [("Route", route) for route in routes]
        return Request(method, uri, Headers(fields))
