"""A cut of the campaign: the whole platform, its workers killed at three steps of a course and a refund."""

from tests.faults.whole import Whole, played

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
