"""Market data through the official client; real bars are real, the rest is marked."""

import csv
import importlib.util
from datetime import date
from decimal import Decimal
from pathlib import Path

import pytest
from kiteconnect.exceptions import InputException

from sandbox.kite import instruments
from tests.sandbox.kite_user import KiteUser


def published() -> list[dict[str, str]]:
    """The daily GOOG bars as the backtesting package ships them."""
    spec = importlib.util.find_spec("backtesting")
    assert spec is not None
    assert spec.submodule_search_locations
    with (Path(spec.submodule_search_locations[0]) / "test" / "GOOG.csv").open() as lines:
        return list(csv.DictReader(lines))


def test_the_dump_lists_real_symbols(kite: KiteUser) -> None:
    listed = {(row["exchange"], row["tradingsymbol"]): row for row in kite.client.instruments()}
    for symbol in ("RELIANCE", "INFY", "TCS", "HDFCBANK", "SBIN", "NIFTY 50", "GOOG"):
        assert ("NSE", symbol) in listed
    future = listed["NFO", "NIFTY26DECFUT"]
    assert (future["lot_size"], future["instrument_type"]) == (65, "FUT")
    assert future["expiry"] == date(2026, 12, 29)
    assert {row["exchange"] for row in kite.client.instruments("NFO")} == {"NFO"}
    assert len({row["instrument_token"] for row in listed.values()}) == len(listed)


def test_an_expiry_on_a_holiday_moves_to_the_day_before() -> None:
    listed = instruments.catalogue(date(2026, 11, 2))
    assert listed["NFO:NIFTY26NOVFUT"].expiry == date(2026, 11, 23)
    assert "NFO:NIFTY26NOVFUT" not in instruments.catalogue(date(2026, 11, 24))


def test_prices_are_marked_synthetic_or_replayed(kite: KiteUser) -> None:
    items = kite.sandbox.control("GET", "/kite/instruments")["items"]
    sources = {item["tradingsymbol"]: item["price_source"] for item in items}
    assert sources.pop("GOOG") == "replayed"
    assert set(sources.values()) == {"synthetic"}


def test_quotes(kite: KiteUser) -> None:
    kite.market("INFY", price=1510)
    quote = kite.client.quote("NSE:INFY", "NSE:NIFTY 50", "NSE:UNKNOWN")
    assert set(quote) == {"NSE:INFY", "NSE:NIFTY 50"}
    infy = quote["NSE:INFY"]
    assert (infy["last_price"], infy["ohlc"]["close"], infy["net_change"]) == (1510, 1500, 10)
    assert [len(infy["depth"][side]) for side in ("buy", "sell")] == [5, 5]
    assert infy["depth"]["buy"][0]["price"] < infy["depth"]["sell"][0]["price"]
    assert "depth" not in quote["NSE:NIFTY 50"]
    assert kite.client.ltp("NSE:INFY")["NSE:INFY"] == {"instrument_token": 408065, "last_price": 1510}
    assert kite.client.ohlc(["NSE:INFY"])["NSE:INFY"]["ohlc"]["high"] == 1510
    assert set(kite.client.trigger_range("BUY", "NSE:INFY")) == {"NSE:INFY"}
    with pytest.raises(InputException):
        kite.client.quote([f"NSE:S{n}" for n in range(501)])


def test_the_real_bars_are_the_published_ones(kite: KiteUser) -> None:
    token = instruments.GOOG_TOKEN
    candles = []
    for start, end in (("2004-01-01", "2008-12-31"), ("2009-01-01", "2013-12-31")):
        candles += kite.client.historical_data(token, start, end, "day")
    rows = published()
    assert len(candles) == len(rows)
    for candle, row in zip(candles, rows, strict=True):
        assert candle["date"].date().isoformat() == row[""]
        for name in ("Open", "High", "Low", "Close"):
            assert Decimal(str(candle[name.lower()])) == Decimal(row[name])
        assert candle["volume"] == int(row["Volume"])
    assert kite.client.historical_data(token, "2013-01-01", "2013-01-31", "minute") == []
    with pytest.raises(InputException, match="2000 days"):
        kite.client.historical_data(token, "2004-01-01", "2013-12-31", "day")


def test_synthetic_candles_say_so(kite: KiteUser) -> None:
    headers = {"Authorization": f"token {kite.client.api_key}:{kite.client.access_token}"}
    url = "/kite/instruments/historical/{}/{}?from=2026-11-20&to=2026-11-23"
    answer = kite.sandbox.http.get(url.format(408065, "5minute"), headers=headers)
    candles = answer.json()["data"]["candles"]
    assert answer.headers["x-sandbox-data"] == "synthetic"
    assert candles[0][0] == "2026-11-20T09:15:00+0530"
    assert candles[-1][0] <= "2026-11-23T10:01:00+0530"
    for _, opened, high, low, closed, _ in candles:
        assert low <= min(opened, closed) <= max(opened, closed) <= high
    goog = url.replace("2026-11-20", "2013-02-01").replace("2026-11-23", "2013-02-28")
    real = kite.sandbox.http.get(goog.format(instruments.GOOG_TOKEN, "day"), headers=headers)
    assert real.headers["x-sandbox-data"] == "replayed"


def test_a_replay_of_real_bars_fills_a_waiting_order(kite: KiteUser) -> None:
    bar = next(row for row in published() if row[""] == "2013-02-20")
    order_id = kite.place(tradingsymbol="GOOG", price=float(bar["Low"]))
    kite.wait(order_id, "OPEN")
    started = kite.sandbox.control(
        "POST",
        "/kite/replay",
        {"symbol": "GOOG", "speed": 1000, "from": "2013-02-20", "to": "2013-02-20"},
    )
    assert started == {"symbol": "NSE:GOOG", "bars": 1, "source": "replayed"}
    order = kite.wait(order_id, "COMPLETE")
    assert order["average_price"] == float(bar["Low"])
