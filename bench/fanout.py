"""From a published signal to so many confirmed orders, each on an account of its own: how long, how it grows.

    python -m bench.fanout [--sizes 10,100,1000] [--worker N]

Every customer says yes at once; an order counts when the broker has accepted it. Prints, by size, the whole
time, orders a second, and p50 and p99 from a customer's yes to the broker's acceptance, in milliseconds.
`--worker`: so many trading pools as processes of their own.
"""

import argparse
import asyncio
import os
import secrets
import statistics
import sys
import time
from contextlib import AsyncExitStack
from datetime import UTC, datetime, timedelta
from decimal import Decimal

from bench.orders import pool_beside
from cli.embedded import EmbeddedEngines
from models.contracts.identifiers import Prefix, mint
from models.messages.trading import SignalOrigin
from providers.kite import Kite
from store import trading_accounts
from tests.workflows.traders import NAME, Floor, Trader, floor_of

AT_ONCE = 64
"""Customers whose yes is under way at a time."""


async def traders(floor: Floor, count: int) -> list[Trader]:
    """Connected customers, made without the processes that are not measured here."""
    config, room = floor.settings, asyncio.Semaphore(16)
    kite = Kite(config.kite_base, config.kite_api_key, config.kite_api_secret.get_secret_value())

    async def one() -> Trader:
        async with room:
            user_id, account_id = await floor.customer(), mint(Prefix.ACCOUNT)
            broker_user, now = f"FN{secrets.token_hex(4).upper()}", datetime.now(UTC)
            given = await floor.control(
                "/kite/login", api_key=config.kite_api_key, user_id=broker_user, name=NAME
            )
            grant = await kite.exchange(given["request_token"])
            async with floor.database.transaction() as connection:
                await trading_accounts.open_account(connection, account_id, user_id, "kite", now)
                await trading_accounts.connect(
                    connection,
                    floor.vault,
                    account_id=account_id,
                    user_id=user_id,
                    broker_user_id=broker_user,
                    access_token=grant.value.access_token,
                    began_at=grant.at,
                    expires_at=now + timedelta(hours=8),
                    now=now,
                )
            return Trader(user_id, account_id, broker_user)

    return list(await asyncio.gather(*(one() for _ in range(count))))


async def confirmed(floor: Floor, customers: list[Trader]) -> tuple[float, list[float]]:
    """Seconds from the publication to the last accepted order, and each order's milliseconds."""
    now, room = datetime.now(UTC), asyncio.Semaphore(AT_ONCE)
    signal = SignalOrigin(
        signal_id=mint(Prefix.SIGNAL),
        entry_price=Decimal(1500),
        published_at=now,
        expires_at=now + timedelta(hours=1),
    )

    async def act(trader: Trader) -> float:
        async with room:
            begun = time.perf_counter()
            answer = await floor.place(trader, origin=signal, quantity=1)
            if answer["broker_order_id"] is None:
                await floor.reaches(answer["order_id"], "submitting", "open", "filled")
            return (time.perf_counter() - begun) * 1000

    begun = time.perf_counter()
    taken = await asyncio.gather(*(act(trader) for trader in customers))
    return time.perf_counter() - begun, list(taken)


async def run(engines: EmbeddedEngines, sizes: list[int], pools: int) -> None:
    async with floor_of(engines) as floor, AsyncExitStack() as around:
        for _ in range(pools):
            await around.enter_async_context(pool_beside(engines))
        await confirmed(floor, await traders(floor, 8))
        print(f"{pools} trading pools; load average {os.getloadavg()[0]:.1f}")
        print(f"{'orders':>8}{'seconds':>10}{'a second':>10}{'p50 ms':>10}{'p99 ms':>10}")
        for size in sizes:
            customers = await traders(floor, size)
            seconds, taken = await confirmed(floor, customers)
            cuts = statistics.quantiles(taken, n=100)
            print(
                f"{size:8}{seconds:10.1f}{size / seconds:10.1f}{cuts[49]:10.0f}{cuts[98]:10.0f}", flush=True
            )


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sizes", default="10,100,1000")
    parser.add_argument("--worker", type=int, default=1)
    given = parser.parse_args()
    with EmbeddedEngines() as engines:
        asyncio.run(run(engines, [int(each) for each in given.sizes.split(",")], given.worker))
    return 0


if __name__ == "__main__":
    sys.exit(main())
