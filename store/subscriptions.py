"""Subscriptions: the projection of each process, and the debits of its renewals."""

from datetime import datetime
from typing import Any

from domain.billing_calendar import ACCESS_GRACE
from domain.subscriptions import COLLECTING, ENDED, Status
from models.messages.subscription_state import Debit, PlanTerms, SubscriptionState
from store.changes import touch
from store.database import Connection
from store.outbox import emit

TOPIC = "payment-events"

OPEN_ROW = """
INSERT INTO finance.user_subscriptions
    (subscription_id, user_id, plan_id, status, amount, currency, period, created_at, changed_at, version)
VALUES (%(subscription_id)s, %(user_id)s, %(plan_id)s, 'awaiting_payment', %(amount)s, %(currency)s, 0,
        %(now)s, %(now)s, 1)
ON CONFLICT DO NOTHING
"""

SAVE_ROW = """
UPDATE finance.user_subscriptions SET
    plan_id = %(plan_id)s, next_plan_id = %(next_plan_id)s, status = %(status)s, amount = %(amount)s,
    currency = %(currency)s, period = %(period)s, current_period_start = %(period_start)s,
    current_period_end = %(period_end)s, next_debit_at = %(next_debit_at)s, cancel_at = %(cancel_at)s,
    token_id = %(token_id)s, gateway_customer_id = %(gateway_customer_id)s, method = %(method)s,
    mandate_max = coalesce(%(mandate_max)s, mandate_max), changed_at = %(now)s, version = version + 1,
    trial_ends_at = %(trial_ends_at)s, pending_plan_id = %(pending_plan_id)s, payment_id = %(payment_id)s,
    checkouts = %(checkouts)s, reason_code = %(reason)s, on_hold = %(on_hold)s
WHERE subscription_id = %(subscription_id)s
RETURNING version
"""

STORED = {
    "subscription_id", "status", "period", "period_start", "period_end", "cancel_at", "trial_ends_at",
    "payment_id", "checkouts", "reason",
}  # fmt: skip
"""What a row takes from the state as it is."""

VIEW = """
SELECT subscription_id, user_id, plan_id, next_plan_id, status, amount, currency, current_period_start,
       current_period_end, next_debit_at, cancel_at, method, mandate_max, trial_ends_at, pending_plan_id,
       reason_code, on_hold, created_at, version
FROM finance.user_subscriptions
"""


async def open_row(
    connection: Connection, subscription_id: str, user_id: str, plan: PlanTerms, now: datetime
) -> int | None:
    """Inserts the row as `awaiting_payment`; its version, or None where the person has another open one."""
    values = {"subscription_id": subscription_id, "user_id": user_id, "now": now}
    cursor = await connection.execute(
        OPEN_ROW, {**values, "plan_id": plan.plan_id, "amount": plan.amount, "currency": plan.currency}
    )
    if cursor.rowcount:
        await _tell(connection, subscription_id, Status.AWAITING_PAYMENT, now)
    cursor = await connection.execute(
        "SELECT version FROM finance.user_subscriptions WHERE subscription_id = %s", (subscription_id,)
    )
    row = await cursor.fetchone()
    return row["version"] if row else None


async def save(
    connection: Connection, state: SubscriptionState, next_debit_at: datetime | None, now: datetime
) -> int:
    """Stores the projection of `state` and what it entitles to; the row's version.

    Raises:
        LookupError: there is no such row.
    """
    terms, mandate = state.terms(), state.mandate
    cursor = await connection.execute(
        SAVE_ROW,
        {
            **state.model_dump(include=STORED),
            "pending_plan_id": state.pending.plan.plan_id if state.pending else None,
            "on_hold": bool(state.disputes),
            "plan_id": terms.plan_id,
            "amount": terms.amount,
            "currency": terms.currency,
            "next_plan_id": state.next_plan.plan_id if state.next_plan else None,
            "next_debit_at": next_debit_at,
            "token_id": mandate.token_id if mandate else None,
            "gateway_customer_id": mandate.gateway_customer_id if mandate else None,
            "method": mandate.method if mandate else None,
            "mandate_max": mandate.max_amount if mandate else None,
            "now": now,
        },
    )
    row = await cursor.fetchone()
    if row is None:
        raise LookupError(state.subscription_id)
    await _entitle(connection, state, now)
    await _tell(connection, state.subscription_id, state.status, now)
    return int(row["version"])


async def _entitle(connection: Connection, state: SubscriptionState, now: datetime) -> None:
    """Access follows state: through the trial or the paid period, and a grace beyond it while a renewal is
    collected; none while a payment is disputed."""
    tried = state.period_start is None
    start, end = (state.opened_at, state.trial_ends_at) if tried else (state.period_start, state.period_end)
    if start is None or end is None:
        return
    if state.status in ENDED or state.status is Status.HALTED or state.disputes:
        until = now
    elif state.status in COLLECTING and state.cancel_at is None and not state.lapsed:
        until = end + ACCESS_GRACE
    else:
        until = end
    await connection.execute(
        """INSERT INTO finance.entitlements AS e
               (entitlement_id, user_id, kind, reference, plan_tier, starts_at, ends_at)
           VALUES (%(id)s, %(user)s, 'plan', %(id)s, %(tier)s, %(start)s, %(until)s)
           ON CONFLICT (entitlement_id) DO UPDATE SET plan_tier = excluded.plan_tier,
               ends_at = CASE WHEN %(ended)s THEN least(e.ends_at, excluded.ends_at)
                              ELSE excluded.ends_at END,
               revoked_at = CASE WHEN %(ended)s THEN coalesce(e.revoked_at, %(now)s) END""",
        {
            "id": state.subscription_id,
            "user": state.user_id,
            "tier": state.terms().tier,
            "start": start,
            "until": until,
            "ended": until == now,
            "now": now,
        },
    )


async def _tell(connection: Connection, subscription_id: str, status: Status, now: datetime) -> None:
    body = {"subscription_id": subscription_id, "status": status.value}
    await emit(connection, TOPIC, subscription_id, f"subscription.{status}", body, now)
    await touch(connection, subscription_id)


async def find(connection: Connection, subscription_id: str) -> dict[str, Any] | None:
    cursor = await connection.execute(f"{VIEW} WHERE subscription_id = %s", (subscription_id,))
    return await cursor.fetchone()


async def open_of(connection: Connection, user_id: str) -> dict[str, Any] | None:
    """The person's one subscription that has not ended."""
    cursor = await connection.execute(
        f"{VIEW} WHERE user_id = %s AND status NOT IN ('cancelled', 'expired')", (user_id,)
    )
    return await cursor.fetchone()


async def listing(
    connection: Connection,
    user_id: str,
    *,
    status: str | None,
    after: str | None,
    start: datetime | None,
    end: datetime | None,
    limit: int,
) -> list[dict[str, Any]]:
    """A person's subscriptions, newest first."""
    cursor = await connection.execute(
        f"""{VIEW} WHERE user_id = %(user)s
             AND (%(status)s::text IS NULL OR status = %(status)s)
             AND (%(after)s::text IS NULL OR subscription_id < %(after)s)
             AND (%(start)s::timestamptz IS NULL OR created_at >= %(start)s)
             AND (%(end)s::timestamptz IS NULL OR created_at < %(end)s)
           ORDER BY subscription_id DESC LIMIT %(limit)s""",
        {"user": user_id, "status": status, "after": after, "start": start, "end": end, "limit": limit},
    )
    return await cursor.fetchall()


async def claim_trial(
    connection: Connection, user_id: str, family: str, subscription_id: str, now: datetime
) -> bool:
    """Takes the person's one trial of a family of plans; True again for a repeat, False where it is spent."""
    await connection.execute(
        """INSERT INTO finance.trials (user_id, family, subscription_id, began_at) VALUES (%s, %s, %s, %s)
           ON CONFLICT DO NOTHING""",
        (user_id, family, subscription_id, now),
    )
    cursor = await connection.execute(
        "SELECT FROM finance.trials WHERE user_id = %s AND family = %s AND subscription_id = %s",
        (user_id, family, subscription_id),
    )
    return await cursor.fetchone() is not None


async def taxable_of(connection: Connection, payment_id: str) -> int:
    """Net price of a captured payment in paise: its invoice's taxable value. Raises LookupError."""
    cursor = await connection.execute(
        """SELECT taxable FROM finance.invoices
           WHERE payment_id = %s AND kind = 'invoice' AND status = 'issued'""",
        (payment_id,),
    )
    row = await cursor.fetchone()
    if row is None:
        raise LookupError(payment_id)
    return int(row["taxable"])


async def mandate_max(connection: Connection, payment_id: str) -> int | None:
    """What the first payment's mandate allows to debit at most, in paise."""
    cursor = await connection.execute(
        "SELECT mandate_max FROM finance.payments WHERE payment_id = %s", (payment_id,)
    )
    row = await cursor.fetchone()
    return row["mandate_max"] if row else None


async def first_place(connection: Connection, subscription_id: str) -> str:
    """The place of supply of the subscription's first payment. Raises LookupError."""
    cursor = await connection.execute(
        """SELECT place_of_supply FROM finance.payments
           WHERE purpose = 'subscription' AND reference_id = %s ORDER BY created_at LIMIT 1""",
        (subscription_id,),
    )
    row = await cursor.fetchone()
    if row is None:
        raise LookupError(subscription_id)
    return str(row["place_of_supply"])


# --- debits ------------------------------------------------------------------------------------------


async def announce(
    connection: Connection, subscription_id: str, debit: Debit, message_id: str, noticed_at: datetime
) -> dict[str, Any]:
    """Adds a debit as `noticed`; a repeat gives the row that stands."""
    await connection.execute(
        """INSERT INTO finance.debits (payment_id, subscription_id, period, attempt, amount, message_id,
               noticed_at, due_at, gateway_order_id, state, version)
           VALUES (%(payment_id)s, %(subscription_id)s, %(period)s, %(attempt)s, %(amount)s, %(message_id)s,
               %(noticed_at)s, %(due_at)s, %(gateway_order_id)s, 'noticed', 1)
           ON CONFLICT (payment_id) DO NOTHING""",
        {
            **debit.model_dump(),
            "subscription_id": subscription_id,
            "message_id": message_id,
            "noticed_at": noticed_at,
        },
    )
    row = await debit_of(connection, debit.payment_id)
    if row is None:
        raise LookupError(debit.payment_id)
    return row


async def debit_of(connection: Connection, payment_id: str) -> dict[str, Any] | None:
    cursor = await connection.execute("SELECT * FROM finance.debits WHERE payment_id = %s", (payment_id,))
    return await cursor.fetchone()


async def debit_of_order(
    connection: Connection, subscription_id: str, gateway_order_id: str
) -> dict[str, Any] | None:
    cursor = await connection.execute(
        "SELECT * FROM finance.debits WHERE gateway_order_id = %s AND subscription_id = %s",
        (gateway_order_id, subscription_id),
    )
    return await cursor.fetchone()


async def earlier_debits(connection: Connection, payment_id: str) -> list[dict[str, Any]]:
    """The debits sent before this one for the same period: one of them may have gone through after all."""
    cursor = await connection.execute(
        """SELECT d.* FROM finance.debits d
           JOIN finance.debits mine ON mine.payment_id = %s
               AND d.subscription_id = mine.subscription_id AND d.period = mine.period
           WHERE d.attempt < mine.attempt AND d.state IN ('failed', 'void') ORDER BY d.attempt DESC""",
        (payment_id,),
    )
    return await cursor.fetchall()


async def hold_sender(connection: Connection, payment_id: str) -> None:
    """Whoever sends this debit holds it until the transaction ends, by itself or with its process."""
    await connection.execute(
        "SELECT pg_advisory_xact_lock(hashtextextended('debit:' || %s, 0))", (payment_id,)
    )


async def sender_gone(connection: Connection, payment_id: str) -> bool:
    """Whether nobody is sending this debit."""
    cursor = await connection.execute(
        "SELECT pg_try_advisory_xact_lock(hashtextextended('debit:' || %s, 0)) AS gone", (payment_id,)
    )
    row = await cursor.fetchone()
    return row is not None and bool(row["gone"])


async def shift_debit(
    connection: Connection,
    payment_id: str,
    before: tuple[str, ...],
    after: str,
    *,
    sent_at: datetime | None = None,
    gateway_payment_id: str | None = None,
    failure_code: str | None = None,
) -> bool:
    """Compare-and-set of a debit's state; False where it is in none of the states `before`."""
    cursor = await connection.execute(
        """UPDATE finance.debits SET state = %(after)s, version = version + 1,
               sent_at = coalesce(sent_at, %(sent_at)s),
               gateway_payment_id = coalesce(gateway_payment_id, %(gateway)s), failure_code = %(code)s
           WHERE payment_id = %(id)s AND state = ANY(%(before)s)""",
        {
            "id": payment_id,
            "before": list(before),
            "after": after,
            "sent_at": sent_at,
            "gateway": gateway_payment_id,
            "code": failure_code,
        },
    )
    return cursor.rowcount == 1
