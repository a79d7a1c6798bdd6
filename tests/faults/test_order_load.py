"""500 orders over 50 accounts while the broker fails and processes are killed: each once, none unintended."""

import pytest

from tests.faults.order_load import OrderLoad, seed_of
from tests.faults.whole import Whole

SOON_OVER = (
    "timeout_after",
    "error_429",
    "error_5xx",
    "drop_webhook",
    "duplicate_webhook",
    "tampered_webhook",
)
SECONDS = 300.0
"""From the last order's placing to the last one's end, on a busy machine; a quiet one needs a tenth."""


@pytest.mark.campaign
def test_a_load_of_orders_in_bad_weather(whole: Whole) -> None:
    seed = seed_of("TREUM_ORDER_LOAD_SEED")
    print(f"seed {seed}: play it again with TREUM_ORDER_LOAD_SEED={seed}")
    load = OrderLoad(whole, seed, accounts=50, orders=500, faults=150, kills=25)
    load.run(SECONDS)
    assert load.findings() == []
    assert whole.findings() == {}


def test_a_few_orders_in_bad_weather(whole: Whole) -> None:
    """The cut of it for every change: without the faults that take their time, a login and a proof."""
    seed = seed_of("TREUM_ORDER_LOAD_SEED")
    print(f"seed {seed}: play it again with TREUM_ORDER_LOAD_SEED={seed}")
    load = OrderLoad(whole, seed, accounts=2, orders=8, faults=6, kills=1, weather=SOON_OVER)
    load.run(60.0)
    assert load.findings() == []
    assert whole.findings() == {}
