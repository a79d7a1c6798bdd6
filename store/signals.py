"""Signals as the record has them: each step one transaction, the state and its event together."""

from datetime import datetime
from decimal import Decimal
from typing import Any

from pydantic_core import to_jsonable_python

from domain.moves import moved
from domain.signals import (
    CLOSED,
    MOVES,
    Action,
    Levels,
    Status,
    counted_return,
    kept_until,
    reached,
    refusal_to_publish,
    true_return,
)
from models.contracts.topics import Topic
from models.messages.signals import Priced, SignalInput, Standing
from store.changes import touch
from store.database import Connection
from store.outbox import emit

COLUMNS = """signal_id, run_id, source, analyst_id, exchange, symbol, action, timeframe, entry_price,
    target_price, stop_loss, confidence, expires_at, rationale_note, disclosure_note, status, made_at,
    registration_number, published_by, published_at, actual_entry, entered_at, actual_exit, closed_at,
    return_percent, withdrawal_note, seal, ai_used, published_price, published_price_at, version"""

TOLD = (
    *("signal_id", "status", "version", "exchange", "symbol", "action", "timeframe", "entry_price"),
    *("target_price", "stop_loss", "confidence", "expires_at", "published_at", "closed_at"),
    "ai_used",
)
"""What an event says: ids, codes and figures. How it did is not among them: returns are unverified."""

ADD = """
INSERT INTO signals.trading_signals
    (signal_id, run_id, source, analyst_id, exchange, symbol, action, timeframe, entry_price,
     target_price, stop_loss, confidence, expires_at, rationale_note, disclosure_note, ai_used, status,
     made_at)
VALUES (%(signal_id)s, %(run_id)s, %(source)s, %(analyst_id)s, %(exchange)s, %(symbol)s, %(action)s,
        %(timeframe)s, %(entry_price)s, %(target_price)s, %(stop_loss)s, %(confidence)s, %(expires_at)s,
        %(rationale_note)s, %(disclosure_note)s, %(ai_used)s, 'draft', %(now)s)
ON CONFLICT (signal_id) DO NOTHING
"""


async def find(connection: Connection, signal_id: str) -> dict[str, Any] | None:
    cursor = await connection.execute(
        f"SELECT {COLUMNS} FROM signals.trading_signals WHERE signal_id = %s",  # noqa: S608
        (signal_id,),
    )
    return await cursor.fetchone()


async def add_draft(connection: Connection, signal: SignalInput, now: datetime) -> Standing:
    """The signal's row, made once; the stored standing."""
    terms = signal.terms.model_dump(mode="python")
    given = signal.model_dump(include={"signal_id", "run_id", "source", "analyst_id", "ai_used"})
    notes = {"rationale_note": signal.rationale_note, "disclosure_note": signal.disclosure_note}
    await connection.execute(ADD, {**terms, **given, **notes, "now": now})
    return await standing(connection, signal.signal_id)


async def standing(connection: Connection, signal_id: str, refused: str | None = None) -> Standing:
    """Raises LookupError for an unknown signal."""
    row = await find(connection, signal_id)
    if row is None:
        raise LookupError(signal_id)
    return Standing(
        status=row["status"], version=row["version"], published_at=row["published_at"], refused=refused
    )


async def publish(
    connection: Connection,
    signal_id: str,
    *,
    published_by: str,
    registration_number: str,
    seal: bytes,
    now: datetime,
    market: Priced | None = None,
) -> Standing:
    """Makes a draft public, once, with its event; the stored standing, with the refusal where it stayed.
    `market`: its price at that moment, which is kept beside."""
    row = await _held(connection, signal_id)
    if row["seal"] is not None and bytes(row["seal"]) == seal:
        # The very same signed word: a repeat of what was done.
        return await standing(connection, signal_id)
    price = market.price if market else None
    levels = Levels(Action(row["action"]), row["entry_price"], row["target_price"], row["stop_loss"])
    refused = refusal_to_publish(
        Status(row["status"]),
        row["confidence"],
        row["expires_at"],
        now,
        rationale=bool(row["rationale_note"]),
        disclosure=bool(row["disclosure_note"]),
        passed=price is not None and reached(levels, price) is not None,
    )
    if refused is not None:
        return await standing(connection, signal_id, refused)
    moved(MOVES, Status(row["status"]), Status.PUBLISHED)
    await connection.execute(
        """UPDATE signals.trading_signals SET status = 'published', published_by = %s, published_at = %s,
               registration_number = %s, kept_until = %s, seal = %s, published_price = %s,
               published_price_at = %s, version = version + 1
           WHERE signal_id = %s""",
        (
            *(published_by, now, registration_number, kept_until(now), seal, price),
            *(market.seen_at if market and price is not None else None, signal_id),
        ),
    )
    return await _told(connection, signal_id, "signal.published", now)


async def enter(
    connection: Connection, signal_id: str, price: Decimal, seen_at: datetime, now: datetime
) -> Standing:
    """The first market price after publication; a repeat changes nothing."""
    row = await _held(connection, signal_id)
    if row["status"] != Status.PUBLISHED:
        return await standing(connection, signal_id)
    moved(MOVES, Status(row["status"]), Status.LIVE)
    await connection.execute(
        """UPDATE signals.trading_signals SET status = 'live', actual_entry = %s, entered_at = %s,
               version = version + 1 WHERE signal_id = %s""",
        (price, seen_at, signal_id),
    )
    return await _told(connection, signal_id, "signal.updated", now)


async def close(
    connection: Connection,
    signal_id: str,
    status: Status,
    *,
    exit_price: Decimal | None,
    reason_note: str | None,
    now: datetime,
) -> Standing:
    """Ends a signal with its true return; what was never published ends without an event. A repeat, or a
    second end, changes nothing.

    Raises:
        LookupError: there is no such signal.
        IllegalMove: a signal that the market was never seen of cannot reach a level.
    """
    row = await _held(connection, signal_id)
    if row["status"] in CLOSED:
        return await standing(connection, signal_id)
    left_at = exit_price if row["actual_entry"] is not None else None
    gained = true_return(Action(row["action"]), row["actual_entry"], exit_price)
    await connection.execute(
        """UPDATE signals.trading_signals SET status = %s, actual_exit = %s, closed_at = %s,
               return_percent = %s, withdrawal_note = %s, version = version + 1 WHERE signal_id = %s""",
        (moved(MOVES, Status(row["status"]), status), left_at, now, gained, reason_note, signal_id),
    )
    if row["published_at"] is None:
        await touch(connection, signal_id)
        return await standing(connection, signal_id)
    return await _told(connection, signal_id, "signal.closed", now)


async def listing(
    connection: Connection,
    *,
    published: bool,
    open_only: bool = False,
    status: str | None = None,
    since: datetime | None = None,
    shown_to: str | None = None,
    analyst_id: str | None = None,
    after: str | None = None,
    start: datetime | None = None,
    end: datetime | None = None,
    limit: int,
) -> list[dict[str, Any]]:
    """Signals, newest first. `shown_to`: only those delivered to that person; `since`: of publication."""
    cursor = await connection.execute(
        f"""SELECT {COLUMNS} FROM signals.trading_signals s
            WHERE (NOT %(published)s OR published_at IS NOT NULL)
              AND (NOT %(open_only)s OR status IN ('published', 'live'))
              AND (%(status)s::text IS NULL OR status = %(status)s)
              AND (%(since)s::timestamptz IS NULL OR published_at >= %(since)s)
              AND (%(shown_to)s::text IS NULL OR EXISTS (
                     SELECT FROM signals.deliveries d
                     WHERE d.signal_id = s.signal_id AND d.user_id = %(shown_to)s))
              AND (%(analyst_id)s::text IS NULL OR analyst_id = %(analyst_id)s)
              AND (%(after)s::text IS NULL OR signal_id < %(after)s)
              AND (%(start)s::timestamptz IS NULL OR made_at >= %(start)s)
              AND (%(end)s::timestamptz IS NULL OR made_at < %(end)s)
            ORDER BY signal_id DESC LIMIT %(limit)s""",  # noqa: S608
        {
            "published": published,
            "open_only": open_only,
            "status": status,
            "since": since,
            "shown_to": shown_to,
            "analyst_id": analyst_id,
            "after": after,
            "start": start,
            "end": end,
            "limit": limit,
        },
    )
    return await cursor.fetchall()


async def performance(connection: Connection) -> dict[str, Any]:
    """Every published signal, none left out; returns in percent before costs, each closed trade counted as
    `domain.signals.counted_return` says."""
    cursor = await connection.execute(
        """SELECT count(*) AS published,
                  count(*) FILTER (WHERE status IN ('published', 'live')) AS open,
                  count(*) FILTER (WHERE status = 'target') AS target,
                  count(*) FILTER (WHERE status = 'stop') AS stop,
                  count(*) FILTER (WHERE status = 'expired') AS expired,
                  count(*) FILTER (WHERE status = 'withdrawn') AS withdrawn,
                  count(return_percent) AS measured,
                  count(*) FILTER (WHERE closed_at IS NOT NULL AND return_percent IS NULL) AS unmeasured,
                  count(*) FILTER (WHERE action IN ('hold', 'exit')) AS no_trade,
                  count(*) FILTER (WHERE closed_at IS NOT NULL AND actual_entry IS NULL
                                     AND action IN ('buy', 'sell')) AS never_entered,
                  count(*) FILTER (WHERE ai_used) AS ai_used,
                  min(published_at) AS first_published_at, max(published_at) AS last_published_at
           FROM signals.trading_signals WHERE published_at IS NOT NULL"""
    )
    row = await cursor.fetchone() or {}
    return {**row, **_figures(await _counted(connection))}


async def _counted(connection: Connection) -> list[Decimal]:
    """What each closed signal that named a trade counts with."""
    cursor = await connection.execute(
        """SELECT action, actual_entry, actual_exit, stop_loss FROM signals.trading_signals
           WHERE published_at IS NOT NULL AND closed_at IS NOT NULL"""
    )
    counted = [
        counted_return(Action(row["action"]), row["actual_entry"], row["actual_exit"], row["stop_loss"])
        for row in await cursor.fetchall()
    ]
    return [each for each in counted if each is not None]


def _figures(counted: list[Decimal]) -> dict[str, Any]:
    total = sum(counted, Decimal(0))
    return {
        "counted": len(counted),
        "gained": sum(each > 0 for each in counted),
        "lost": sum(each < 0 for each in counted),
        "mean_return_percent": round(total / len(counted), 4) if counted else None,
        "worst_return_percent": min(counted, default=None),
        "best_return_percent": max(counted, default=None),
    }


async def _held(connection: Connection, signal_id: str) -> dict[str, Any]:
    cursor = await connection.execute(
        f"SELECT {COLUMNS} FROM signals.trading_signals WHERE signal_id = %s FOR UPDATE",  # noqa: S608
        (signal_id,),
    )
    row = await cursor.fetchone()
    if row is None:
        raise LookupError(signal_id)
    return row


async def _told(connection: Connection, signal_id: str, event: str, now: datetime) -> Standing:
    """Emits the event; readers fetch the texts themselves."""
    row = await _held(connection, signal_id)
    body = to_jsonable_python({name: row[name] for name in TOLD})
    await emit(connection, Topic.SIGNALS, signal_id, event, body, now)
    await touch(connection, signal_id)
    return Standing(status=row["status"], version=row["version"], published_at=row["published_at"])
