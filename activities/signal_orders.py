"""Starts the order of each customer who wants one prepared when a signal is published."""

import asyncio
from typing import Any

from temporalio import activity
from temporalio.client import Client

from activities.brokers import beating
from activities.order_starting import start_order
from domain.signals import Action, quantity_for
from domain.trading import DELIVERING
from models.contracts.identifiers import Prefix, derived
from models.messages.signal_orders import Prepared, PreparePage, signal_terms
from models.messages.trading import OrderInput, SignalOrigin
from models.settings import Settings
from store import signal_orders, signals, trading, trading_market
from store.database import Connection, Database
from store.signal_orders import Follower
from workflows.ports.signal_orders import SignalOrdersPort

PAGE, AT_ONCE = 50, 10


class SignalOrdersActivities(SignalOrdersPort):
    """`workflows.ports.signal_orders.SignalOrdersPort`."""

    def __init__(self, settings: Settings, database: Database, client: Client) -> None:
        self._settings = settings
        self._database = database
        self._client = client

    @activity.defn(name="signals.prepare_orders")
    async def prepare_orders(self, command: PreparePage) -> Prepared:
        """One page of accounts; safe to repeat. Where the signal is over, or says hold, nobody is asked."""
        async with beating():
            async with self._database.reading() as connection:
                signal = await signals.find(connection, command.signal_id)
                known = await trading.signal_of(connection, command.signal_id)
                if signal is None or known is None or signal["action"] == Action.HOLD:
                    return Prepared(orders=0, after=None)
                found = await signal_orders.followers(
                    connection, signal, command.after, PAGE + 1, command.as_of
                )
                lots = {
                    broker: await _lot(connection, broker, signal)
                    for broker in {each.broker for each in found}
                }
            orders = [
                self._order(each, signal, SignalOrigin(**known), quantity)
                for each in found[:PAGE]
                if (quantity := _quantity(each, signal, lots[each.broker]))
            ]
            for first in range(0, len(orders), AT_ONCE):
                await asyncio.gather(*(self._start(order) for order in orders[first : first + AT_ONCE]))
        return Prepared(orders=len(orders), after=found[PAGE - 1].account_id if len(found) > PAGE else None)

    def _order(
        self, follower: Follower, signal: dict[str, Any], origin: SignalOrigin, quantity: int
    ) -> OrderInput:
        return OrderInput(
            order_id=derived(Prefix.ORDER, "signal", origin.signal_id, follower.account_id),
            user_id=follower.user_id,
            account_id=follower.account_id,
            terms=signal_terms(signal["exchange"], signal["symbol"], signal["action"], quantity, origin),
            origin=origin,
            confirmed=follower.mode == "auto",
            prepared=True,
            assertion_public_key=self._settings.assertion_public_key,
        )

    async def _start(self, order: OrderInput) -> None:
        terms = order.terms
        summary = f"Prepared: {terms.side} {terms.quantity} {terms.exchange}:{terms.symbol}"
        await start_order(self._client, order, summary)


async def _lot(connection: Connection, broker: str, signal: dict[str, Any]) -> int:
    """The instrument's lot; 0 for a contract that is on no list yet."""
    listed = await trading_market.last_listed(connection, broker, signal["exchange"], signal["symbol"])
    if listed is None:
        return 1 if signal["exchange"] in DELIVERING else 0
    return listed[0].lot


def _quantity(follower: Follower, signal: dict[str, Any], lot: int) -> int:
    """What the customer's sum buys; of shares, only what is held can be sold."""
    if signal["action"] != Action.BUY and signal["exchange"] in DELIVERING:
        return max(follower.held, 0)
    return quantity_for(follower.value, signal["entry_price"], lot) if lot else 0
