"""Every SQL statement of every repository fits the migrated database: a wrong table, column or type fails here."""

from __future__ import annotations

import importlib
import re
from pathlib import Path

import psycopg
import pytest

import sent

pytestmark = pytest.mark.database

ROOT = Path(sent.__file__).parent
_PLACEHOLDER = re.compile(r"%\((\w+)\)[sbt]|%%|%")


def statements() -> dict[str, str]:
    """``module:NAME_SQL`` → text, of all files named for a repository."""
    found = {}
    for path in sorted(ROOT.rglob("*repository*.py")):
        module = ".".join(("sent", *path.relative_to(ROOT).with_suffix("").parts))
        for name, value in vars(importlib.import_module(module)).items():
            if name.endswith("_SQL"):
                found[f"{module}:{name}"] = value
    return found


STATEMENTS = statements()


def numbered(statement: str) -> str:
    """psycopg's ``%(name)s`` as PostgreSQL's ``$n``."""
    numbers: dict[str, int] = {}

    def replace(match: re.Match[str]) -> str:
        if match[1]:
            return f"${numbers.setdefault(match[1], len(numbers) + 1)}"
        assert match[0] == "%%", "a single % must be written %%, parameters %(name)s"
        return "%"

    return _PLACEHOLDER.sub(replace, statement)


@pytest.mark.parametrize("name", STATEMENTS)
def test_statement_is_prepared(owner_dsn: str, name: str) -> None:
    with psycopg.connect(owner_dsn) as connection:
        connection.execute("SET search_path = sent, pg_catalog")
        connection.execute(f"PREPARE statement AS {numbered(STATEMENTS[name])}".encode())


def test_there_are_statements_and_a_wrong_column_would_fail(owner_dsn: str) -> None:
    assert any("sent.identity.repository" in name for name in STATEMENTS)
    with psycopg.connect(owner_dsn) as connection, pytest.raises(psycopg.errors.UndefinedColumn):
        connection.execute("PREPARE statement AS SELECT nickname FROM sent.users")
