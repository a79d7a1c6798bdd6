"""Breaks of a trading day: opened by a comparison, closed by a person or because both sides agree again."""

from collections.abc import Sequence
from datetime import date, datetime
from typing import Any

from domain.broker_day import (
    BREAK_NEXT,
    BreakKind,
    BreakStatus,
    DayStatus,
    Difference,
    Place,
    Resolution,
    may_be,
)
from domain.errors import Rejected
from domain.moves import moved
from domain.trading import Side
from models.messages.broker import BrokerTrade
from models.messages.broker_days import DayBreak
from store import broker_days, trading_positions
from store.changes import touch
from store.database import Connection
from store.outbox import emit
from store.places import place
from store.trading import TOPIC


async def find(connection: Connection, break_id: str, *, lock: bool = False) -> dict[str, Any] | None:
    held = "FOR UPDATE" if lock else ""
    cursor = await connection.execute(
        f"SELECT * FROM trading.broker_breaks WHERE break_id = %s {held}",  # noqa: S608
        (break_id,),
    )
    return await cursor.fetchone()


async def of_day(connection: Connection, account_id: str, day: date) -> list[dict[str, Any]]:
    """Breaks that were opened on the day, and what became of them."""
    cursor = await connection.execute(
        """SELECT break_id, kind, reference, ours, theirs, status, resolution, opened_at, resolved_at, version
           FROM trading.broker_breaks WHERE account_id = %s AND day = %s ORDER BY kind, reference""",
        (account_id, day),
    )
    return await cursor.fetchall()


async def listing(
    connection: Connection,
    *,
    status: str | None,
    after: str | None,
    start: datetime | None,
    end: datetime | None,
    limit: int,
) -> list[dict[str, Any]]:
    """Breaks of every account, newest first; `place` is the sort key."""
    cursor = await connection.execute(
        f"""SELECT * FROM (
               SELECT *, {place("opened_at", "break_id")} AS place
               FROM trading.broker_breaks
               WHERE (%(status)s::text IS NULL OR status = %(status)s)
                 AND (%(start)s::timestamptz IS NULL OR opened_at >= %(start)s)
                 AND (%(end)s::timestamptz IS NULL OR opened_at < %(end)s)) listed
           WHERE %(after)s::text IS NULL OR place < %(after)s
           ORDER BY opened_at DESC, break_id DESC LIMIT %(limit)s""",  # noqa: S608
        {"status": status, "after": after, "start": start, "end": end, "limit": limit},
    )
    return await cursor.fetchall()


async def take(
    connection: Connection, account_id: str, day: date, found: Sequence[Difference], now: datetime
) -> tuple[list[DayBreak], list[str]]:
    """Opens what is new, closes as agreed what is no longer found: the breaks that were found, and the ids
    of those that agree, the same for a repeat of this comparison. Earlier days that waited for no other
    break are settled with them; `day` itself is its caller's."""
    breaks = await open_each(connection, account_id, day, found, now)
    await connection.execute(
        """UPDATE trading.broker_breaks SET status = 'resolved', resolution = 'agreed', resolved_at = %(now)s,
               version = version + 1
           WHERE account_id = %(account)s AND status = 'open' AND break_id <> ALL(%(found)s)
             AND (day = %(day)s OR kind = 'position_differs')""",
        {"account": account_id, "day": day, "now": now, "found": [each.break_id for each in breaks]},
    )
    # A worker that died with this committed has told nobody: the moment is the comparison's own.
    cursor = await connection.execute(
        """SELECT break_id FROM trading.broker_breaks
           WHERE account_id = %s AND resolution = 'agreed' AND resolved_at = %s ORDER BY break_id""",
        (account_id, now),
    )
    agreed = [row["break_id"] for row in await cursor.fetchall()]
    for earlier in await _waiting_for_none(connection, account_id, agreed):
        if earlier != day:
            settled = await standing(connection, account_id, earlier, [])
            await broker_days.settle(connection, account_id, earlier, settled)
    return breaks, agreed


async def open_each(
    connection: Connection, account_id: str, day: date, found: Sequence[Difference], now: datetime
) -> list[DayBreak]:
    """Opens what is not open or decided yet."""
    return [await _open(connection, account_id, day, each, now) for each in found]


async def _open(
    connection: Connection, account_id: str, day: date, found: Difference, now: datetime
) -> DayBreak:
    break_id = found.break_id(account_id, day.isoformat())
    row = await find(connection, break_id, lock=True)
    if row is None:
        await connection.execute(
            """INSERT INTO trading.broker_breaks
                   (break_id, account_id, day, kind, reference, ours, theirs, status, opened_at)
               VALUES (%s, %s, %s, %s, %s, %s, %s, 'open', %s)""",
            (break_id, account_id, day, found.kind, found.reference, found.ours, found.theirs, now),
        )
    elif row["resolution"] == Resolution.AGREED:
        moved(BREAK_NEXT, BreakStatus(row["status"]), BreakStatus.OPEN)
        await connection.execute(
            """UPDATE trading.broker_breaks SET status = 'open', resolution = NULL, resolved_at = NULL,
                   version = version + 1 WHERE break_id = %s""",
            (break_id,),
        )
    status = BreakStatus.RESOLVED if row and row["decided_by"] else BreakStatus.OPEN
    return DayBreak(break_id=break_id, status=status, **vars(found))


async def standing(
    connection: Connection, account_id: str, day: date, found: Sequence[DayBreak]
) -> DayStatus:
    """Where a day stands with these breaks found, and those of it that were decided before."""
    if any(each.status is BreakStatus.OPEN for each in found):
        return DayStatus.OPEN
    rows = await of_day(connection, account_id, day)
    decided = bool(found) or any(row["resolution"] != Resolution.AGREED for row in rows)
    return DayStatus.RESOLVED if decided else DayStatus.BALANCED


async def decide(
    connection: Connection,
    break_id: str,
    resolution: Resolution,
    note_id: str | None,
    subject: str,
    now: datetime,
) -> dict[str, Any]:
    """A person's decision, once; a repeat of the same note is the same decision.

    Raises:
        Rejected: `break_unknown`, `already_resolved`, `resolution_not_possible`; `figures_moved`: our own
            figure is not the one that the break was opened with.
    """
    known = await find(connection, break_id)
    if known is None:
        raise Rejected("break_unknown")
    # Before the row, as a comparison does: else each may wait for the other.
    await broker_days.lock(connection, known["account_id"])
    row = await find(connection, break_id, lock=True) or known
    if row["note_id"] is not None and row["note_id"] == note_id:
        return row
    if row["status"] == BreakStatus.RESOLVED:
        raise Rejected("already_resolved")
    if not may_be(BreakKind(row["kind"]), resolution):
        raise Rejected("resolution_not_possible")
    moved(BREAK_NEXT, BreakStatus(row["status"]), BreakStatus.RESOLVED)
    if resolution is Resolution.ADOPT_BROKER:
        await _adjust(connection, row, now)
    await connection.execute(
        """UPDATE trading.broker_breaks SET status = 'resolved', resolution = %s, note_id = %s,
               decided_by = %s, resolved_at = %s, version = version + 1 WHERE break_id = %s""",
        (resolution, note_id, subject, now, break_id),
    )
    for day in await _waiting_for_none(connection, row["account_id"], [break_id]):
        await broker_days.settle(connection, row["account_id"], day, DayStatus.RESOLVED)
    body = {"break_id": break_id, "account_id": row["account_id"], "resolution": resolution.value}
    await emit(connection, TOPIC, row["account_id"], "broker_break.resolved", body, now)
    await touch(connection, break_id)
    return await find(connection, break_id) or row


async def _waiting_for_none(connection: Connection, account_id: str, ended: Sequence[str]) -> list[date]:
    """Days that waited for one of the breaks that have ended and wait for no other. A position that differs
    is one break for as long as it does, and keeps every day from its first one on waiting."""
    cursor = await connection.execute(
        """SELECT DISTINCT d.day FROM trading.broker_days d JOIN trading.broker_breaks e USING (account_id)
           WHERE d.account_id = %(account)s AND e.break_id = ANY(%(ended)s)
             AND (d.status = 'open' OR (d.status = 'unread' AND d.day = e.day))
             AND (e.day = d.day OR (e.kind = 'position_differs' AND e.day < d.day))
             AND NOT EXISTS (SELECT FROM trading.broker_breaks b
                             WHERE b.account_id = d.account_id AND b.status = 'open'
                               AND (b.day = d.day OR (b.kind = 'position_differs' AND b.day < d.day)))
           ORDER BY d.day""",
        {"account": account_id, "ended": list(ended)},
    )
    return [row["day"] for row in await cursor.fetchall()]


async def _adjust(connection: Connection, row: dict[str, Any], now: datetime) -> None:
    """The position becomes what the broker says, by a trade event under the break's own name. What was
    booked since the break was opened, a late fill say, is not booked twice."""
    exchange, symbol, product = row["reference"].split("/")
    missing = int(row["theirs"]) - int(row["ours"])
    held = await broker_days.positions(connection, row["account_id"], row["day"])
    if held.get(Place(exchange, symbol, product), 0) != int(row["ours"]):
        raise Rejected("figures_moved")
    cursor = await connection.execute(
        """SELECT coalesce(
               (SELECT coalesce(nullif(average_price, 0), last_price) FROM trading.day_positions
                WHERE account_id = %(account)s AND day = %(day)s AND exchange = %(exchange)s
                  AND symbol = %(symbol)s AND product = %(product)s),
               (SELECT price FROM trading.trades WHERE account_id = %(account)s AND exchange = %(exchange)s
                  AND symbol = %(symbol)s ORDER BY traded_at DESC, trade_id DESC LIMIT 1)) AS price""",
        {"account": row["account_id"], "day": row["day"], "exchange": exchange, "symbol": symbol,
         "product": product},
    )  # fmt: skip
    priced = await cursor.fetchone()
    if priced is None or priced["price"] is None:
        raise Rejected("resolution_not_possible")
    event = BrokerTrade(
        trade_id=f"adjustment/{row['break_id']}",
        broker_order_id=row["break_id"],
        exchange=exchange,
        symbol=symbol,
        product=product,
        side=Side.BUY if missing > 0 else Side.SELL,
        quantity=abs(missing),
        price=priced["price"],
        traded_at=now,
    )
    await trading_positions.add(connection, row["account_id"], None, row["day"], [event], "adjustment")
