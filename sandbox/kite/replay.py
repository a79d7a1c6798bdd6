"""Moves an instrument through daily bars, four prices a bar, so many bars a second of host time.

Where a replay stands is a row: after a crash it goes on from there.
"""

import json
import sqlite3
import time
from datetime import date, datetime, timedelta
from datetime import time as clock
from typing import Any

from sandbox.kite import candles, market
from sandbox.kite.candles import Bar
from sandbox.kite.hours import IST, is_trading_day, ist
from sandbox.kite.instruments import Instrument, by_token
from sandbox.world import World

IDLE_SECONDS = 60.0
LEGS = 4
SYNTHETIC_DAYS = 120


def series(instrument: Instrument, today: date) -> tuple[Bar, ...]:
    """The bars that a replay of the instrument goes through: real ones, or the marked synthetic series."""
    if instrument.source == "replayed":
        return candles.goog()
    days = (today - timedelta(days=back) for back in range(SYNTHETIC_DAYS, 0, -1))
    return tuple(
        candles.synthetic(
            instrument.token, instrument.base, instrument.tick, datetime.combine(day, clock(), IST),
            timedelta(hours=6),
        )
        for day in days
        if is_trading_day(day)
    )  # fmt: skip


def path(bar: Bar) -> tuple[int, int, int, int]:
    """The order in which a bar's prices are traded: the nearer extreme first."""
    if bar.close >= bar.open:
        return bar.open, bar.low, bar.high, bar.close
    return bar.open, bar.high, bar.low, bar.close


def start(
    db: sqlite3.Connection, instrument: Instrument, speed: float, begin: str, end: str, now: datetime
) -> int:
    """Starts a replay between two ISO dates (may be empty), or stops it (0); answers how many bars."""
    market.state(db, instrument, now)
    bars = series(instrument, ist(now).date())
    chosen = [n for n, bar in enumerate(bars) if (begin or "0") <= bar.day.isoformat() <= (end or "9")]
    plan: dict[str, Any] = {}
    if speed > 0 and chosen:
        plan = {
            "next": chosen[0], "last": chosen[-1], "leg": 0, "speed": speed, "due": time.time(),
            "anchor": ist(now).date().isoformat(),
        }  # fmt: skip
    db.execute(
        "UPDATE kite_market SET replay = ? WHERE token = ?",
        (json.dumps(plan) if plan else "", instrument.token),
    )
    return len(chosen) if plan else 0


def step(world: World) -> float:
    """Moves every replay whose next price is due by one price; answers the seconds until the next is due."""
    now, pause = world.now(), IDLE_SECONDS
    for row in world.db.execute("SELECT * FROM kite_market WHERE replay != ''").fetchall():
        plan = json.loads(row["replay"])
        instrument = by_token(ist(now).date(), row["token"])
        if instrument is None:
            continue
        if plan["due"] <= time.time():
            _move(world.db, instrument, plan, now)
        pause = min(pause, max(plan["due"] - time.time(), 0.0)) if plan["next"] <= plan["last"] else pause
    return pause


def _move(db: sqlite3.Connection, instrument: Instrument, plan: dict[str, Any], now: datetime) -> None:
    bars = series(instrument, date.fromisoformat(plan["anchor"]))
    bar = bars[plan["next"]]
    price = path(bar)[plan["leg"]]
    if plan["leg"] == 0:
        before = bars[plan["next"] - 1].close if plan["next"] else bar.open
        db.execute(
            "UPDATE kite_market SET open = ?, high = ?, low = ?, close = ?, volume = 0 WHERE token = ?",
            (price, price, price, before, instrument.token),
        )
    market.move(db, instrument, price, now)
    db.execute(
        "UPDATE kite_market SET volume = ? WHERE token = ?",
        (bar.volume * (plan["leg"] + 1) // LEGS, instrument.token),
    )
    plan["leg"] = (plan["leg"] + 1) % LEGS
    plan["next"] += plan["leg"] == 0
    plan["due"] = max(plan["due"] + 1 / (plan["speed"] * LEGS), time.time() - 1)
    done = plan["next"] > plan["last"]
    db.execute(
        "UPDATE kite_market SET replay = ? WHERE token = ?",
        ("" if done else json.dumps(plan), instrument.token),
    )
