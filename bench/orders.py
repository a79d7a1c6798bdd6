"""What the platform adds to an order: from the customer's yes to the broker's acceptance, beside the same
order placed directly through ``kiteconnect`` in the same run.

    python -m bench.orders [--runs N] [--worker]

Both sides alternate, order by order, on the same sandbox, each over accounts of its own, so that no pace
limit holds one up. Ours: the command envelope, the order's process, every check, the broker, our record.
Prints p50 and p99 in milliseconds, what is added, and where the time goes; exits 1 where more is added than
the limits say. `--worker` runs the trading pool as a process of its own, as `treum up` does; without it the
pool shares this process, and the steps inside of it are timed.
"""

import argparse
import asyncio
import gc
import os
import secrets
import statistics
import subprocess
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from kiteconnect import KiteConnect

from bench.steps import Timed, timed
from cli.embedded import EmbeddedEngines
from cli.environment import ROOT
from providers.kite import Kite
from tests.workflows.traders import Floor, Trader, floor_of
from workers.parts import assemble
from workers.pool import workers
from workers.trading import POOL

ADDED_P50 = 35.0
ADDED_P99 = 90.0
"""Milliseconds that the platform may add on two cores (the issue's own limits)."""
ACCOUNTS = 8
WARM_UP = 8


async def ours(floor: Floor, trader: Trader, clock: Timed) -> float:
    """Milliseconds from the confirmation to the answer that carries the broker's order id."""
    asked = await floor.place(trader, confirmed=False)
    clock.begin()
    begun = time.perf_counter()
    answer = await floor.update(asked["order_id"], "confirm", user_id=trader.user_id)
    taken = (time.perf_counter() - begun) * 1000
    clock.end(taken)
    if not answer.body.get("broker_order_id"):
        raise RuntimeError(f"not accepted: {answer}")
    await floor.reaches(asked["order_id"], "filled")
    return taken


async def signed_in(floor: Floor, engines: EmbeddedEngines) -> KiteConnect:
    """The official client of a customer of her own."""
    config = engines.settings
    user = f"BD{secrets.token_hex(3).upper()}"
    token = (await floor.control("/kite/login", api_key=config.kite_api_key, user_id=user, name="Asha Rao"))[
        "request_token"
    ]
    client = Kite(config.kite_base, config.kite_api_key, "").client("")
    secret = config.kite_api_secret.get_secret_value()
    session = await asyncio.to_thread(client.generate_session, token, secret)
    client.set_access_token(session["access_token"])
    return client


async def direct(client: KiteConnect) -> float:
    """The same order through the official client, in a thread as ours is."""

    def place() -> None:
        client.place_order(
            variety="regular",
            exchange="NSE",
            tradingsymbol="INFY",
            transaction_type="BUY",
            quantity=10,
            product="CNC",
            order_type="LIMIT",
            price="1500",
            validity="DAY",
            tag="BENCH",
        )

    begun = time.perf_counter()
    await asyncio.to_thread(place)
    return (time.perf_counter() - begun) * 1000


async def measure(engines: EmbeddedEngines, runs: int, clock: Timed) -> tuple[list[float], list[float]]:
    async with floor_of(engines) as floor:
        traders = [await floor.trader() for _ in range(ACCOUNTS)]
        clients = [await signed_in(floor, engines) for _ in range(ACCOUNTS)]
        for turn in range(WARM_UP):
            await ours(floor, traders[turn % ACCOUNTS], clock)
            await direct(clients[turn % ACCOUNTS])
        clock.forget()
        # As the API and the workers do when they start: this process stands for both.
        gc.collect()
        gc.freeze()
        sides: tuple[list[float], list[float]] = ([], [])
        for turn in range(runs):
            sides[0].append(await ours(floor, traders[turn % ACCOUNTS], clock))
            sides[1].append(await direct(clients[turn % ACCOUNTS]))
        return sides


@asynccontextmanager
async def pool_beside(engines: EmbeddedEngines) -> AsyncIterator[None]:
    """The trading pool as a process of its own."""
    environment = {**os.environ, **engines.environment, "PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-c", "from workers import run; run.main('trading')"]
    process = subprocess.Popen(command, cwd=ROOT, env=environment)
    try:
        yield
    finally:
        process.terminate()
        process.wait()


@asynccontextmanager
async def pool_within(engines: EmbeddedEngines) -> AsyncIterator[None]:
    async with assemble(engines.settings) as parts:
        running = workers(POOL, parts, parts.client)
        async with running[0], running[1]:
            yield


async def run(engines: EmbeddedEngines, runs: int, *, beside: bool) -> tuple[list[float], list[float], Timed]:
    with timed(on=not beside) as clock:
        async with pool_beside(engines) if beside else pool_within(engines):
            one, other = await measure(engines, runs, clock)
    return one, other, clock


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=200)
    parser.add_argument("--worker", action="store_true")
    given = parser.parse_args()
    with EmbeddedEngines() as engines:
        one, other, clock = asyncio.run(run(engines, given.runs, beside=given.worker))
    added = []
    print(f"{len(one)} orders each, alternating; milliseconds; load average {os.getloadavg()[0]:.1f}")
    print(f"{'':6}{'platform':>10}{'direct':>10}{'added':>10}")
    for name, at in (("p50", 49), ("p99", 98)):
        mine, bare = statistics.quantiles(one, n=100)[at], statistics.quantiles(other, n=100)[at]
        added.append(mine - bare)
        print(f"{name:6}{mine:10.1f}{bare:10.1f}{mine - bare:10.1f}")
    if not given.worker:
        clock.tell()
    return 0 if added[0] <= ADDED_P50 and added[1] <= ADDED_P99 else 1


if __name__ == "__main__":
    sys.exit(main())
