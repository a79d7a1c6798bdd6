"""A strategy over real candles: read them, judge them, keep what was seen beside what was proposed."""

import asyncio
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from typing import Any

from pydantic_core import to_jsonable_python
from temporalio import activity

from activities.brokers import beating
from activities.market_data import House
from activities.pacing import Bucket
from domain import indicators
from domain.errors import Rejected
from domain.indicators import Idea, Indicators, Reading, Tested
from domain.market_calendar import INDIA, trading_date
from domain.watchlist import spanning
from models.contracts.identifiers import Prefix, mint
from models.messages.broker import Instrument
from models.messages.signals import (
    Backtest,
    Candle,
    CandleSource,
    Proposal,
    RunInput,
    RunResult,
    RunStrategy,
    SignalTerms,
    WatchedBar,
)
from providers.candles import INTERVALS, HouseMarket
from store import notes, signals, signals_market, signals_watchlist, trading_market
from store.database import Connection, Database
from store.vault import Vault

BROKER = "kite"
BARS_WANTED = 420
WINDOWS = 4
"""Longest spans read backwards until there are bars enough: a replayed series ended years ago."""

RISK = (
    "Investments in securities market are subject to market risks. Read all the related documents carefully "
    "before investing."
)
"""SEBI's standard warning (research analysts, advertisement code)."""


@dataclass(frozen=True)
class Seen:
    """Complete bars, oldest first, as of the broker's time `at`."""

    bars: list[Candle]
    source: CandleSource
    at: datetime
    watched: WatchedBar | None = None

    @property
    def stale(self) -> bool:
        """A replay says that it is of another time; what says nothing must be of today, and where a bar is
        watched, of that bar: one without a trade brings no signal, and an older one has had its run."""
        if self.source is CandleSource.REPLAYED or not self.bars:
            return False
        if self.watched is not None:
            return self.bars[-1].at != self.watched.began_at
        return self.at - self.bars[-1].at > indicators.STALE_AFTER


class RunActivities:
    """Of `workflows.ports.signals.MarketPort`: running a strategy."""

    def __init__(self, database: Database, vault: Vault, house: House, reader: Indicators) -> None:
        self._database = database
        self._vault = vault
        self._house = house
        self._reader = reader

    @activity.defn(name="signals.run_strategy")
    async def run_strategy(self, command: RunStrategy) -> RunResult:
        """Runs once a run id: a repeat gives the stored result.

        Raises Rejected: `market_data_closed`, `instrument_unknown`, `timeframe_not_offered`.
        """
        run = command.run
        async with beating():
            async with self._database.reading() as connection:
                if (stored := await signals_market.stored_result(connection, run.run_id)) is not None:
                    return stored
            if run.timeframe not in INTERVALS:
                raise Rejected("timeframe_not_offered")
            instrument = await self._instrument(run)
            seen = await self._candles(instrument, run)
            readings = await asyncio.to_thread(self._reader.read, seen.bars)
            return await self._keep(command, instrument, seen, readings)

    async def _instrument(self, run: RunInput) -> Instrument:
        async with self._database.reading() as connection:
            listed = await trading_market.last_listed(connection, BROKER, run.exchange, run.symbol)
        found = listed[0] if listed else None
        if found is None:
            rows = await self._house.instruments()
            async with self._database.transaction() as connection:
                await trading_market.store_list(connection, BROKER, trading_date(rows.at), rows.value)
            wanted = (run.exchange, run.symbol)
            found = next((row for row in rows.value if (row.exchange, row.symbol) == wanted), None)
        if found is None:
            raise Rejected("instrument_unknown")
        return found

    async def _candles(self, instrument: Instrument, run: RunInput) -> Seen:
        """After a bar its close is the end: a round of many runs reads no quotes, of which the house has one
        a second for the watch over published signals, and no more bars than the rule looks at."""
        watched = run.watched
        _, span = INTERVALS[run.timeframe]
        if watched:
            at = end = watched.closed_at
            span = min(span, spanning(run.timeframe, BARS_WANTED))
        else:
            at = end = (await self._house.prices([(run.exchange, run.symbol)])).at
        bars: list[Candle] = []
        sources: set[CandleSource] = set()
        for _ in range(WINDOWS):
            start = end - span
            ask = partial(
                HouseMarket.candles, token=instrument.token, timeframe=run.timeframe, start=start, end=end
            )
            read = await self._house.call(Bucket.HISTORY, ask)
            at = read.at if watched else at
            if read.value.bars:
                sources.add(read.value.source)
            newest = bars[0].at if bars else None
            bars = [bar for bar in read.value.bars if newest is None or bar.at < newest] + bars
            if len(bars) >= BARS_WANTED:
                break
            end = start
        width = watched.closed_at - watched.began_at if watched else indicators.WIDTH[run.timeframe]
        last = watched.began_at if watched else end
        # The bar that is still being made would change under the reader.
        complete = [bar for bar in bars if bar.at <= last and bar.at + width <= at]
        worst = (CandleSource.SYNTHETIC, CandleSource.REPLAYED)
        source = next((each for each in worst if each in sources), CandleSource.EXCHANGE)
        return Seen(complete[-BARS_WANTED:] if watched else complete, source, at, watched)

    async def _keep(
        self, command: RunStrategy, instrument: Instrument, seen: Seen, readings: list[Reading | None]
    ) -> RunResult:
        run = command.run
        idea, reason = self._judge(instrument, seen, readings)
        if idea is not None and await self._stands(run, command.as_of):
            idea, reason = None, "signal_stands"
        tests = [
            _shown(indicators.backtest(seen.bars, readings, instrument.tick, span))
            for span in indicators.BACKTEST_BARS
        ]
        result = RunResult(
            run_id=run.run_id,
            candle_source=seen.source,
            candle_count=len(seen.bars),
            first_candle_at=seen.bars[0].at if seen.bars else None,
            last_candle_at=seen.bars[-1].at if seen.bars else None,
            backtest=tests,
            reason_code=reason,
        )
        if idea is not None:
            result.proposals.append(_proposal(command, idea))
        last = readings[-1] if readings else None
        findings: dict[str, Any] = {
            "agreeing": idea.agreeing if idea else [],
            "reading": to_jsonable_python(vars(last)) if last else None,
        }
        async with self._database.transaction() as connection:
            stored = await signals_market.keep_run(connection, run, result, findings, command.as_of)
            if idea is not None and _same(stored, result):
                await self._draw_up(connection, command, result.proposals[0], idea, seen)
        return stored

    async def _stands(self, run: RunInput, now: datetime) -> bool:
        """A rule that holds for bars on end brings one signal, not one a bar."""
        if run.watched is None:
            return False
        async with self._database.reading() as connection:
            return await signals_watchlist.standing(connection, run.watched.watch_id, now)

    async def _draw_up(
        self, connection: Connection, command: RunStrategy, proposal: Proposal, idea: Idea, seen: Seen
    ) -> None:
        """The draft and its texts, in the transaction of the run."""
        author, now = command.run.requested_by, command.as_of
        texts = {
            proposal.rationale_note: rationale(command.run, seen, idea),
            proposal.disclosure_note: disclosure(seen),
        }
        for note_id, text in texts.items():
            await notes.write(connection, self._vault, author, text, now, note_id=note_id)
        await signals.add_draft(connection, proposal.signal(command.run), now)

    def _judge(
        self, instrument: Instrument, seen: Seen, readings: list[Reading | None]
    ) -> tuple[Idea | None, str | None]:
        if len(seen.bars) < indicators.BARS_NEEDED:
            return None, "candles_too_few"
        if seen.stale:
            return None, "candles_stale"
        idea = indicators.idea(seen.bars[-1], readings[-1], instrument.tick)
        return idea, None if idea is not None else "no_signal"


def _same(stored: RunResult, made: RunResult) -> bool:
    """Whether the stored result is this attempt's own: the notes' ids were minted for it."""
    notes_of = [[proposal.rationale_note for proposal in each.proposals] for each in (stored, made)]
    return notes_of[0] == notes_of[1]


def rationale(run: RunInput, seen: Seen, idea: Idea) -> str:
    """Why, in words. How the rule did before is not among them: unverified figures are for staff."""
    first, last = (seen.bars[end].at.astimezone(INDIA).date() for end in (0, -1))
    days = f"{first} to {last}"
    return (
        f"Trend rule on {len(seen.bars)} bars ({run.timeframe}) of {run.exchange}:{run.symbol}, {days}: "
        f"{', '.join(name.replace('_', ' ') for name in idea.agreeing)} ({idea.confidence} of 100). "
        f"Entry at the last close; stop {indicators.STOP_RANGES} and target {indicators.TARGET_RANGES} "
        "average true ranges away."
    )


def disclosure(seen: Seen) -> str:
    """What the reader must know of how it came about."""
    told = {
        CandleSource.EXCHANGE: "candles of the exchange",
        CandleSource.REPLAYED: "real candles of a past time, replayed",
        CandleSource.SYNTHETIC: "SYNTHETIC candles that no market made",
    }[seen.source]
    return (
        f"Drawn up by a fixed rule from {told}; no artificial intelligence was used; released by the analyst "
        f"named. Confidence is the weight of the conditions that agree, not a probability. {RISK}"
    )


def _proposal(command: RunStrategy, idea: Idea) -> Proposal:
    run = command.run
    return Proposal(
        signal_id=command.signal_id,
        terms=SignalTerms(
            exchange=run.exchange,
            symbol=run.symbol,
            action=idea.levels.action,
            timeframe=run.timeframe,
            entry_price=idea.levels.entry,
            target_price=idea.levels.target,
            stop_loss=idea.levels.stop,
            confidence=idea.confidence,
            expires_at=command.as_of.astimezone(UTC) + indicators.LIFE_BARS * indicators.WIDTH[run.timeframe],
        ),
        rationale_note=mint(Prefix.NOTE),
        disclosure_note=mint(Prefix.NOTE),
    )


def _shown(tested: Tested) -> Backtest:
    return Backtest(**vars(tested))
