"""A cut of the campaign: the whole platform, its workers killed at three steps of a course and a refund."""

import random
from collections.abc import Callable
from functools import partial

import pytest

from cli.demo.stage import Stage
from tests.faults import journeys
from tests.faults.billing_load import Load, buyers, killed
from tests.faults.whole import Whole, played

ENGINES = ("worker-billing", "postgres", "temporal", "api")
POINTS = ("billing.book_capture:after", "education.save:before", "refunds.send:after_send")


def test_killed_workers_leave_one_charge_one_refund_and_whole_books(whole: Whole) -> None:
    whole.arm(POINTS)
    try:
        failures = played(whole, ["refund"])
    finally:
        whole.disarm()
    assert failures == []
    assert set(POINTS) - whole.fired() == set()
    assert whole.findings() == {}


def test_killed_engines_lose_no_money_and_double_none(whole: Whole) -> None:
    """A cut of `test_billing_load_kills.py`: four deaths while two people buy, give back and dispute."""
    chance, people = random.Random(4), buyers(whole, 2)
    for role in ("finance", "finance2"):
        whole.clients.staff(role)
    load = Load(whole, chance)
    load.run(people, 2, lambda: killed(whole, chance, ENGINES, (0.5, 1.5)), settling=False)
    assert load.failures == []
    assert load.payments
    assert whole.findings() == {}


@pytest.mark.parametrize(
    ("journey", "point"),
    [(journeys.course, "education.save:after"), (journeys.review, "onboarding.move:after")],
)
def test_what_a_dying_worker_has_made_keeps_its_name(
    whole: Whole, journey: Callable[[Stage, Callable[[], None]], None], point: str
) -> None:
    """The step is done again at another time; a certificate, or a case, has the name that is on record."""
    journey(whole.clients, partial(whole.arm, (point,)))
    whole.disarm()
    assert point in whole.fired()
    assert whole.findings() == {}
