"""Money: what an order needs, what is free, and the margin and charges calls. Paise inside, rupees outside.

Percentages are round figures of the sandbox, not the exchange's daily SPAN files.
Sources: kite.trade/docs/connect/v3/margins; charges: zerodha.com/charges, STT of April 2026.
"""

import sqlite3
from datetime import date, datetime
from decimal import Decimal
from typing import Any

from starlette.responses import Response

from sandbox.kite import market, portfolio, rules
from sandbox.kite.caller import Caller
from sandbox.kite.errors import KiteError, input_error, ok, rupees
from sandbox.kite.hours import ist
from sandbox.kite.instruments import Instrument, find
from sandbox.kite.placing import Draft
from sandbox.kite.portfolio import Line

INTRADAY_PERCENT = 20
MTF_PERCENT = 25
FUTURE_SPAN_PERCENT, FUTURE_EXPOSURE_PERCENT = 10, 2
OPTION_SALE_PERCENT = 15


PENDING = """
SELECT exchange, tradingsymbol, side, product, sum(quantity - filled) AS pending FROM kite_orders
WHERE status NOT IN ('COMPLETE', 'CANCELLED', 'REJECTED') AND user_id = ?
GROUP BY exchange, tradingsymbol, side, product
"""


def need(instrument: Instrument, side: str, product: str, quantity: int, price: int) -> dict[str, int]:
    """Margin of a new exposure in paise, by component: span, exposure, option_premium, var."""
    value = quantity * price
    blank = {"span": 0, "exposure": 0, "option_premium": 0, "var": 0}
    if instrument.is_equity:
        if product == "CNC":
            return {**blank, "var": value if side == "BUY" else 0}
        return {**blank, "var": value * (MTF_PERCENT if product == "MTF" else INTRADAY_PERCENT) // 100}
    if instrument.kind == "FUT":
        parts = {"span": FUTURE_SPAN_PERCENT, "exposure": FUTURE_EXPOSURE_PERCENT}
        return {**blank, **{name: value * percent // 100 for name, percent in parts.items()}}
    if side == "BUY":
        return {**blank, "option_premium": value}
    return {**blank, "span": quantity * instrument.strike * OPTION_SALE_PERCENT // 100}


def blocked(db: sqlite3.Connection, user_id: str, now: datetime) -> dict[str, int]:
    """What open positions and live orders bind, in paise, by component."""
    total = {"span": 0, "exposure": 0, "option_premium": 0, "var": 0}
    today = ist(now).date()
    held = portfolio.lines(db, user_id, today)
    demands = [
        (line.instrument, "BUY" if line.quantity > 0 else "SELL", line.product, abs(line.quantity))
        for line in held
        if line.quantity
    ]
    for row in db.execute(PENDING, (user_id,)):
        instrument = find(today, row["exchange"], row["tradingsymbol"])
        if instrument is not None:
            opened = _opening(held, instrument, row["side"], row["product"], row["pending"])
            demands.append((instrument, row["side"], row["product"], opened))
    for instrument, side, product, quantity in demands:
        parts = need(instrument, side, product, quantity, market.last_price(db, instrument, now))
        total = {name: total[name] + parts[name] for name in total}
    return total


def _opening(held: list[Line], instrument: Instrument, side: str, product: str, quantity: int) -> int:
    """How much of an order opens new exposure, as the rest only closes a position."""
    for line in held:
        if line.instrument == instrument and line.product == product:
            closes = -line.quantity if side == "BUY" else line.quantity
            return max(quantity - max(closes, 0), 0)
    return quantity


def cash(db: sqlite3.Connection, user_id: str) -> int:
    """The account's cash in paise."""
    row = db.execute("SELECT cash_paise FROM kite_users WHERE user_id = ?", (user_id,)).fetchone()
    return int(row["cash_paise"])


def check(db: sqlite3.Connection, draft: Draft, now: datetime) -> None:
    """Shares to deliver, money to bind; raises HoldingException, MarginException."""
    item = draft.instrument
    if item.is_equity and draft.product == "CNC" and draft.side == "SELL":
        _check_shares(db, draft, ist(now).date())
        return
    price = draft.price or market.last_price(db, item, now)
    held = portfolio.lines(db, draft.user_id, ist(now).date())
    opened = _opening(held, item, draft.side, draft.product, draft.quantity)
    wanted = sum(need(item, draft.side, draft.product, opened, price).values())
    free = cash(db, draft.user_id) - sum(blocked(db, draft.user_id, now).values())
    if wanted > free:
        raise KiteError(
            "MarginException",
            f"Insufficient funds. Required margin is {Decimal(wanted) / 100:.2f} but available margin is"
            f" {Decimal(free) / 100:.2f}. Check the orderbook for open orders.",
        )


def _check_shares(db: sqlite3.Connection, draft: Draft, today: date) -> None:
    symbol = draft.instrument.tradingsymbol
    have = sum(
        holding.quantity
        for holding in portfolio.held(db, draft.user_id, today)
        if holding.instrument.tradingsymbol == symbol and holding.product == "CNC"
    )
    have += sum(
        line.quantity
        for line in portfolio.lines(db, draft.user_id, today)
        if line.instrument.tradingsymbol == symbol and line.product == "CNC"
    )
    have -= sum(
        row["pending"]
        for row in db.execute(PENDING, (draft.user_id,))
        if (row["tradingsymbol"], row["product"], row["side"]) == (symbol, "CNC", "SELL")
    )
    if draft.quantity > have:
        raise KiteError(
            "HoldingException",
            f"Insufficient stock holding. Order quantity is {draft.quantity} but available quantity is"
            f" {max(have, 0)}.",
        )


def _segment(caller: Caller, name: str) -> dict[str, Any]:
    money = cash(caller.world.db, caller.user_id) if name == "equity" else 0
    parts = {"span": 0, "exposure": 0, "option_premium": 0, "var": 0}
    if name == "equity":
        parts = blocked(caller.world.db, caller.user_id, caller.now)
    used = sum(parts.values())
    return {
        "enabled": True, "net": rupees(money - used),
        "available": {
            "adhoc_margin": 0, "cash": rupees(money), "opening_balance": rupees(money),
            "live_balance": rupees(money - used), "collateral": 0, "intraday_payin": 0,
        },
        "utilised": {
            "debits": rupees(used), "exposure": rupees(parts["exposure"]), "m2m_realised": 0,
            "m2m_unrealised": 0,
            "option_premium": rupees(parts["option_premium"]), "payout": 0, "span": rupees(parts["span"]),
            "holding_sales": 0, "turnover": 0, "liquid_collateral": 0, "stock_collateral": 0, "equity": 0,
            "delivery": rupees(parts["var"]),
        },
    }  # fmt: skip


def user_margins(caller: Caller) -> Response:
    """`GET /user/margins` and `/user/margins/{segment}`."""
    segment = caller.request.path_params.get("segment")
    if segment is None:
        return ok({name: _segment(caller, name) for name in ("equity", "commodity")})
    if segment not in ("equity", "commodity"):
        raise input_error("Invalid `segment`.")
    return ok(_segment(caller, segment))


RATES = {
    # brokerage %, transaction tax % on buy and on sell, exchange turnover %, stamp duty % on buy
    "delivery": ("0", "0.1", "0.1", "0.00307", "0.015"),
    "intraday": ("0.03", "0", "0.025", "0.00307", "0.003"),
    "future": ("0.03", "0", "0.05", "0.00183", "0.002"),
    "option": ("0.03", "0", "0.15", "0.03553", "0.003"),
}
FLAT_BROKERAGE = Decimal(20)
SEBI_PERCENT, GST_PERCENT = Decimal("0.0001"), 18


def charges(instrument: Instrument, side: str, product: str, quantity: int, price: int) -> dict[str, Any]:
    """Brokerage, taxes and fees of a trade, in rupees."""
    kind = {"FUT": "future", "CE": "option", "PE": "option"}.get(instrument.kind)
    kind = kind or ("delivery" if product in ("CNC", "MTF") else "intraday")
    brokerage_percent, tax_buy, tax_sell, turnover, stamp = (Decimal(rate) / 100 for rate in RATES[kind])
    value = Decimal(quantity * price) / 100
    brokerage = FLAT_BROKERAGE if kind == "option" else min(FLAT_BROKERAGE, value * brokerage_percent)
    tax = value * (tax_buy if side == "BUY" else tax_sell)
    exchange, sebi = value * turnover, value * SEBI_PERCENT / 100
    gst = (brokerage + exchange + sebi) * GST_PERCENT / 100
    duty = value * stamp if side == "BUY" else Decimal(0)
    return {
        "transaction_tax": float(tax),
        "transaction_tax_type": "ctt" if instrument.exchange == "MCX" else "stt",
        "exchange_turnover_charge": float(exchange), "sebi_turnover_charge": float(sebi),
        "brokerage": float(brokerage), "stamp_duty": float(duty),
        "gst": {"igst": float(gst), "cgst": 0, "sgst": 0, "total": float(gst)},
        "total": float(tax + exchange + sebi + brokerage + duty + gst),
    }  # fmt: skip


def _asked(caller: Caller, order: dict[str, Any]) -> tuple[Instrument, str, str, int, int]:
    fields = {name: str(value) for name, value in order.items() if value is not None}
    instrument = find(caller.today, fields.get("exchange", ""), fields.get("tradingsymbol", ""))
    if instrument is None or not instrument.tradable:
        raise input_error("Invalid `tradingsymbol`.")
    side = rules.choice(fields, "transaction_type", rules.SIDES)
    allowed = rules.PRODUCTS["equity" if instrument.is_equity else "derivative"]
    product = rules.choice(fields, "product", allowed)
    try:
        quantity = rules.whole(str(int(Decimal(fields.get("quantity", "")))), "quantity")
    except ArithmeticError as problem:
        raise input_error("Invalid `quantity`.") from problem
    named = fields.get("average_price") or fields.get("price") or "0"
    return (
        instrument,
        side,
        product,
        quantity,
        rules.paise(named, "price") or market.last_price(caller.world.db, instrument, caller.now),
    )


def _margin(caller: Caller, order: dict[str, Any]) -> dict[str, Any]:
    instrument, side, product, quantity, price = _asked(caller, order)
    parts = need(instrument, side, product, quantity, price)
    return _margin_document(
        "commodity" if instrument.exchange == "MCX" else "equity",
        instrument, parts, charges(instrument, side, product, quantity, price), leverage=1,
    )  # fmt: skip


def _margin_document(
    kind: str, instrument: Instrument | None, parts: dict[str, int], cost: dict[str, Any], leverage: int
) -> dict[str, Any]:
    return {
        "type": kind, "tradingsymbol": instrument.tradingsymbol if instrument else "",
        "exchange": instrument.exchange if instrument else "",
        **{name: rupees(parts[name]) for name in ("span", "exposure", "option_premium")},
        "additional": 0, "bo": 0, "cash": 0, "var": rupees(parts["var"]),
        "pnl": {"realised": 0, "unrealised": 0}, "leverage": leverage, "charges": cost,
        "total": rupees(sum(parts.values())),
    }  # fmt: skip


def order_margins(caller: Caller) -> Response:
    """`POST /margins/orders`: each order by itself."""
    return ok([_margin(caller, order) for order in caller.json_list()])


def basket_margins(caller: Caller) -> Response:
    """`POST /margins/basket`: the orders together; `final` sets off opposite ones of an instrument."""
    asked = [_asked(caller, order) for order in caller.json_list()]
    orders = [_margin(caller, order) for order in caller.json_list()]
    initial = dict.fromkeys(("span", "exposure", "option_premium", "var"), 0)
    net: dict[tuple[Instrument, str], tuple[int, int]] = {}
    for instrument, side, product, quantity, price in asked:
        parts = need(instrument, side, product, quantity, price)
        initial = {name: initial[name] + parts[name] for name in initial}
        before, _ = net.get((instrument, product), (0, 0))
        net[instrument, product] = (before + (quantity if side == "BUY" else -quantity), price)
    final = dict.fromkeys(initial, 0)
    for (instrument, product), (quantity, price) in net.items():
        parts = need(instrument, "BUY" if quantity > 0 else "SELL", product, abs(quantity), price)
        final = {name: final[name] + parts[name] for name in final}
    gst = {"igst": 0, "cgst": 0, "sgst": 0, "total": 0}
    free = {
        "transaction_tax": 0, "transaction_tax_type": "", "exchange_turnover_charge": 0,
        "sebi_turnover_charge": 0, "brokerage": 0, "stamp_duty": 0, "gst": gst, "total": 0,
    }  # fmt: skip
    total = sum(order["charges"]["total"] for order in orders)
    compact = caller.request.query_params.get("mode") == "compact"
    return ok({
        "initial": _margin_document("", None, initial, free, leverage=0),
        "final": _margin_document("", None, final, free, leverage=0),
        "orders": [] if compact else orders,
        "charges": {**free, "total": total},
    })  # fmt: skip


def contract_note(caller: Caller) -> Response:
    """`POST /charges/orders`: the charges of each order, in the order asked."""
    notes = []
    for order in caller.json_list():
        instrument, side, product, quantity, price = _asked(caller, order)
        notes.append({
            "transaction_type": side, "tradingsymbol": instrument.tradingsymbol,
            "exchange": instrument.exchange, "variety": order.get("variety", "regular"), "product": product,
            "order_type": order.get("order_type", "MARKET"), "quantity": quantity, "price": rupees(price),
            "charges": charges(instrument, side, product, quantity, price),
        })  # fmt: skip
    return ok(notes)
