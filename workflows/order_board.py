"""What is seen of an order: by the caller as its answer, by staff as the run's page; and who may steer it."""

from collections.abc import Callable
from datetime import timedelta

from temporalio import workflow

with workflow.unsafe.imports_passed_through():
    from domain.trading import Product, Side
    from models.messages.exits import ExitInput
    from models.messages.trading import OrderInput, OrderProgress, OrderView
    from workflows.visible import show, waiting


def view_of(order: OrderInput, at: OrderProgress) -> OrderView:
    """The answer of every command."""
    return OrderView.of(order.order_id, at)


def exits_of(order: OrderInput, at: OrderProgress) -> ExitInput | None:
    """Target and stop for what an order that answered a signal has opened. None where there is nothing to
    keep: nothing filled, no levels, an intraday position (the broker closes it), shares sold for delivery."""
    origin, terms = order.origin, order.terms
    if origin is None or origin.target_price is None or origin.stop_price is None or not at.filled_quantity:
        return None
    opens = terms.product is Product.CARRY_FORWARD or (
        terms.product is Product.DELIVERY and terms.side is Side.BUY
    )
    if not opens:
        return None
    return ExitInput(
        order_id=order.order_id,
        user_id=order.user_id,
        account_id=order.account_id,
        exchange=terms.exchange,
        symbol=terms.symbol,
        product=terms.product,
        side=Side.SELL if terms.side is Side.BUY else Side.BUY,
        quantity=at.filled_quantity,
        target_price=origin.target_price,
        stop_price=origin.stop_price,
    )


def show_order(order: OrderInput, at: OrderProgress) -> None:
    """Brings the search attributes up to date."""
    references = [order.order_id, order.account_id]
    references += [order.origin.signal_id] if order.origin else []
    references += [at.broker_order_id] if at.broker_order_id else []
    show(state=at.status, customer=order.user_id, symbol=order.terms.symbol, reference=references)


def await_openly(
    order: OrderInput, at: OrderProgress, what: str, otherwise: str, who: str, link: str
) -> None:
    """Tells staff what is awaited, with the search attributes in the same task."""
    show_order(order, at)
    path = f"POST /v1/trading/orders/{order.order_id}{link}" if link.startswith("/") else link
    waiting(what, since=at.since or workflow.now(), otherwise=otherwise, who=who, link=path)


async def until(condition: Callable[[], bool], within: timedelta | None) -> bool:
    """Waits for a condition; False where the time was over first."""
    try:
        await workflow.wait_condition(condition, timeout=within)
    except TimeoutError:
        return False
    return True
