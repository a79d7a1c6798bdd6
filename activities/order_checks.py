"""Gathers what the checks of `domain.pretrade` ask: from our record, and from the broker's market now."""

import asyncio
from collections import defaultdict
from collections.abc import Awaitable
from dataclasses import dataclass, replace
from datetime import date, datetime

from activities.brokers import Brokers, Session
from activities.pacing import LONGEST_WAIT_SECONDS, Bucket
from domain import pretrade
from domain.errors import RateLimited
from domain.market_calendar import INDIA, INDIA_2026, trading_date
from domain.pretrade import Listing, Prices, Refusal, SignalBasis, Wish
from models.messages.broker import Instrument, MarginAnswer, MarketQuote
from models.messages.trading import OrderTerms, SignalOrigin, SubmitOrder
from providers.broker import Reading
from store import trading_market, trading_standing
from store.database import Connection, Database
from store.trading_standing import Facts


def wish_of(terms: OrderTerms) -> Wish:
    return Wish(**{name: getattr(terms, name) for name in Wish.__dataclass_fields__})


def listing_of(instrument: Instrument | None) -> Listing | None:
    if instrument is None:
        return None
    derivative = instrument.kind not in ("EQ", "")
    return Listing(
        instrument.tick,
        instrument.lot,
        instrument.underlying,
        instrument.expiry,
        derivative,
        instrument.kind,
    )


def basis_of(origin: SignalOrigin | None) -> SignalBasis | None:
    return SignalBasis(origin.entry_price, origin.expires_at) if origin else None


@dataclass(frozen=True)
class Verdict:
    """`refusal` None: the order may leave now. `opens_in` seconds, where its market is shut."""

    now: datetime
    refusal: Refusal | None
    value: int = 0
    opens_in: float = 0.0
    facts: Facts | None = None
    slices: tuple[int, ...] = ()
    """Quantities that the order leaves in: one, or as the freeze quantity cuts it."""


class MarketChecks:
    """The last checks before the socket, by the broker's clock, list, quotes and margins."""

    def __init__(self, database: Database, brokers: Brokers) -> None:
        self._database = database
        self._brokers = brokers
        self._asking: defaultdict[tuple[str, str, str], asyncio.Lock] = defaultdict(asyncio.Lock)

    async def judge(self, command: SubmitOrder, session: Session, *, stands: bool = False) -> Verdict:
        """Raises what the broker's reads raise: Rejected, Unavailable, RateLimited.

        `stands`: the order is at the broker and is to be changed. Its market's hours and its margin, of which
        a part is blocked already, are then the broker's to judge.
        """
        # Asked at once: the broker calculates while our own record is read.
        asked = asyncio.ensure_future(self._margin(command.terms, session))
        asked.add_done_callback(lambda task: task.cancelled() or task.exception())
        try:
            return await self._judge(command, session, asked, stands=stands)
        finally:
            asked.cancel()

    async def _margin(self, terms: OrderTerms, session: Session) -> Reading[MarginAnswer]:
        """Two calls of the broker's: what the order needs, and what there is."""
        return await self._brokers.call(session, Bucket.READ, session.broker.margin(terms), calls=2)

    async def reserve(
        self, connection: Connection, command: SubmitOrder, verdict: Verdict, value: int | None = None
    ) -> Refusal | None:
        """Weighs the limits once more in the account's turn, and counts the order from here on: of two that
        leave at once, each alone within the limits, only one passes.

        `value`: what the whole order is worth, where `command` is only what is left of it.
        """
        if verdict.facts is None:
            return None
        # In a pipeline what needs no answer does not wait for one: two round trips instead of five.
        async with connection.pipeline(), connection.transaction():
            await trading_standing.in_turn(connection, command.account_id)
            day = trading_date(verdict.now)
            exposure = await trading_standing.exposure_of(connection, command, day)
            refusal = _limits(command, verdict.value, replace(verdict.facts, exposure=exposure))
            if refusal is None:
                await trading_standing.reserve(connection, command.order_id, value or verdict.value)
        return refusal

    async def _judge(
        self,
        command: SubmitOrder,
        session: Session,
        asked: Awaitable[Reading[MarginAnswer]],
        *,
        stands: bool,
    ) -> Verdict:
        wish = wish_of(command.terms)
        heard = self._brokers.clock(session.account.broker).now()
        async with self._database.reading() as connection:
            day = trading_date(heard or command.as_of)
            facts = await trading_standing.facts_of(connection, command, session.account, day)
        if facts.listing is None:
            facts = await self._look_for(facts, wish, session)
            if facts.listing is None:
                return Verdict(heard or command.as_of, Refusal.INSTRUMENT_UNKNOWN)
        quote = await self._quote(command.terms, session, facts)
        margin = await asked
        now = margin.at
        if facts.listed_on != trading_date(now):
            facts = await self._read_list(facts, wish, session, trading_date(now))
        refusal = pretrade.instrument_refusal(wish, listing_of(facts.listing), trading_date(now))
        if refusal is not None:
            return Verdict(now, refusal)
        if not stands and (pause := _shut_for(command.terms, now)):
            return Verdict(now, None, opens_in=pause)
        if not stands and command.terms.variety.value == "amo" and INDIA_2026.is_open(wish.exchange, now):
            return Verdict(now, Refusal.MARKET_OPEN)
        if quote is None:
            return Verdict(now, Refusal.INSTRUMENT_UNKNOWN)
        ruled = pretrade.program_refusal(wish, self._brokers.algo_id(session), now.astimezone(INDIA))
        if ruled is not None:
            return Verdict(now, ruled)
        verdict = _weigh(command, facts, quote, None if stands else margin.value, now)
        return replace(verdict, slices=_slices(wish, facts, trading_date(now)))

    async def _look_for(self, facts: Facts, wish: Wish, session: Session) -> Facts:
        """The symbol is on no list that we have: today's list decides, read once a day."""
        heard = self._brokers.clock(session.account.broker).now()
        if heard is None:
            heard = (await self._brokers.call(session, Bucket.READ, session.broker.book())).at
        return await self._read_list(facts, wish, session, trading_date(heard))

    async def _read_list(self, facts: Facts, wish: Wish, session: Session, day: date) -> Facts:
        name = session.account.broker
        async with self._database.reading() as connection:
            known = await trading_market.listed(connection, name, day)
        if not known:
            answer = await self._brokers.call(session, Bucket.READ, session.broker.instruments())
            async with self._database.transaction() as connection:
                await trading_market.store_list(connection, name, day, answer.value)
        async with self._database.reading() as connection:
            listed = await trading_market.last_listed(connection, name, wish.exchange, wish.symbol)
        return replace(facts, listing=listed[0] if listed else None, listed_on=day)

    async def _quote(self, terms: OrderTerms, session: Session, facts: Facts) -> MarketQuote | None:
        if facts.quote is not None:
            return facts.quote
        # Of orders that leave together one asks, and the others find what it was told.
        asking = self._asking[session.account.broker, terms.exchange, terms.symbol]
        try:
            async with asyncio.timeout(LONGEST_WAIT_SECONDS):
                await asking.acquire()
        except TimeoutError:
            raise RateLimited(LONGEST_WAIT_SECONDS) from None
        try:
            return await self._asked_quote(terms, session)
        finally:
            asking.release()

    async def _asked_quote(self, terms: OrderTerms, session: Session) -> MarketQuote | None:
        name = session.account.broker
        async with self._database.reading() as connection:
            known = await trading_market.fresh_quote(connection, name, terms.exchange, terms.symbol)
        if known is not None:
            return known
        return (await self._brokers.quote(session, terms.exchange, terms.symbol)).value


def _weigh(
    command: SubmitOrder, facts: Facts, quote: MarketQuote, margin: MarginAnswer | None, now: datetime
) -> Verdict:
    wish = wish_of(command.terms)
    prices = Prices(quote.last_price, quote.lower_limit, quote.upper_limit)
    value = pretrade.order_value(wish, quote.last_price)
    basis = basis_of(command.origin)
    refusal = (
        pretrade.standing_refusal(facts.standing)
        or pretrade.price_refusal(wish, prices)
        or pretrade.protection_refusal(wish, _kind(facts), quote.last_price, trading_date(now))
        or (Refusal.SIGNAL_CLOSED if facts.signal_closed else None)
        or (None if facts.entitled else Refusal.ENTITLEMENT_REQUIRED)
        or (None if facts.confirmed else Refusal.CONFIRMATION_REQUIRED)
        or (pretrade.signal_refusal(basis, prices, now) if basis else None)
        or _limits(command, value, facts)
    )
    if refusal is None and margin is not None and pretrade.opening_quantity(wish, facts.exposure):
        refusal = pretrade.margin_refusal(margin.required, margin.available)
    return Verdict(now, refusal, value, facts=facts)


def _kind(facts: Facts) -> str:
    return facts.listing.kind if facts.listing is not None else ""


def _slices(wish: Wish, facts: Facts, day: date) -> tuple[int, ...]:
    listing = listing_of(facts.listing)
    return pretrade.slices_of(wish, listing, day) if listing is not None else (wish.quantity,)


def _limits(command: SubmitOrder, value: int, facts: Facts) -> Refusal | None:
    """The customer's limits; what closes a position for the kill switch knows none."""
    if command.flattens is not None:
        return None
    return pretrade.limit_refusal(wish_of(command.terms), value, facts.standing, facts.limits, facts.exposure)


def _shut_for(terms: OrderTerms, now: datetime) -> float:
    """Seconds until the market takes a regular order; 0 while it does, and for after-market orders."""
    if terms.variety.value == "amo":
        return 0.0
    return (INDIA_2026.next_open(terms.exchange, now) - now).total_seconds()
