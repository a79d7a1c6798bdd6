"""The circuit breaker of a broker: one row that all workers share, on the record's own clock."""

from dataclasses import dataclass

from domain.broker_health import FAILURES_TO_OPEN, PROBE_WITHIN, pause_after
from store.database import Connection


@dataclass(frozen=True)
class Health:
    """`ailing`: there was a failure since the last answer. `wait` seconds until the next look, 0 where the
    caller may ask now (as the one probe of an open breaker, too)."""

    ailing: bool
    wait: float


async def ask(connection: Connection, broker: str) -> Health:
    """Whether the broker may be asked. Of those that come once an open breaker's pause is over one alone is
    let through: the row says who, and the others wait for what it finds."""
    cursor = await connection.execute(
        """SELECT open_until IS NOT NULL AS open, failures > 0 AS ailing,
                  extract(epoch FROM greatest(open_until, probe_until) - clock_timestamp())::float8 AS wait
           FROM trading.broker_health WHERE broker = %s""",
        (broker,),
    )
    row = await cursor.fetchone()
    if row is None or not row["open"]:
        return Health(row is not None and row["ailing"], 0.0)
    if row["wait"] > 0:
        return Health(ailing=True, wait=row["wait"])
    return Health(ailing=True, wait=0.0 if await _probes(connection, broker) else 1.0)


async def _probes(connection: Connection, broker: str) -> bool:
    cursor = await connection.execute(
        """UPDATE trading.broker_health SET probe_until = clock_timestamp() + %(within)s,
               changed_at = clock_timestamp()
           WHERE broker = %(broker)s AND open_until <= clock_timestamp()
             AND (probe_until IS NULL OR probe_until <= clock_timestamp()) RETURNING broker""",
        {"broker": broker, "within": PROBE_WITHIN},
    )
    return await cursor.fetchone() is not None


async def failed(connection: Connection, broker: str) -> None:
    """One more call without an answer; the last of so many in a row, or a probe's, opens the breaker."""
    pauses = [pause_after(openings) for openings in range(1, 8)]
    await connection.execute(
        """INSERT INTO trading.broker_health AS h (broker, failures, changed_at)
           VALUES (%(broker)s, 1, clock_timestamp())
           ON CONFLICT (broker) DO UPDATE SET failures = h.failures + 1, changed_at = clock_timestamp(),
               (openings, open_until, probe_until) = (
                   SELECT h.openings + 1,
                          clock_timestamp() + (%(pauses)s::interval[])[least(h.openings + 1, 7)],
                          NULL::timestamptz
                   WHERE CASE WHEN h.open_until IS NULL THEN h.failures + 1 >= %(most)s
                              ELSE h.open_until <= clock_timestamp() END
                   UNION ALL SELECT h.openings, h.open_until, h.probe_until LIMIT 1)""",
        {"broker": broker, "pauses": pauses, "most": FAILURES_TO_OPEN},
    )


async def answered(connection: Connection, broker: str) -> None:
    """The broker is back: whoever waits may ask."""
    await connection.execute(
        """UPDATE trading.broker_health SET failures = 0, openings = 0, open_until = NULL, probe_until = NULL,
               changed_at = clock_timestamp()
           WHERE broker = %s AND (failures > 0 OR open_until IS NOT NULL)""",
        (broker,),
    )
