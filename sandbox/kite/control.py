"""`/_control/kite/...`: plays the customer, the market and the exchange's other members.

Prices are rupees in these calls, as in Kite's; what they change is committed before they answer.
"""

from decimal import Decimal
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import BaseRoute, Route

from sandbox.control import ControlError, fields
from sandbox.kite import book, exchange, funds, market, replay, rules, session
from sandbox.kite.errors import KiteError, rupees
from sandbox.kite.hours import ist
from sandbox.kite.instruments import Instrument, by_name, catalogue
from sandbox.kite.placing import Draft, place
from sandbox.world import World

LONG_AGO = "2000-01-03"


def control_routes(world: World) -> list[BaseRoute]:
    """The control calls of the Kite world."""
    calls = Control(world)
    return [
        Route("/_control/kite/login", calls.login, methods=["POST"]),
        Route("/_control/kite/app", calls.app, methods=["POST"]),
        Route("/_control/kite/account", calls.account, methods=["POST"]),
        Route("/_control/kite/market", calls.market, methods=["POST"]),
        Route("/_control/kite/replay", calls.replay, methods=["POST"]),
        Route("/_control/kite/order", calls.order, methods=["POST"]),
        Route("/_control/kite/fill", calls.fill, methods=["POST"]),
        Route("/_control/kite/instruments", calls.instruments, methods=["GET"]),
    ]


def _price(value: Any) -> int:
    try:
        return rules.paise(str(value), "price")
    except KiteError as problem:
        raise ControlError("`price` is not an amount of rupees") from problem


def _text(body: dict[str, Any], name: str) -> str:
    value = body.get(name)
    if not isinstance(value, str) or not value:
        raise ControlError(f"`{name}` is missing")
    return value


def _flag(body: dict[str, Any], name: str) -> bool | None:
    value = body.get(name)
    if value is not None and not isinstance(value, bool):
        raise ControlError(f"`{name}` is not true or false")
    return value


class Control:
    """The handlers; each runs inside the guard's transaction."""

    def __init__(self, world: World) -> None:
        self.world = world

    def _instrument(self, body: dict[str, Any]) -> Instrument:
        """`symbol` is `INFY`, `NSE:INFY` or a token."""
        found = by_name(ist(self.world.now()).date(), str(body.get("symbol", "")))
        if found is None:
            raise ControlError("unknown `symbol`", 404)
        return found

    async def login(self, request: Request) -> JSONResponse:
        """Plays the customer at Kite's login page."""
        body = await fields(request)
        name = body.get("name")
        if name is not None and not isinstance(name, str):
            raise ControlError("`name` is not a string")
        try:
            token = session.issue_request_token(
                self.world, _text(body, "api_key"), _text(body, "user_id"), name, self.world.now(request)
            )
        except KiteError as problem:
            raise ControlError(problem.message) from problem
        return JSONResponse({"request_token": token})

    async def app(self, request: Request) -> JSONResponse:
        """The developer console: the app's redirect URL, and the address its order calls must come from."""
        body = await fields(request)
        known = self.world.db.execute("SELECT * FROM kite_app").fetchone()
        app = dict(known) if known else {"redirect_url": "", "static_ip": ""}
        app.update({name: _text(body, name) for name in app if name in body})
        self.world.db.execute("DELETE FROM kite_app")
        self.world.db.execute("INSERT INTO kite_app VALUES (:redirect_url, :static_ip)", app)
        return JSONResponse(app)

    async def account(self, request: Request) -> JSONResponse:
        """Sets cash, adds settled holdings `{symbol, quantity, average_price}` and auctions of a customer."""
        body = await fields(request)
        user_id = _text(body, "user_id")
        session.open_account(self.world.db, user_id, body.get("name"))
        if "cash" in body:
            self.world.db.execute(
                "UPDATE kite_users SET cash_paise = ? WHERE user_id = ?", (_price(body["cash"]), user_id)
            )
        for holding in body.get("holdings", []):
            item = self._instrument(holding)
            price = _price(holding.get("average_price", Decimal(item.base) / 100))
            book.post(
                self.world.db, user_id, item, "CNC", int(holding["quantity"]), price, LONG_AGO, "opening"
            )
        for number, auction in enumerate(body.get("auctions", []), start=1):
            item = self._instrument(auction)
            self.world.db.execute(
                "INSERT OR REPLACE INTO kite_auctions VALUES (?, ?, ?, ?)",
                (
                    str(auction.get("auction_number", number)),
                    user_id,
                    item.tradingsymbol,
                    int(auction["quantity"]),
                ),
            )
        return JSONResponse({"user_id": user_id})

    async def market(self, request: Request) -> JSONResponse:
        """Moves the price, halts, switches to matching by hand, or gives a finite depth."""
        body = await fields(request)
        item, db, now = self._instrument(body), self.world.db, self.world.now(request)
        market.state(db, item, now)
        market.set_flags(db, item.token, _flag(body, "halt"), _flag(body, "manual"))
        if "depth" in body:
            market.set_depth(db, item.token, _depth(body["depth"]))
        if body.get("close") is not None:
            db.execute(
                "UPDATE kite_market SET close = ? WHERE token = ?", (_price(body["close"]), item.token)
            )
        if body.get("price") is not None:
            price = _price(body["price"])
            if price <= 0 or price % item.tick:
                raise ControlError("`price` is not a positive multiple of the tick")
            market.move(db, item, price, now)
        self.world.event("kite").set()
        row = market.state(db, item, now)
        return JSONResponse({
            "symbol": item.key, "instrument_token": item.token, "last_price": rupees(row["last"]),
            "halt": bool(row["halted"]), "manual": bool(row["manual"]),
        })  # fmt: skip

    async def replay(self, request: Request) -> JSONResponse:
        """Replays the instrument's daily bars at `speed` bars a second (0 stops), from `from` to `to`."""
        body = await fields(request)
        item, speed = self._instrument(body), body.get("speed", 1)
        if isinstance(speed, bool) or not isinstance(speed, int | float) or not 0 <= speed <= 1000:
            raise ControlError("`speed` is a number of bars a second from 0 to 1000")
        begin, end = str(body.get("from", "")), str(body.get("to", ""))
        bars = replay.start(self.world.db, item, float(speed), begin, end, self.world.now(request))
        self.world.event("kite").set()
        return JSONResponse({"symbol": item.key, "bars": bars, "source": item.source})

    async def order(self, request: Request) -> JSONResponse:
        """Plays the customer in Kite's own app: an order without our tag. `user_id`, and the fields of
        `POST /orders/regular`."""
        body = await fields(request)
        user_id, now = _text(body, "user_id"), self.world.now(request)
        asked = {name: str(value) for name, value in body.items() if name != "user_id"}
        try:
            wish = rules.read_wish({"validity": "DAY", **asked}, "regular", now)
            draft = Draft.of(wish, user_id, self.world.credentials["kite"]["api_key"], 0.0)
            funds.check(self.world.db, draft, now)
            order_id = place(self.world.db, draft, now, ist(now).date()).order_id
        except KiteError as refused:
            raise ControlError(refused.message) from refused
        self.world.event("kite").set()
        return JSONResponse({"order_id": order_id})

    async def fill(self, request: Request) -> JSONResponse:
        """Fills so much of an order now, at `price` or at what the market and its limit give."""
        body = await fields(request)
        exchange.step(self.world)
        order = book.get(self.world.db, str(body.get("order_id", "")))
        if order is None:
            raise ControlError("unknown `order_id`", 404)
        if order.status not in book.RESTING:
            raise ControlError(f"the order is {order.status}", 409)
        quantity = body.get("quantity", order.pending)
        if type(quantity) is not int or not 0 < quantity <= order.pending:
            raise ControlError(f"`quantity` is not between 1 and {order.pending}")
        item = self._instrument({"symbol": f"{order.exchange}:{order.tradingsymbol}"})
        wanted = _price(body["price"]) if body.get("price") is not None else None
        now = order.clock(self.world.now())
        price = exchange.fill_by_hand(self.world.db, order, item, quantity, wanted, now)
        market.traded(self.world.db, item.token, price, quantity, now)
        self.world.event("kite").set()
        return JSONResponse({
            "order_id": order.order_id, "status": order.status, "filled_quantity": order.filled,
            "price": rupees(price),
        })  # fmt: skip

    async def instruments(self, request: Request) -> JSONResponse:
        """What is listed, at which price, and whether that price is synthetic or replayed."""
        now = self.world.now(request)
        items = []
        for item in catalogue(ist(now).date()).values():
            row = market.state(self.world.db, item, now)
            items.append({
                "instrument_token": item.token, "exchange": item.exchange,
                "tradingsymbol": item.tradingsymbol,
                "name": item.name, "segment": item.segment, "instrument_type": item.kind,
                "tick_size": rupees(item.tick), "lot_size": item.lot, "freeze_quantity": item.freeze,
                "last_price": rupees(row["last"]), "price_source": item.source, "halt": bool(row["halted"]),
                "manual": bool(row["manual"]),
            })  # fmt: skip
        return JSONResponse({"items": items})


def _depth(given: Any) -> dict[str, Any] | None:
    """`{"buy": [{price, quantity, orders?}], "sell": [...]}` in rupees as paise; None lifts a given depth."""
    if given is None:
        return None
    try:
        return {
            side: [
                {
                    "price": _price(level["price"]),
                    "quantity": int(level["quantity"]),
                    "orders": int(level.get("orders", 1)),
                }
                for level in given.get(side, [])
            ]
            for side in ("buy", "sell")
        }
    except (KeyError, TypeError, ValueError, AttributeError) as problem:
        raise ControlError('`depth` is {"buy": [{price, quantity}], "sell": [...]}') from problem
