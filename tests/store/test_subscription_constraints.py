"""What the database itself refuses of debits and breaks, whatever the code above it does."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import psycopg
import pytest

NOW = datetime(2027, 3, 1, 10, tzinfo=UTC)


@pytest.fixture
def connection(database: str) -> Iterator[psycopg.Connection[Any]]:
    """A connection whose work is undone at the end."""
    with psycopg.connect(database) as opened:
        opened.execute(
            """INSERT INTO finance.subscription_plans VALUES
                   ('pln', 'Premium', 'premium', 199900, 'INR', 'monthly', true, '998311', 0, true)"""
        )
        subscribe(opened, "sub", "usr")
        opened.execute(
            """INSERT INTO finance.reconciliations (date, status, reading, lines, matched, bank, started_at,
                   version) VALUES ('2027-03-01', 'open', 1, 0, 0, 0, %s, 1)""",
            (NOW,),
        )
        yield opened
        opened.rollback()


def subscribe(connection: psycopg.Connection[Any], subscription_id: str, user_id: str) -> None:
    connection.execute(
        """INSERT INTO finance.user_subscriptions (subscription_id, user_id, plan_id, status, amount,
               currency, period, created_at, changed_at, version)
           VALUES (%s, %s, 'pln', 'active', 199900, 'INR', 1, %s, %s, 1)""",
        (subscription_id, user_id, NOW, NOW),
    )


def debit(
    connection: psycopg.Connection[Any], attempt: int, state: str, lead: timedelta, sent: bool = False
) -> None:
    connection.execute(
        """INSERT INTO finance.debits (payment_id, subscription_id, period, attempt, amount, message_id,
               noticed_at, due_at, gateway_order_id, state, sent_at, version)
           VALUES (%s, 'sub', 2, %s, 199900, 'msg', %s, %s, 'order', %s, %s, 1)""",
        (f"pay_{attempt}", attempt, NOW, NOW + lead, state, NOW if sent else None),
    )


def decide(connection: psycopg.Connection[Any], difference: int, *people: str | None) -> None:
    connection.execute(
        """INSERT INTO finance.breaks (break_id, date, kind, reference, about, seen_date, expected, found,
               difference, difference_tax, status, ended, resolution, first_by, second_by, opened_at, version)
           VALUES ('brk', '2027-03-01', 'missing_line', 'pay', 'pay', '2027-03-01', %s, 0, %s, 0, 'resolved',
               'decided',
               'accept', %s, %s, %s, 1)""",
        (difference, difference, *people, NOW),
    )


def test_a_debit_follows_its_notice_by_a_day(connection: psycopg.Connection[Any]) -> None:
    debit(connection, 1, "noticed", timedelta(hours=24))
    with pytest.raises(psycopg.errors.CheckViolation, match="debits_after_notice"):
        debit(connection, 2, "noticed", timedelta(hours=23, minutes=59))


def test_a_debit_is_not_sent_before_it_is_due(connection: psycopg.Connection[Any]) -> None:
    with pytest.raises(psycopg.errors.CheckViolation):
        debit(connection, 1, "sending", timedelta(hours=25), sent=True)


@pytest.mark.parametrize("second", ["sending", "sent", "captured"])
def test_a_period_is_debited_once(connection: psycopg.Connection[Any], second: str) -> None:
    debit(connection, 1, "failed", timedelta(hours=25))
    debit(connection, 2, "captured", timedelta(hours=25))
    with pytest.raises(psycopg.errors.UniqueViolation, match="debits_one_a_period"):
        debit(connection, 3, second, timedelta(hours=25))


def test_a_person_has_one_subscription_at_a_time(connection: psycopg.Connection[Any]) -> None:
    subscribe(connection, "another", "another")
    with pytest.raises(psycopg.errors.UniqueViolation, match="user_subscriptions_one_open"):
        subscribe(connection, "second", "usr")


def test_a_family_of_plans_is_tried_once(connection: psycopg.Connection[Any]) -> None:
    subscribe(connection, "another", "another")
    insert = "INSERT INTO finance.trials VALUES (%s, 'premium', %s, %s)"
    connection.execute(insert, ("usr", "sub", NOW))
    with pytest.raises(psycopg.errors.UniqueViolation):
        connection.execute(insert, ("usr", "another", NOW))


def test_fifty_thousand_rupees_may_be_decided_by_one(connection: psycopg.Connection[Any]) -> None:
    decide(connection, -50_000_00, "usr_one", None)


@pytest.mark.parametrize("people", [("usr_one", None), ("usr_one", "usr_one"), (None, None)])
def test_more_is_decided_by_two_different_people(
    connection: psycopg.Connection[Any], people: tuple[str | None, str | None]
) -> None:
    with pytest.raises(psycopg.errors.CheckViolation):
        decide(connection, 50_000_01, *people)


def test_two_different_people_may(connection: psycopg.Connection[Any]) -> None:
    decide(connection, 50_000_01, "usr_one", "usr_two")


GIVE_UP = """
UPDATE finance.breaks SET resolution = 'claim_gateway', claim = 'given_up', claim_resolution = 'write_off',
    claim_first_by = %s, claim_second_by = %s
WHERE break_id = 'brk'
"""


@pytest.mark.parametrize(
    "people", [("usr_one", None), ("usr_one", "usr_one"), (None, "usr_two"), (None, None)]
)
def test_a_large_claim_is_given_up_by_two_different_people(
    connection: psycopg.Connection[Any], people: tuple[str | None, str | None]
) -> None:
    decide(connection, 50_000_01, "usr_one", "usr_two")
    with pytest.raises(psycopg.errors.CheckViolation, match="breaks_claim_given_up"):
        connection.execute(GIVE_UP, people)


@pytest.mark.parametrize(
    ("amount", "people"), [(50_000_00, ("usr_one", None)), (50_000_01, ("usr_a", "usr_b"))]
)
def test_as_many_may_give_a_claim_up_as_it_takes(
    connection: psycopg.Connection[Any], amount: int, people: tuple[str | None, str | None]
) -> None:
    decide(connection, amount, "usr_one", "usr_two")
    connection.execute(GIVE_UP, people)
