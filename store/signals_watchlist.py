"""The watchlist as the record has it: put on, taken off, what became of the newest bar."""

from datetime import datetime
from typing import Any

from domain.errors import Rejected
from domain.moves import begun, sources
from domain.signals import Timeframe
from domain.trading import Exchange
from domain.watchlist import WATCH_FIRST, WATCH_NEXT, WatchStatus, most_on_watch
from models.messages.watchlist import DueWatch, NoteBar, WatchInput, WatchView
from store.changes import touch
from store.database import Connection

COLUMNS = """watch_id, analyst_id, strategy, exchange, symbol, timeframe, status, put_on_at, taken_off_at,
    last_bar_at, last_run_id, last_outcome, version"""


async def put_on(connection: Connection, watch: WatchInput, now: datetime) -> WatchView:
    """Puts it on watch, once; the stored row. What the same analyst has on watch already is given as it is.

    Raises:
        Rejected: `already_on_watch`, another analyst's; `watchlist_full`, no more could run while a bar is
            fresh.
    """
    if (known := await find(connection, watch.watch_id)) is not None:
        return known
    # Those who put on watch for a timeframe take turns: the count and the pair hold until the commit.
    await hold(connection, watch.timeframe)
    pair = (watch.strategy, watch.exchange, watch.symbol, watch.timeframe)
    if (same := await _watched(connection, pair)) is not None:
        if same.analyst_id != watch.analyst_id:
            raise Rejected("already_on_watch")
        return same
    cursor = await connection.execute(
        "SELECT count(*) AS watched FROM signals.watches WHERE status = 'on_watch' AND timeframe = %s",
        (watch.timeframe,),
    )
    row = await cursor.fetchone()
    if row and row["watched"] >= most_on_watch(watch.timeframe):
        raise Rejected("watchlist_full")
    await connection.execute(
        """INSERT INTO signals.watches
               (watch_id, analyst_id, strategy, exchange, symbol, timeframe, status, put_on_at)
           VALUES (%s, %s, %s, %s, %s, %s, %s, %s) ON CONFLICT (watch_id) DO NOTHING""",
        (watch.watch_id, watch.analyst_id, *pair, begun(WATCH_FIRST, WatchStatus.ON_WATCH), now),
    )
    return await view(connection, watch.watch_id)


async def _watched(connection: Connection, pair: tuple[str, str, str, str]) -> WatchView | None:
    cursor = await connection.execute(
        f"""SELECT {COLUMNS} FROM signals.watches
            WHERE (strategy, exchange, symbol, timeframe) = (%s, %s, %s, %s) AND status = 'on_watch'""",  # noqa: S608
        pair,
    )
    row = await cursor.fetchone()
    return WatchView(**row) if row else None


async def take_off(connection: Connection, watch_id: str, taken_off_by: str, now: datetime) -> WatchView:
    """Takes it off; a repeat changes nothing."""
    await connection.execute(
        """UPDATE signals.watches SET status = 'off', taken_off_by = %s, taken_off_at = %s,
               version = version + 1 WHERE watch_id = %s AND status = ANY(%s)""",
        (taken_off_by, now, watch_id, sources(WATCH_NEXT, WatchStatus.OFF)),
    )
    await touch(connection, watch_id)
    return await view(connection, watch_id)


async def note_bar(connection: Connection, note: NoteBar) -> None:
    """What became of a bar's run; a later bar's word stands."""
    await connection.execute(
        """UPDATE signals.watches SET last_bar_at = %(bar_at)s, last_run_id = %(run_id)s,
               last_outcome = %(outcome)s, version = version + 1
           WHERE watch_id = %(watch_id)s AND (last_bar_at IS NULL OR last_bar_at <= %(bar_at)s)
             AND (last_bar_at, last_outcome) IS DISTINCT FROM (%(bar_at)s, %(outcome)s)""",
        note.model_dump(),
    )
    await touch(connection, note.watch_id)


async def due(
    connection: Connection, timeframe: Timeframe, exchanges: list[Exchange], now: datetime
) -> list[DueWatch]:
    """What is on watch, the longest first. Of someone who is an analyst no more nobody could publish a draft:
    such a watch rests until another takes it off."""
    cursor = await connection.execute(
        """SELECT watch_id, analyst_id, strategy, exchange, symbol FROM signals.watches w
           WHERE status = 'on_watch' AND timeframe = %s AND exchange = ANY(%s)
             AND EXISTS (SELECT FROM user_management.user_roles r
                         WHERE r.user_id = w.analyst_id AND r.role = 'analyst' AND r.ended_at IS NULL
                           AND (r.expires_at IS NULL OR r.expires_at > %s))
           ORDER BY watch_id""",
        (timeframe, [str(exchange) for exchange in exchanges], now),
    )
    return [DueWatch(**row) for row in await cursor.fetchall()]


async def hold(connection: Connection, timeframe: Timeframe) -> None:
    """Until the transaction ends nobody else looks whether anything of the timeframe is on watch."""
    await connection.execute(
        "SELECT pg_advisory_xact_lock(hashtextextended(%s, 0))", (f"watchlist:{timeframe}",)
    )


async def any_on_watch(connection: Connection, timeframe: Timeframe) -> bool:
    cursor = await connection.execute(
        "SELECT 1 FROM signals.watches WHERE status = 'on_watch' AND timeframe = %s LIMIT 1", (timeframe,)
    )
    return await cursor.fetchone() is not None


async def unlisted(connection: Connection, broker: str, exchange: Exchange, symbol: str) -> bool:
    """Whether the broker's list was ever read and does not have the instrument."""
    cursor = await connection.execute(
        """SELECT EXISTS (SELECT FROM trading.instruments WHERE broker = %(broker)s)
              AND NOT EXISTS (SELECT FROM trading.instruments WHERE broker = %(broker)s
                                AND exchange = %(exchange)s AND symbol = %(symbol)s) AS unlisted""",
        {"broker": broker, "exchange": exchange, "symbol": symbol},
    )
    row = await cursor.fetchone()
    return bool(row and row["unlisted"])


async def standing(connection: Connection, watch_id: str, now: datetime) -> bool:
    """Whether a signal that this watch drew up still waits for its analyst or runs in the market."""
    cursor = await connection.execute(
        """SELECT 1 FROM signals.trading_signals s JOIN signals.signal_runs r USING (run_id)
           WHERE r.watch_id = %s AND s.status IN ('draft', 'published', 'live') AND s.expires_at > %s
           LIMIT 1""",
        (watch_id, now),
    )
    return await cursor.fetchone() is not None


async def find(connection: Connection, watch_id: str) -> WatchView | None:
    cursor = await connection.execute(
        f"SELECT {COLUMNS} FROM signals.watches WHERE watch_id = %s",  # noqa: S608
        (watch_id,),
    )
    row = await cursor.fetchone()
    return WatchView(**row) if row else None


async def view(connection: Connection, watch_id: str) -> WatchView:
    """Raises LookupError for an unknown watch."""
    found = await find(connection, watch_id)
    if found is None:
        raise LookupError(watch_id)
    return found


async def listing(
    connection: Connection,
    *,
    status: str | None = None,
    after: str | None = None,
    start: datetime | None = None,
    end: datetime | None = None,
    limit: int,
) -> list[dict[str, Any]]:
    """The house's watchlist, newest first; `start` and `end` bound when it was put on."""
    cursor = await connection.execute(
        f"""SELECT {COLUMNS} FROM signals.watches
            WHERE (%(status)s::text IS NULL OR status = %(status)s)
              AND (%(after)s::text IS NULL OR watch_id < %(after)s)
              AND (%(start)s::timestamptz IS NULL OR put_on_at >= %(start)s)
              AND (%(end)s::timestamptz IS NULL OR put_on_at < %(end)s)
            ORDER BY watch_id DESC LIMIT %(limit)s""",  # noqa: S608
        {"status": status, "after": after, "start": start, "end": end, "limit": limit},
    )
    return await cursor.fetchall()
