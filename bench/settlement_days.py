"""A settlement day of any size: the gateway's report in the sandbox's file, the same payments in our book.

Written straight into both databases, since a million checkouts are not what is measured. Of a hundred lines
97 are payments and 3 refunds; `BREAKS` breaks of each kind are planted, however large the day is.
"""

import json
import sqlite3
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from itertools import islice
from pathlib import Path
from typing import Any

import psycopg

from domain.billing_calendar import IST

BREAKS = 5
"""Breaks of each kind in a day: missing line, extra line, wrong amount, wrong fee."""
SETTLEMENTS = 4
"""Payouts to the bank in a day."""
CHUNK = 10_000

PAYMENTS = """COPY finance.payments (payment_id, user_id, purpose, reference_id, process, title, sac, status,
    amount, currency, place_of_supply, gateway_order_id, gateway_payment_id, method, fee, tax, created_at,
    captured_at, updated_at) FROM STDIN"""
REFUNDS = """COPY finance.refunds (refund_id, payment_id, user_id, amount, currency, speed, status,
    requested_by, authority, approvals_due, reason_code, gateway_refund_id, created_at, updated_at)
    FROM STDIN"""


@dataclass(frozen=True)
class Thing:
    """A payment, or a refund of the payment before it."""

    number: int
    refund: bool
    amount: int
    fee: int
    tax: int

    @property
    def entity(self) -> str:
        return f"{'rfnd' if self.refund else 'pay'}_{self.number:014d}"


def things(first: int, count: int) -> Iterator[Thing]:
    """What a day of `count` lines is of: 3 refunds after each 97 payments, amounts from ₹100 to ₹9,999."""
    for number in range(first, first + count):
        refund = number % 100 >= 97
        amount = 100_00 + (number * 7919) % 9_899_00
        fee = 0 if refund else amount * 236 // 10_000
        yield Thing(number, refund, amount, fee, fee * 18 // 118)


def seed(dsn: str, sandbox: Path, day: date, first: int, lines: int) -> int:
    """Writes the day into both databases; what the bank gets, in paise.

    `first` numbers its things: days must not overlap.
    """
    noon = datetime.combine(day, time(12), IST).astimezone(UTC)
    with psycopg.connect(dsn, autocommit=True) as ours:
        # The rows stand for the work of a day long done: no trigger has anything left to do.
        ours.execute("SET session_replication_role = replica")
        _copy(ours, PAYMENTS, (_payment(one, noon) for one in things(first, lines) if not one.refund))
        _copy(ours, REFUNDS, (_refund(one, noon) for one in things(first, lines) if one.refund))
        ours.execute("ANALYZE finance.payments, finance.refunds")
    return _report(sandbox, day, noon, first, lines)


def _copy(connection: psycopg.Connection, statement: str, rows: Iterator[tuple[Any, ...]]) -> None:
    with connection.cursor() as cursor, cursor.copy(statement) as copy:
        for row in rows:
            copy.write_row(row)


def _payment(one: Thing, at: datetime) -> tuple[Any, ...]:
    name = f"pay_bench{one.number}"
    return (
        name, "usr_bench", "course", f"enr_bench{one.number}", f"payment:{name}", "Course", "999293",
        "captured",
        one.amount, "INR", "KA", f"order_{one.number:014d}", one.entity, "upi", one.fee, one.tax, at, at, at,
    )  # fmt: skip


def _refund(one: Thing, at: datetime) -> tuple[Any, ...]:
    paid = one.number - one.number % 100
    return (
        f"ref_bench{one.number}", f"pay_bench{paid}", "usr_bench", one.amount, "INR", "normal", "processed",
        "usr_bench", "finance", 0, "bench", one.entity, at, at,
    )  # fmt: skip


def _report(path: Path, day: date, noon: datetime, first: int, count: int) -> int:
    evening = int((noon + timedelta(hours=6)).timestamp())
    paid = [0] * SETTLEMENTS
    with sqlite3.connect(path, timeout=30) as theirs:
        theirs.execute("PRAGMA synchronous=OFF")
        rows = _lines(day, evening, first, count)
        while chunk := list(islice(rows, CHUNK)):
            theirs.executemany("INSERT INTO razorpay_recon (day, entity_id, line) VALUES (?, ?, ?)", chunk)
            for *_, text in chunk:
                line = json.loads(text)
                paid[int(line["settlement_id"][-6:])] += line["credit"] - line["debit"]
        for number in range(SETTLEMENTS):
            settlement = {
                "id": _settlement(day, number), "entity": "settlement", "amount": paid[number], "status": "processed",
                "fees": 0, "tax": 0, "utr": _utr(day, number), "created_at": evening,
            }  # fmt: skip
            theirs.execute(
                "INSERT INTO razorpay_objects (id, kind, status, created_at, data)"
                " VALUES (?, 'settlement', 'processed', ?, ?)",
                (settlement["id"], evening, json.dumps(settlement)),
            )
    theirs.close()
    return sum(paid)


def _lines(day: date, at: int, first: int, count: int) -> Iterator[tuple[str, str, str]]:
    """The report as SQLite's rows: right but for the first lines, where the breaks are."""
    planted = {"missing": BREAKS, "extra": BREAKS, "amount": BREAKS, "fee": BREAKS}
    for one in things(first, count):
        line = _line(one, day, at)
        if one.refund or not (kind := next((kind for kind, left in planted.items() if left), None)):
            yield day.isoformat(), one.entity, json.dumps(line)
            continue
        planted[kind] -= 1
        if kind == "missing":
            continue
        if kind == "extra":
            stranger = {**line, "entity_id": f"pay_S{one.number:013d}"}
            yield day.isoformat(), stranger["entity_id"], json.dumps(stranger)
        elif kind == "amount":
            line |= {"amount": line["amount"] - 100, "credit": line["credit"] - 100}
        else:
            line |= {"fee": line["fee"] + 100, "credit": line["credit"] - 100}
        yield day.isoformat(), one.entity, json.dumps(line)


def _line(one: Thing, day: date, at: int) -> dict[str, Any]:
    number = one.number % SETTLEMENTS
    paid = one.number - one.number % 100
    return {
        "entity_id": one.entity, "type": "refund" if one.refund else "payment",
        "debit": one.amount if one.refund else 0, "credit": 0 if one.refund else one.amount - one.fee,
        "amount": one.amount, "currency": "INR", "fee": one.fee, "tax": one.tax, "on_hold": False,
        "settled": True, "created_at": at - 21_600, "settled_at": at,
        "settlement_id": _settlement(day, number),
        "posted_at": None, "credit_type": "default", "description": None, "notes": [],
        "payment_id": f"pay_{paid:014d}" if one.refund else None, "settlement_utr": _utr(day, number),
        "order_id": f"order_{one.number:014d}", "order_receipt": f"pay_bench{one.number}", "method": "upi",
        "card_network": None, "card_issuer": None, "card_type": None, "dispute_id": None,
    }  # fmt: skip


def _settlement(day: date, number: int) -> str:
    return f"setl_{day:%Y%m%d}{number:06d}"


def _utr(day: date, number: int) -> str:
    return f"{day:%Y%m%d}{number:06d}ut"
