"""Keeps each trunk connected to its carrier: registers those that log in, pings those that are known by address.

One task per enabled trunk; a trunk that changes or disappears gets its task replaced or ended. What the tasks know is
in `LinkStatus`; deciding when and what is in `registration` and `health`.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Sequence
from dataclasses import dataclass, field
from uuid import UUID

import structlog

from sent.kit.errors import SentError
from sent.sip.flow import Flow, Target
from sent.sip.message import Request
from sent.sip.uri import SipUri
from sent.trunks import requests
from sent.trunks.directory import Account, TrunkDirectory
from sent.trunks.health import HealthState, Sign, TrunkHealth, observe, sign_of
from sent.trunks.models import TrunkMode
from sent.trunks.ports import NoAnswer, SipRequests, TargetResolver
from sent.trunks.registration import RegistrationState, refused, succeeded, unreachable

log = structlog.get_logger("sent.trunks")

_UNREGISTER_S = 2.0
_AFTER_FAULT_S = 30.0


@dataclass(slots=True)
class LinkStatus:
    """``contact_user`` is the secret name that the carrier calls us by; ``addresses`` (with ports) what its
    name resolved to."""

    contact_user: str
    registration: RegistrationState = field(default_factory=RegistrationState)
    health: HealthState = field(default_factory=HealthState)
    addresses: frozenset[tuple[str, int]] = frozenset()


_Keep = Callable[[Account, LinkStatus], Coroutine[None, None, None]]


@dataclass(slots=True)
class _Link:
    account: Account
    status: LinkStatus
    task: asyncio.Task[None]


class TrunkLinks:
    """``chance`` gives a number in [0, 1) for jitter. Call `start` on the running event loop."""

    def __init__(
        self,
        directory: TrunkDirectory,
        sip: SipRequests,
        resolver: TargetResolver,
        clock: Callable[[], float],
        chance: Callable[[], float],
    ) -> None:
        self._directory = directory
        self._sip = sip
        self._resolver = resolver
        self._clock = clock
        self._chance = chance
        self._links: dict[UUID, _Link] = {}

    def start(self) -> None:
        """Connect all trunks, now and whenever they change."""
        self._directory.listen(self._follow)
        self._follow()

    async def stop(self) -> None:
        """End all tasks; tell the registrars that we are gone, as far as that goes quickly."""
        links, self._links = list(self._links.values()), {}
        for link in links:
            link.task.cancel()
        await asyncio.gather(*(link.task for link in links), return_exceptions=True)
        await asyncio.gather(*(self._unregister(link) for link in links))

    def status(self, trunk_id: UUID) -> LinkStatus | None:
        link = self._links.get(trunk_id)
        return link.status if link is not None else None

    def up(self, trunk_id: UUID) -> bool:
        """The carrier answers, and where we register, it has us registered now."""
        link = self._links.get(trunk_id)
        if link is None or link.status.health.health is TrunkHealth.DOWN:
            return False
        registers = link.account.trunk.mode is TrunkMode.REGISTER
        return not registers or link.status.registration.is_registered(self._clock())

    def usable(self, trunk_id: UUID) -> bool:
        """False for a trunk that is known to be down: others are tried first."""
        link = self._links.get(trunk_id)
        return link is None or link.status.health.health is not TrunkHealth.DOWN

    def called_by_contact(self, request: Request) -> Account | None:
        """The trunk whose carrier calls the Contact that only it was told."""
        user = request.uri.user if isinstance(request.uri, SipUri) else None
        if user is None:
            return None
        return next((link.account for link in self._links.values() if user == link.status.contact_user), None)

    def at_address(self, flow: Flow) -> list[Account]:
        """The trunks whose carrier may be the sender: its address was configured, or is one that the carrier's own name
        resolves to (with its port). A phone may share the address: the caller of this rules that out."""
        resolved = [link.account for link in self._links.values() if flow.remote in link.status.addresses]
        known = {account.trunk.id for account in resolved}
        return resolved + [a for a in self._directory.calling_from(flow.remote[0]) if a.trunk.id not in known]

    def called(self, trunk_id: UUID, sign: Sign, words: str) -> None:
        """A call through this trunk says something about its health, too."""
        link = self._links.get(trunk_id)
        if link is not None:
            self._observe(link.status, sign, words)

    def _follow(self) -> None:
        wanted = {a.trunk.id: a for a in self._directory.accounts() if a.trunk.enabled}
        for trunk_id, link in list(self._links.items()):
            if wanted.get(trunk_id) != link.account:
                link.task.cancel()
                del self._links[trunk_id]
        for trunk_id, account in wanted.items():
            if trunk_id not in self._links:
                status = LinkStatus(contact_user=self._sip.new_token())
                keep = self._keep_registered if account.trunk.mode is TrunkMode.REGISTER else self._keep_pinged
                task = asyncio.get_running_loop().create_task(self._keep_on(keep, account, status))
                self._links[trunk_id] = _Link(account, status, task)

    async def _keep_on(self, keep: _Keep, account: Account, status: LinkStatus) -> None:
        """A fault of ours in one round must not be the end of a trunk: it is said in its status, and tried again."""
        while True:
            try:
                await keep(account, status)
            except Exception:
                log.exception("trunks.link_failed", trunk=str(account.trunk.id))
                words = "An internal error occurred; the log has it. It is tried again."
                status.registration = unreachable(status.registration, words, self._clock(), self._chance())
                self._observe(status, Sign.FAILED, words)
                await asyncio.sleep(_AFTER_FAULT_S)

    async def _keep_registered(self, account: Account, status: LinkStatus) -> None:
        call_id, cseq = self._sip.new_token(), 1
        while True:
            await self._sleep_until(status.registration.next_at)
            before = status.registration
            try:
                targets = await self._targets(account, status)
                contact = self._sip.contact_for(targets[0], status.contact_user)
                request = requests.register_request(account.trunk, call_id, cseq, contact, before.ask)
                response = await self._sip.send(request, targets, requests.login_of(account))
            except SentError as error:
                status.registration = unreachable(before, error.message, self._clock(), self._chance())
                self._observe(status, Sign.FAILED, error.message)
            else:
                cseq = max(cseq, response.cseq.number)
                now, chance = self._clock(), self._chance()
                if 200 <= response.status < 300:
                    granted = requests.granted_seconds(response, status.contact_user)
                    status.registration = succeeded(before, granted, now, chance)
                else:
                    status.registration = refused(
                        before,
                        response.status,
                        response.reason,
                        now,
                        chance,
                        retry_after=requests.retry_after(response),
                        min_expires=requests.min_expires(response),
                    )
                self._observe(status, sign_of(response.status), f"{response.status} {response.reason[:80]}")
            cseq += 1
            if before.phase is not status.registration.phase:
                log.info("trunks.registration", trunk=str(account.trunk.id), phase=status.registration.phase.value)

    async def _keep_pinged(self, account: Account, status: LinkStatus) -> None:
        while True:
            await self._sleep_until(status.health.next_ping)
            try:
                targets = await self._targets(account, status)
                response = await self._sip.send(requests.options_request(account.trunk), targets, None)
            except SentError as error:
                self._observe(status, Sign.FAILED, error.message)
            else:
                self._observe(status, sign_of(response.status), f"{response.status} {response.reason[:80]}")

    async def _targets(self, account: Account, status: LinkStatus) -> Sequence[Target]:
        targets = await self._resolver.resolve(requests.next_hop(account.trunk))
        if not targets:
            raise NoAnswer(f"{account.trunk.domain} has no address.")
        status.addresses = frozenset(target.remote for target in targets)
        return targets

    async def _unregister(self, link: _Link) -> None:
        if not link.status.registration.is_registered(self._clock()):
            return
        try:
            async with asyncio.timeout(_UNREGISTER_S):
                targets = await self._resolver.resolve(requests.next_hop(link.account.trunk))
                contact = self._sip.contact_for(targets[0], link.status.contact_user)
                request = requests.register_request(link.account.trunk, self._sip.new_token(), 1, contact, 0)
                await self._sip.send(request, targets, requests.login_of(link.account))
        except (SentError, TimeoutError) as error:
            log.info("trunks.not_unregistered", trunk=str(link.account.trunk.id), why=type(error).__name__)

    def _observe(self, status: LinkStatus, sign: Sign, words: str) -> None:
        before = status.health
        status.health = observe(before, sign, words, self._clock())
        if before.health is not status.health.health:
            log.info("trunks.health", health=status.health.health.value, words=words)

    async def _sleep_until(self, when: float) -> None:
        delay = when - self._clock()
        if delay > 0:
            await asyncio.sleep(delay)
