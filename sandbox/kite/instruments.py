"""What the sandbox exchange lists: real symbols at synthetic prices, and replayed real series.

Index contracts follow the calendar: three monthly expiries, the last Tuesday (or the trading day before it).
"""

import csv
import io
from dataclasses import dataclass
from datetime import date, timedelta
from functools import lru_cache

from sandbox.kite import candles
from sandbox.kite.hours import is_trading_day, previous_trading_day

# The low byte of an instrument token (kite.trade/docs/connect/v3/websocket).
SEGMENT_CODES = {"NSE": 1, "NFO": 2, "BSE": 4, "MCX": 7, "INDICES": 9}

# Largest quantity of one order in index contracts (NSE circular, September 2025) and lots since January 2026.
FREEZE_SEP_2025 = {"NIFTY": 1800, "BANKNIFTY": 900, "FINNIFTY": 1800, "MIDCPNIFTY": 2800}
LOTS_JAN_2026 = {"NIFTY": 65, "BANKNIFTY": 30}
MAX_SLICES = 10
SHARE_LPP_PERCENT = 10


@dataclass(frozen=True)
class Instrument:
    """One listed instrument. `base`, `strike`, `tick` in paise; `band` and `lpp` in percent."""

    token: int
    exchange: str
    tradingsymbol: str
    name: str
    segment: str
    kind: str
    tick: int
    lot: int
    base: int
    source: str = "synthetic"
    expiry: date | None = None
    strike: int = 0
    band: int | None = None
    freeze: int | None = None
    lpp: int | None = None
    isin: str = ""

    @property
    def tradable(self) -> bool:
        """Indices are quoted, not traded."""
        return self.segment != "INDICES"

    @property
    def is_equity(self) -> bool:
        """Shares and funds: delivered to holdings, product CNC."""
        return self.segment in ("NSE", "BSE")

    @property
    def key(self) -> str:
        """`NSE:INFY`, as quotes name it."""
        return f"{self.exchange}:{self.tradingsymbol}"


def _equity(
    number: int, symbol: str, name: str, base: int, tick: int, isin: str, band: int | None = None
) -> Instrument:
    """A share or fund: with a daily band, or (where it has derivatives) the limit price protection."""
    token = (number << 8) | SEGMENT_CODES["NSE"]
    lpp = SHARE_LPP_PERCENT if band is None else None
    return Instrument(token, "NSE", symbol, name, "NSE", "EQ", tick, 1, base, isin=isin, band=band, lpp=lpp)


def _index(token: int, symbol: str, base: int) -> Instrument:
    return Instrument(token, "NSE", symbol, symbol, "INDICES", "EQ", 5, 1, base)


GOOG_TOKEN = (990001 << 8) | SEGMENT_CODES["NSE"]

LISTED = (
    _index(256265, "NIFTY 50", 2_600_000),
    _index(260105, "NIFTY BANK", 5_800_000),
    _equity(2885, "RELIANCE", "RELIANCE INDUSTRIES", 140_000, 10, "INE002A01018"),
    _equity(1594, "INFY", "INFOSYS", 150_000, 10, "INE009A01021"),
    _equity(11536, "TCS", "TATA CONSULTANCY SERV LT", 310_000, 10, "INE467B01029"),
    _equity(1333, "HDFCBANK", "HDFC BANK", 100_000, 5, "INE040A01034"),
    _equity(3045, "SBIN", "STATE BANK OF INDIA", 88_000, 5, "INE062A01020"),
    _equity(4963, "ICICIBANK", "ICICI BANK", 138_000, 10, "INE090A01021"),
    _equity(10576, "NIFTYBEES", "NIP IND ETF NIFTY BEES", 28_000, 1, "INF204KB14I2", band=20),
    _equity(11763, "JPPOWER", "JAIPRAKASH POWER VEN", 1_950, 1, "INE351F01018", band=10),
    Instrument(
        (500325 << 8) | SEGMENT_CODES["BSE"],
        "BSE", "RELIANCE", "RELIANCE INDUSTRIES", "BSE", "EQ", 10, 1, 140_000, isin="INE002A01018",
        lpp=SHARE_LPP_PERCENT,
    ),
    Instrument(
        GOOG_TOKEN, "NSE", "GOOG",
        "Alphabet Inc daily bars 2004-2013 replayed as published in the backtesting package (USD figures)",
        "NSE", "EQ", 1, 1, 80_619, source="replayed", band=20,
    ),
)  # fmt: skip


def _monthly_expiry(year: int, month: int) -> date:
    day = (date(year, month, 28) + timedelta(days=4)).replace(day=1) - timedelta(days=1)
    while day.weekday() != 1:
        day -= timedelta(days=1)
    return day if is_trading_day(day) else previous_trading_day(day)


def _serial(year: int, month: int, underlying: int, slot: int) -> int:
    return 40_000 + (((year - 2020) * 12 + month - 1) * 4 + underlying) * 16 + slot


def _contracts(name: str, number: int, spot: int, step: int, expiry: date) -> list[Instrument]:
    """A future and options at five strikes around the spot; synthetic prices."""
    stem = f"{name}{expiry:%y%b}".upper()
    lot, freeze, code = LOTS_JAN_2026[name], FREEZE_SEP_2025[name], SEGMENT_CODES["NFO"]

    def token(slot: int) -> int:
        return (_serial(expiry.year, expiry.month, number, slot) << 8) | code

    listed = [
        Instrument(
            token(0), "NFO", f"{stem}FUT", name, "NFO-FUT", "FUT", 10, lot, spot + spot // 200, expiry=expiry,
            freeze=freeze, lpp=5,
        )
    ]  # fmt: skip
    for index in range(10):
        strike = spot + (index // 2 - 2) * step
        call = index % 2 == 0
        inside = max(spot - strike if call else strike - spot, 0)
        price = inside + spot // 100 - abs(spot - strike) // 10
        listed.append(
            Instrument(
                token(index + 1), "NFO", f"{stem}{strike // 100}{'CE' if call else 'PE'}", name, "NFO-OPT",
                "CE" if call else "PE", 5, lot, price - price % 5, expiry=expiry, strike=strike,
                freeze=freeze,
                lpp=40,
            )
        )  # fmt: skip
    return listed


def _metal(year: int, month: int) -> Instrument:
    expiry = (date(year, month, 28) + timedelta(days=4)).replace(day=1) - timedelta(days=1)
    while expiry.weekday() > 4:
        expiry -= timedelta(days=1)
    return Instrument(
        (_serial(year, month, 3, 0) << 8) | SEGMENT_CODES["MCX"], "MCX", f"GOLDPETAL{expiry:%y%b}FUT".upper(),
        "GOLDPETAL", "MCX-FUT", "FUT", 100, 1, 1_220_000, expiry=expiry, lpp=5,
    )  # fmt: skip


@lru_cache(maxsize=8)
def catalogue(day: date) -> dict[str, Instrument]:
    """Everything listed on that day, by `EXCHANGE:TRADINGSYMBOL`."""
    listed = list(LISTED)
    year, month, expiries = day.year, day.month, 0
    while expiries < 3:
        expiry = _monthly_expiry(year, month)
        if expiry >= day:
            expiries += 1
            listed += _contracts("NIFTY", 0, 2_600_000, 10_000, expiry)
            listed += _contracts("BANKNIFTY", 1, 5_800_000, 50_000, expiry)
            listed.append(_metal(year, month))
        year, month = (year + 1, 1) if month == 12 else (year, month + 1)
    return {instrument.key: instrument for instrument in listed}


def find(day: date, exchange: str, tradingsymbol: str) -> Instrument | None:
    """The instrument of that name on that day."""
    return catalogue(day).get(f"{exchange}:{tradingsymbol}")


def by_token(day: date, token: int) -> Instrument | None:
    """The instrument of that token on that day."""
    return next((item for item in catalogue(day).values() if item.token == token), None)


def by_name(day: date, name: str) -> Instrument | None:
    """`NSE:INFY`, `INFY` (NSE first) or a token: how quotes and the control interface name an instrument."""
    listed = catalogue(day)
    if name in listed:
        return listed[name]
    if name.isdigit():
        return by_token(day, int(name))
    return next((item for item in listed.values() if item.tradingsymbol == name), None)


COLUMNS = (
    "instrument_token", "exchange_token", "tradingsymbol", "name", "last_price", "expiry", "strike",
    "tick_size",
    "lot_size", "instrument_type", "segment", "exchange",
)  # fmt: skip


def dump(day: date, exchange: str | None) -> str:
    """The daily CSV dump. `last_price` is 0 there, as in Kite's: the dump is not a quote."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(COLUMNS)
    for item in catalogue(day).values():
        if exchange and item.exchange != exchange:
            continue
        writer.writerow((
            item.token, item.token >> 8, item.tradingsymbol, item.name, 0, item.expiry or "",
            item.strike / 100,
            item.tick / 100, item.lot, item.kind, item.segment, item.exchange,
        ))  # fmt: skip
    return out.getvalue()


def opening_bar(instrument: Instrument) -> candles.Bar:
    """Where an instrument stands before anything has moved it: the last real bar, or its synthetic price."""
    if instrument.source == "replayed":
        return candles.goog()[-1]
    base = instrument.base
    return candles.Bar(date(2026, 1, 1), base, base, base, base, 0)
