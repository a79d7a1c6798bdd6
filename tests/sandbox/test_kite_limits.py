"""Kite's rate limits by the second, the minute and the day, on a clock that the test moves."""

import pytest

from sandbox.kite import limits
from sandbox.kite.errors import KiteError
from sandbox.kite.limits import Limits


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The host's clock: set its only item."""
    now = [1_800_000_000.0]
    monkeypatch.setattr(limits.time, "time", lambda: now[0])
    return now


def refused(counter: Limits, bucket: str, orders_today: int = 0) -> bool:
    """Whether one more call is refused."""
    try:
        counter.check("AB1234", bucket, orders_today)
    except KiteError as error:
        return (error.status, error.message) == (429, "Too many requests")
    return False


@pytest.mark.parametrize(("bucket", "most"), [("order", 10), ("quote", 1), ("historical", 3), ("other", 10)])
def test_a_second_has_its_allowance_and_the_next_one_anew(clock: list[float], bucket: str, most: int) -> None:
    counter = Limits(on=True)
    assert [refused(counter, bucket) for _ in range(most + 1)] == [False] * most + [True]
    clock[0] += 0.999
    assert refused(counter, bucket)
    clock[0] += 0.001
    assert not refused(counter, bucket)


def test_a_minute_takes_400_orders(clock: list[float]) -> None:
    counter = Limits(on=True)
    taken = 0
    for _ in range(60):
        taken += sum(not refused(counter, "order") for _ in range(10))
        clock[0] += 1
    assert taken == 400
    assert not refused(counter, "order")


def test_a_day_takes_5000_orders_and_accounts_do_not_share(clock: list[float]) -> None:
    counter = Limits(on=True)
    assert refused(counter, "order", orders_today=5_000)
    assert not refused(counter, "order", orders_today=4_999)
    for _ in range(10):
        counter.check("CD5678", "order")
    assert not refused(counter, "order")


def test_lifted_limits_refuse_nothing(clock: list[float]) -> None:
    counter = Limits(on=False)
    assert not any(refused(counter, "quote") for _ in range(100))
