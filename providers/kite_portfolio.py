"""A day's book at Kite: orders, trades, positions, holdings, and charges by Kite's own calculation."""

from collections.abc import Callable, Sequence
from decimal import ROUND_HALF_UP
from typing import Any, TypeVar

from domain.trading import BrokerStatus, Side
from models.messages.broker import BrokerTrade
from models.messages.broker_days import Charge, DayOrder, DayPosition, Executed, Holding
from providers.broker import Reading
from providers.kite import STATUSES, Kite, number, order_of, trade_of

T = TypeVar("T")


class KiteDay:
    """`providers.broker_day.DayBook` of one Kite session."""

    def __init__(self, kite: Kite, access_token: str) -> None:
        self._kite = kite
        self._client = kite.client(access_token)

    async def orders(self) -> Reading[list[DayOrder]]:
        return await self._run(lambda: [day_order(row) for row in self._client.orders()])

    async def day_trades(self) -> Reading[list[BrokerTrade]]:
        return await self._run(lambda: [trade_of(row) for row in self._client.trades()])

    async def positions(self) -> Reading[list[DayPosition]]:
        return await self._run(lambda: [position_of(row) for row in self._client.positions()["net"]])

    async def holdings(self) -> Reading[list[Holding]]:
        return await self._run(lambda: [holding_of(row) for row in self._client.holdings()])

    async def triggers(self) -> Reading[list[str]]:
        return await self._run(
            lambda: [str(row["id"]) for row in self._client.get_gtts() if row["status"] == "active"]
        )

    async def drop_trigger(self, trigger_id: str) -> Reading[None]:
        def drop() -> None:
            self._client.delete_gtt(trigger_id)

        return await self._run(drop)

    async def charges(self, executed: Sequence[Executed]) -> Reading[list[Charge]]:
        """`POST /charges/orders`: the answer's rows stand in the order asked."""
        asked = [
            {
                "order_id": each.broker_order_id,
                "exchange": each.exchange,
                "tradingsymbol": each.symbol,
                "transaction_type": each.side.value,
                "variety": each.variety,
                "product": each.product,
                "order_type": each.order_type,
                "quantity": each.quantity,
                "average_price": str(each.average_price),
            }
            for each in executed
        ]

        def note() -> list[Charge]:
            rows = self._client.get_virtual_contract_note(asked)
            pairs = zip(executed, rows, strict=True)
            return [charge_of(each.broker_order_id, row["charges"]) for each, row in pairs]

        return await self._run(note)

    async def _run(self, call: Callable[[], T]) -> Reading[T]:
        return await self._kite._run(self._client, call)


def day_order(row: dict[str, Any]) -> DayOrder:
    return DayOrder(
        broker_order_id=str(row["order_id"]),
        status=STATUSES.get(row["status"], BrokerStatus.ACCEPTING),
        tag=row.get("tag"),
        exchange=row["exchange"],
        symbol=row["tradingsymbol"],
        product=row["product"],
        side=Side(row["transaction_type"]),
        order_type=row["order_type"],
        variety=row["variety"],
        filled_quantity=row["filled_quantity"],
        average_price=number(row["average_price"]),
        followed=order_of(row).terms is not None,
    )


def position_of(row: dict[str, Any]) -> DayPosition:
    return DayPosition(
        exchange=row["exchange"],
        symbol=row["tradingsymbol"],
        product=row["product"],
        quantity=row["quantity"],
        overnight_quantity=row["overnight_quantity"],
        average_price=number(row["average_price"]),
        last_price=number(row["last_price"]),
    )


def holding_of(row: dict[str, Any]) -> Holding:
    """`quantity` of the row is what is settled and not used; with the rest it is what is held."""
    return Holding(
        exchange=row["exchange"],
        symbol=row["tradingsymbol"],
        product=row["product"],
        isin=row["isin"],
        quantity=row["quantity"] + row["t1_quantity"],
        unsettled=row["t1_quantity"],
        average_price=number(row["average_price"]),
        last_price=number(row["last_price"]),
    )


def charge_of(broker_order_id: str, row: dict[str, Any]) -> Charge:
    """Rupees to paise, half up, each figure by itself: the total is the broker's own."""
    return Charge(
        broker_order_id=broker_order_id,
        brokerage=paise(row["brokerage"]),
        transaction_tax=paise(row["transaction_tax"]),
        exchange_fee=paise(row["exchange_turnover_charge"]),
        regulator_fee=paise(row["sebi_turnover_charge"]),
        stamp_duty=paise(row["stamp_duty"]),
        gst=paise(row["gst"]["total"]),
        total=paise(row["total"]),
    )


def paise(rupees: Any) -> int:
    return int((number(rupees) * 100).to_integral_value(ROUND_HALF_UP))
