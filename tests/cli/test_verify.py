"""The checker from outside finds what is planted, each kind by its own check, and nothing in sound books."""

from collections.abc import Callable
from copy import deepcopy
from typing import Any

import pytest

from cli.verify import CHECKS, Evidence, judge
from store.verification import BOOKS

SOUND: dict[str, list[dict[str, Any]]] = {
    "payments": [{"payment_id": "pay_1", "gateway_payment_id": "g1", "amount": 100, "captured": True}],
    "invoices": [
        {
            **{"number": "A/1", "kind": "invoice", "payment_id": "pay_1", "total": 100, "status": "issued"},
            **{"irn": "i1", "cancelled": False, "einvoice": "registered", "explained": False},
        }
    ],
    "refunds": [{"gateway_refund_id": "r1", "payment_id": "pay_1", "status": "processed", "amount": 40}],
    "disputes": [{"dispute_id": "d1", "status": "lost"}],
    "orders": [{"order_id": "ord_1", "status": "filled", "quantity": 10, "filled_quantity": 10}],
    "attempts": [{"order_id": "ord_1", "leg": 1, "broker_order_id": "b1"}],
    "trades": [
        {
            **{"order_id": "ord_1", "account_id": "acc_1", "exchange": "NSE", "symbol": "TCS"},
            **{"product": "CNC", "side": "BUY", "quantity": 10},
        }
    ],
    "positions": [
        {"account_id": "acc_1", "exchange": "NSE", "symbol": "TCS", "product": "CNC", "quantity": 10}
    ],
    "enrollments": [{"enrollment_id": "enr_1", "named": "crt_1", "issued": "crt_1"}],
}
DID: dict[str, list[dict[str, Any]]] = {
    "razorpay": [
        {"captured": 100, "payment_id": "g1"},
        {"refunded": 40, "refund_id": "r1"},
        {"lost": 100, "dispute_id": "d1"},
    ],
    "irp": [{"irn": "i1"}],
    "kite": [{"order_id": "b1", "tag": "T1"}],
    "outbox": [{"message_id": "m1"}],
}
Plant = Callable[[Evidence], object]
PLANTS: list[tuple[str, Plant]] = [
    ("captures", lambda e: e.effects["razorpay"].append({"captured": 100, "payment_id": "g1"})),
    ("captures", lambda e: e.effects["razorpay"].append({"charged": 7, "payment_id": "g2"})),
    ("captures", lambda e: e.book["payments"][0].update(amount=99)),
    ("captures", lambda e: e.effects["razorpay"].pop(0)),
    ("invoices", lambda e: e.book["invoices"].append(e.book["invoices"][0] | {"irn": None})),
    ("invoices", lambda e: e.book["invoices"][0].update(total=101)),
    ("registrations", lambda e: e.effects["irp"].append({"irn": "i1"})),
    ("registrations", lambda e: e.effects["irp"].append({"irn": "i2"})),
    ("registrations", lambda e: e.effects["irp"].clear()),
    ("registrations", lambda e: e.effects["irp"].append({"irn": "i1", "cancelled": True})),
    ("registrations", lambda e: e.book["invoices"][0].update(einvoice="pending")),
    ("registrations", lambda e: e.book["invoices"][0].update(explained=True)),
    ("ledger", lambda e: e.proof.update(balance=["one rupee too many"])),
    ("refunds", lambda e: e.effects["razorpay"].append({"refunded": 40, "refund_id": "r1"})),
    ("refunds", lambda e: e.effects["razorpay"].append({"refunded": 40, "refund_id": "r2"})),
    ("refunds", lambda e: e.effects["razorpay"].pop(1)),
    ("refunds", lambda e: e.book["refunds"][0].update(amount=101)),
    ("disputes", lambda e: e.effects["razorpay"].append({"lost": 100, "dispute_id": "d1"})),
    ("disputes", lambda e: e.book["disputes"][0].update(status="won")),
    ("orders", lambda e: e.effects["kite"].append({"order_id": "b2", "tag": "T1"})),
    ("orders", lambda e: e.effects["kite"].append({"order_id": "b2"})),
    ("orders", lambda e: e.effects["kite"].clear()),
    ("orders", lambda e: e.book["attempts"].append(e.book["attempts"][0])),
    ("positions", lambda e: e.book["trades"].append(e.book["trades"][0])),
    ("positions", lambda e: e.book["orders"][0].update(quantity=11)),
    ("positions", lambda e: e.book["positions"][0].update(quantity=9)),
    ("certificates", lambda e: e.book["enrollments"][0].update(named="crt_2")),
    ("certificates", lambda e: e.book["enrollments"][0].update(issued=None)),
    ("messages", lambda e: e.effects["outbox"].append({"message_id": "m1"})),
    ("promises", lambda e: e.book["unanswered"].append({"command_id": "cmd_1"})),
    ("promises", lambda e: e.book["undelivered"].append({"number": 1})),
    ("promises", lambda e: e.book["unsent"].append({"message_id": "m2"})),
    ("promises", lambda e: e.book["unpublished"].append({"topic": "orders"})),
]


def sound() -> Evidence:
    return Evidence(deepcopy({name: SOUND.get(name, []) for name in BOOKS}), {}, deepcopy(DID))


def test_sound_books_have_no_findings() -> None:
    assert judge(sound()) == {check.__name__: [] for check in CHECKS}


@pytest.mark.parametrize(("check", "plant"), PLANTS)
def test_what_is_planted_is_found(check: str, plant: Plant) -> None:
    evidence = sound()
    plant(evidence)
    assert len(judge(evidence)[check]) >= 1


def test_every_check_has_been_seen_to_fail() -> None:
    assert {name for name, _ in PLANTS} == {check.__name__ for check in CHECKS}
