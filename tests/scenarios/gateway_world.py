"""SENT's gateway, registrar, trunks and runner on a `Wire`, with a `FakeEngine`, on virtual time.

Phones are `WirePhone`s whose user names are their SIP user names; carriers are `WirePhone`s without a server. Only the
database is left out: credentials, numbers and trunks come from dictionaries.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

from sent.calls.ending import EndCode, Ending
from sent.calls.media_events import MediaEvents
from sent.calls.models import CallRecord
from sent.calls.party import Direction, Party, PartyKind
from sent.calls.plan import Echo, Plan, Refuse, Ring, UserTarget
from sent.calls.ports import CallRequest
from sent.calls.registry import CallRegistry
from sent.calls.tools import Tools
from sent.gateway.authentication import Authentication
from sent.gateway.flood import FloodGuard, FloodLimits
from sent.gateway.ladder_tap import LadderTap
from sent.gateway.registrar import same_contact
from sent.gateway.requests import OutsideRequests
from sent.gateway.sip_leg import Line
from sent.gateway.sip_server import SipServer, Trunks
from sent.gateway.targets import SipTargets
from sent.gateway.watched_agent import WatchedAgent
from sent.identity.models import DeviceCredential, DigestAlgorithm
from sent.registrations.bindings import Bindings
from sent.registrations.service import Registrations
from sent.sip.config import AgentConfig
from sent.sip.digest import ha1
from sent.sip.nonce import NonceBook
from sent.testing.clock import run_virtual
from sent.testing.engine import FakeEngine
from sent.testing.phone import PhoneScript, WirePhone
from sent.testing.wire import Wire
from sent.transport.port import SipPort
from sent.trunks.directory import Account, TrunkDirectory
from sent.trunks.limits import TrunkUsage
from sent.trunks.links import TrunkLinks
from sent.trunks.models import Trunk, TrunkNumber
from sent.trunks.routing import TrunkRouting
from tests.unit.trunks.trunk_factory import TRUNK

ORGANIZATION = UUID(int=1)
SERVER = ("10.0.0.1", 5060)
REALM = "sent"
EPOCH = datetime(2026, 3, 1, 9, 0, tzinfo=UTC)


class Credentials:
    def __init__(self) -> None:
        self.devices: dict[str, DeviceCredential] = {}

    async def find(self, sip_username: str) -> DeviceCredential | None:
        await asyncio.sleep(0)
        return self.devices.get(sip_username)


class Accounts:
    def __init__(self) -> None:
        self.accounts: list[Account] = []

    async def load(self) -> list[Account]:
        return list(self.accounts)


class Records:
    def __init__(self) -> None:
        self.records: dict[UUID, CallRecord] = {}

    def put(self, record: CallRecord) -> None:
        self.records[record.id] = record


class World:
    """Make it inside of the loop, or with `play`."""

    def __init__(
        self,
        *,
        seed: int = 1,
        flood: FloodLimits | None = None,
        attach: Callable[[WatchedAgent], SipPort] | None = None,
        **wire: Any,
    ) -> None:
        """``attach`` puts the gateway on another port than the wire's."""
        self.wire = Wire(seed=seed, **wire)
        self.loop = asyncio.get_running_loop()
        self.started = self.loop.time()
        self.engine = FakeEngine()
        self.media_events = MediaEvents()
        self.engine.listen(self.media_events.dispatch)
        self.credentials = Credentials()
        self.extensions: dict[str, tuple[UUID, str]] = {}
        self.accounts = Accounts()
        self.records = Records()
        self.ladder = LadderTap(wall=self.wall)
        self.agent = WatchedAgent(AgentConfig(trace=self.ladder.trace), self.wire.token)
        self.port: SipPort = attach(self.agent) if attach is not None else self.wire.attach(self.agent, *SERVER)
        self.line = Line(self.port, self.engine, self.media_events, lambda _: (SERVER[0], SERVER[0]), SERVER[0])
        self.flood = FloodGuard(flood)
        self.bindings = Bindings(same_contact)
        self.registrations = Registrations(self.bindings, None, self.port.now, self.wall)
        self.directory = TrunkDirectory(self.accounts)
        requests = OutsideRequests(self.port)
        self.links = TrunkLinks(self.directory, requests, self.port, self.port.now, lambda: 0.5)
        self.usage = TrunkUsage()
        self.routing = TrunkRouting(self.directory, self.links)
        self.targets = SipTargets(self.line, self.registrations, self.directory, self.links, self.usage)
        self.tools = Tools(
            engine=self.engine,
            media_events=self.media_events,
            targets=self.targets,
            dialplan=self,
            records=self.records,
            now=self.wall,
            node_id=UUID(int=77),
            ladder=self.ladder,
        )
        self.calls = CallRegistry(self.tools)
        authentication = Authentication(REALM, self.credentials, self, NonceBook(b"n" * 32), self.flood)
        trunks = Trunks(self.directory, self.links, self.usage)
        self.server = SipServer(self.line, authentication, self.flood, self.registrations, requests, trunks, self.calls)
        self.phones: list[WirePhone] = []
        self.server.start()

    def wall(self) -> datetime:
        return EPOCH + timedelta(seconds=self.loop.time() - self.started)

    # -- who is there -----------------------------------------------------------------------------------------------

    def phone(
        self,
        user: str,
        host: str,
        extension: str | None = None,
        *,
        password: str = "secret",
        person: int | None = None,
        script: PhoneScript | None = None,
        algorithm: DigestAlgorithm = DigestAlgorithm.MD5,
        port: int = 5060,
    ) -> WirePhone:
        """A device with credentials; ``extension`` rings its person (a number: two phones may share one)."""
        self.device(user, extension, person=person, algorithm=algorithm)
        return self.stranger(user, host, password=password, port=port, script=script)

    def device(
        self,
        user: str,
        extension: str | None = None,
        *,
        person: int | None = None,
        algorithm: DigestAlgorithm = DigestAlgorithm.MD5,
    ) -> None:
        number = len(self.credentials.devices) + 1
        user_id = UUID(int=1000 + (person or number))
        self.credentials.devices[user] = DeviceCredential(
            organization_id=ORGANIZATION,
            user_id=user_id,
            user_name=user.capitalize(),
            device_id=UUID(int=2000 + number),
            device_name=f"{user}'s phone",
            sip_username=user,
            algorithm=algorithm,
            ha1={a: ha1(user, REALM, "secret", a.value) for a in DigestAlgorithm},
            disabled=False,
        )
        if extension is not None:
            self.extensions[extension] = (user_id, user.capitalize())

    def stranger(
        self, user: str, host: str, *, password: str = "", port: int = 5060, script: PhoneScript | None = None
    ) -> WirePhone:
        """A phone that nobody gave credentials to."""
        where: dict[str, Any] = {"domain": "sent.test", "server": SERVER}
        return self._keep(WirePhone(self.wire, user, host, password=password, port=port, script=script, **where))

    def carrier(self, host: str, script: PhoneScript | None = None) -> WirePhone:
        config = AgentConfig(user_agent="Carrier", methods=frozenset({"REGISTER"}))
        return self._keep(WirePhone(self.wire, "carrier", host, script=script, config=config))

    def _keep(self, phone: WirePhone) -> WirePhone:
        self.phones.append(phone)
        return phone

    async def trunk(
        self, password: str | None = "5ecret", numbers: dict[str, str] | None = None, **changes: Any
    ) -> Trunk:
        trunk = replace(TRUNK, **changes)
        rows = tuple(
            TrunkNumber(UUID(int=500 + n), ORGANIZATION, trunk.id, number, extension)
            for n, (number, extension) in enumerate((numbers or {}).items())
        )
        self.accounts.accounts.append(Account(trunk, password, rows))
        await self.directory.refresh()
        return trunk

    # -- the dialplan that app will put together ----------------------------------------------------------------------

    async def extensions_of(self, organization_id: UUID, user_id: UUID) -> list[str]:
        return [number for number, (owner, _) in self.extensions.items() if owner == user_id]

    async def plan(self, request: CallRequest) -> Plan:
        if self.routing.is_emergency(request):
            plan = self.routing.plan_outbound(request)
            assert plan is not None
            return plan
        if request.caller.trunk_id is not None:
            routed = self.routing.route_inbound(request)
            if isinstance(routed, Plan):
                return routed
            request = routed
        inside = self._inside(request)
        return inside or self.routing.plan_outbound(request) or self._unknown(request)

    def _inside(self, request: CallRequest) -> Plan | None:
        if request.dialed == "600":
            return Plan(Direction.INTERNAL, Party(PartyKind.SERVICE, "600", "Echo test"), (Echo(),))
        found = self.extensions.get(request.dialed)
        if found is None:
            return None
        user_id, name = found
        callee = Party(PartyKind.USER, request.dialed, name, user_id)
        direction = Direction.INBOUND if request.caller.trunk_id is not None else Direction.INTERNAL
        return Plan(direction, callee, (Ring((UserTarget(callee, user_id),)),))

    def _unknown(self, request: CallRequest) -> Plan:
        ending = Ending(EndCode.NOT_FOUND, f"There is no number {request.dialed} here.", sip_status=404)
        return Plan(Direction.INTERNAL, Party(PartyKind.SERVICE, request.dialed), (Refuse(ending),))

    # -- looking ------------------------------------------------------------------------------------------------------

    @property
    def record(self) -> CallRecord:
        """The record of the only call."""
        (record,) = self.records.records.values()
        return record

    async def settle(self, seconds: float = 40.0) -> None:
        """Long enough for every SIP transaction to die and every call to write its record."""
        await asyncio.sleep(seconds)

    def check_released(self) -> None:
        """No call, session, media leg, subscription or line of a trunk is left."""
        assert len(self.calls) == 0
        assert not self.agent.sessions
        assert not self.agent.dialogs
        assert not self.agent.router._waiting
        assert not self.line.hops
        assert not self.ladder._ladders, "what is kept for a record must be read by it"
        assert len(self.media_events) == 0
        self.engine.check_released()
        assert all(self.usage.running(account.trunk.id) == 0 for account in self.accounts.accounts)

    async def close(self) -> None:
        await self.server.close()
        await self.links.stop()
        for phone in self.phones:
            await phone.close()
        await self.port.close()


def play(scenario: Any, **world: Any) -> None:
    """Run ``scenario(world)`` on virtual time; an exception that the loop would only log fails it."""

    async def main() -> None:
        unhandled: list[dict[str, Any]] = []
        asyncio.get_running_loop().set_exception_handler(lambda _, context: unhandled.append(context))
        made = World(**world)
        try:
            await scenario(made)
        finally:
            await made.close()
            for context in unhandled:
                raise AssertionError(context["message"]) from context.get("exception")

    coroutine: Coroutine[Any, Any, None] = main()
    run_virtual(coroutine)
