"""The doors to the database. Nothing else in SENT opens a connection for data.

    async with database.transaction(organization_id, actor) as connection: …   rows of one organization
    async with database.system(SystemReason.RETENTION) as connection: …       rows of all, for a named reason
    async with database.resolver() as connection: …                           EXECUTE on resolvers only

Each is one transaction: committed when the block ends well, rolled back when it raises. The caller never commits.
What was set for the transaction (role, organization, actor) ends with it, because it is set locally.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator, Mapping
from typing import Any
from uuid import UUID

import psycopg
from psycopg import AsyncConnection
from psycopg.conninfo import make_conninfo
from psycopg_pool import AsyncConnectionPool, PoolClosed, PoolTimeout, TooManyRequests

from sent.infra.db.actor import Actor, SystemReason
from sent.infra.db.embedded import EmbeddedPostgres
from sent.infra.db.migrate import find_migrations, migrate_on
from sent.infra.db.roles import APP_ROLE, RESOLVER_ROLE, SYSTEM_ROLE, ensure_group_roles, ensure_server_login
from sent.infra.db.settings import DatabaseSettings
from sent.kit.errors import BadInput, Unavailable

Connection = AsyncConnection[tuple[Any, ...]]

POOL_WAIT_S = 5.0
_MAX_WAITING = 200
_RECONNECT_S = POOL_WAIT_S  # whoever waits has an attempt at its end, too
_SUPERVISION_S = 1.0
_OPTIONS = (
    "-c search_path=sent,pg_catalog,pg_temp -c timezone=UTC -c datestyle=ISO -c statement_timeout=30s"
    " -c lock_timeout=10s -c idle_in_transaction_session_timeout=60s"
)

# Tables that a session made for itself (pg_temp) would come first if they were not named: named last, none can stand in
# for one of ours, in this transaction or in the next that gets the connection.
SEARCH_PATH = "sent, pg_catalog, pg_temp"

# The time-outs above are the server's. These are ours, for one that is reached through a network and falls silent.
CLIENT_LIMITS: Mapping[str, int] = {
    "connect_timeout": 5,
    "keepalives_idle": 10,
    "keepalives_interval": 5,
    "keepalives_count": 3,
    "tcp_user_timeout": 15_000,
}

_TRY_AGAIN = (
    psycopg.errors.QueryCanceled,
    psycopg.errors.LockNotAvailable,
    psycopg.errors.DeadlockDetected,
    psycopg.errors.SerializationFailure,
)

_log = logging.getLogger("sent.db")

ENTER_SQL = """
SELECT set_config('role', %(role)s, true),
       set_config('search_path', %(search_path)s, true),
       set_config('sent.organization', %(organization)s, true),
       set_config('sent.actor', %(actor)s, true),
       set_config('sent.reason', %(reason)s, true)"""
PING_SQL = "SELECT 1"


class Database:
    """Open it with `open`, close it with `close`. While the server is away every door raises `Unavailable`."""

    def __init__(self, server_dsn: str, pool_size: int, embedded: EmbeddedPostgres | None = None) -> None:
        self.server_dsn = server_dsn
        """Conninfo of the restricted login: for LISTEN connections and for procrastinate. It holds a password."""
        self._embedded = embedded
        self._supervisor: asyncio.Task[None] | None = None
        self._pool: AsyncConnectionPool[Connection] = AsyncConnectionPool(
            make_conninfo(server_dsn, options=_OPTIONS, application_name="sent", **CLIENT_LIMITS),
            kwargs={"autocommit": True},  # the doors open and end transactions themselves
            min_size=1,
            max_size=pool_size,
            open=False,
            timeout=POOL_WAIT_S,
            max_waiting=_MAX_WAITING,
            max_idle=120.0,
            reconnect_timeout=_RECONNECT_S,
            num_workers=1,
            name="sent",
        )

    @classmethod
    async def open(cls, settings: DatabaseSettings) -> Database:
        """Start the embedded server if there is no URL, migrate, become the restricted role, open the pool.

        Raises `Unavailable`, `migrate.MigrationError` or `roles.RoleError`, each in words.
        """
        embedded = None if settings.url else EmbeddedPostgres(settings.data_dir)
        try:
            owner_dsn = settings.url or ""
            if embedded is not None:
                owner_dsn = await asyncio.to_thread(embedded.start)
            server_dsn = await asyncio.to_thread(prepare, owner_dsn)
            database = cls(server_dsn, settings.pool_size, embedded)
            await database._pool.open(wait=False)
        except BaseException:
            if embedded is not None:
                await asyncio.to_thread(embedded.stop)
            raise
        if embedded is not None:
            database._supervisor = asyncio.create_task(database._supervise(embedded), name="supervise PostgreSQL")
        return database

    async def close(self) -> None:
        if self._supervisor is not None:
            self._supervisor.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._supervisor
        await self._pool.close(timeout=POOL_WAIT_S)
        if self._embedded is not None:
            await asyncio.to_thread(self._embedded.stop)

    async def ping(self, timeout: float) -> None:  # noqa: ASYNC109  # the contract of health checks: one bound for all of it
        """Raises `Unavailable` unless the database answers within ``timeout`` seconds."""
        try:
            async with asyncio.timeout(timeout), self.resolver() as connection:
                await connection.execute(PING_SQL)
        except TimeoutError as error:
            raise _unavailable(f"no answer within {timeout:g} s") from error

    @contextlib.asynccontextmanager
    async def transaction(self, organization_id: UUID, actor: Actor) -> AsyncIterator[Connection]:
        """Rows of ``organization_id`` only; every write is audited as ``actor``'s."""
        values = {"role": APP_ROLE, "organization": str(organization_id), "actor": str(actor), "reason": ""}
        async with self._enter(values) as connection:
            yield connection

    @contextlib.asynccontextmanager
    async def system(self, reason: SystemReason) -> AsyncIterator[Connection]:
        """Rows of all organizations; every write is audited as ``system:<reason>``."""
        values = {"role": SYSTEM_ROLE, "organization": "", "actor": f"system:{reason}", "reason": str(reason)}
        async with self._enter(values) as connection:
            yield connection

    @contextlib.asynccontextmanager
    async def resolver(self) -> AsyncIterator[Connection]:
        """No table at all; only the functions that were made resolvers (`sent.make_resolver`)."""
        values = {"role": RESOLVER_ROLE, "organization": "", "actor": "system:resolve", "reason": ""}
        async with self._enter(values) as connection:
            yield connection

    @contextlib.asynccontextmanager
    async def _enter(self, values: Mapping[str, str]) -> AsyncIterator[Connection]:
        connection = await self._begin(values)
        try:
            try:
                yield connection
            except BaseException:
                await _roll_back(connection)
                raise
            done = await connection.execute("COMMIT")
            if done.statusmessage == "ROLLBACK":
                raise psycopg.errors.InFailedSqlTransaction(
                    "a statement failed and its error was swallowed, so nothing was written; use a savepoint"
                    " (connection.transaction()) around what may fail"
                )
        except _TRY_AGAIN as error:
            raise Unavailable(
                "db.too_slow", f"the database took too long ({error.diag.message_primary}); try again later"
            ) from error
        except psycopg.Error as error:
            if _server_is_gone(connection, error):
                raise _unavailable(str(error)) from error
            raise
        finally:
            await self._pool.putconn(connection)

    async def _begin(self, values: Mapping[str, str]) -> Connection:
        """A connection inside its transaction. A connection that died in the pool is found out here and replaced."""
        deadline = asyncio.get_running_loop().time() + POOL_WAIT_S
        while True:
            left = deadline - asyncio.get_running_loop().time()
            try:
                connection = await self._pool.getconn(timeout=max(left, 0.01))
            except (PoolTimeout, PoolClosed, TooManyRequests) as error:
                raise _unavailable(str(error)) from error
            try:
                async with asyncio.timeout(POOL_WAIT_S):
                    async with connection.pipeline():
                        await connection.execute("BEGIN")
                        await connection.execute(ENTER_SQL, {"search_path": SEARCH_PATH, **values})
            except (psycopg.OperationalError, TimeoutError) as error:
                await connection.close()
                await self._pool.putconn(connection)
                if left <= 0:
                    raise _unavailable(str(error) or "no answer") from error
            except BaseException:
                await connection.close()
                await self._pool.putconn(connection)
                raise
            else:
                return connection

    async def _supervise(self, embedded: EmbeddedPostgres) -> None:
        """Start the embedded server again when it died, and keep its log bounded."""
        while True:
            await asyncio.sleep(_SUPERVISION_S)
            try:
                if embedded.pid is None:
                    _log.error("PostgreSQL has stopped by itself; starting it again")
                    await asyncio.to_thread(embedded.restart)
                embedded.bound_log()
            except Unavailable as error:
                _log.error("PostgreSQL does not start; trying again: %s", error)
            except Exception:  # noqa: BLE001  # a full disk, say: who supervises must not be the one that dies
                _log.exception("PostgreSQL is not looked after; trying again")


def prepare(owner_dsn: str) -> str:
    """As the owner: roles, migrations, the restricted login, partitions. Returns the restricted conninfo. Blocks."""
    try:
        with psycopg.connect(
            owner_dsn, autocommit=True, connect_timeout=5, application_name="sent migrate"
        ) as connection:
            if connection.info.server_version < 150000:
                raise Unavailable(
                    "db.too_old",
                    f"PostgreSQL {connection.info.server_version // 10000} is too old: 15 or newer is needed",
                )
            ensure_group_roles(connection)
            migrate_on(connection, find_migrations())
            connection.execute("SELECT sent.make_audit_partitions(), sent.continue_audit_era()")
            return ensure_server_login(connection, owner_dsn)
    except psycopg.OperationalError as error:
        raise _unavailable(str(error)) from error
    except psycopg.ProgrammingError as error:
        if error.sqlstate is not None:
            raise
        # The text of this error repeats what was given, with its password; so it is not shown, nor chained.
        raise BadInput(
            "db.bad_url",
            "SENT_DATABASE_URL cannot be read; write it as postgresql://user:password@host:5432/database, with special"
            " characters in the password percent-encoded",
        ) from None


async def _roll_back(connection: Connection) -> None:
    """Also after a cancellation, when the connection may be in the middle of something: then it is closed instead."""
    try:
        async with asyncio.timeout(1.0):
            await connection.execute("ROLLBACK")
    except (psycopg.Error, TimeoutError):
        await connection.close()


def _server_is_gone(connection: Connection, error: psycopg.Error) -> bool:
    # Class 57P: the server is shutting down; 53: it has no room. Without a state the socket itself failed.
    return isinstance(error, psycopg.OperationalError) and (
        connection.closed or (error.sqlstate or "08")[:2] in ("08", "53") or (error.sqlstate or "").startswith("57P")
    )


def _unavailable(why: str) -> Unavailable:
    return Unavailable(
        "db.unavailable",
        f"the database does not answer ({' '.join(why.split()) or 'no reason given'}); is it running, and is"
        " SENT_DATABASE_URL right? `sent doctor` checks",
    )
