"""From a customer's wish to the command that starts an Order; the signals router uses it too."""

from models.contracts.commands import Drive
from models.contracts.queues import Queue
from models.contracts.workflow_ids import Kind, workflow_id
from models.messages.trading import OrderInput, OrderTerms, Place, SignalOrigin
from models.settings import settings
from store import trading
from store.database import Connection


def order_drive(
    order_id: str,
    user_id: str,
    account_id: str,
    terms: OrderTerms,
    *,
    origin: SignalOrigin | None = None,
    confirmed: bool = True,
) -> Drive:
    """Starts ``order:{order_id}``; the update answers an `OrderView` as JSON.

    Args:
        origin: the signal that the order answers, whose age and drift are checked again before it leaves.
        confirmed: whether this command is the customer's own yes; if not, the order waits for it.
    """
    begun = OrderInput(
        order_id=order_id,
        user_id=user_id,
        account_id=account_id,
        terms=terms,
        origin=origin,
        confirmed=confirmed,
        assertion_public_key=settings().assertion_public_key,
    )
    references = [order_id, account_id, *([origin.signal_id] if origin else [])]
    return Drive(
        workflow_type="Order",
        workflow_id=workflow_id(Kind.ORDER, order_id),
        queue=Queue.TRADING,
        start=begun.model_dump(mode="json"),
        update="place",
        argument=Place().model_dump(mode="json"),
        summary=f"{terms.side} {terms.quantity} {terms.exchange}:{terms.symbol}",
        details=f"Order `{order_id}` of account `{account_id}`",
        attributes={"CUSTOMER": user_id, "SYMBOL": terms.symbol, "REFERENCE": references},
    )


async def origin_of(connection: Connection, signal_id: str) -> SignalOrigin | None:
    """A published signal as an order answers it; None where there is none that lives."""
    row = await trading.signal_of(connection, signal_id)
    return SignalOrigin(**row) if row else None
