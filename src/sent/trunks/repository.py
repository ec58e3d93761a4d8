"""All SQL of `trunks`. Functions take a connection from one of the doors; nothing here commits."""

from __future__ import annotations

from dataclasses import dataclass
from uuid import UUID

from psycopg.rows import class_row

from sent.infra.db import Connection
from sent.trunks.models import CallerIdHeader, SrtpPolicy, Trunk, TrunkLimits, TrunkMode, TrunkNumber

LOAD_TRUNKS_SQL = """
SELECT id, organization_id, name, mode, domain, transport, proxy, username, auth_username, sealed_password, country,
       caller_id, caller_id_header, sources, srtp, priority, outside_prefix, concurrent_calls, calls_per_minute,
       calls_per_day, countries, premium, enabled
FROM trunks ORDER BY organization_id, priority, name"""
LOAD_NUMBERS_SQL = (
    "SELECT id, organization_id, trunk_id, number, extension FROM trunk_numbers ORDER BY trunk_id, number"
)
INSERT_TRUNK_SQL = """
INSERT INTO trunks (id, organization_id, name, mode, domain, transport, proxy, username, auth_username, sealed_password,
                    country, caller_id, caller_id_header, sources, srtp, priority, outside_prefix, concurrent_calls,
                    calls_per_minute, calls_per_day, countries, premium, enabled)
VALUES (%(id)s, %(organization_id)s, %(name)s, %(mode)s, %(domain)s, %(transport)s, %(proxy)s, %(username)s,
        %(auth_username)s, %(sealed_password)s, %(country)s, %(caller_id)s, %(caller_id_header)s, %(sources)s, %(srtp)s,
        %(priority)s, %(outside_prefix)s, %(concurrent_calls)s, %(calls_per_minute)s, %(calls_per_day)s, %(countries)s,
        %(premium)s, %(enabled)s)"""
UPDATE_LIMITS_SQL = """
UPDATE trunks SET concurrent_calls = %(concurrent_calls)s, calls_per_minute = %(calls_per_minute)s,
       calls_per_day = %(calls_per_day)s, countries = %(countries)s, premium = %(premium)s
WHERE id = %(id)s"""
UPDATE_ENABLED_SQL = "UPDATE trunks SET enabled = %(enabled)s WHERE id = %(id)s"
DELETE_TRUNK_SQL = "DELETE FROM trunks WHERE id = %(id)s"
INSERT_NUMBER_SQL = """
INSERT INTO trunk_numbers (id, organization_id, trunk_id, number, extension)
VALUES (%(id)s, %(organization_id)s, %(trunk_id)s, %(number)s, %(extension)s)
ON CONFLICT (trunk_id, number) DO UPDATE SET extension = excluded.extension"""


@dataclass(frozen=True, slots=True)
class TrunkRow:
    id: UUID
    organization_id: UUID
    name: str
    mode: str
    domain: str
    transport: str
    proxy: str | None
    username: str | None
    auth_username: str | None
    sealed_password: bytes | None
    country: str
    caller_id: str | None
    caller_id_header: str
    sources: list[str]
    srtp: str
    priority: int
    outside_prefix: str
    concurrent_calls: int
    calls_per_minute: int
    calls_per_day: int
    countries: list[str]
    premium: bool
    enabled: bool

    def trunk(self) -> Trunk:
        return Trunk(
            id=self.id,
            organization_id=self.organization_id,
            name=self.name,
            mode=TrunkMode(self.mode),
            domain=self.domain,
            transport=self.transport,
            proxy=self.proxy,
            username=self.username,
            auth_username=self.auth_username,
            country=self.country,
            caller_id=self.caller_id,
            caller_id_header=CallerIdHeader(self.caller_id_header),
            sources=tuple(self.sources),
            srtp=SrtpPolicy(self.srtp),
            priority=self.priority,
            outside_prefix=self.outside_prefix,
            limits=TrunkLimits(
                concurrent_calls=self.concurrent_calls,
                calls_per_minute=self.calls_per_minute,
                calls_per_day=self.calls_per_day,
                countries=tuple(self.countries),
                premium=self.premium,
            ),
            enabled=self.enabled,
        )


async def load_trunks(connection: Connection) -> list[TrunkRow]:
    async with connection.cursor(row_factory=class_row(TrunkRow)) as cursor:
        await cursor.execute(LOAD_TRUNKS_SQL)
        return await cursor.fetchall()


async def load_numbers(connection: Connection) -> list[TrunkNumber]:
    async with connection.cursor(row_factory=class_row(TrunkNumber)) as cursor:
        await cursor.execute(LOAD_NUMBERS_SQL)
        return await cursor.fetchall()


async def insert_trunk(connection: Connection, trunk: Trunk, sealed_password: bytes | None) -> None:
    await connection.execute(
        INSERT_TRUNK_SQL,
        {
            "id": trunk.id,
            "organization_id": trunk.organization_id,
            "name": trunk.name,
            "mode": trunk.mode.value,
            "domain": trunk.domain,
            "transport": trunk.transport,
            "proxy": trunk.proxy,
            "username": trunk.username,
            "auth_username": trunk.auth_username,
            "sealed_password": sealed_password,
            "country": trunk.country,
            "caller_id": trunk.caller_id,
            "caller_id_header": trunk.caller_id_header.value,
            "sources": list(trunk.sources),
            "srtp": trunk.srtp.value,
            "priority": trunk.priority,
            "outside_prefix": trunk.outside_prefix,
            "enabled": trunk.enabled,
            **_limits(trunk.limits),
        },
    )


async def update_limits(connection: Connection, trunk_id: UUID, limits: TrunkLimits) -> bool:
    done = await connection.execute(UPDATE_LIMITS_SQL, {"id": trunk_id, **_limits(limits)})
    return done.rowcount == 1


async def update_enabled(connection: Connection, trunk_id: UUID, *, enabled: bool) -> bool:
    done = await connection.execute(UPDATE_ENABLED_SQL, {"id": trunk_id, "enabled": enabled})
    return done.rowcount == 1


async def delete_trunk(connection: Connection, trunk_id: UUID) -> bool:
    done = await connection.execute(DELETE_TRUNK_SQL, {"id": trunk_id})
    return done.rowcount == 1


async def insert_number(connection: Connection, number: TrunkNumber) -> None:
    await connection.execute(
        INSERT_NUMBER_SQL,
        {
            "id": number.id,
            "organization_id": number.organization_id,
            "trunk_id": number.trunk_id,
            "number": number.number,
            "extension": number.extension,
        },
    )


def _limits(limits: TrunkLimits) -> dict[str, object]:
    return {
        "concurrent_calls": limits.concurrent_calls,
        "calls_per_minute": limits.calls_per_minute,
        "calls_per_day": limits.calls_per_day,
        "countries": list(limits.countries),
        "premium": limits.premium,
    }
