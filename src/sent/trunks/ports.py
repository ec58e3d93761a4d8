"""What trunks need from the SIP side; `gateway` implements it, so that nothing here touches the agent or a socket."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from sent.kit.errors import Unavailable
from sent.sip.authorization import Login
from sent.sip.flow import Target
from sent.sip.message import Request, Response
from sent.sip.uri import SipUri


class NoAnswer(Unavailable):
    """No target answered, or none could be reached. The message is a sentence for people."""

    def __init__(self, message: str) -> None:
        super().__init__("trunk.no_answer", message)


class SipRequests(Protocol):
    async def send(self, request: Request, targets: Sequence[Target], login: Login | None) -> Response:
        """The final response, digest answered. Raises `NoAnswer`, in any case within a minute."""

    def contact_for(self, target: Target, user: str) -> str:
        """A whole Contact value under which ``target`` can reach us."""

    def new_token(self) -> str: ...


class TargetResolver(Protocol):
    async def resolve(self, uri: SipUri) -> list[Target]:
        """RFC 3263: where to send for ``uri``, best first. Raises `SentError` in words when there is nothing."""
