"""A renewal's row among the payments, once; its process is the subscription."""

from datetime import datetime

from domain.payments import Purpose
from models.contracts.workflow_ids import Kind, workflow_id
from models.messages.subscription_state import Mandate, PlanTerms
from store import payments, references, subscriptions
from store.database import Connection
from store.vault import Vault


async def open_row(
    connection: Connection,
    vault: Vault,
    terms: PlanTerms,
    user_id: str,
    subscription_id: str,
    mandate: Mandate | None,
    payment_id: str,
    gateway_order_id: str,
    amount: int,
    now: datetime,
) -> None:
    """Safe to repeat, by the derived payment id."""
    new = payments.NewPayment(
        payment_id=payment_id,
        user_id=user_id,
        purpose=Purpose.SUBSCRIPTION,
        reference_id=subscription_id,
        process=workflow_id(Kind.SUBSCRIPTION, subscription_id),
        title=terms.name,
        sac=terms.sac,
        amount=amount,
        currency=terms.currency,
        place_of_supply=await _place(connection, vault, user_id, subscription_id),
        renewal=True,
        gateway_customer_id=mandate.gateway_customer_id if mandate else None,
        token_id=mandate.token_id if mandate else None,
    )
    await payments.open_payment(connection, new, now, "renewal")
    await payments.set_order(connection, payment_id, gateway_order_id, None)


async def _place(connection: Connection, vault: Vault, user_id: str, subscription_id: str) -> str:
    """The buyer's state on record now, else the one of the subscription's first payment."""
    buyer = await references.buyer_of(connection, vault, user_id)
    return buyer.state if buyer else await subscriptions.first_place(connection, subscription_id)
