"""Recurring debits at Razorpay, judged by the caller's own time."""

from datetime import datetime
from typing import Any

from domain.errors import Rejected, Unknown
from models.messages.billing import GatewayPayment
from providers.razorpay import Razorpay, _options, _payment, _read, _repeatable


class RazorpayMandates(Razorpay):
    """What `Razorpay` does, and debits under a mandate. `as_of` is the business time of the entity."""

    def announce(
        self,
        receipt: str,
        amount: int,
        currency: str,
        *,
        customer_id: str,
        token_id: str,
        due_at: datetime,
        as_of: datetime,
    ) -> str:
        """The order of a coming debit with its pre-debit notice, made or found by our receipt."""
        found = self.order_of(receipt, as_of)
        if found:
            return found
        order: dict[str, Any] = {
            "amount": amount,
            "currency": currency,
            "receipt": receipt,
            "customer_id": customer_id,
            "payment": {"capture": "automatic"},
            "notification": {"token_id": token_id, "payment_after": int(due_at.timestamp())},
            "notes": {"payment_id": receipt},
        }
        return str(_repeatable(lambda: self._client.order.create(order, **_options(as_of)))["id"])

    def order_of(self, receipt: str, as_of: datetime) -> str | None:
        """Id of the oldest order under our receipt."""
        orders = _read(lambda: self._client.order.all({"receipt": receipt}, **_options(as_of)))
        found = [order["id"] for order in orders["items"] if order.get("receipt") == receipt]
        return found[-1] if found else None

    def debit(
        self,
        payment_id: str,
        amount: int,
        currency: str,
        *,
        order_id: str,
        customer_id: str,
        token_id: str,
        email: str,
        contact: str,
        as_of: datetime,
    ) -> str:
        """Irreversible: asks the bank for the money of an announced order. The gateway's payment id."""
        asked = {
            "email": email,
            "contact": contact,
            "amount": amount,
            "currency": currency,
            "order_id": order_id,
            "customer_id": customer_id,
            "token": token_id,
            "recurring": "1",
            "notes": {"payment_id": payment_id},
        }
        answer = self._client.payment.createRecurring(asked, **_options(as_of))
        try:
            return str(answer["razorpay_payment_id"])
        except (KeyError, TypeError):
            raise Unknown("gateway_answer_malformed") from None

    def end_mandate(self, customer_id: str, token_id: str, *, as_of: datetime) -> None:
        """Ends a mandate at the gateway and the bank; one that is ended or unknown there needs nothing."""
        try:
            _repeatable(lambda: self._client.token.cancel(customer_id, token_id, **_options(as_of)))
        except Rejected:
            return

    def debits_of(self, order_id: str, as_of: datetime) -> list[GatewayPayment]:
        """Every payment tried on an order, newest first."""
        asked = _options(as_of)
        return _read(
            lambda: [_payment(item) for item in self._client.order.payments(order_id, **asked)["items"]]
        )
