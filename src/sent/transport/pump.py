"""The loop's side of an agent: after every input send, deliver, close, and arm one timer."""

from __future__ import annotations

import asyncio
from abc import ABC, abstractmethod
from collections.abc import Callable

from sent.kit.errors import SentError
from sent.sip.agent import Agent
from sent.sip.events import Event, TargetsNeeded
from sent.sip.flow import Flow, Send, Target
from sent.sip.uri import SipUri

MAX_LOOKUPS = 256


class AgentPump(ABC):
    """Base of `SipTransport` and of the ends of a `Wire`; implements most of `SipPort`."""

    def __init__(self, agent: Agent) -> None:
        self._agent = agent
        self.drop: Callable[[Flow], bool] | None = None
        self.loop = asyncio.get_running_loop()
        self._sink: Callable[[Event], None] | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._timer_at = 0.0
        self._pumping = False
        self._again = False
        self._lookups: set[asyncio.Task[None]] = set()
        self._closed = False

    @property
    def agent(self) -> Agent:
        return self._agent

    def listen(self, sink: Callable[[Event], None]) -> None:
        self._sink = sink
        self.touch()

    def now(self) -> float:
        return self.loop.time()

    @abstractmethod
    def transmit(self, send: Send) -> None:
        """Send or queue. May call `Agent.send_failed`, must not call `touch`."""

    @abstractmethod
    def close_flow(self, flow: Flow) -> None: ...

    @abstractmethod
    def mark_failed(self, target: Target) -> None: ...

    def why_failed(self, target: Target) -> str:
        return ""

    @abstractmethod
    async def resolve(self, uri: SipUri) -> list[Target]: ...

    def touch(self) -> None:
        if self._closed:
            return
        if self._pumping:
            self._again = True
            return
        self._pumping = True
        try:
            self._again = True
            while self._again:
                self._again = False
                self._turn()
        finally:
            self._pumping = False
        self._arm()

    def _turn(self) -> None:
        agent = self._agent
        for send in agent.to_send(self.now()):
            self.transmit(send)
        for target in agent.failed_targets():
            self.mark_failed(target)
        for flow in agent.to_close():
            self.close_flow(flow)
        while self._sink is not None and (event := agent.next_event()) is not None:
            self._again = True
            if isinstance(event, TargetsNeeded):
                self._look_up(event)
                continue
            try:
                self._sink(event)
            except Exception as error:  # noqa: BLE001 - one call's bug must not take the other calls' signalling down
                self.loop.call_exception_handler(
                    {"message": f"{type(event).__name__} could not be handled", "exception": error}
                )

    def _arm(self) -> None:
        at = self._agent.next_timer()
        if self._timer is not None:
            if self._timer_at == at:
                return
            self._timer.cancel()
            self._timer = None
        if at is not None:
            # Kept beside the handle, whose own `when` uvloop leaves out for a time that has passed.
            self._timer, self._timer_at = self.loop.call_at(at, self._on_timer), at

    def _on_timer(self) -> None:
        timer, self._timer = self._timer, None
        if timer is not None and not self._closed:
            # The loop calls early by up to its clock's resolution; taken at its word, nothing would be due yet.
            self._agent.handle_timer(max(self.now(), self._timer_at))
            self.touch()

    def _look_up(self, event: TargetsNeeded) -> None:
        if len(self._lookups) >= MAX_LOOKUPS:
            self._agent.targets_found(event.key, [], self.now())
            return
        task = self.loop.create_task(self._find_targets(event))
        self._lookups.add(task)
        task.add_done_callback(self._lookups.discard)

    async def _find_targets(self, event: TargetsNeeded) -> None:
        try:
            targets = await self.resolve(event.uri)
        except SentError:
            self._agent.counters["lookups_failed"] += 1
            targets = []
        self._agent.targets_found(event.key, targets, self.now())
        self.touch()

    async def close(self) -> None:
        if self._closed:
            return
        self._closed = True
        if self._timer is not None:
            self._timer.cancel()
        for task in list(self._lookups):
            task.cancel()
        await asyncio.gather(*self._lookups, return_exceptions=True)
