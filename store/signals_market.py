"""The house's session for market data, and the runs of strategies."""

from datetime import datetime
from typing import Any

from psycopg.types.json import Jsonb
from pydantic_core import to_jsonable_python

from models.messages.signals import MarketSession, RunInput, RunResult
from store.database import Connection
from store.vault import Vault


async def open_session(
    connection: Connection,
    vault: Vault,
    *,
    session_id: str,
    opened_by: str,
    access_token: str,
    opened_at: datetime,
    expires_at: datetime,
) -> None:
    await connection.execute(
        """INSERT INTO signals.market_sessions (session_id, opened_by, access_token, opened_at, expires_at)
           VALUES (%s, %s, %s, %s, %s) ON CONFLICT (session_id) DO NOTHING""",
        (session_id, opened_by, vault.firm.seal(access_token.encode(), session_id), opened_at, expires_at),
    )


async def session_of(connection: Connection, session_id: str) -> MarketSession | None:
    cursor = await connection.execute(
        "SELECT session_id, expires_at FROM signals.market_sessions WHERE session_id = %s", (session_id,)
    )
    row = await cursor.fetchone()
    return MarketSession(**row) if row else None


async def newest_token(connection: Connection, vault: Vault) -> tuple[str, str] | None:
    """Session id and access token of the newest session that has not ended. Whether it has expired is
    for the broker's clock to say: a refusal there ends it."""
    cursor = await connection.execute(
        """SELECT session_id, access_token FROM signals.market_sessions WHERE ended_at IS NULL
           ORDER BY opened_at DESC LIMIT 1"""
    )
    row = await cursor.fetchone()
    if row is None:
        return None
    return row["session_id"], vault.firm.open(bytes(row["access_token"]), row["session_id"]).decode()


async def end_session(connection: Connection, session_id: str, now: datetime) -> None:
    await connection.execute(
        """UPDATE signals.market_sessions SET ended_at = coalesce(ended_at, %s), access_token = ''
           WHERE session_id = %s""",
        (now, session_id),
    )


async def keep_run(
    connection: Connection, run: RunInput, result: RunResult, findings: dict[str, Any], now: datetime
) -> RunResult:
    """The run's row, made once; the result of the run that is stored."""
    whole = {**findings, "result": to_jsonable_python(result)}
    cursor = await connection.execute(
        """INSERT INTO signals.signal_runs AS r
               (run_id, requested_by, strategy, exchange, symbol, timeframe, candle_source, candle_count,
                first_candle_at, last_candle_at, findings, backtest, reason_code, made_at, watch_id, bar_at)
           VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s)
           ON CONFLICT (run_id) DO UPDATE SET run_id = r.run_id
           RETURNING findings -> 'result' AS result""",
        (
            *(run.run_id, run.requested_by, run.strategy, run.exchange, run.symbol, run.timeframe),
            *(result.candle_source, result.candle_count, result.first_candle_at, result.last_candle_at),
            *(Jsonb(whole), Jsonb(to_jsonable_python(result.backtest)), result.reason_code, now),
            *((run.watched.watch_id, run.watched.closed_at) if run.watched else (None, None)),
        ),
    )
    row = await cursor.fetchone()
    return RunResult.model_validate(row["result"]) if row else result


async def run_of(connection: Connection, run_id: str) -> dict[str, Any] | None:
    cursor = await connection.execute(
        """SELECT run_id, requested_by, strategy, exchange, symbol, timeframe, candle_source, candle_count,
                  first_candle_at, last_candle_at, backtest, reason_code, made_at, watch_id, bar_at,
                  findings -> 'agreeing' AS agreeing, findings -> 'reading' AS reading,
                  ARRAY(SELECT signal_id FROM signals.trading_signals s WHERE s.run_id = r.run_id) AS signals
           FROM signals.signal_runs r WHERE run_id = %s""",
        (run_id,),
    )
    return await cursor.fetchone()


async def stored_result(connection: Connection, run_id: str) -> RunResult | None:
    cursor = await connection.execute(
        "SELECT findings -> 'result' AS result FROM signals.signal_runs WHERE run_id = %s", (run_id,)
    )
    row = await cursor.fetchone()
    return RunResult.model_validate(row["result"]) if row else None
