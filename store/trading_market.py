"""Instruments and quotes as last read from a broker."""

from collections.abc import Sequence
from datetime import date, datetime, timedelta

from models.messages.broker import Instrument, MarketQuote
from store.database import Connection

QUOTE_FRESH = timedelta(seconds=5)
"""How old a quote may be for the checks of an order; Kite gives one a second."""


async def last_listed(
    connection: Connection, broker: str, exchange: str, symbol: str
) -> tuple[Instrument, date] | None:
    """The instrument on the newest list that was read, and that list's day."""
    cursor = await connection.execute(
        """SELECT exchange, symbol, token, segment, kind, underlying, tick, lot, expiry, listed_on
           FROM trading.instruments WHERE broker = %s AND exchange = %s AND symbol = %s""",
        (broker, exchange, symbol),
    )
    row = await cursor.fetchone()
    return (Instrument(**row), row["listed_on"]) if row else None


async def listed(connection: Connection, broker: str, day: date) -> bool:
    """Whether that day's list was read."""
    cursor = await connection.execute(
        "SELECT 1 FROM trading.instruments WHERE broker = %s AND listed_on = %s LIMIT 1", (broker, day)
    )
    return await cursor.fetchone() is not None


async def store_list(connection: Connection, broker: str, day: date, rows: list[Instrument]) -> None:
    """Replaces the broker's list by that of `day`; writers take turns, the later list stands."""
    await connection.execute("SELECT pg_advisory_xact_lock(hashtextextended(%s, 0))", (f"list:{broker}",))
    if await listed(connection, broker, day):
        return
    await connection.execute("DELETE FROM trading.instruments WHERE broker = %s", (broker,))
    async with connection.cursor().copy(
        """COPY trading.instruments (broker, exchange, symbol, listed_on, token, segment, kind, underlying,
               tick, lot, expiry) FROM STDIN"""
    ) as copy:
        for row in rows:
            await copy.write_row(
                (
                    *(broker, row.exchange, row.symbol, day, row.token, row.segment, row.kind),
                    *(row.underlying, row.tick, row.lot, row.expiry),
                )
            )


async def fresh_quote(connection: Connection, broker: str, exchange: str, symbol: str) -> MarketQuote | None:
    """A quote read less than `QUOTE_FRESH` ago, by the record's clock."""
    cursor = await connection.execute(
        """SELECT exchange, symbol, last_price, close, lower_limit, upper_limit FROM trading.quotes
           WHERE broker = %s AND exchange = %s AND symbol = %s AND read_at > clock_timestamp() - %s""",
        (broker, exchange, symbol, QUOTE_FRESH),
    )
    row = await cursor.fetchone()
    return MarketQuote(**row) if row else None


async def store_quotes(
    connection: Connection, broker: str, quotes: Sequence[MarketQuote], quoted_at: datetime
) -> None:
    """Takes up one reading of the market; an older one does not take a newer one's place."""
    given = [
        (
            *(broker, quote.exchange, quote.symbol, quote.last_price, quote.close),
            *(quote.lower_limit, quote.upper_limit, quoted_at),
        )
        for quote in quotes
    ]
    await connection.cursor().executemany(
        """INSERT INTO trading.quotes AS q (broker, exchange, symbol, last_price, close, lower_limit,
               upper_limit, quoted_at, read_at)
           VALUES (%s, %s, %s, %s, %s, %s, %s, %s, clock_timestamp())
           ON CONFLICT (broker, exchange, symbol) DO UPDATE SET last_price = excluded.last_price,
               close = excluded.close, lower_limit = excluded.lower_limit,
               upper_limit = excluded.upper_limit, quoted_at = excluded.quoted_at,
               read_at = excluded.read_at
           WHERE q.quoted_at <= excluded.quoted_at""",
        given,
    )
