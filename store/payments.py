"""Payments: opened once, moved forward only, captured once; refusals and attempts beside them."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from domain.disputes import after_dispute
from domain.monitoring import Turnover
from domain.moves import moved
from domain.payments import NEXT, OPEN, PaymentStatus, Purpose, may_follow
from store.changes import touch
from store.database import Connection
from store.outbox import emit

TOPIC = "payment-events"
COUNTED = [
    *("authorized", "review", "captured", "refund_pending", "partially_refunded", "disputed", "unknown"),
]
"""States that use up a limit: money has moved or may have."""


@dataclass(frozen=True)
class NewPayment:
    """A payment about to be opened; `process` is the workflow that owns it. Amounts in paise."""

    payment_id: str
    user_id: str
    purpose: Purpose
    reference_id: str
    process: str
    title: str
    sac: str
    amount: int
    currency: str
    place_of_supply: str
    mandate_max: int | None = None
    renewal: bool = False
    gateway_customer_id: str | None = None
    token_id: str | None = None


async def open_payment(connection: Connection, new: NewPayment, now: datetime, source: str) -> bool:
    """Inserts the row as `created`; True also for a repeat of the same payment, False where another
    payment of the reference is open."""
    cursor = await connection.execute(
        """INSERT INTO finance.payments (payment_id, user_id, purpose, reference_id, process, renewal, title,
               sac, status, amount, currency, place_of_supply, mandate_max, gateway_customer_id, token_id,
               created_at, updated_at)
           VALUES (%(payment_id)s, %(user_id)s, %(purpose)s, %(reference_id)s, %(process)s, %(renewal)s,
               %(title)s, %(sac)s, 'created', %(amount)s, %(currency)s, %(place_of_supply)s, %(mandate_max)s,
               %(gateway_customer_id)s, %(token_id)s, %(now)s, %(now)s)
           ON CONFLICT DO NOTHING RETURNING payment_id""",
        {**vars(new), "now": now},
    )
    if await cursor.fetchone() is None:
        return await find(connection, new.payment_id) is not None
    await _tell(connection, new.payment_id, PaymentStatus.CREATED, source, now, new.reference_id)
    return True


async def refuse(
    connection: Connection,
    payment_id: str,
    user_id: str,
    purpose: Purpose,
    reference_id: str,
    code: str,
    now: datetime,
) -> None:
    """Records a payment that was refused before anything was asked of the gateway; safe to repeat."""
    await connection.execute(
        """INSERT INTO finance.payment_refusals (payment_id, user_id, purpose, reference_id, code, at)
           VALUES (%s, %s, %s, %s, %s, %s) ON CONFLICT DO NOTHING""",
        (payment_id, user_id, purpose, reference_id, code, now),
    )


async def find(connection: Connection, payment_id: str, *, lock: bool = False) -> dict[str, Any] | None:
    """The row, with the reference of its invoice. `lock` keeps other writers out until the end."""
    if lock:
        await connection.execute(
            "SELECT FROM finance.payments WHERE payment_id = %s FOR UPDATE", (payment_id,)
        )
    cursor = await connection.execute(
        """SELECT p.*, i.invoice_id, i.number AS invoice_number FROM finance.payments p
           LEFT JOIN finance.invoices i ON i.payment_id = p.payment_id AND i.kind = 'invoice'
               AND i.status = 'issued'
           WHERE p.payment_id = %s""",
        (payment_id,),
    )
    return await cursor.fetchone()


async def open_of(connection: Connection, purpose: Purpose, reference_id: str) -> dict[str, Any] | None:
    """The reference's open checkout, if there is one."""
    cursor = await connection.execute(
        """SELECT * FROM finance.payments
           WHERE purpose = %s AND reference_id = %s AND NOT renewal AND status = ANY(%s)""",
        (purpose, reference_id, [status.value for status in OPEN]),
    )
    return await cursor.fetchone()


async def attempt_of(connection: Connection, purpose: Purpose, reference_id: str) -> int:
    """How many checkouts of the reference have ended or were refused: the number of the next one."""
    cursor = await connection.execute(
        """SELECT (SELECT count(*) FROM finance.payments WHERE purpose = %(purpose)s
                   AND reference_id = %(reference)s AND NOT renewal AND status <> ALL(%(open)s))
                + (SELECT count(*) FROM finance.payment_refusals WHERE purpose = %(purpose)s
                   AND reference_id = %(reference)s) AS attempt""",
        {"purpose": purpose, "reference": reference_id, "open": [status.value for status in OPEN]},
    )
    row = await cursor.fetchone()
    return int(row["attempt"]) if row else 0


async def paid_by_another(
    connection: Connection, purpose: Purpose, reference_id: str, payment_id: str
) -> bool:
    """Whether another checkout's money, not given back, has bought the reference: its process may not have
    heard of it yet. What a subscription has taken paid for a plan that another may now follow."""
    cursor = await connection.execute(
        """SELECT FROM finance.payments p WHERE p.purpose = %s AND p.reference_id = %s AND NOT p.renewal
               AND p.payment_id <> %s AND p.captured_at IS NOT NULL AND p.amount_refunding < p.amount
               AND NOT EXISTS (SELECT FROM finance.user_subscriptions s
                               WHERE s.subscription_id = p.reference_id AND p.payment_id = ANY(s.checkouts))
           LIMIT 1""",
        (purpose, reference_id, payment_id),
    )
    return await cursor.fetchone() is not None


async def by_gateway_payment(connection: Connection, gateway_payment_id: str) -> str | None:
    """Our payment that the gateway knows by this id."""
    cursor = await connection.execute(
        "SELECT payment_id FROM finance.payments WHERE gateway_payment_id = %s", (gateway_payment_id,)
    )
    row = await cursor.fetchone()
    return row["payment_id"] if row else None


async def hold_turnover(connection: Connection, user_id: str) -> None:
    """Keeps the person's other payments from being counted until this transaction ends."""
    await connection.execute(
        "SELECT pg_advisory_xact_lock(hashtextextended('turnover:' || %s, 0))", (user_id,)
    )


async def turnover(
    connection: Connection, user_id: str, day_start: datetime, month_start: datetime, besides: str
) -> Turnover:
    """What the person paid since the start of the Indian day and month, the payment `besides` left out. A
    debit that has left counts before anybody knows what became of it."""
    cursor = await connection.execute(
        """WITH taken AS (
               SELECT payment_id, amount, coalesce(captured_at, updated_at) AS at FROM finance.payments
               WHERE user_id = %(user)s AND status = ANY(%(counted)s)
               UNION ALL
               SELECT d.payment_id, d.amount, coalesce(d.sent_at, d.due_at)
               FROM finance.debits d JOIN finance.user_subscriptions s USING (subscription_id)
               WHERE s.user_id = %(user)s AND d.state IN ('sending', 'sent')
                 AND NOT EXISTS (SELECT FROM finance.payments p
                                 WHERE p.payment_id = d.payment_id AND p.status = ANY(%(counted)s)))
           SELECT coalesce(sum(amount) FILTER (WHERE at >= %(day)s), 0)::bigint AS day,
                  coalesce(sum(amount), 0)::bigint AS month
           FROM taken WHERE payment_id <> %(besides)s AND at >= %(month)s""",
        {
            "user": user_id,
            "day": day_start,
            "month": month_start,
            "besides": besides,
            "counted": COUNTED,
        },
    )
    row = await cursor.fetchone()
    return Turnover(day=row["day"], month=row["month"]) if row else Turnover(day=0, month=0)


async def set_order(
    connection: Connection, payment_id: str, gateway_order_id: str, gateway_customer_id: str | None
) -> dict[str, Any] | None:
    """Remembers the gateway's order, the first one told; gives the row."""
    await connection.execute(
        """UPDATE finance.payments SET gateway_order_id = %s,
               gateway_customer_id = coalesce(%s, gateway_customer_id), version = version + 1
           WHERE payment_id = %s AND gateway_order_id IS NULL""",
        (gateway_order_id, gateway_customer_id, payment_id),
    )
    return await find(connection, payment_id)


async def advance(
    connection: Connection,
    payment_id: str,
    status: PaymentStatus,
    source: str,
    now: datetime,
    *,
    gateway_payment_id: str | None = None,
    failure_code: str | None = None,
    process: str | None = None,
) -> dict[str, Any]:
    """Moves a payment to `status` if that may follow, with its timeline and event; gives the stored row.

    Late, repeated and reordered news changes nothing.

    Raises:
        LookupError: there is no such payment.
    """
    row = await find(connection, payment_id, lock=True)
    if row is None:
        raise LookupError(payment_id)
    released = row["status"] == PaymentStatus.REFUNDED and row["captured_at"] is None
    if released or not may_follow(PaymentStatus(row["status"]), status):
        return row
    await connection.execute(
        """UPDATE finance.payments SET status = %(status)s, updated_at = %(now)s, version = version + 1,
               gateway_payment_id = coalesce(%(gateway)s, gateway_payment_id),
               failure_code = %(failure)s, process = coalesce(%(process)s, process)
           WHERE payment_id = %(id)s""",
        {
            "status": status,
            "now": now,
            "gateway": gateway_payment_id,
            "failure": failure_code,
            "process": process,
            "id": payment_id,
        },
    )
    await _tell(connection, payment_id, status, source, now, row["reference_id"], failure_code)
    return await find(connection, payment_id) or row


async def set_captured(
    connection: Connection, payment_id: str, gateway: dict[str, Any], source: str, now: datetime
) -> None:
    """Marks a locked payment captured with what the gateway told: id, method, fee, tax, token, customer.

    Raises:
        LookupError: there is no such payment.
        IllegalMove: it is in a state that is never captured.
    """
    row = await find(connection, payment_id)
    if row is None:
        raise LookupError(payment_id)
    moved(NEXT, PaymentStatus(row["status"]), PaymentStatus.CAPTURED)
    await connection.execute(
        """UPDATE finance.payments SET status = 'captured', captured_at = %(now)s, updated_at = %(now)s,
               version = version + 1, failure_code = NULL, gateway_payment_id = %(id)s, method = %(method)s,
               fee = %(fee)s, tax = %(tax)s, token_id = coalesce(%(token_id)s, token_id),
               gateway_customer_id = coalesce(%(customer_id)s, gateway_customer_id)
           WHERE payment_id = %(payment_id)s""",
        {**gateway, "payment_id": payment_id, "now": now},
    )
    await _tell(connection, payment_id, PaymentStatus.CAPTURED, source, now, row["reference_id"])


async def count_refund(connection: Connection, payment_id: str, amount: int, now: datetime) -> bool:
    """Counts refunded money against a locked payment; whether nothing of it is left.

    Raises:
        LookupError: there is no such payment.
        IllegalMove: its money was never taken.
    """
    before = await find(connection, payment_id, lock=True)
    cursor = await connection.execute(
        """UPDATE finance.payments SET amount_refunded = amount_refunded + %(amount)s, updated_at = %(now)s,
               version = version + 1,
               status = CASE WHEN status = 'disputed' THEN status
                             WHEN amount_refunded + %(amount)s = amount THEN 'refunded'
                             ELSE 'partially_refunded' END
           WHERE payment_id = %(id)s RETURNING status, reference_id""",
        {"amount": amount, "now": now, "id": payment_id},
    )
    row = await cursor.fetchone()
    if row is None or before is None:
        raise LookupError(payment_id)
    after = moved(NEXT, PaymentStatus(before["status"]), PaymentStatus(row["status"]))
    await _tell(connection, payment_id, after, "refund", now, row["reference_id"])
    return row["status"] == PaymentStatus.REFUNDED


async def uncount_refund(connection: Connection, payment_id: str, amount: int, now: datetime) -> None:
    """A counted refund came back from the customer's bank: it is promised still, and not paid."""
    await connection.execute(
        """UPDATE finance.payments SET amount_refunded = amount_refunded - %s, updated_at = %s,
               version = version + 1
           WHERE payment_id = %s""",
        (amount, now, payment_id),
    )


async def end_dispute(connection: Connection, payment_id: str, lost: int, now: datetime) -> None:
    """Counts what a dispute has cost a locked payment; its state comes back with the last live one."""
    cursor = await connection.execute(
        """UPDATE finance.payments SET amount_lost = amount_lost + %(lost)s, updated_at = %(now)s,
               version = version + 1
           WHERE payment_id = %(id)s
           RETURNING amount, amount_refunding, amount_refunded, amount_lost, status, reference_id,
               EXISTS (SELECT FROM finance.disputes d WHERE d.payment_id = payments.payment_id
                       AND d.status IN ('open', 'under_review')) AS disputed""",
        {"lost": lost, "now": now, "id": payment_id},
    )
    row = await cursor.fetchone()
    if row is None:
        raise LookupError(payment_id)
    back = after_dispute(row["amount"], row["amount_refunding"], row["amount_refunded"], row["amount_lost"])
    if not row["disputed"] and moved(NEXT, PaymentStatus(row["status"]), back) != row["status"]:
        await connection.execute(
            "UPDATE finance.payments SET status = %s WHERE payment_id = %s", (back, payment_id)
        )
        await _tell(connection, payment_id, back, "dispute", now, row["reference_id"])


async def _tell(
    connection: Connection,
    payment_id: str,
    status: PaymentStatus,
    source: str,
    now: datetime,
    reference_id: str,
    code: str | None = None,
) -> None:
    body = {"payment_id": payment_id, "reference_id": reference_id, "status": status.value}
    # Three writes whose answers nobody reads: sent together, in one round trip.
    async with connection.pipeline():
        await connection.execute(
            """INSERT INTO finance.payment_timeline (payment_id, status, at, source, code)
               VALUES (%s, %s, %s, %s, %s)""",
            (payment_id, status, now, source, code),
        )
        await emit(connection, TOPIC, payment_id, f"payment.{status}", body, now)
        await touch(connection, payment_id)


async def timeline(connection: Connection, payment_id: str) -> list[dict[str, Any]]:
    cursor = await connection.execute(
        """SELECT status, at, source, code FROM finance.payment_timeline
           WHERE payment_id = %s ORDER BY number""",
        (payment_id,),
    )
    return await cursor.fetchall()


async def listing(
    connection: Connection,
    *,
    user_id: str | None,
    status: str | None,
    after: str | None,
    start: datetime | None,
    end: datetime | None,
    limit: int,
) -> list[dict[str, Any]]:
    """Payments newest first; `user_id` None for all of the firm's."""
    cursor = await connection.execute(
        """SELECT p.*, i.invoice_id FROM finance.payments p
           LEFT JOIN finance.invoices i ON i.payment_id = p.payment_id AND i.kind = 'invoice'
               AND i.status = 'issued'
           WHERE (%(user)s::text IS NULL OR p.user_id = %(user)s)
             AND (%(status)s::text IS NULL OR p.status = %(status)s)
             AND (%(after)s::text IS NULL OR p.payment_id < %(after)s)
             AND (%(start)s::timestamptz IS NULL OR p.created_at >= %(start)s)
             AND (%(end)s::timestamptz IS NULL OR p.created_at < %(end)s)
           ORDER BY p.payment_id DESC LIMIT %(limit)s""",
        {"user": user_id, "status": status, "after": after, "start": start, "end": end, "limit": limit},
    )
    return await cursor.fetchall()


async def of_gateway(
    connection: Connection, *, gateway_order_id: str | None, gateway_payment_id: str | None
) -> dict[str, Any] | None:
    """The payment that the gateway speaks of: its ids, owner, process, state and amount."""
    cursor = await connection.execute(
        """SELECT payment_id, user_id, process, renewal, status, amount, currency, gateway_order_id
           FROM finance.payments WHERE gateway_order_id = %s OR gateway_payment_id = %s LIMIT 1""",
        (gateway_order_id, gateway_payment_id),
    )
    return await cursor.fetchone()


async def gateway_customer(connection: Connection, user_id: str) -> str | None:
    cursor = await connection.execute(
        "SELECT gateway_customer_id FROM finance.gateway_customers WHERE user_id = %s", (user_id,)
    )
    row = await cursor.fetchone()
    return row["gateway_customer_id"] if row else None


async def keep_gateway_customer(
    connection: Connection, user_id: str, gateway_customer_id: str, now: datetime
) -> None:
    await connection.execute(
        """INSERT INTO finance.gateway_customers (user_id, gateway_customer_id, made_at)
           VALUES (%s, %s, %s) ON CONFLICT DO NOTHING""",
        (user_id, gateway_customer_id, now),
    )
