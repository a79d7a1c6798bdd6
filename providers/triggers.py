"""Triggers of two legs at a broker (GTT): placing, the book of them, taking back; and those of Kite."""

from decimal import Decimal
from typing import Any, Protocol

from domain.exits import Leg
from domain.trading import Side
from models.messages.exits import BrokerTrigger
from providers.broker import Reading
from providers.kite import KiteAccount, number


class Triggers(Protocol):
    """The triggers of one session. Raises the closed set of `domain.errors`; `place` alone raises Unknown."""

    async def place(
        self,
        exchange: str,
        symbol: str,
        product: str,
        side: Side,
        quantity: int,
        legs: tuple[Leg, Leg],
        last: Decimal,
    ) -> Reading[str]:
        """The trigger's id: the broker watches from here on."""
        ...

    async def book(self) -> Reading[list[BrokerTrigger]]:
        """Every trigger that the broker still shows, fired and taken back ones too."""
        ...

    async def drop(self, trigger_id: str) -> Reading[str]:
        """Takes a trigger back; Rejected where it is not active any more."""
        ...


class KiteTriggers:
    """`Triggers` of one Kite session."""

    def __init__(self, account: KiteAccount) -> None:
        self._kite = account._kite
        self._client = account._client

    async def place(
        self,
        exchange: str,
        symbol: str,
        product: str,
        side: Side,
        quantity: int,
        legs: tuple[Leg, Leg],
        last: Decimal,
    ) -> Reading[str]:
        orders = [
            {
                "transaction_type": side.value,
                "quantity": quantity,
                "order_type": "LIMIT",
                "product": product,
                "price": float(leg.price),
            }
            for leg in legs
        ]
        levels = [float(leg.trigger) for leg in legs]
        call = self._client.place_gtt
        return await self._kite._run(
            self._client,
            lambda: str(call("two-leg", symbol, exchange, levels, float(last), orders)["trigger_id"]),
            once=True,
        )

    async def book(self) -> Reading[list[BrokerTrigger]]:
        return await self._kite._run(
            self._client, lambda: [trigger_of(row) for row in self._client.get_gtts()]
        )

    async def drop(self, trigger_id: str) -> Reading[str]:
        return await self._kite._run(
            self._client, lambda: str(self._client.delete_gtt(int(trigger_id))["trigger_id"])
        )


def trigger_of(row: dict[str, Any]) -> BrokerTrigger:
    orders, condition = row["orders"], row["condition"]
    fired = [
        order["result"]["order_result"].get("order_id") or None for order in orders if order.get("result")
    ]
    return BrokerTrigger(
        trigger_id=str(row["id"]),
        status=row["status"],
        exchange=condition["exchange"],
        symbol=condition["tradingsymbol"],
        side=Side(orders[0]["transaction_type"]),
        levels=tuple(number(value) for value in condition["trigger_values"]),
        prices=tuple(number(order["price"]) for order in orders),
        quantity=orders[0]["quantity"],
        fired=fired[0] if fired else None,
    )
