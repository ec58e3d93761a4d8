"""The roles that the server becomes, so that it cannot bypass the policies.

    owner (SENT_DATABASE_URL)   makes and migrates; its connection is closed before the server serves
    sent_server_<database>      what the server logs in as: no right of its own, inherits nothing, member of
      ├── sent_app                transaction(): rows of one organization
      ├── sent_system             system(): rows of all, while a reason is set
      └── sent_resolver           resolver(): EXECUTE on resolvers

The walls are against our own mistakes, a forgotten WHERE above all. They are no sandbox for foreign SQL: whoever could
run statements of their own on our connection could take another of the three roles, but never the owner's.

Roles belong to the whole cluster; the three groups are shared by the databases in it, the login is not.
Its password is random and kept in ``sent.server_login``, which only the owner can read.
"""

from __future__ import annotations

import secrets

import psycopg
from psycopg import sql
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from sent.kit.errors import SentError

APP_ROLE = "sent_app"
SYSTEM_ROLE = "sent_system"
RESOLVER_ROLE = "sent_resolver"
GROUP_ROLES = (APP_ROLE, SYSTEM_ROLE, RESOLVER_ROLE)

_SAFE = "NOSUPERUSER NOCREATEDB NOCREATEROLE NOREPLICATION NOBYPASSRLS NOINHERIT"
_ADVISORY_LOCK = 0x53454E55

ROLES_STATE_SQL = """
SELECT rolname, rolsuper OR rolbypassrls OR rolcreaterole OR rolreplication AS unsafe
FROM pg_catalog.pg_roles WHERE rolname = ANY(%(names)s)"""

SERVER_LOGIN_SQL = """
SELECT l.role_name, l.secret_password,
       EXISTS (SELECT FROM pg_catalog.pg_roles r WHERE r.rolname = l.role_name) AS made
FROM sent.server_login l"""


class RoleError(SentError):
    """The owner may not make the roles, or somebody made them too powerful."""


def ensure_group_roles(connection: psycopg.Connection) -> None:
    """Before the migrations, which grant to them. On an owner's connection in autocommit mode."""
    if len(_check(connection, GROUP_ROLES)) == len(GROUP_ROLES):
        return
    with connection.transaction():
        connection.execute("SELECT pg_advisory_xact_lock(%s)", (_ADVISORY_LOCK,))
        present = _check(connection, GROUP_ROLES)
        for role in GROUP_ROLES:
            if role not in present:
                _create(connection, sql.SQL("CREATE ROLE {} NOLOGIN " + _SAFE).format(sql.Identifier(role)))


def ensure_server_login(connection: psycopg.Connection, owner_dsn: str) -> str:
    """After the migrations. Returns the conninfo of the restricted login."""
    row = connection.execute(SERVER_LOGIN_SQL).fetchone()
    if row is None or not row[2]:
        with connection.transaction():
            connection.execute("SELECT pg_advisory_xact_lock(%s)", (_ADVISORY_LOCK,))
            row = connection.execute(SERVER_LOGIN_SQL).fetchone()
            if row is None or not row[2]:
                row = _create_login(connection, row)
    name, password, _ = row
    _check(connection, (name,))
    parts = conninfo_to_dict(owner_dsn)
    for of_the_owner in ("sslcert", "sslkey", "sslpassword", "passfile", "service", "options"):
        parts.pop(of_the_owner, None)
    return make_conninfo(**{**parts, "user": name, "password": password})


def _create_login(connection: psycopg.Connection, row: tuple[str, str, bool] | None) -> tuple[str, str, bool]:
    """``row`` is what a restored dump brought along without its role."""
    database = connection.info.dbname
    name, password = (row[0], row[1]) if row else (f"sent_server_{database}"[:63], secrets.token_urlsafe(24))
    role = sql.Identifier(name)
    if name in _check(connection, (name,)):
        _create(connection, sql.SQL("ALTER ROLE {} LOGIN PASSWORD {}").format(role, password))
    else:
        _create(connection, sql.SQL("CREATE ROLE {} LOGIN PASSWORD {} " + _SAFE).format(role, password))
    groups = sql.SQL(", ").join(map(sql.Identifier, GROUP_ROLES))
    _create(connection, sql.SQL("GRANT {} TO {}").format(groups, role))
    connection.execute(
        "INSERT INTO sent.server_login (role_name, secret_password) VALUES (%s, %s) ON CONFLICT DO NOTHING",
        (name, password),
    )
    return name, password, True


def _check(connection: psycopg.Connection, names: tuple[str, ...]) -> set[str]:
    """Which of them exist. Raises `RoleError` when one could bypass the policies."""
    rows = connection.execute(ROLES_STATE_SQL, {"names": list(names)}).fetchall()
    for name, unsafe in rows:
        if unsafe:
            raise RoleError(
                "db.unsafe_role",
                f"the database role {name} may bypass the walls between organizations; as a superuser run:"
                f' ALTER ROLE "{name}" {_SAFE}',
            )
    return {name for name, _ in rows}


def _create(connection: psycopg.Connection, statement: sql.Composed) -> None:
    try:
        connection.execute(statement)
    except psycopg.errors.InsufficientPrivilege as error:
        raise RoleError(
            "db.owner_cannot_create_roles",
            f"the user of SENT_DATABASE_URL cannot make the restricted roles of SENT ({error.diag.message_primary});"
            f' as a superuser run: ALTER ROLE "{connection.info.user}" CREATEROLE',
        ) from error
