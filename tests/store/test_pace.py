"""The gate of an account in Postgres: orders by second, minute and day, quotes and history by turns."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from datetime import UTC, date, datetime, timedelta

import pytest

from domain.trading import CLIENT_DEADLINE, AttemptStatus, tag_of
from store import read_turns, trading_attempts
from store.database import Database
from store.trading_attempts import PER_DAY, PER_MINUTE, PER_SECOND, Begun, Pace

NOON = datetime(2026, 11, 23, 6, 30, tzinfo=UTC)
TODAY = date(2026, 11, 23)


class Account:
    """One account with as many orders as are asked for."""

    def __init__(self, database: Database, account_id: str) -> None:
        self.database, self.account_id, self._orders = database, account_id, 0

    async def open(self) -> None:
        async with self.database.transaction() as connection:
            await connection.execute(
                """INSERT INTO trading.accounts (account_id, user_id, broker, status, access_token, made_at)
                   VALUES (%s, 'usr_pace', 'kite', 'connected', ''::bytea, %s)""",
                (self.account_id, NOON),
            )

    async def order(self) -> str:
        self._orders += 1
        order_id = f"ord_{self.account_id}_{self._orders}"
        async with self.database.transaction() as connection:
            await connection.execute(
                """INSERT INTO trading.orders (order_id, user_id, account_id, exchange, symbol, side,
                       quantity, order_type, product, validity, variety, status, made_at, changed_at)
                   VALUES (%s, 'usr_pace', %s, 'NSE', 'INFY', 'BUY', 1, 'MARKET', 'CNC', 'DAY', 'regular',
                       'queued', %s, %s)""",
                (order_id, self.account_id, NOON, NOON),
            )
            await trading_attempts.queue(connection, (order_id, 1, 1))
        return order_id

    async def begin(self, order_id: str, now: datetime = NOON) -> Begun:
        key = (order_id, 1, 1)
        async with self.database.reading() as connection:
            begun = await trading_attempts.begin(
                connection, key, self.account_id, flattens=None, day=TODAY, now=now
            )
            await trading_attempts.unlock(connection, tag_of(*key))
        return begun

    async def called(self, *ago: timedelta, used: int | None = None) -> None:
        """As if calls had left so long ago."""
        async with self.database.transaction() as connection:
            await connection.execute(
                """INSERT INTO trading.pace (account_id, kind, starts_at, used, recent)
                   VALUES (%(account)s, 'day', '2026-11-22T18:30:00Z', %(used)s,
                           ARRAY(SELECT clock_timestamp() - each FROM unnest(%(ago)s::interval[]) AS each))
                   ON CONFLICT (account_id, kind)
                   DO UPDATE SET recent = excluded.recent, used = excluded.used""",
                {"account": self.account_id, "used": len(ago) if used is None else used, "ago": list(ago)},
            )


@pytest.fixture
async def account(database: str, request: pytest.FixtureRequest) -> AsyncIterator[Account]:
    async with Database(database) as opened:
        account = Account(opened, f"acc_{request.node.name}")
        await account.open()
        yield account


async def test_ten_leave_in_a_second_however_many_ask_at_once(account: Account) -> None:
    orders = [await account.order() for _ in range(2 * PER_SECOND)]
    begun = await asyncio.gather(*(account.begin(order) for order in orders))
    assert Counter(each.pace for each in begun) == {Pace.GRANTED: PER_SECOND, Pace.SECOND: PER_SECOND}
    assert sum(each.began for each in begun) == PER_SECOND
    assert all(each.status_before is AttemptStatus.QUEUED for each in begun)


async def test_what_was_refused_uses_nothing_up(account: Account) -> None:
    await account.called(*[timedelta(milliseconds=1050)] * PER_SECOND)
    order = await account.order()
    begun = await account.begin(order)
    while begun.pace is Pace.SECOND:
        begun = await account.begin(order)
    assert begun.began, "asking again and again must not keep an account waiting"


async def test_the_minute_slides(account: Account) -> None:
    order = await account.order()
    old = [timedelta(seconds=60)] * (PER_MINUTE - 1)
    await account.called(*old, timedelta(seconds=5))
    begun = await account.begin(order)
    assert (begun.began, begun.pace) == (False, Pace.MINUTE)
    assert 0 < begun.minute_left <= 1.0
    await account.called(*[timedelta(seconds=62)] * (PER_MINUTE - 1), timedelta(seconds=5))
    assert (await account.begin(order)).began


async def test_the_day_is_the_brokers_and_ends_at_midnight_in_india(account: Account) -> None:
    order = await account.order()
    await account.called(used=PER_DAY)
    begun = await account.begin(order, datetime(2026, 11, 23, 18, 29, tzinfo=UTC))
    assert (begun.began, begun.pace) == (False, Pace.DAY)
    assert (await account.begin(order, datetime(2026, 11, 23, 18, 31, tzinfo=UTC))).began


async def taken(account: Account, holder: str, most: int = 3) -> float:
    async with account.database.reading() as connection:
        return await read_turns.take(connection, account.account_id, "history", most, holder)


async def test_three_turns_are_taken_however_many_ask_at_once(account: Account) -> None:
    pauses = await asyncio.gather(*(taken(account, f"h{number}") for number in range(20)))
    assert pauses.count(0.0) == 3
    assert min(pause for pause in pauses if pause) > 0


async def test_a_turn_is_free_a_second_after_its_answer_and_not_before(account: Account) -> None:
    assert await taken(account, "first", most=1) == 0
    begun = datetime.now(UTC)
    async with account.database.reading() as connection:
        await read_turns.answered(connection, account.account_id, "history", "first")
    while pause := await taken(account, "second", most=1):
        assert pause <= 1.02
        await asyncio.sleep(pause)
    assert datetime.now(UTC) - begun >= timedelta(seconds=1)
    async with account.database.reading() as connection:
        # Late word of a holder that has lost its turn frees nobody else's.
        await read_turns.answered(connection, account.account_id, "history", "first")
    assert await taken(account, "third", most=1) > 5


async def test_a_holder_that_never_comes_back_holds_its_turn_longer_than_its_call_can_last(
    account: Account,
) -> None:
    assert await taken(account, "killed", most=1) == 0
    assert await taken(account, "next", most=1) > CLIENT_DEADLINE.total_seconds()


async def test_nobody_sends_without_the_senders_lock(account: Account, database: str) -> None:
    """A sender that put its attempt back and holds the lock yet: the next one waits for it."""
    order_id = await account.order()
    lock = "SELECT pg_advisory_lock(hashtextextended(%s, 0))"
    async with Database(database) as other, other.reading() as sender:
        await sender.execute(lock, (tag_of(order_id, 1, 1),))
        begun = await account.begin(order_id)
        assert (begun.began, begun.pace) == (False, Pace.SECOND)
        await trading_attempts.unlock(sender, tag_of(order_id, 1, 1))
    assert (await account.begin(order_id)).began
