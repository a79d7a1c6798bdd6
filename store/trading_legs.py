"""Slices of orders above the freeze quantity: planned at once, each with its first attempt."""

from collections.abc import Sequence
from decimal import Decimal
from typing import Any

from domain.moves import sources
from domain.slices import LEG_NEXT, Leg, LegStatus
from domain.trading import tag_of
from store.database import Connection


async def plan(connection: Connection, order_id: str, quantities: Sequence[int]) -> None:
    """Writes the slices down with an attempt each, before the first of them leaves. A repeat changes
    nothing. Belongs into one transaction."""
    cursor = await connection.execute(
        """INSERT INTO trading.order_legs (order_id, leg, quantity)
           SELECT %(order)s, number, quantity
           FROM unnest(%(quantities)s::bigint[]) WITH ORDINALITY AS slices (quantity, number)
           ON CONFLICT (order_id, leg) DO NOTHING RETURNING leg""",
        {"order": order_id, "quantities": list(quantities)},
    )
    if not await cursor.fetchall():
        return
    for leg in range(2, len(quantities) + 1):
        await connection.execute(
            """INSERT INTO trading.order_attempts (order_id, leg, attempt, tag, status)
               VALUES (%s, %s, 1, %s, 'queued') ON CONFLICT (order_id, leg, attempt) DO NOTHING""",
            (order_id, leg, tag_of(order_id, leg, 1)),
        )
    await connection.execute(
        "UPDATE trading.orders SET legs = %s, version = version + 1 WHERE order_id = %s",
        (len(quantities), order_id),
    )


async def of(connection: Connection, order_id: str) -> list[Leg]:
    """The order's slices in their order; none for an order of one leg."""
    cursor = await connection.execute(
        "SELECT * FROM trading.order_legs WHERE order_id = %s ORDER BY leg", (order_id,)
    )
    return [_leg(row) for row in await cursor.fetchall()]


async def stands(
    connection: Connection,
    order_id: str,
    leg: int,
    status: LegStatus,
    *,
    broker_order_id: str | None = None,
    filled: int = 0,
    average: Decimal | None = None,
    quantity: int | None = None,
    reason: str | None = None,
) -> None:
    """Writes where a slice stands, if it may go there; fills only grow."""
    await connection.execute(
        """UPDATE trading.order_legs SET status = %(status)s,
               broker_order_id = coalesce(%(broker)s, broker_order_id),
               filled_quantity = greatest(filled_quantity, %(filled)s),
               average_price = coalesce(%(average)s, average_price), reason_code = %(reason)s,
               quantity = greatest(coalesce(%(quantity)s, quantity), filled_quantity)
           WHERE order_id = %(order)s AND leg = %(leg)s AND status = ANY(%(before)s)
             AND filled_quantity <= %(filled)s""",
        {
            "order": order_id,
            "leg": leg,
            "status": status,
            "before": [*sources(LEG_NEXT, status), status.value],
            "broker": broker_order_id,
            "filled": filled,
            "average": average,
            "quantity": quantity,
            "reason": reason,
        },
    )


async def stop(
    connection: Connection,
    order_id: str,
    leg: int,
    reason: str | None,
    first: LegStatus = LegStatus.REFUSED,
) -> None:
    """Nothing more of the order leaves: slice `leg` is refused or dropped for `reason` (None: the customer's
    cancel), those after it are dropped, and their attempts are void."""
    await connection.execute(
        """UPDATE trading.order_legs SET status = CASE WHEN leg = %(leg)s THEN %(first)s ELSE 'dropped' END,
               reason_code = CASE WHEN leg = %(leg)s THEN %(reason)s END
           WHERE order_id = %(order)s AND leg >= %(leg)s AND status = 'waiting'""",
        {"order": order_id, "leg": leg, "first": first, "reason": reason},
    )
    await connection.execute(
        """UPDATE trading.order_attempts SET status = 'void', reason_code = coalesce(%s, 'dropped')
           WHERE order_id = %s AND leg >= %s AND status = 'queued'""",
        (reason, order_id, leg),
    )


def _leg(row: dict[str, Any]) -> Leg:
    return Leg(
        row["leg"],
        row["quantity"],
        LegStatus(row["status"]),
        row["filled_quantity"],
        row["average_price"],
        row["reason_code"],
        row["broker_order_id"],
    )
