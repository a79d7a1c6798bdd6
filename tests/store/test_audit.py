"""The audit trail: linked, append-only, and a change to it does not stay unseen."""

import asyncio
from datetime import UTC, datetime

import psycopg
import pytest

from store import audit
from store.database import Database

NOW = datetime(2026, 11, 23, 9, 30, tzinfo=UTC)


async def write(database: Database, subject: str, action: str = "role.granted") -> None:
    async with database.transaction() as connection:
        await audit.write(
            connection,
            actor="usr_admin",
            action=action,
            subjects=[subject],
            detail={"role": "support"},
            now=NOW,
        )


async def test_writers_at_once_make_one_chain_without_a_gap(database: str) -> None:
    async with Database(database) as store:
        await asyncio.gather(*(write(store, f"usr_{number}") for number in range(40)))
        async with store.reading() as connection:
            assert await audit.broken_at(connection) is None
            rows = await audit.about(connection, "usr_admin", limit=100)
            assert [row["number"] for row in rows] == list(range(40, 0, -1))
            assert len(await audit.about(connection, "usr_7", limit=100)) == 1
            assert await audit.about(connection, "usr_nobody", limit=100) == []


async def test_nothing_is_changed_or_taken_out(database: str) -> None:
    async with Database(database) as store:
        await write(store, "usr_kept")
        for statement in (
            "UPDATE audit.trail SET actor = 'usr_other'",
            "DELETE FROM audit.trail",
            "TRUNCATE audit.trail",
        ):
            with pytest.raises(psycopg.errors.RestrictViolation):
                async with store.transaction() as connection:
                    await connection.execute(statement)


@pytest.mark.parametrize(
    "tampering",
    [
        "UPDATE audit.trail SET actor = 'usr_other' WHERE number = 2",
        "UPDATE audit.trail SET detail = '{}' WHERE number = 2",
        "DELETE FROM audit.trail WHERE number = 2",
    ],
)
async def test_who_switches_the_triggers_off_is_found_by_the_chain(database: str, tampering: str) -> None:
    async with Database(database) as store:
        for number in range(3):
            await write(store, f"usr_chain_{number}")
        async with store.transaction() as connection:
            await connection.execute("ALTER TABLE audit.trail DISABLE TRIGGER trail_append_only")
            await connection.execute(tampering)
            assert await audit.broken_at(connection) in (2, 3)
            raise psycopg.Rollback
        async with store.reading() as connection:
            assert await audit.broken_at(connection) is None
