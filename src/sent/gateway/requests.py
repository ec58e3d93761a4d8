"""Our own requests outside of calls (REGISTER, OPTIONS) as awaitables: `trunks.ports.SipRequests`."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from sent.sip.authorization import Login
from sent.sip.events import RequestFailed, RequestId, ResponseReceived
from sent.sip.flow import Target
from sent.sip.message import Request, Response
from sent.transport.port import SipPort
from sent.trunks.ports import NoAnswer

GIVE_UP_S = 60.0
_WORDS = {"timeout": "did not answer", "transport": "could not be reached over the network"}


class OutsideRequests:
    def __init__(self, port: SipPort) -> None:
        self._port = port
        self._waiting: dict[RequestId, asyncio.Future[Response]] = {}

    async def send(self, request: Request, targets: Sequence[Target], login: Login | None) -> Response:
        """Raises `NoAnswer`."""
        peer = ", ".join(f"{t.transport} {t.address}:{t.port}" for t in targets[:3])
        future: asyncio.Future[Response] = asyncio.get_running_loop().create_future()
        request_id = self._port.agent.request(request, targets, self._port.now(), login)
        self._waiting[request_id] = future
        self._port.touch()
        try:
            async with asyncio.timeout(GIVE_UP_S):
                return await future
        except TimeoutError as error:
            raise NoAnswer(f"{peer} did not answer.") from error
        except _Failed as failed:
            why = next(filter(None, map(self._port.why_failed, targets)), "") if failed.cause == "transport" else ""
            raise NoAnswer(f"{peer} {_WORDS[failed.cause]}{': ' if why else ''}{why}.") from failed
        finally:
            self._waiting.pop(request_id, None)

    def contact_for(self, target: Target, user: str) -> str:
        return self._port.agent.contact_for(target, user)

    def new_token(self) -> str:
        return self._port.agent.new_token()

    def listen(self) -> None:
        """For a port that serves nothing else (a command that tries a trunk)."""
        self._port.listen(
            lambda event: self.handle(event) if isinstance(event, ResponseReceived | RequestFailed) else None
        )

    def handle(self, event: ResponseReceived | RequestFailed) -> None:
        """What the agent reports about one of our requests; answers to requests nobody waits for are dropped."""
        future = self._waiting.get(event.request_id)
        if future is None or future.done():
            return
        match event:
            case ResponseReceived(response=response):
                if response.status >= 200:
                    future.set_result(response)
            case RequestFailed(cause=cause):
                future.set_exception(_Failed(cause))


class _Failed(Exception):
    def __init__(self, cause: str) -> None:
        super().__init__(cause)
        self.cause = cause
