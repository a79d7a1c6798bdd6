"""Gathers what the checks of `domain.pretrade` ask: from our record, and from the broker's market now."""

import asyncio
from dataclasses import dataclass
from datetime import date, datetime

from activities.brokers import Brokers, Session
from activities.pacing import Bucket
from domain import pretrade
from domain.market_calendar import INDIA, INDIA_2026, trading_date
from domain.pretrade import Listing, Prices, Refusal, SignalBasis, Wish
from models.messages.trading import (
    Instrument,
    MarginAnswer,
    MarketQuote,
    OrderTerms,
    SignalOrigin,
    SubmitOrder,
)
from store import trading_market, trading_standing
from store.database import Database


def wish_of(terms: OrderTerms) -> Wish:
    return Wish(**{name: getattr(terms, name) for name in Wish.__dataclass_fields__})


def listing_of(instrument: Instrument | None) -> Listing | None:
    if instrument is None:
        return None
    derivative = instrument.kind not in ("EQ", "")
    return Listing(instrument.tick, instrument.lot, instrument.underlying, instrument.expiry, derivative)


def basis_of(origin: SignalOrigin | None) -> SignalBasis | None:
    return SignalBasis(origin.entry_price, origin.expires_at) if origin else None


@dataclass(frozen=True)
class Verdict:
    """`refusal` None: the order may leave now. `opens_in` seconds, where its market is shut."""

    now: datetime
    refusal: Refusal | None
    value: int = 0
    opens_in: float = 0.0


class MarketChecks:
    """The last checks before the socket, by the broker's clock, list, quotes and margins."""

    def __init__(self, database: Database, brokers: Brokers) -> None:
        self._database = database
        self._brokers = brokers

    async def judge(self, command: SubmitOrder, session: Session) -> Verdict:
        """Raises what the broker's reads raise: Rejected, Unavailable, RateLimited."""
        wish = wish_of(command.terms)
        now = await self._now(session)
        refusal = await self._listed(wish, session, trading_date(now))
        if refusal is not None:
            return Verdict(now, refusal)
        quote, margin, now = await self._market(command.terms, session)
        if pause := _shut_for(command.terms, now):
            return Verdict(now, None, opens_in=pause)
        if command.terms.variety.value == "amo" and INDIA_2026.is_open(wish.exchange, now):
            return Verdict(now, Refusal.MARKET_OPEN)
        if quote is None:
            return Verdict(now, Refusal.INSTRUMENT_UNKNOWN)
        return await self._weigh(command, session, quote, margin, now)

    async def _now(self, session: Session) -> datetime:
        """The broker's time; asked for where it was not heard in the last seconds."""
        known = self._brokers.clock(session.account.broker).now()
        if known is not None:
            return known
        asked = await self._brokers.call(session, Bucket.READ, session.broker.book())
        return asked.at

    async def _listed(self, wish: Wish, session: Session, day: date) -> Refusal | None:
        name = session.account.broker
        async with self._database.reading() as connection:
            found = await trading_market.instrument_of(connection, name, wish.exchange, wish.symbol, day)
            known = found is not None or await trading_market.listed(connection, name, day)
        if not known:
            answer = await self._brokers.call(session, Bucket.READ, session.broker.instruments())
            async with self._database.transaction() as connection:
                await trading_market.store_list(connection, name, day, answer.value)
                found = await trading_market.instrument_of(connection, name, wish.exchange, wish.symbol, day)
        return pretrade.instrument_refusal(wish, listing_of(found), day)

    async def _market(
        self, terms: OrderTerms, session: Session
    ) -> tuple[MarketQuote | None, MarginAnswer, datetime]:
        quote, margin = await asyncio.gather(
            self._quote(terms, session),
            self._brokers.call(session, Bucket.READ, session.broker.margin(terms)),
        )
        return quote, margin.value, margin.at

    async def _quote(self, terms: OrderTerms, session: Session) -> MarketQuote | None:
        name = session.account.broker
        async with self._database.reading() as connection:
            stored = await trading_market.fresh_quote(connection, name, terms.exchange, terms.symbol)
        if stored is not None:
            return stored
        asked = session.broker.quote(terms.exchange, terms.symbol)
        answer = await self._brokers.call(session, Bucket.QUOTE, asked)
        if answer.value is not None:
            async with self._database.reading() as connection:
                await trading_market.store_quote(connection, name, answer.value, answer.at)
        return answer.value

    async def _weigh(
        self,
        command: SubmitOrder,
        session: Session,
        quote: MarketQuote,
        margin: MarginAnswer,
        now: datetime,
    ) -> Verdict:
        wish = wish_of(command.terms)
        prices = Prices(quote.last_price, quote.lower_limit, quote.upper_limit)
        value = pretrade.order_value(wish, quote.last_price)
        async with self._database.reading() as connection:
            account = session.account
            standing = await trading_standing.standing_of(
                connection, command.user_id, status=account.status, blocked=account.blocked_by is not None
            )
            limits = await trading_standing.limits_of(connection, account.account_id)
            exposure = await trading_standing.exposure_of(
                connection,
                order_id=command.order_id,
                account_id=account.account_id,
                exchange=wish.exchange,
                symbol=wish.symbol,
                product=wish.product,
                side=wish.side,
                day_start=datetime.combine(trading_date(now), datetime.min.time(), INDIA),
            )
        basis = basis_of(command.origin)
        refusal = (
            pretrade.standing_refusal(standing)
            or pretrade.price_refusal(wish, prices)
            or (pretrade.signal_refusal(basis, prices, command.as_of) if basis else None)
            or pretrade.limit_refusal(wish, value, standing, limits, exposure)
        )
        if refusal is None and pretrade.opening_quantity(wish, exposure.held):
            refusal = pretrade.margin_refusal(margin.required, margin.available)
        return Verdict(now, refusal, value)


def _shut_for(terms: OrderTerms, now: datetime) -> float:
    """Seconds until the market takes a regular order; 0 while it does, and for after-market orders."""
    if terms.variety.value == "amo":
        return 0.0
    return (INDIA_2026.next_open(terms.exchange, now) - now).total_seconds()
