"""Whose turn it is to ask a broker for quotes or history: in the record, so that every worker shares it and
no restart forgets it.

There are as many turns as the broker takes calls in a second. Each is held from before the call leaves until
a second after its answer: of two calls in one turn the second then leaves more than a second after the
broker had the first, so that they are never in one second of the broker's own clock, however the clocks
stand to one another and however long either was on its way.
"""

from datetime import timedelta

from domain.trading import CLIENT_DEADLINE
from store.database import Connection

SECOND = timedelta(milliseconds=1010)
"""After the answer; the surplus is what this server's clock may be set right by meanwhile."""
HELD = CLIENT_DEADLINE + timedelta(seconds=3)
"""How long a turn is held whose holder never comes back: by then its call has long arrived or never will."""
LOST_RACE_SECONDS = 0.02

TAKE = """
WITH free AS (
    SELECT turn FROM trading.read_turns
    WHERE account_id = %(account)s AND kind = %(kind)s AND free_at <= clock_timestamp()
    ORDER BY free_at LIMIT 1 FOR UPDATE SKIP LOCKED
), taken AS (
    UPDATE trading.read_turns t SET holder = %(holder)s, free_at = clock_timestamp() + %(held)s
    FROM free WHERE t.account_id = %(account)s AND t.kind = %(kind)s AND t.turn = free.turn
    RETURNING t.turn
)
SELECT (SELECT turn FROM taken) AS turn, count(*) AS made,
       extract(epoch FROM min(free_at) - clock_timestamp())::float8 AS pause
FROM trading.read_turns WHERE account_id = %(account)s AND kind = %(kind)s
"""


async def take(connection: Connection, account_id: str, kind: str, most: int, holder: str) -> float:
    """Takes one of `most` turns; 0 where it is the holder's now, else the seconds until one may be free."""
    given = {"account": account_id, "kind": kind, "most": most, "holder": holder, "held": HELD}
    while True:
        row = await (await connection.execute(TAKE, given)).fetchone()
        if row is None:
            raise RuntimeError("an aggregate gave no row")
        if row["turn"] is not None:
            return 0.0
        if row["made"] >= most:
            return max(row["pause"], LOST_RACE_SECONDS)
        await connection.execute(
            """INSERT INTO trading.read_turns (account_id, kind, turn, free_at)
               SELECT %(account)s, %(kind)s, n, clock_timestamp() FROM generate_series(1, %(most)s) AS n
               ON CONFLICT DO NOTHING""",
            given,
        )


async def answered(connection: Connection, account_id: str, kind: str, holder: str) -> None:
    """The call is over: the turn is free a second later."""
    await connection.execute(
        """UPDATE trading.read_turns SET free_at = clock_timestamp() + %s
           WHERE account_id = %s AND kind = %s AND holder = %s""",
        (SECOND, account_id, kind, holder),
    )
