"""The day's book of the paper broker, from its own rows: the same protocol as a real broker's, no charges."""

from collections import defaultdict
from collections.abc import Sequence
from datetime import date
from decimal import Decimal
from typing import Any

from activities.paper import PaperAccount, trade_of
from activities.paper_triggers import PaperTriggers
from domain.market_calendar import trading_date
from domain.positions import Position, Trade, fold
from domain.trading import BrokerStatus, Product, Side
from models.messages.broker import BrokerTrade
from models.messages.broker_days import Charge, DayOrder, DayPosition, Executed, Holding
from providers.broker import Reading
from store import trading_paper
from store.database import Database

Key = tuple[str, str, str]


class PaperDay:
    """`providers.broker_day.DayBook` on Postgres."""

    def __init__(self, database: Database, account_id: str) -> None:
        self._database = database
        self._account_id = account_id
        self._broker = PaperAccount(database, account_id)
        self._triggers = PaperTriggers(database, self._broker)

    async def orders(self) -> Reading[list[DayOrder]]:
        read = await self._broker.rows_of_today()
        return Reading([_order(row) for row in read.value], read.at)

    async def day_trades(self) -> Reading[list[BrokerTrade]]:
        read = await self._broker.rows_of_today()
        return Reading([trade_of(row) for row in read.value if row["filled_quantity"]], read.at)

    async def positions(self) -> Reading[list[DayPosition]]:
        async with self._database.reading() as connection:
            now = await trading_paper.now(connection)
            fills = await trading_paper.fills(connection, self._account_id)
        today = trading_date(now)
        shown = [row for row in fills if row["product"] != Product.DELIVERY or row["trading_day"] == today]
        return Reading([_position(key, rows, today) for key, rows in _by_key(shown).items()], now)

    async def holdings(self) -> Reading[list[Holding]]:
        """Delivery bought on earlier days."""
        async with self._database.reading() as connection:
            now = await trading_paper.now(connection)
            fills = await trading_paper.fills(connection, self._account_id)
        today = trading_date(now)
        delivered = [
            row for row in fills if row["product"] == Product.DELIVERY and row["trading_day"] < today
        ]
        found = [(key, _folded(rows), rows[-1]) for key, rows in _by_key(delivered).items()]
        return Reading([_holding(key, held, row) for key, held, row in found if held.quantity > 0], now)

    async def triggers(self) -> Reading[list[str]]:
        standing = await self._triggers.book()
        return Reading([each.trigger_id for each in standing.value if each.status == "active"], standing.at)

    async def drop_trigger(self, trigger_id: str) -> Reading[None]:
        return Reading(None, (await self._triggers.drop(trigger_id)).at)

    async def charges(self, executed: Sequence[Executed]) -> Reading[list[Charge]]:
        """Paper costs nothing."""
        async with self._database.reading() as connection:
            now = await trading_paper.now(connection)
        nothing = dict.fromkeys(Charge.model_fields.keys() - {"broker_order_id"}, 0)
        return Reading([Charge(broker_order_id=each.broker_order_id, **nothing) for each in executed], now)


def _by_key(rows: Sequence[dict[str, Any]]) -> dict[Key, list[dict[str, Any]]]:
    found: defaultdict[Key, list[dict[str, Any]]] = defaultdict(list)
    for row in rows:
        found[row["exchange"], row["symbol"], row["product"]].append(row)
    return found


def _folded(rows: Sequence[dict[str, Any]]) -> Position:
    return fold(
        Trade(row["tag"], Side(row["side"]), row["filled_quantity"], row["fill_price"], row["updated_at"])
        for row in rows
    )


def _position(key: Key, rows: Sequence[dict[str, Any]], today: date) -> DayPosition:
    held, before = _folded(rows), _folded([row for row in rows if row["trading_day"] < today])
    return DayPosition(
        exchange=key[0],
        symbol=key[1],
        product=key[2],
        quantity=held.quantity,
        overnight_quantity=before.quantity,
        average_price=held.average_price,
        last_price=_last(rows[-1]),
    )


def _holding(key: Key, held: Position, row: dict[str, Any]) -> Holding:
    return Holding(
        exchange=key[0],
        symbol=key[1],
        product=key[2],
        isin="",
        quantity=held.quantity,
        unsettled=0,
        average_price=held.average_price,
        last_price=_last(row),
    )


def _last(row: dict[str, Any]) -> Decimal:
    last: Decimal = row["last_price"] if row["last_price"] is not None else row["fill_price"]
    return last


def _order(row: dict[str, Any]) -> DayOrder:
    return DayOrder(
        broker_order_id=row["broker_order_id"],
        status=BrokerStatus(row["status"]),
        tag=row["tag"],
        exchange=row["exchange"],
        symbol=row["symbol"],
        product=row["product"],
        side=row["side"],
        order_type=row["order_type"],
        variety="regular",
        filled_quantity=row["filled_quantity"],
        average_price=row["fill_price"] or Decimal(0),
    )
