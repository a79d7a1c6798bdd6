"""Settlements, the recon report to the paisa, planted breaks, disputes."""

from typing import Any

import pytest
from razorpay.errors import BadRequestError

from tests.sandbox.conftest import Sandbox
from tests.sandbox.razorpay_shop import Shop, events
from tests.sandbox.receiver import Receiver

DAY = {"year": 2026, "month": 11, "day": 20}


@pytest.fixture
def shop(clean: Sandbox) -> Shop:
    return Shop(clean)


def report(shop: Shop, **query: Any) -> list[dict[str, Any]]:
    return list(shop.client.settlement.report({**DAY, "count": 1000, **query})["items"])


def test_a_day_closes_to_the_paisa(shop: Shop, hooks: Receiver) -> None:
    amounts = (118_000, 99_900, 3_333, 100, 1_234_567)
    payments = [shop.paid(amount, "2026-11-20T05:00:00Z", receipt=f"r{amount}") for amount in amounts]
    shop.paid(50_000, "2026-11-20T18:30:00Z")  # midnight in India: the next day
    refund = shop.client.payment.refund(payments[1]["id"], {"amount": 900}, **shop.at("2026-11-20T06:00:00Z"))
    done = shop.play("settle", date="2026-11-20")
    lines = report(shop)
    assert [line["entity_id"] for line in lines] == [*(one["id"] for one in payments), refund["id"]]
    for payment, line in zip(payments, lines, strict=False):
        assert line["credit"] == line["amount"] - line["fee"] == payment["amount"] - payment["fee"]
        assert (line["tax"], line["payment_id"]) == (payment["tax"], None)
        assert (line["order_id"], line["order_receipt"]) == (payment["order_id"], f"r{payment['amount']}")
        assert (line["settlement_id"], line["settlement_utr"]) == (done["settlement_id"], done["utr"])
    assert (lines[-1]["debit"], lines[-1]["payment_id"]) == (900, payments[1]["id"])
    assert sum(line["credit"] - line["debit"] for line in lines) == done["amount"]
    settlement = shop.client.settlement.fetch(done["settlement_id"])
    assert (settlement["amount"], settlement["utr"]) == (done["amount"], done["utr"])
    assert (settlement["fees"], settlement["tax"], settlement["status"]) == (0, 0, "processed")
    heard = [one for one in events(hooks, "settlement.processed") if one["event"] == "settlement.processed"]
    assert [one["payload"]["settlement"]["entity"] for one in heard] == [settlement]
    assert shop.play("settle", date="2026-11-20")["settlement_id"] is None
    assert report(shop) == lines
    assert shop.play("settle", date="2026-11-21")["lines"] == 1


def test_pages_months_and_bad_dates(shop: Shop) -> None:
    for _ in range(3):
        shop.paid(10_000, "2026-11-20T05:00:00Z")
    shop.play("settle", date="2026-11-20")
    second, first = (report(shop, count=2, skip=skip) for skip in (2, 0))
    assert (len(first), len(second)) == (2, 1)
    assert first + second == report(shop) == first + report(shop, count=2, skip=2)
    shop.play("plant", kind="missing_line", date="2026-11-20")
    assert report(shop, count=2, skip=2) == []
    shop.play("plant", kind="extra_line", date="2026-11-20")
    month = shop.client.settlement.report({"year": 2026, "month": 11})
    assert (month["entity"], month["count"]) == ("collection", 3)
    for query, text in (
        ({"month": 13}, "The month is not a valid month."),
        ({"year": 26}, "The year must be 4 digits."),
        ({"day": 123}, "The day must be between 1 and 2 digits."),
        ({"count": 0}, "The count must be at least 1."),
        ({"count": 1001}, "The count may not be greater than 1000."),
    ):
        with pytest.raises(BadRequestError, match=text):
            report(shop, **query)


def test_the_real_cycle_pays_out_two_working_days_later(shop: Shop) -> None:
    shop.paid(10_000, "2026-11-20T05:00:00Z")  # a Friday
    assert shop.play("settle", date="2026-11-20", lag_days=2)["settled_on"] == "2026-11-24"
    assert report(shop) == []
    assert len(report(shop, day=24)) == 1


def test_debits_beyond_the_balance_wait(shop: Shop) -> None:
    old = shop.paid(100_000, "2026-11-19T05:00:00Z")
    shop.play("settle", date="2026-11-19")
    shop.paid(10_000, "2026-11-20T05:00:00Z")
    shop.client.payment.refund(old["id"], {}, **shop.at("2026-11-20T06:00:00Z"))
    shop.play("settle", date="2026-11-20")
    assert [line["type"] for line in report(shop)] == ["payment"]
    shop.paid(200_000, "2026-11-21T05:00:00Z")
    shop.play("settle", date="2026-11-21")
    assert sorted(line["type"] for line in report(shop, day=21)) == ["payment", "refund"]


@pytest.mark.parametrize("before_settling", [True, False])
@pytest.mark.parametrize("kind", ["missing_line", "extra_line", "wrong_amount", "wrong_fee"])
def test_planted_breaks(shop: Shop, kind: str, before_settling: bool) -> None:
    first, second = (shop.paid(100_000, "2026-11-20T05:00:00Z") for _ in range(2))
    where: dict[str, Any] = {"kind": kind, "date": "2026-11-20"}
    if kind != "extra_line":
        where["payment_id"] = second["id"]
    if before_settling and kind != "extra_line":
        assert shop.play("plant", **where)["applied"] is False
        shop.play("settle", date="2026-11-20")
    else:
        shop.play("settle", date="2026-11-20")
        assert shop.play("plant", **where)["applied"] is True
    lines = {line["entity_id"]: line for line in report(shop)}
    assert lines[first["id"]]["credit"] == 100_000 - first["fee"]
    if kind == "missing_line":
        assert set(lines) == {first["id"]}
    elif kind == "extra_line":
        assert len(lines) == 3
        with pytest.raises(BadRequestError):
            shop.client.payment.fetch((set(lines) - {first["id"], second["id"]}).pop())
    elif kind == "wrong_amount":
        assert (lines[second["id"]]["amount"], lines[second["id"]]["fee"]) == (100_100, second["fee"])
    else:
        assert (lines[second["id"]]["amount"], lines[second["id"]]["fee"]) == (100_000, second["fee"] + 100)
    assert shop.client.payment.fetch(second["id"]) == second


def test_a_lost_dispute_is_deducted(shop: Shop, hooks: Receiver) -> None:
    payment = shop.paid(100_000, "2026-11-20T05:00:00Z")
    shop.paid(300_000, "2026-11-20T05:00:00Z")
    now = "2026-11-20T07:00:00Z"
    opened = shop.play("dispute", payment_id=payment["id"], phase="created", amount=40_000, now=now)
    assert shop.client.dispute.fetch(opened["id"])["status"] == "open"
    lost = shop.play("dispute", payment_id=payment["id"], phase="lost", now=now)
    assert (lost["status"], lost["amount_deducted"]) == ("lost", 40_000)
    shop.play("settle", date="2026-11-20")
    line = next(line for line in report(shop) if line["type"] == "adjustment")
    assert (line["debit"], line["credit"], line["dispute_id"]) == (40_000, 0, opened["id"])
    events(hooks, "payment.dispute.created", "payment.dispute.lost")


def test_disputes_are_contested_won_or_accepted(shop: Shop) -> None:
    payments = [shop.paid() for _ in range(2)]
    first, second = (shop.play("dispute", payment_id=one["id"], phase="created") for one in payments)
    contested = shop.client.dispute.contest(first["id"], {"summary": "delivered", "action": "submit"})
    assert contested["status"] == "under_review"
    assert shop.play("dispute", payment_id=payments[0]["id"], phase="won")["amount_deducted"] == 0
    assert shop.client.dispute.accept(second["id"])["status"] == "lost"
    with pytest.raises(BadRequestError, match="Action not allowed"):
        shop.client.dispute.accept(second["id"])
    assert shop.client.dispute.all()["count"] == 2


def test_a_refund_the_bank_returns_after_settlement_is_credited(shop: Shop) -> None:
    payment = shop.paid(100_000, "2026-11-20T05:00:00Z")
    refund = shop.client.payment.refund(payment["id"], {"amount": 5_000}, **shop.at("2026-11-20T06:00:00Z"))
    shop.play("settle", date="2026-11-20")
    shop.play("refund", refund_id=refund["id"], outcome="failed", now="2026-11-21T06:00:00Z")
    assert shop.play("settle", date="2026-11-21")["amount"] == 5_000
    assert [(one["type"], one["credit"]) for one in report(shop, day=21)] == [("adjustment", 5_000)]
    assert shop.client.payment.fetch(payment["id"])["amount_refunded"] == 0


def test_a_line_of_a_refund_may_be_planted_too(shop: Shop) -> None:
    payment = shop.paid(100_000, "2026-11-20T05:00:00Z")
    refund = shop.client.payment.refund(payment["id"], {"amount": 5_000}, **shop.at("2026-11-20T06:00:00Z"))
    shop.play("settle", date="2026-11-20")
    shop.play("plant", kind="wrong_fee", date="2026-11-20", payment_id=refund["id"], amount=590)
    [line] = [line for line in report(shop) if line["type"] == "refund"]
    assert (line["fee"], line["debit"], line["credit"]) == (590, 5_590, 0)
    shop.play("plant", kind="missing_line", date="2026-11-20", payment_id=refund["id"])
    assert [line["type"] for line in report(shop)] == ["payment"]


def test_a_wrong_tax_leaves_fee_and_credit(shop: Shop) -> None:
    payment = shop.paid(100_000, "2026-11-20T05:00:00Z")
    shop.play("plant", kind="wrong_tax", date="2026-11-20", payment_id=payment["id"], amount=1)
    shop.play("settle", date="2026-11-20")
    [line] = report(shop)
    assert (line["tax"], line["fee"], line["credit"]) == (1, payment["fee"], 100_000 - payment["fee"])


def test_a_line_on_hold_names_no_settlement(shop: Shop) -> None:
    payment = shop.paid(100_000, "2026-11-20T05:00:00Z")
    shop.play("settle", date="2026-11-20")
    shop.play("plant", kind="unsettled_line", date="2026-11-20", payment_id=payment["id"])
    [line] = report(shop)
    assert (line["on_hold"], line["settled"], line["settlement_id"], line["settlement_utr"]) == (
        True, False, None, None,
    )  # fmt: skip


def test_a_payout_may_be_of_another_amount_than_its_lines(shop: Shop) -> None:
    shop.paid(100_000, "2026-11-20T05:00:00Z")
    assert shop.play("plant", kind="wrong_payout", date="2026-11-20")["applied"] is False
    done = shop.play("settle", date="2026-11-20")
    [line] = report(shop)
    assert shop.client.settlement.fetch(done["settlement_id"])["amount"] == line["credit"] - 100


def test_an_extra_line_is_settled_under_an_id_even_where_nothing_else_is(shop: Shop) -> None:
    shop.play("plant", kind="extra_line", date="2026-11-20")
    [line] = report(shop)
    assert line["settlement_id"].startswith("setl_")
    assert line["settlement_utr"]
