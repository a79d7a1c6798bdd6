"""Migrations go down to nothing and up again to the same."""

import psycopg

from store import migrate

SCHEMAS = ("platform", "user_management", "education", "finance", "signals", "trading", "audit")

SHAPE = """
    SELECT 'column', table_schema || '.' || table_name || '.' || column_name,
           concat_ws(' ', data_type, is_nullable, column_default)
    FROM information_schema.columns WHERE table_schema = ANY(%(schemas)s)
    UNION ALL
    SELECT 'constraint', conrelid::regclass::text || '.' || conname, pg_get_constraintdef(c.oid)
    FROM pg_constraint c JOIN pg_namespace n ON n.oid = c.connamespace WHERE n.nspname = ANY(%(schemas)s)
    UNION ALL
    SELECT 'index', schemaname || '.' || indexname, indexdef FROM pg_indexes
    WHERE schemaname = ANY(%(schemas)s)
    UNION ALL
    SELECT 'trigger', tgrelid::regclass::text || '.' || tgname, pg_get_triggerdef(t.oid)
    FROM pg_trigger t WHERE NOT tgisinternal
    UNION ALL
    SELECT 'function', n.nspname || '.' || p.proname, md5(pg_get_functiondef(p.oid))
    FROM pg_proc p JOIN pg_namespace n ON n.oid = p.pronamespace WHERE n.nspname = ANY(%(schemas)s)
    ORDER BY 1, 2, 3
"""


def shape(dsn: str) -> list[tuple[str, str, str]]:
    """Every column, constraint, index, trigger and function of our schemas."""
    with psycopg.connect(dsn) as connection:
        return connection.execute(SHAPE, {"schemas": list(SCHEMAS)}).fetchall()


def test_down_leaves_nothing_and_up_makes_the_same(database: str) -> None:
    before = shape(database)
    assert len(before) > 500
    migrate.downgrade(database, "base")
    assert shape(database) == []
    migrate.upgrade(database)
    assert shape(database) == before
