"""Recurring debits and the settlement report at Razorpay, judged by the caller's own time."""

from datetime import UTC, date, datetime, timedelta
from typing import Any

from domain.billing_calendar import ist_midnight
from domain.errors import Unknown
from models.messages.billing import GatewayPayment
from providers.razorpay import Razorpay, _options, _payment, _read, _repeatable

REPORT_PAGE = 1000
"""Most lines of the combined recon report in one call (Razorpay)."""

SETTLEMENTS_PAGE = 100
"""More settlements than one day has."""


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

    def debits_of(self, order_id: str, as_of: datetime) -> list[GatewayPayment]:
        """Every payment tried on an order, newest first."""
        asked = _options(as_of)
        return _read(
            lambda: [_payment(item) for item in self._client.order.payments(order_id, **asked)["items"]]
        )

    def report(self, day: date, skip: int) -> list[dict[str, Any]]:
        """Lines of the combined recon report of an Indian settlement date, from line `skip` on."""
        asked = {"year": day.year, "month": f"{day.month:02d}", "day": f"{day.day:02d}"}
        page = {**asked, "count": REPORT_PAGE, "skip": skip}
        return list(_read(lambda: self._client.settlement.report(page, **_options()))["items"])

    def last_settlement(self, day: date) -> datetime | None:
        """When the last settlement of an Indian day was made; None where there was none."""
        first = ist_midnight(day)
        last = first + timedelta(days=1)
        asked = {"from": int(first.timestamp()), "to": int(last.timestamp()) - 1, "count": SETTLEMENTS_PAGE}
        items = _read(lambda: self._client.settlement.all(asked, **_options()))["items"]
        made = [datetime.fromtimestamp(item["created_at"], UTC) for item in items]
        # The gateway tells whole seconds: what was captured within the last one may be in it.
        return max(made) + timedelta(seconds=1) if made else None
