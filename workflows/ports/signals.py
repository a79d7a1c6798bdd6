"""What the signal processes ask of the world; `activities/` does it."""

from temporalio import activity

from models.messages.signals import (
    CloseSignal,
    DraftSignal,
    EnterSignal,
    ExchangeMarketToken,
    MarketSession,
    Priced,
    PriceNow,
    PublishSignal,
    RunResult,
    RunStrategy,
    Sighting,
    Standing,
    WatchMarket,
)


class SignalPort:
    """Our record of a signal; each step is one transaction that may be repeated."""

    @activity.defn(name="signals.draft")
    async def draft(self, command: DraftSignal) -> Standing: ...

    @activity.defn(name="signals.publish")
    async def publish(self, command: PublishSignal) -> Standing: ...

    @activity.defn(name="signals.enter")
    async def enter(self, command: EnterSignal) -> Standing: ...

    @activity.defn(name="signals.close")
    async def close(self, command: CloseSignal) -> Standing: ...


class MarketPort:
    """The house's own market data at the broker."""

    @activity.defn(name="signals.watch")
    async def watch(self, command: WatchMarket) -> Sighting: ...

    @activity.defn(name="signals.price_now")
    async def price_now(self, command: PriceNow) -> Priced: ...

    @activity.defn(name="signals.run_strategy")
    async def run_strategy(self, command: RunStrategy) -> RunResult: ...

    @activity.defn(name="signals.open_market_data")
    async def open_market_data(self, command: ExchangeMarketToken) -> MarketSession: ...
