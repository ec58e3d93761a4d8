"""All trunks in memory, so that a call needs no database: who may call in, whose number that is, which password.

Loaded at start and again every few seconds, since another process (`sent trunk add`) may change them. A database
that is away leaves what was known.
"""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Protocol
from uuid import UUID

import structlog

from sent.infra.db import Database, SystemReason
from sent.infra.vault import Vault
from sent.kit.errors import SentError
from sent.trunks import repository
from sent.trunks.models import Trunk, TrunkNumber
from sent.trunks.numbers import to_e164
from sent.trunks.rules import comes_from
from sent.trunks.service import open_password

log = structlog.get_logger("sent.trunks")

RELOAD_EVERY_S = 5.0


@dataclass(frozen=True, slots=True, repr=False)
class Account:
    """A trunk with what it needs to call; never shown, as it holds the password."""

    trunk: Trunk
    password: str | None
    numbers: tuple[TrunkNumber, ...]


@dataclass(frozen=True, slots=True)
class Inbound:
    """Whose call this is. ``number`` None: the trunk is known and none of its numbers was called."""

    trunk: Trunk
    number: TrunkNumber | None


class AccountSource(Protocol):
    async def load(self) -> list[Account]:
        """All accounts of all organizations. Raises `SentError`."""


class TrunkDirectory:
    def __init__(self, source: AccountSource) -> None:
        self._source = source
        self._accounts: dict[UUID, Account] = {}
        self._sinks: list[Callable[[], None]] = []

    def listen(self, sink: Callable[[], None]) -> None:
        """Call ``sink`` on the event loop whenever trunks have changed."""
        self._sinks.append(sink)

    async def refresh(self) -> None:
        """Load again; tells the listeners when anything is different. Raises `SentError`."""
        accounts = {account.trunk.id: account for account in await self._source.load()}
        if accounts == self._accounts:
            return
        self._accounts = accounts
        for sink in self._sinks:
            sink()

    async def run(self, stop: asyncio.Event) -> None:
        failing = False
        while not stop.is_set():
            try:
                await self.refresh()
                failing = False
            except SentError as error:
                if not failing:
                    log.warning("trunks.not_reloaded", code=error.code)
                failing = True
            try:
                async with asyncio.timeout(RELOAD_EVERY_S):
                    await stop.wait()
            except TimeoutError:
                pass

    def accounts(self) -> list[Account]:
        return list(self._accounts.values())

    def account(self, trunk_id: UUID) -> Account | None:
        return self._accounts.get(trunk_id)

    def of_organization(self, organization_id: UUID) -> list[Trunk]:
        return [a.trunk for a in self._accounts.values() if a.trunk.organization_id == organization_id]

    def calling_from(self, address: str) -> list[Account]:
        """The trunks by address whose carrier this may be. Two organizations may have the same carrier."""
        return [a for a in self._accounts.values() if a.trunk.enabled and comes_from(a.trunk.sources, address)]

    def inbound(self, accounts: Iterable[Account], called: Sequence[str]) -> Inbound | None:
        """Which of ``accounts`` has one of the numbers in ``called``, the best candidate first."""
        first: Trunk | None = None
        candidates: dict[str, list[Account]] = defaultdict(list)
        for account in accounts:
            first = first or account.trunk
            candidates[account.trunk.country].append(account)
        for wanted in called:
            for country, group in candidates.items():
                number = to_e164(wanted, country)
                for account in group:
                    for own in account.numbers:
                        if number is not None and own.number == number:
                            return Inbound(account.trunk, own)
        return Inbound(first, None) if first is not None else None


class DatabaseAccounts:
    """`AccountSource` over database and vault. A password that cannot be opened leaves its trunk without one."""

    def __init__(self, database: Database, vault: Vault) -> None:
        self._database = database
        self._vault = vault

    async def load(self) -> list[Account]:
        async with self._database.system(SystemReason.LOAD_TRUNKS) as connection:
            numbers: dict[UUID, list[TrunkNumber]] = defaultdict(list)
            for number in await repository.load_numbers(connection):
                numbers[number.trunk_id].append(number)
            accounts = []
            for row in await repository.load_trunks(connection):
                try:
                    password = await open_password(connection, self._vault, row)
                except SentError as error:
                    log.error("trunks.password_sealed", trunk=str(row.id), code=error.code, remedy=error.message)
                    password = None
                accounts.append(Account(row.trunk(), password, tuple(numbers[row.id])))
        return accounts
