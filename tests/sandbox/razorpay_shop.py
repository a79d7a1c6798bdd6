"""What the Razorpay tests share: the official client, a paid order, received events."""

import json
from typing import Any

import razorpay

from tests.sandbox.conftest import Sandbox
from tests.sandbox.receiver import Received, Receiver


class Shop:
    """A merchant with the official client, and the customer through the control interface."""

    def __init__(self, sandbox: Sandbox) -> None:
        keys = sandbox.credentials["razorpay"]
        self.sandbox = sandbox
        self.secret = keys["webhook_secret"]
        auth = (keys["key_id"], keys["key_secret"])
        self.client = razorpay.Client(auth=auth, base_url=f"{sandbox.base_url}/razorpay")

    def at(self, moment: str) -> dict[str, Any]:
        """Options of a client call that judge it at a time."""
        return {"headers": {"X-Sandbox-Now": moment}}

    def order(self, amount: int = 118_000, **fields: Any) -> dict[str, Any]:
        """A new order."""
        options = fields.pop("options", {})
        return self.client.order.create({"amount": amount, "currency": "INR", **fields}, **options)

    def play(self, name: str, **fields: Any) -> dict[str, Any]:
        """A control call below `/_control/razorpay/`."""
        return self.sandbox.control("POST", f"/razorpay/{name}", fields)

    def paid(self, amount: int = 118_000, now: str | None = None, **fields: Any) -> dict[str, Any]:
        """The payment of a new order, captured automatically."""
        options = self.at(now) if now else {}
        order = self.order(amount, payment_capture=True, options=options, **fields)
        done = self.play("checkout", order_id=order["id"], outcome="success", **({"now": now} if now else {}))
        return self.client.payment.fetch(done["razorpay_payment_id"], **options)

    def mandate(self, now: str, method: str = "upi", **terms: Any) -> dict[str, Any]:
        """A confirmed token of a new customer; answers `{customer_id, token_id}`."""
        customer = self.client.customer.create({"name": "Asha Rao", "contact": self.sandbox_contact()})
        token = {"max_amount": 5_000_000, "expire_at": 2_000_000_000, "frequency": "monthly"} | terms
        payment = self.paid(100, now, customer_id=customer["id"], method=method, token=token)
        return {"customer_id": customer["id"], "token_id": payment["token_id"]}

    def sandbox_contact(self) -> str:
        """A phone number that no customer of this world has yet."""
        count = self.client.customer.all({"count": 100})["count"]
        return f"+9190000{count:05d}"

    def noticed(self, held: dict[str, Any], amount: int, now: str, **notice: Any) -> dict[str, Any]:
        """An order whose pre-debit notice goes out at a time."""
        notification = {"token_id": held["token_id"], **notice}
        return self.order(amount, payment_capture=True, notification=notification, options=self.at(now))

    def debit(self, held: dict[str, Any], order: dict[str, Any], now: str) -> dict[str, Any]:
        """A recurring debit at a time; answers the payment as it then stands."""
        body = {
            "email": "asha@example.com",
            "contact": "+919000000001",
            "amount": order["amount"],
            "currency": "INR",
            "order_id": order["id"],
            "customer_id": held["customer_id"],
            "token": held["token_id"],
            "recurring": True,
        }
        done = self.client.payment.createRecurring(body, **self.at(now))
        self.client.utility.verify_payment_signature(done)
        return self.client.payment.fetch(done["razorpay_payment_id"], **self.at(now))

    def plan(self, **fields: Any) -> dict[str, Any]:
        """A monthly plan of ₹999."""
        item = {"name": "Premium", "amount": 99_900, "currency": "INR"}
        return self.client.plan.create({"period": "monthly", "interval": 1, "item": item, **fields})


def event_of(received: Received) -> dict[str, Any]:
    """The document of a webhook."""
    return json.loads(received.body)


def events(hooks: Receiver, *names: str) -> list[dict[str, Any]]:
    """The documents received once every one of these events is there."""
    items = hooks.wait(lambda all_: set(names) <= {event_of(one)["event"] for one in all_})
    return [event_of(one) for one in items]
