"""Alerts stand once a payment and flag, are decided once, and count what is really the customer's."""

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import psycopg
import pytest

from cli.embedded import EmbeddedEngines
from domain.monitoring import Effect, Finding, Flag
from models.contracts.identifiers import Prefix, mint
from store import identity_risk, monitoring
from store.database import Database

NOW = datetime(2026, 11, 23, 6, 0, tzinfo=UTC)
FOUND = (
    Finding(Flag.HIGH_VALUE, Effect.FLAG, Decimal(60_000_00), Decimal(50_000_00)),
    Finding(Flag.LOCATION, Effect.FLAG, Decimal(88), Decimal(70)),
)


@pytest.fixture(scope="module")
async def book(engines: EmbeddedEngines, database: str) -> AsyncIterator[Database]:
    async with Database(database) as opened:
        yield opened


async def rows(book: Database, query: str, *values: Any) -> list[dict[str, Any]]:
    async with book.reading() as connection:
        return await (await connection.execute(query, values)).fetchall()


async def raised(book: Database, payment: str, user: str, stage: str) -> None:
    async with book.transaction() as connection:
        await monitoring.raise_alerts(connection, payment, user, stage, FOUND, NOW)


async def test_a_flag_is_told_once_however_often_it_is_seen_at_once(book: Database) -> None:
    payment, user = mint(Prefix.PAYMENT), mint(Prefix.USER)
    await asyncio.gather(*(raised(book, payment, user, stage) for stage in ("create", "capture", "capture")))
    found = await rows(book, "SELECT * FROM finance.payment_alerts WHERE payment_id = %s", payment)
    assert sorted(row["flag"] for row in found) == sorted(each.flag.value for each in FOUND)
    told = await rows(book, "SELECT * FROM audit.trail WHERE subjects @> ARRAY[%s]", payment)
    assert len(told) == 1
    assert told[0]["subjects"] == [payment, user]
    events = await rows(book, "SELECT type, body FROM audit.outbox WHERE key = %s", payment)
    assert events == [{"type": "payment.flagged", "body": {"payment_id": payment}}]


async def test_the_first_decision_stands_and_ends_the_escalation(book: Database) -> None:
    payment, user = mint(Prefix.PAYMENT), mint(Prefix.USER)
    await raised(book, payment, user, "capture")
    async with book.transaction() as connection:
        for _ in range(2):
            await monitoring.escalate(connection, payment, NOW)
        await monitoring.decide(connection, payment, "released", "usr_1", "not_1", NOW)
        await monitoring.decide(connection, payment, "blocked", "usr_2", None, NOW)
        await monitoring.escalate(connection, payment, NOW + timedelta(hours=1))
    found = await rows(book, "SELECT * FROM finance.payment_alerts WHERE payment_id = %s", payment)
    assert {(row["decision"], row["decided_by"], row["escalated_at"]) for row in found} == {
        ("released", "usr_1", NOW)
    }
    overdue = "SELECT FROM audit.trail WHERE subjects @> ARRAY[%s] AND action = 'payment.review_overdue'"
    assert len(await rows(book, overdue, payment)) == 1


async def test_alerts_are_paged_newest_first(book: Database) -> None:
    user = mint(Prefix.USER)
    made = [mint(Prefix.PAYMENT) for _ in range(3)]
    for payment in made:
        await raised(book, payment, user, "create")
    async with book.reading() as connection:
        first = await monitoring.alerts(connection, user_id=user, limit=4)
        rest = await monitoring.alerts(connection, user_id=user, before=first[-1]["number"], limit=4)
        one = await monitoring.alerts(connection, payment_id=made[0], limit=10)
        none = await monitoring.alerts(connection, user_id=user, undecided=True, limit=10)
    numbers = [row["number"] for row in (*first, *rest)]
    assert numbers == sorted(numbers, reverse=True)
    assert len(set(numbers)) == 6
    assert {row["payment_id"] for row in one} == {made[0]}
    assert none == []


async def test_the_newest_score_counts_until_it_expires(book: Database) -> None:
    user = mint(Prefix.USER)
    async with book.transaction() as connection:
        for hours, score in ((0, 90), (1, 20)):
            at = NOW + timedelta(hours=hours)
            await identity_risk.set_score(
                connection, user_id=user, kind="location", score=score, source="test", set_by="usr_1", now=at,
                expires_at=at + timedelta(days=1),
            )  # fmt: skip
        asked = [NOW - timedelta(1), NOW, NOW + timedelta(hours=1), NOW + timedelta(days=2)]
        seen = [await identity_risk.scores_of(connection, user, at) for at in asked]
    assert seen == [{}, {"location": 90}, {"location": 20}, {}]


@pytest.mark.parametrize("score", [-1, 101])
async def test_no_score_is_out_of_bounds(book: Database, score: int) -> None:
    with pytest.raises(psycopg.errors.CheckViolation):
        async with book.transaction() as connection:
            await identity_risk.set_score(
                connection, user_id="usr_1", kind="fraud", score=score, source="test", set_by="usr_1",
                now=NOW, expires_at=NOW + timedelta(days=1),
            )  # fmt: skip
