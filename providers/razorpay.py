"""Razorpay through its official client, with every failure put into the closed set of `domain.errors`.

The client reads a refusal's code and text only and ignores the HTTP status; with its retry on it re-sends a
POST whose answer was lost. So its retry stays off, and the session below judges each answer before it does.
Methods block: call them in a thread.
"""

from collections.abc import Callable
from datetime import datetime
from typing import Any, TypeVar

import razorpay
import requests
from pydantic import ValidationError
from razorpay.errors import SignatureVerificationError
from urllib3.exceptions import ConnectTimeoutError, NewConnectionError

from domain.errors import RateLimited, Rejected, Unavailable, Unknown
from models.messages.billing import ConfirmCheckout, GatewayPayment, GatewayRefund
from models.settings import Settings
from providers.transport import TracedSession

T = TypeVar("T")

CONNECT_SECONDS, READ_SECONDS = 2.0, 7.0
LIST_PAGE = 100
REFUND_KEY = "X-Refund-Idempotency"


class GatewaySession(TracedSession):
    """Answers only what succeeded.

    Raises (on any call):
        Rejected: refused for good; `detail` is the gateway's own reason or code.
        RateLimited: 429; nothing happened.
        Unavailable: nothing happened: no connection was made, or our key was not accepted (it is being
            rotated), which says nothing about what was asked.
        Unknown: it left, and no clear answer came back.
    """

    def send(self, request: requests.PreparedRequest, **kwargs: Any) -> requests.Response:
        try:
            response = super().send(request, **kwargs)
        except requests.ConnectTimeout:
            raise Unavailable("gateway_unavailable") from None
        except requests.ConnectionError as error:
            cause = getattr(error.args[0], "reason", None) if error.args else None
            if isinstance(cause, NewConnectionError | ConnectTimeoutError):
                raise Unavailable("gateway_unavailable") from None
            raise Unknown("gateway_unknown") from None
        except requests.RequestException:
            raise Unknown("gateway_unknown") from None
        if response.ok:
            return response
        raise _refusal(response)


def _refusal(response: requests.Response) -> Exception:
    if response.status_code == 429:
        pause = response.headers.get("Retry-After", "")
        return RateLimited(float(pause) if pause.isdigit() else 1.0)
    if response.status_code in (408, 409) or response.status_code >= 500:
        # 409: another call under the same idempotency key is in progress.
        return Unknown("gateway_unknown")
    if response.status_code in (401, 403):
        return Unavailable("gateway_unauthorised")
    try:
        error = response.json()["error"]
        reason = error.get("reason")
        detail = reason if reason and reason != "NA" else error.get("code")
    except (ValueError, KeyError, TypeError, AttributeError):
        detail = None
    return Rejected("gateway_refused", str(detail or f"http_{response.status_code}"))


class Razorpay:
    """The gateway account of the settings. Amounts in paise.

    Reads answer or raise Unavailable or RateLimited: no refusal of a read says anything about the money, and
    the process that asks must outlive it. Calls that the gateway dedupes raise Unavailable where no answer
    came, `capture` and `refund` Unknown; both raise Rejected and RateLimited too.
    """

    def __init__(self, settings: Settings) -> None:
        self.key_id = settings.razorpay_key_id
        self._client = razorpay.Client(
            session=GatewaySession(),
            auth=(self.key_id, settings.razorpay_key_secret.get_secret_value()),
            base_url=settings.razorpay_base,
        )
        self._client.enable_retry(False)

    def find_order(self, receipt: str) -> str | None:
        """Id of the oldest order under our receipt."""
        orders = _read(lambda: self._client.order.all({"receipt": receipt}, **_options()))
        found = [order["id"] for order in orders["items"] if order.get("receipt") == receipt]
        return found[-1] if found else None

    def create_order(
        self,
        receipt: str,
        amount: int,
        currency: str,
        *,
        reference_id: str,
        customer_id: str | None = None,
        mandate_max: int | None = None,
    ) -> str:
        """Makes an order, captured by us and not by itself. Its answer lost: Unavailable, search first."""
        order: dict[str, Any] = {"amount": amount, "currency": currency, "receipt": receipt}
        order["payment"] = {"capture": "manual"}
        order["notes"] = {"reference_id": reference_id}
        if customer_id and mandate_max:
            order["customer_id"] = customer_id
            order["token"] = {"max_amount": mandate_max, "frequency": "as_presented"}
        return str(_repeatable(lambda: self._client.order.create(order, **_options()))["id"])

    def customer(self, email: str, contact: str, user_id: str) -> str:
        """The gateway's customer for this mail and phone, made or found: safe to repeat."""
        asked = {"email": email, "contact": contact, "fail_existing": "0", "notes": {"user_id": user_id}}
        return str(_repeatable(lambda: self._client.customer.create(asked, **_options()))["id"])

    def payments_of(self, order_id: str) -> list[GatewayPayment]:
        """Every payment tried on an order, newest first."""
        return _read(
            lambda: [_payment(item) for item in self._client.order.payments(order_id, **_options())["items"]]
        )

    def capture(self, payment_id: str, amount: int, currency: str) -> GatewayPayment:
        """Irreversible; the gateway refuses a second capture and any other amount than the authorised."""
        answer = self._client.payment.capture(payment_id, amount, {"currency": currency}, **_options())
        return _payment(answer)

    def refund(self, payment_id: str, refund_id: str, amount: int, speed: str) -> GatewayRefund:
        """Irreversible; our refund's id is receipt and idempotency key, so a repeat is the same refund."""
        asked = {"amount": amount, "speed": speed, "receipt": refund_id}
        options = _options()
        options["headers"][REFUND_KEY] = refund_id
        return _refund(self._client.payment.refund(payment_id, asked, **options))

    def find_refund(self, payment_id: str, refund_id: str) -> GatewayRefund | None:
        """Our refund among the payment's, by the receipt that we sent."""
        return _read(lambda: self._find_refund(payment_id, refund_id))

    def _find_refund(self, payment_id: str, refund_id: str) -> GatewayRefund | None:
        skip = 0
        while True:
            asked = {"count": LIST_PAGE, "skip": skip}
            items = self._client.payment.fetch_multiple_refund(payment_id, asked, **_options())["items"]
            found = [item for item in items if item.get("receipt") == refund_id]
            if found or len(items) < LIST_PAGE:
                return _refund(found[0]) if found else None
            skip += len(items)

    def checkout_signed(self, order_id: str, callback: ConfirmCheckout) -> bool:
        """Whether the gateway signed the callback for *this* order (``order_id|payment_id``, API secret)."""
        if callback.razorpay_order_id != order_id:
            return False
        try:
            return bool(self._client.utility.verify_payment_signature(callback.model_dump()))
        except (SignatureVerificationError, TypeError):
            # compare_digest raises TypeError for a signature that is not ASCII.
            return False


def _options(as_of: datetime | None = None) -> dict[str, Any]:
    headers = {"X-Sandbox-Now": as_of.isoformat()} if as_of else {}
    return {"timeout": (CONNECT_SECONDS, READ_SECONDS), "headers": headers}


def _repeatable(call: Any) -> dict[str, Any]:
    try:
        return dict(call())
    except Unknown as error:
        raise Unavailable(error.code) from None


def _read(ask: Callable[[], T]) -> T:
    """What a read gives; anything but an answer, a malformed one too, is to be asked again."""
    try:
        return ask()
    except (Unknown, Rejected) as error:
        raise Unavailable(error.code) from None


def _payment(item: dict[str, Any]) -> GatewayPayment:
    try:
        return GatewayPayment.model_validate(item)
    except ValidationError:
        raise Unknown("gateway_answer_malformed") from None


def _refund(item: dict[str, Any]) -> GatewayRefund:
    acquirer = item.get("acquirer_data")
    arn = acquirer.get("arn") if isinstance(acquirer, dict) else None
    try:
        return GatewayRefund.model_validate({**item, "arn": arn})
    except ValidationError:
        raise Unknown("gateway_answer_malformed") from None
