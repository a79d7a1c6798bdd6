"""Market data: the instruments dump, quotes, OHLC, last prices, cover-order range, historical candles.

Source: kite.trade/docs/connect/v3/market-quotes and /historical. Answers about synthetic prices carry the
header `X-Sandbox-Data: synthetic`, so that nothing made up passes as real.
"""

import gzip
from collections.abc import Callable
from datetime import datetime
from typing import Any

from starlette.responses import Response

from sandbox.kite import candles, market, rules
from sandbox.kite.caller import Caller, required
from sandbox.kite.errors import input_error, ok, rupees
from sandbox.kite.hours import IST, stamp
from sandbox.kite.instruments import SEGMENT_CODES, Instrument, by_name, by_token, catalogue, dump

MAX_QUOTES, MAX_PRICES = 500, 1000
CIRCUIT_PERCENT = 10
COVER_RANGE_PERCENT = 5


def marked(instruments: list[Instrument]) -> dict[str, str]:
    """The header that tells synthetic data from replayed real data."""
    synthetic = any(item.source == "synthetic" for item in instruments)
    return {"X-Sandbox-Data": "synthetic" if synthetic else "replayed"}


def instruments(caller: Caller) -> Response:
    """`GET /instruments` and `/instruments/{exchange}`: CSV, gzipped for who accepts it."""
    exchange = caller.request.path_params.get("exchange")
    if exchange is not None and exchange not in (*SEGMENT_CODES, "NFO", "BFO", "CDS", "BCD", "NCO"):
        raise input_error("Invalid `exchange`.")
    body = dump(caller.today, exchange).encode()
    headers = {"X-Sandbox-Data": "synthetic"}
    if "gzip" in caller.request.headers.get("accept-encoding", ""):
        body, headers["Content-Encoding"] = gzip.compress(body, mtime=0), "gzip"
    return Response(body, media_type="text/csv", headers=headers)


def _quote(caller: Caller, item: Instrument) -> dict[str, Any]:
    row = market.state(caller.world.db, item, caller.now)
    quote: dict[str, Any] = {
        "instrument_token": item.token, "timestamp": stamp(caller.now), "last_price": rupees(row["last"]),
        "net_change": rupees(row["last"] - row["close"]), "ohlc": _ohlc(row),
    }  # fmt: skip
    if not item.tradable:
        return quote
    levels = market.depth(row, item)
    band = item.band or CIRCUIT_PERCENT
    quote.update(
        last_trade_time=stamp(datetime.fromisoformat(row["traded_at"])), last_quantity=row["last_quantity"],
        buy_quantity=sum(level["quantity"] for level in levels["buy"]),
        sell_quantity=sum(level["quantity"] for level in levels["sell"]), volume=row["volume"],
        average_price=rupees(row["last"]), oi=0, oi_day_high=0, oi_day_low=0,
        lower_circuit_limit=rupees(row["close"] * (100 - band) // 100),
        upper_circuit_limit=rupees(row["close"] * (100 + band) // 100),
        depth={
            side: [{**level, "price": rupees(level["price"])} for level in levels[side]] for side in levels
        },
    )  # fmt: skip
    return quote


def _ohlc(row: Any) -> dict[str, float | int]:
    return {name: rupees(row[name]) for name in ("open", "high", "low", "close")}


def _prices(caller: Caller, item: Instrument) -> dict[str, Any]:
    row = market.state(caller.world.db, item, caller.now)
    return {"instrument_token": item.token, "last_price": rupees(row["last"])}


def _day(caller: Caller, item: Instrument) -> dict[str, Any]:
    row = market.state(caller.world.db, item, caller.now)
    return {**_prices(caller, item), "ohlc": _ohlc(row)}


def _asked(caller: Caller, most: int, view: Callable[[Caller, Instrument], dict[str, Any]]) -> Response:
    """Each asked instrument under the name it was asked by; unknown ones are left out, as Kite does."""
    names = caller.request.query_params.getlist("i")
    if not names:
        raise input_error("Missing or empty field `i`")
    if len(names) > most:
        raise input_error(f"Maximum of {most} instruments is allowed in a call.")
    found = {name: by_name(caller.today, name) for name in names if ":" in name or name.isdigit()}
    known = {name: item for name, item in found.items() if item is not None}
    return ok({name: view(caller, item) for name, item in known.items()}, marked(list(known.values())))


def quote(caller: Caller) -> Response:
    """`GET /quote`."""
    return _asked(caller, MAX_QUOTES, _quote)


def ohlc(caller: Caller) -> Response:
    """`GET /quote/ohlc`."""
    return _asked(caller, MAX_PRICES, _day)


def ltp(caller: Caller) -> Response:
    """`GET /quote/ltp`."""
    return _asked(caller, MAX_PRICES, _prices)


def trigger_range(caller: Caller) -> Response:
    """`GET /instruments/trigger_range/{transaction_type}`: where a cover order's stop may lie."""
    side = caller.request.path_params["transaction_type"]
    if side not in ("buy", "sell"):
        raise input_error("Invalid `transaction_type`.")

    def view(caller: Caller, item: Instrument) -> dict[str, Any]:
        last = market.last_price(caller.world.db, item, caller.now)
        span = last * COVER_RANGE_PERCENT // 100
        low, high = (last - span, last) if side == "buy" else (last, last + span)
        return {
            "instrument_token": item.token, "lower": rupees(low - low % item.tick),
            "upper": rupees(high - high % item.tick), "percentage": COVER_RANGE_PERCENT,
        }  # fmt: skip

    return _asked(caller, MAX_QUOTES, view)


def segment_margins(caller: Caller) -> Response:
    """`GET /margins/{segment}`: intraday margin percentage of each instrument of a segment."""
    segment = caller.request.path_params["segment"]
    if segment not in ("equity", "futures", "commodity"):
        raise input_error("Invalid `segment`.")
    kinds = {"equity": ("NSE", "BSE"), "futures": ("NFO-FUT",), "commodity": ("MCX-FUT",)}[segment]
    listed = [item for item in catalogue(caller.today).values() if item.segment in kinds]
    return ok(
        [{"tradingsymbol": item.tradingsymbol, "margin": 20 if item.is_equity else 12} for item in listed],
        marked(listed),
    )


def _moment(text: str, name: str, end: bool) -> datetime:
    try:
        moment = datetime.fromisoformat(text)
    except ValueError as problem:
        raise input_error(f"invalid {name} date") from problem
    if len(text) == 10 and end:
        moment = moment.replace(hour=23, minute=59, second=59)
    return moment.replace(tzinfo=IST) if moment.tzinfo is None else moment


def historical(caller: Caller) -> Response:
    """`GET /instruments/historical/{token}/{interval}`: candles, real for replayed series (days only)."""
    token, interval = caller.request.path_params["token"], caller.request.path_params["interval"]
    query = dict(caller.request.query_params)
    item = by_token(caller.today, rules.whole(token, "instrument_token"))
    if item is None:
        raise input_error("invalid token")
    if interval not in candles.MAX_DAYS:
        raise input_error("invalid interval")
    start, end = _moment(required(query, "from"), "from", False), _moment(required(query, "to"), "to", True)
    if start > end:
        raise input_error("from date cannot be after to date")
    if (end - start).days > candles.MAX_DAYS[interval]:
        raise input_error(f"interval exceeds max limit: {candles.MAX_DAYS[interval]} days")
    if item.source == "replayed":
        rows = candles.real_rows(start, end) if interval == "day" else []
    else:
        last = min(end, caller.now.astimezone(IST))
        rows = candles.synthetic_rows(item.token, item.base, item.tick, interval, start, last)
    if query.get("oi") == "1":
        rows = [[*row, 0] for row in rows]
    return ok({"candles": rows}, marked([item]))
