"""Our migrations give exactly the schema that the installed procrastinate wants."""

from pathlib import Path

import psycopg
import pytest
from procrastinate.schema import SchemaManager
from psycopg import sql

pytestmark = pytest.mark.database

CATALOGUE = {
    "columns": """
        SELECT c.relname, a.attname, format_type(a.atttypid, a.atttypmod), a.attnotnull,
               pg_get_expr(d.adbin, d.adrelid)
        FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid LEFT JOIN pg_attrdef d
          ON d.adrelid = c.oid AND d.adnum = a.attnum
        WHERE c.relnamespace = %(schema)s::regnamespace AND a.attnum > 0 AND NOT a.attisdropped
          AND c.relkind IN ('r', 'c')
        ORDER BY 1, a.attnum""",
    "indexes": "SELECT indexdef FROM pg_indexes WHERE schemaname = %(schema)s ORDER BY 1",
    "constraints": """
        SELECT conrelid::regclass::text, pg_get_constraintdef(oid) FROM pg_constraint
        WHERE connamespace = %(schema)s::regnamespace ORDER BY 1, 2""",
    "functions": """
        SELECT proname, pg_get_function_identity_arguments(oid), pg_get_function_result(oid), prosrc
        FROM pg_proc WHERE pronamespace = %(schema)s::regnamespace AND proname <> 'defer' ORDER BY 1, 2""",
    "triggers": """
        SELECT pg_get_triggerdef(t.oid) FROM pg_trigger t JOIN pg_class c ON c.oid = t.tgrelid
        WHERE c.relnamespace = %(schema)s::regnamespace AND NOT tgisinternal ORDER BY 1""",
    "enums": """
        SELECT t.typname, array_agg(e.enumlabel::text ORDER BY e.enumsortorder)
        FROM pg_type t JOIN pg_enum e ON e.enumtypid = t.oid
        WHERE t.typnamespace = %(schema)s::regnamespace GROUP BY 1 ORDER BY 1""",
}


def test_the_queues_schema_is_the_installed_procrastinates(owner_dsn):
    with psycopg.connect(owner_dsn) as conn:
        conn.execute("CREATE SCHEMA wanted")
        conn.execute("SET LOCAL search_path = wanted, pg_catalog")
        conn.execute(sql.SQL(SchemaManager.get_schema()))
        for what, query in CATALOGUE.items():
            found = {}
            for schema in ("wanted", "jobs"):
                conn.execute(sql.SQL("SET LOCAL search_path = {}, pg_catalog").format(sql.Identifier(schema)))
                rows = conn.execute(query, {"schema": schema}).fetchall()
                found[schema] = [
                    tuple(str(value).replace(f"{schema}.procrastinate_", "procrastinate_") for value in row)
                    for row in rows
                ]
            assert found["wanted"], what
            assert found["jobs"] == found["wanted"], (
                f"The {what} of schema jobs are not those of the installed procrastinate: "
                "add what its sql/migrations changed as a new migration of infra."
            )
        conn.rollback()


def test_the_notice_names_what_was_taken_over():
    assert "procrastinate" in (Path(__file__).parents[2] / "NOTICE").read_text()
