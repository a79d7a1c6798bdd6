"""The house's market data at Kite: candles and quotes, by the session of a house user. No orders here."""

import threading
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import requests

from domain.market_calendar import INDIA
from domain.signals import Timeframe
from models.messages.broker import Instrument
from models.messages.signals import Candle, CandleSource
from providers.broker import Name, Reading
from providers.kite import Kite, listed, number

INTERVALS: dict[Timeframe, tuple[str, timedelta]] = {
    Timeframe.M1: ("minute", timedelta(days=60)),
    Timeframe.M5: ("5minute", timedelta(days=100)),
    Timeframe.M15: ("15minute", timedelta(days=200)),
    Timeframe.H1: ("60minute", timedelta(days=400)),
    Timeframe.D1: ("day", timedelta(days=2000)),
}
"""Kite's name of a timeframe and the longest span of one call (kite.trade/docs/connect/v3/historical);
it has no bars of four hours."""

DATA_HEADER = "x-sandbox-data"
SOURCES = {"replayed": CandleSource.REPLAYED, "synthetic": CandleSource.SYNTHETIC}


@dataclass(frozen=True)
class Candles:
    """One span of bars, oldest first, and what the provider says that they are."""

    bars: list[Candle]
    source: CandleSource


class HouseMarket:
    """One session of the house. Every call raises the closed set of `domain.errors`;
    `Rejected("session_expired")` means that someone has to sign in again."""

    def __init__(self, kite: Kite, access_token: str) -> None:
        self._kite = kite
        self._client = kite.client(access_token)

    async def candles(
        self, token: int, timeframe: Timeframe, start: datetime, end: datetime
    ) -> Reading[Candles]:
        """Bars between two moments, at most the span that `INTERVALS` names."""
        interval, _ = INTERVALS[timeframe]
        # The client writes times without a zone, and Kite reads them as Asia/Kolkata.
        since, until = start.astimezone(INDIA), end.astimezone(INDIA)

        def read() -> Candles:
            with _listening(self._client.reqsession) as said:
                rows = self._client.historical_data(token, since, until, interval)
            return Candles([candle_of(row) for row in rows], source_of(said))

        return await self._kite._run(self._client, read)

    async def prices(self, names: Sequence[Name]) -> Reading[dict[Name, Decimal]]:
        """Last prices of up to 1,000 instruments in one call; unknown ones are left out."""
        asked = {f"{exchange}:{symbol}": (exchange, symbol) for exchange, symbol in names}

        def read() -> dict[Name, Decimal]:
            found: dict[str, Any] = self._client.ltp(*asked)
            return {asked[name]: number(row["last_price"]) for name, row in found.items() if name in asked}

        return await self._kite._run(self._client, read)

    async def signed_in(self) -> Reading[bool]:
        """True, or what the broker refuses the session with."""
        return await self._kite._run(self._client, lambda: bool(self._client.profile()))

    async def instruments(self) -> Reading[list[Instrument]]:
        return await self._kite._run(self._client, lambda: listed(self._client.instruments()))


class _listening:
    """What the answers to this thread in this block say of their data: the client drops headers."""

    def __init__(self, session: requests.Session) -> None:
        self._session = session
        self._said: list[str] = []
        self._thread = threading.get_ident()

    def __enter__(self) -> list[str]:
        self._session.hooks["response"].append(self._hear)
        return self._said

    def __exit__(self, *_: object) -> None:
        self._session.hooks["response"].remove(self._hear)

    def _hear(self, response: requests.Response, *_: object, **__: object) -> None:
        if threading.get_ident() == self._thread:
            self._said.append(response.headers.get(DATA_HEADER, ""))


def source_of(said: list[str]) -> CandleSource:
    """A real exchange says nothing; a sandbox says what its bars are, and is believed at its worst."""
    found = {SOURCES.get(word, CandleSource.EXCHANGE) for word in said}
    for source in (CandleSource.SYNTHETIC, CandleSource.REPLAYED):
        if source in found:
            return source
    return CandleSource.EXCHANGE


def candle_of(row: dict[str, Any]) -> Candle:
    return Candle(
        at=row["date"].astimezone(UTC),
        open=number(row["open"]),
        high=number(row["high"]),
        low=number(row["low"]),
        close=number(row["close"]),
        volume=row["volume"],
    )
