"""Steps 3, 7 and 8: the plan, the day's books, and a year of renewals."""

import asyncio
import time
from datetime import date, timedelta
from typing import Any

from temporalio.client import Client
from temporalio.testing import TimeSkipper, TimeSkippingConfig

from cli.demo.stage import Person, Stage, promise

YEAR = timedelta(days=366)


def rupees(paise: int) -> str:
    return f"₹{paise // 100:,}.{paise % 100:02d}"


def pay(stage: Stage, customer: Person, checkout: dict[str, Any], method: str = "upi") -> dict[str, Any]:
    """The customer pays at Razorpay's checkout; callback and webhook race; the payment as captured."""
    answer = stage.control(
        "razorpay/checkout", order_id=checkout["gateway_order_id"], method=method, outcome="success"
    )
    payment = f"/payments/{checkout['payment_id']}"
    stage.call("POST", f"{payment}/confirm", customer, json=answer)
    seen = stage.until(
        f"{payment}/status", customer, lambda p: p["status"] == "captured", "a paid checkout is captured"
    )
    captures = [
        call
        for call in stage.journal("razorpay")
        if (call["effect"] or {}).get("payment_id") == answer["razorpay_payment_id"]
        and "captured" in call["effect"]
    ]
    promise(len(captures) <= 1, "callback, webhook and poll make one capture")
    promise(seen["invoice_id"], "a captured payment has its invoice")
    stage.link("payment", f"payment:{checkout['payment_id']}")
    return seen


def balanced(stage: Stage, finance: Person) -> int:
    """The trial balance, which must balance; its total in paise."""
    book = stage.call("GET", "/finance/trial-balance", finance)
    promise(book["total_debit"] == book["total_credit"], "debits equal credits")
    return int(book["total_debit"])


def step_plan(stage: Stage, customer: Person, finance: Person) -> tuple[str, str]:
    """What happened, and the subscription's id."""
    plans = stage.call("GET", "/billing/plans")["items"]
    plan = next(p for p in plans if p["tier"] == "premium" and p["cycle"] == "monthly")
    stage.call(
        "PUT",
        f"/users/{customer.user_id}/profile",
        customer,
        json={"billing": {"name": customer.name, "state": "KA"}},
    )
    stage.call("POST", "/billing/subscriptions", customer, expect=409, json={"plan_id": plan["plan_id"]})
    stage.call(
        "POST",
        f"/users/{customer.user_id}/consents",
        customer,
        expect=(200, 201),
        json={"purpose": "research_services", "document": "mitc", "version": "current"},
    )
    checkout = stage.call(
        "POST", "/billing/subscriptions", customer, expect=201, json={"plan_id": plan["plan_id"]}
    )
    captured = pay(stage, customer, checkout)
    subscription = checkout["subscription_id"]
    stage.until(
        f"/billing/subscriptions/{subscription}",
        customer,
        lambda s: s["status"] == "active",
        "a paid subscription is active",
    )
    invoice = stage.call("GET", f"/billing/invoices/{captured['invoice_id']}", customer)
    parts = invoice["taxable"] + invoice["cgst"] + invoice["sgst"] + invoice["igst"]
    promise(parts == invoice["total"] == plan["amount"], "the GST invoice adds up to the plan's price")
    total = balanced(stage, finance)
    stage.link("subscription", f"subscription:{subscription}")
    return (
        f"invoice {invoice['number']} of {rupees(invoice['total'])}, ledger balanced at {rupees(total)}",
        subscription,
    )


def step_reconcile(stage: Stage, finance: Person, day: date) -> str:
    stage.control("razorpay/settle", date=day.isoformat())
    stage.control("razorpay/plant", kind="extra_line", date=day.isoformat(), amount=12_345)
    path = f"/finance/reconciliations/{day.isoformat()}"
    stage.call(
        "POST", "/finance/reconciliations", finance, expect=(200, 201, 202), json={"date": day.isoformat()}
    )
    seen = stage.until(path, finance, lambda r: len(r["breaks"]) == 1, "the planted break is found")
    promise(seen["matched"] >= 2, "the day's payments are matched")
    found = seen["breaks"][0]
    stage.link("reconciliation", f"reconciliation:{day.isoformat()}")
    stage.call(
        "POST",
        f"/finance/breaks/{found['break_id']}/resolve",
        finance,
        json={"resolution": "claim_gateway", "note": "a line that is not ours: claimed from the gateway"},
    )
    stage.until(
        path,
        finance,
        lambda r: all(b["status"] == "resolved" for b in r["breaks"]),
        "finance resolves the break",
    )
    balanced(stage, finance)
    return f"{seen['matched']} lines matched to the paisa; one {found['kind']} waited and was resolved"


def step_year(stage: Stage, customer: Person, finance: Person, subscription: str) -> str:
    path = f"/billing/subscriptions/{subscription}"
    before = len(stage.call("GET", "/billing/invoices", customer, params={"limit": 200})["items"])
    begun = time.monotonic()
    recovered = asyncio.run(_live_a_year(stage, customer, subscription, path))
    seconds = time.monotonic() - begun
    invoices = stage.call("GET", "/billing/invoices", customer, params={"limit": 200})["items"]
    renewals = len(invoices) - before
    promise(renewals == 12, f"a year holds twelve renewals; there were {renewals}")
    promise(len({i["number"] for i in invoices}) == len(invoices), "no invoice number is given twice")
    charged = [c["effect"]["charged"] for c in stage.journal("razorpay") if "charged" in (c["effect"] or {})]
    taken = [amount for amount in charged if amount]
    promise(len(taken) == 12, f"the gateway was charged once a renewal; it saw {len(taken)} charges")
    promise(len(charged) > len(taken), "one debit failed on the way")
    balanced(stage, finance)
    return f"12 renewals in {seconds:.1f} s; one debit failed and {recovered}"


async def _live_a_year(stage: Stage, customer: Person, subscription: str, path: str) -> str:
    """Lets the subscription's own clock run a year; the third renewal's first debit fails."""
    client = await Client.connect(stage.endpoints["temporal"], namespace=stage.endpoints["namespace"])
    skipper = TimeSkipper(client, config=TimeSkippingConfig(enabled=False))
    handle = client.get_workflow_handle(f"subscription:{subscription}")
    await skipper.fast_forward(handle, timedelta(days=70))
    seen = await asyncio.to_thread(stage.call, "GET", path, customer)
    promise(seen["status"] == "active", "two renewals pass")
    await asyncio.to_thread(stage.control, "razorpay/debit", subscription=subscription, outcome="failure")
    await skipper.fast_forward(handle, YEAR - timedelta(days=70) + timedelta(days=6))
    seen = await asyncio.to_thread(stage.call, "GET", path, customer)
    promise(seen["status"] == "active", "a failed debit recovers through dunning")
    return "recovered through dunning"
