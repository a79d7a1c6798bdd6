"""What a payment is for, and who is billed for it: read from the columns that own it."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from domain.billing_calendar import UNATTENDED_LIMIT
from domain.gst import SAC_COACHING, state_of
from domain.payments import Purpose
from domain.subscriptions import UNPAID
from models.contracts.workflow_ids import Kind, workflow_id
from store.database import Connection
from store.identity_profiles import profile
from store.vault import PersonForgotten, Vault


@dataclass(frozen=True)
class Reference:
    """An enrollment or a subscription, as far as a payment needs it. Amounts in paise, GST included."""

    user_id: str
    amount: int
    currency: str
    title: str
    sac: str
    status: str
    wanted: bool
    """It still awaits its money: a capture is wanted."""
    workflow_id: str
    plan_id: str | None = None
    course_id: str | None = None
    recurring: bool = False
    mandate_max: int | None = None
    period_start: datetime | None = None
    period_end: datetime | None = None


@dataclass(frozen=True)
class Buyer:
    """Who stands on the invoice; `state` is a state code of `domain.gst.STATES`."""

    name: str
    state: str
    gstin: str | None
    address: dict[str, Any] | None = None
    """`{line1, line2?, city, state, pincode}`: the one given for bills, else the person's own."""


async def reference_of(connection: Connection, purpose: Purpose, reference_id: str) -> Reference | None:
    """The enrollment or subscription that a payment names; None where there is none."""
    match purpose:
        case Purpose.COURSE:
            return await _enrollment(connection, reference_id)
        case Purpose.SUBSCRIPTION:
            return await _subscription(connection, reference_id)


async def _enrollment(connection: Connection, enrollment_id: str) -> Reference | None:
    cursor = await connection.execute(
        """SELECT e.user_id, e.course_id, e.status, e.amount, e.currency, c.title
           FROM education.enrollments e JOIN education.courses c USING (course_id)
           WHERE e.enrollment_id = %s""",
        (enrollment_id,),
    )
    row = await cursor.fetchone()
    if row is None:
        return None
    return Reference(
        user_id=row["user_id"],
        amount=row["amount"],
        currency=row["currency"],
        title=row["title"],
        sac=SAC_COACHING,
        status=row["status"],
        wanted=row["status"] == "awaiting_payment",
        workflow_id=workflow_id(Kind.ENROLLMENT, enrollment_id),
        course_id=row["course_id"],
    )


async def _subscription(connection: Connection, subscription_id: str) -> Reference | None:
    """While a change of plan awaits its checkout, plan and price are those of the plan to come; the period
    is the present one."""
    cursor = await connection.execute(
        """SELECT s.user_id, s.status, s.mandate_max, s.current_period_start, s.current_period_end,
                  s.pending_plan_id IS NOT NULL AS changes, p.plan_id, p.name, p.sac, p.currency,
                  CASE WHEN s.pending_plan_id IS NULL THEN s.amount ELSE p.amount END AS amount
           FROM finance.user_subscriptions s
           JOIN finance.subscription_plans p ON p.plan_id = coalesce(s.pending_plan_id, s.plan_id)
           WHERE s.subscription_id = %s""",
        (subscription_id,),
    )
    row = await cursor.fetchone()
    if row is None:
        return None
    return Reference(
        user_id=row["user_id"],
        amount=row["amount"],
        currency=row["currency"],
        title=row["name"],
        sac=row["sac"],
        status=row["status"],
        wanted=row["changes"] or row["status"] in UNPAID,
        workflow_id=workflow_id(Kind.SUBSCRIPTION, subscription_id),
        plan_id=row["plan_id"],
        recurring=True,
        mandate_max=max(row["mandate_max"] or 0, row["amount"], UNATTENDED_LIMIT),
        period_start=row["current_period_start"],
        period_end=row["current_period_end"],
    )


async def buyer_of(connection: Connection, vault: Vault, user_id: str) -> Buyer | None:
    """The buyer on record; None without a name or a state of India, or where the person was erased.

    Online services must record the state of an unregistered buyer at any value (Circular 242/36/2024).
    """
    try:
        on_record = await profile(connection, vault, user_id)
    except PersonForgotten:
        return None
    data = on_record[0] if on_record else {}
    found = data.get("billing")
    state = state_of(found.get("state") or "") if found else None
    if not found or not found.get("name") or state is None:
        return None
    return Buyer(
        found["name"], state, found.get("gstin") or None, found.get("address") or data.get("address")
    )
