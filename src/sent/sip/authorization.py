"""Answering digest challenges to our requests: RFC 3261 §22.2 and §22.3, RFC 7616."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from sent.sip.digest import Challenge, choose_challenge, make_response
from sent.sip.errors import RemoteProtocolError
from sent.sip.message import Request, Response

_FIELDS = {401: ("WWW-Authenticate", "Authorization"), 407: ("Proxy-Authenticate", "Proxy-Authorization")}
_MAX_ROUNDS = 4


@dataclass(frozen=True, slots=True)
class Login:
    """What we answer challenges with, whatever realm they name."""

    username: str
    password: str = field(repr=False)


class Authorizer:
    """For one request: each realm is answered once, and again when it says that only the nonce was stale."""

    __slots__ = ("_answered", "_login", "_new_token", "_rounds")

    def __init__(self, login: Login, new_token: Callable[[], str]) -> None:
        self._login = login
        self._new_token = new_token
        self._answered: dict[tuple[str, str], Challenge] = {}
        self._rounds = 0

    def answer(self, request: Request, response: Response) -> list[tuple[str, str]]:
        """The header fields for the next attempt; empty when there is none: the credentials are wrong, or the
        challenge is one that we cannot do."""
        challenge_field, answer_field = _FIELDS[response.status]
        try:
            challenge = choose_challenge(response.headers.get_all(challenge_field))
        except RemoteProtocolError:
            return []
        if challenge is None or self._rounds >= _MAX_ROUNDS:
            return []
        key = (answer_field, challenge.realm)
        if key in self._answered and not challenge.stale:
            return []
        self._rounds += 1
        self._answered[key] = challenge
        return [(name, self._credentials(request, known)) for (name, _), known in self._answered.items()]

    def _credentials(self, request: Request, challenge: Challenge) -> str:
        return str(
            make_response(
                challenge,
                method=request.method,
                uri=request.uri,
                username=self._login.username,
                password=self._login.password,
                cnonce=self._new_token(),
                body=request.body,
            )
        )
