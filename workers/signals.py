"""The signals pool: runs of strategies, lifecycles, and the watch over the market."""

from collections.abc import Callable, Sequence
from typing import Any

from activities.market_data import House
from activities.signal_orders import SignalOrdersActivities
from activities.signal_runs import RunActivities
from activities.signals import MarketActivities, SignalActivities
from activities.watchlist import RoundActivities, WatchlistActivities
from models.contracts.queues import Queue
from providers.indicators import TaLib
from workers.parts import Parts
from workers.pool import Pool, Served
from workflows.signal_orders import SignalOrders
from workflows.signal_runs import MarketData, SignalRun
from workflows.signals import SignalLifecycle
from workflows.watchlist import SignalRound, SignalWatch

WATCHES = 1000
"""Signals that one process watches at once: each holds an activity, all share one call a second."""


def activities(parts: Parts) -> Sequence[Callable[..., Any]]:
    house = House(parts.settings, parts.database, parts.vault, parts.redis)
    record = SignalActivities(parts.database, parts.vault)
    market = MarketActivities(parts.database, parts.vault, house)
    runs = RunActivities(parts.database, parts.vault, house, TaLib())
    watchlist = WatchlistActivities(parts.database)
    rounds = RoundActivities(parts.database, parts.client, house)
    return [
        record.draft,
        record.publish,
        record.enter,
        record.close,
        market.watch,
        market.price_now,
        market.open_market_data,
        runs.run_strategy,
        watchlist.put_on_watch,
        watchlist.take_off_watch,
        watchlist.watches_due,
        watchlist.note_bar,
        rounds.attend_schedule,
        rounds.house_session,
        SignalOrdersActivities(parts.settings, parts.database, parts.client).prepare_orders,
    ]


POOL = Pool(
    "signals",
    threads=WATCHES,
    queues=[
        Served(
            Queue.SIGNALS,
            workflows=[SignalRun, SignalLifecycle, MarketData, SignalWatch, SignalRound, SignalOrders],
            activities=activities,
            concurrent=WATCHES,
        )
    ],
)
