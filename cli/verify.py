"""``treum verify``: judges from outside what happened, by the providers' own journal and the books.

It knows nothing of how the platform works: it holds what the outside world did (the sandbox's journal)
against what the books say, both ways, and prints each difference. Run it when nothing is in flight.
"""

import asyncio
import json
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx

from models.settings import Settings, settings
from store import proof
from store.database import Database
from store.verification import Rows, books

REFUNDED = ("pending", "processed")


@dataclass
class Evidence:
    """The books of one moment, and what the providers did, by provider."""

    book: dict[str, Rows]
    proof: dict[str, list[str]] = field(default_factory=dict)
    """What the ledger's own proofs found, by their names."""
    effects: dict[str, list[dict[str, Any]]] = field(default_factory=dict)

    def did(self, target: str, key: str) -> list[dict[str, Any]]:
        """Effects at a provider that carry `key`."""
        return [effect for effect in self.effects.get(target, ()) if key in effect]


Finding = Iterator[str]


def captures(evidence: Evidence) -> Finding:
    """Each capture and each debit once, and each one in the book, with its amount."""
    taken: Counter[str] = Counter()
    amounts: dict[str, int] = {}
    for key in ("captured", "charged"):
        for effect in evidence.did("razorpay", key):
            if not effect[key]:
                continue  # a debit that the bank refused, or that waits for the customer
            taken[effect["payment_id"]] += 1
            amounts[effect["payment_id"]] = effect[key]
    booked = {row["gateway_payment_id"]: row for row in evidence.book["payments"] if row["captured"]}
    for payment, times in taken.items():
        if times > 1:
            yield f"gateway payment {payment} was captured {times} times"
        if payment not in booked:
            yield f"gateway payment {payment} was captured and is in no book"
        elif booked[payment]["amount"] != amounts[payment]:
            held = booked[payment]["amount"]
            yield f"gateway payment {payment}: {amounts[payment]} captured, {held} booked"
    for payment, row in booked.items():
        if payment not in taken:
            yield f"{row['payment_id']} is booked as captured and the gateway captured nothing"


def invoices(evidence: Evidence) -> Finding:
    """One invoice a captured payment, its total the amount."""
    standing = [r for r in evidence.book["invoices"] if r["kind"] == "invoice" and r["status"] == "issued"]
    of_payment = Counter(row["payment_id"] for row in standing)
    totals = {row["payment_id"]: row["total"] for row in standing}
    for row in evidence.book["payments"]:
        if row["captured"] and of_payment[row["payment_id"]] != 1:
            yield f"{row['payment_id']} has {of_payment[row['payment_id']]} invoices"
        elif row["captured"] and totals[row["payment_id"]] != row["amount"]:
            yield f"{row['payment_id']}: invoice over {totals[row['payment_id']]}, captured {row['amount']}"


def registrations(evidence: Evidence) -> Finding:
    """Each IRN once at the portal and in the book; nothing waits for one; a void number is explained."""
    made = Counter(e["irn"] for e in evidence.did("irp", "irn") if not e.get("cancelled"))
    cancelled = {e["irn"] for e in evidence.did("irp", "irn") if e.get("cancelled")}
    booked = {row["irn"]: row for row in evidence.book["invoices"] if row["irn"]}
    for irn, times in made.items():
        if times > 1:
            yield f"IRN {irn} was registered {times} times"
        if irn not in booked:
            yield f"IRN {irn} was registered and is in no book"
    for irn, row in booked.items():
        if irn not in made:
            yield f"{row['number']} is booked as registered and the portal has none"
        if row["cancelled"] != (irn in cancelled):
            yield f"{row['number']} is cancelled in one of book and portal"
    for row in evidence.book["invoices"]:
        if row["einvoice"] == "pending":
            yield f"{row['number']} waits for its IRN"
        if (row["status"] == "void") != row["explained"]:
            yield f"{row['number']} is void without a reason, or has one and stands"


def ledger(evidence: Evidence) -> Finding:
    """What ``treum ledger verify`` proves."""
    for name, found in evidence.proof.items():
        for finding in found:
            yield f"{name}: {finding}"


def refunds(evidence: Evidence) -> Finding:
    """Each refund at the gateway once, each in the book; none over its payment."""
    made = Counter(effect["refund_id"] for effect in evidence.did("razorpay", "refunded"))
    booked = {row["gateway_refund_id"] for row in evidence.book["refunds"] if row["gateway_refund_id"]}
    for refund, times in made.items():
        if times > 1:
            yield f"gateway refund {refund} was made {times} times"
        if refund not in booked:
            yield f"gateway refund {refund} is in no book"
    for refund in booked - made.keys():
        yield f"gateway refund {refund} is booked and the gateway made none"
    given: Counter[str] = Counter()
    for row in evidence.book["refunds"]:
        if row["status"] in REFUNDED:
            given[row["payment_id"]] += row["amount"]
    amounts = {row["payment_id"]: row["amount"] for row in evidence.book["payments"]}
    for payment, amount in given.items():
        if amount > amounts.get(payment, 0):
            yield f"{payment}: {amount} refunded of {amounts.get(payment, 0)}"


def disputes(evidence: Evidence) -> Finding:
    """Each dispute that was given up, once, and lost in the book."""
    given_up = Counter(effect["dispute_id"] for effect in evidence.did("razorpay", "lost"))
    booked = {row["dispute_id"]: row for row in evidence.book["disputes"]}
    for dispute, times in given_up.items():
        if times > 1:
            yield f"dispute {dispute} was given up {times} times"
        if dispute not in booked or booked[dispute]["status"] != "lost":
            yield f"dispute {dispute} was given up and is not lost in the book"


def orders(evidence: Evidence) -> Finding:
    """Each order at the broker is one of ours, once; each of ours that was sent is at the broker."""
    placed = [e for e in evidence.did("kite", "order_id") if not {"cancelled", "modified"} & e.keys()]
    tags = Counter(effect["tag"] for effect in placed if effect.get("tag"))
    sent = {row["broker_order_id"] for row in evidence.book["attempts"] if row["broker_order_id"]}
    paper = {row["broker_order_id"] for row in evidence.book["paper"]}
    at_broker = {effect["order_id"] for effect in placed}
    for tag, times in tags.items():
        if times > 1:
            yield f"{times} orders at the broker under the tag {tag}"
    for order in at_broker - sent:
        yield f"broker order {order} was placed and is in no book"
    for order in sent - at_broker - paper:
        yield f"broker order {order} is booked as sent and the broker has none"
    alive = Counter(
        (row["order_id"], row["leg"]) for row in evidence.book["attempts"] if row["broker_order_id"]
    )
    for (order, leg), times in alive.items():
        if times > 1:
            yield f"{order} leg {leg} was placed {times} times"


def positions(evidence: Evidence) -> Finding:
    """Fills add up to the orders, and trades to the positions."""
    filled: Counter[str] = Counter()
    held: Counter[tuple[str, ...]] = Counter()
    for row in evidence.book["trades"]:
        filled[row["order_id"]] += row["quantity"]
        key = (row["account_id"], row["exchange"], row["symbol"], row["product"])
        held[key] += row["quantity"] if row["side"] == "BUY" else -row["quantity"]
    for row in evidence.book["orders"]:
        if filled[row["order_id"]] != row["filled_quantity"]:
            yield f"{row['order_id']}: {filled[row['order_id']]} in trades, {row['filled_quantity']} filled"
        if row["status"] == "filled" and row["filled_quantity"] != row["quantity"]:
            yield f"{row['order_id']} is filled with {row['filled_quantity']} of {row['quantity']}"
    for row in evidence.book["positions"]:
        key = (row["account_id"], row["exchange"], row["symbol"], row["product"])
        if held[key] != row["quantity"]:
            where = f"{row['symbol']} of {row['account_id']}"
            yield f"position {where}: {held[key]} traded, {row['quantity']} held"


def certificates(evidence: Evidence) -> Finding:
    """A completed course names the certificate that is on record, and nothing else names one."""
    for row in evidence.book["enrollments"]:
        if row["named"] != row["issued"]:
            yield f"{row['enrollment_id']} names the certificate {row['named']}, on record is {row['issued']}"


def messages(evidence: Evidence) -> Finding:
    """Each message reached its provider once."""
    for message, times in Counter(e["message_id"] for e in evidence.did("outbox", "message_id")).items():
        if times > 1:
            yield f"message {message} was sent {times} times"


def promises(evidence: Evidence) -> Finding:
    """Nothing promised, received, written or told is left undone."""
    for row in evidence.book["unanswered"]:
        yield f"command {row['command_id']} was driven again and has no answer"
    for row in evidence.book["undelivered"]:
        yield f"event {row['number']} was received and not delivered"
    for row in evidence.book["unsent"]:
        yield f"message {row['message_id']} was written and not sent"
    for row in evidence.book["unpublished"]:
        yield f"topic {row['topic']} has events that were not published"


CHECKS: tuple[Callable[[Evidence], Finding], ...] = (
    captures,
    invoices,
    registrations,
    ledger,
    refunds,
    disputes,
    orders,
    positions,
    certificates,
    messages,
    promises,
)


async def gather(config: Settings) -> Evidence:
    """Reads the books and the sandbox's journal.

    Raises:
        httpx.HTTPError, psycopg.Error: one of them cannot be read.
    """
    async with Database(config.postgres, max_size=1) as database, database.reading() as connection:
        evidence = Evidence(await books(connection), await proof.findings(connection))
    headers = {"X-Sandbox-Control": "1"}
    async with httpx.AsyncClient(base_url=config.sandbox, headers=headers, timeout=60.0) as sandbox:
        for target in ("razorpay", "kite", "irp", "outbox"):
            answer = await sandbox.get("/_control/journal", params={"target": target})
            items = answer.raise_for_status().json()["items"]
            evidence.effects[target] = [item["effect"] for item in items if item["effect"]]
    return evidence


def judge(evidence: Evidence) -> dict[str, list[str]]:
    """Findings by the name of the check."""
    return {check.__name__: list(check(evidence)) for check in CHECKS}


def main(home: Path | None = None) -> int:
    """Prints what was found; 0 where nothing was. `home`: of an embedded platform, else ``TREUM_*`` rules."""
    config = settings()
    if home is not None:
        endpoints = json.loads((home / "endpoints.json").read_text())
        config = config.model_copy(
            update={"postgres": endpoints["postgres"], "sandbox": endpoints["sandbox"]}
        )
    found = judge(asyncio.run(gather(config)))
    for name, findings in found.items():
        print(f"{name}: {'nothing found' if not findings else f'{len(findings)} found'}")
        for finding in findings:
            print(f"  {finding}")
    return 1 if any(found.values()) else 0
