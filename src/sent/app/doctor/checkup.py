"""All checks, in the order in which a person would look."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime

from sent.app.doctor.codecs import check_codecs
from sent.app.doctor.finding import Finding, broken, good
from sent.app.doctor.machine import check_certificate, check_clock, check_disk, check_open_files
from sent.app.doctor.network import check_audio_ports, check_media_address, check_ports
from sent.app.instance import is_serving
from sent.app.local import open_local
from sent.app.settings import Settings
from sent.infra.db import Database, SystemReason
from sent.kit.errors import SentError

DATABASE_NOW_SQL = "SELECT now(), current_setting('server_version')"


async def check_all(settings: Settings) -> list[Finding]:
    now = datetime.now(UTC)
    is_running = is_serving(settings.data_dir)
    database, database_now = await _check_database(settings)
    findings: list[Finding] = [database]
    parts: tuple[Iterator[Finding], ...] = (
        check_ports(settings, is_running=is_running),
        check_audio_ports(settings),
        check_media_address(settings),
        check_codecs(settings),
        check_clock(database_now, datetime.now(UTC) if database_now else now),
        check_certificate(settings, now),
        check_disk(settings),
        check_open_files(),
    )
    for part in parts:
        findings += part
    return findings


async def _check_database(settings: Settings) -> tuple[Finding, datetime | None]:
    """Opens it as the server would, which also starts the embedded one and migrates."""
    try:
        async with open_local(settings) as local:
            now, version = await _ask(local.database)
    except SentError as error:
        return broken("database", error.message, "Mend this first: nothing works without it."), None
    kind = "external" if settings.database_url else "embedded"
    return good("database", f"{kind} PostgreSQL {version} answers and is migrated"), now


async def _ask(database: Database) -> tuple[datetime, str]:
    async with database.system(SystemReason.DIAGNOSE) as connection:
        cursor = await connection.execute(DATABASE_NOW_SQL)
        row = await cursor.fetchone()
    assert row is not None
    return row[0], str(row[1])
