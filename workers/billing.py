"""The billing pool: payments, refunds, subscriptions and reconciliation, and the gateway's queue."""

from collections.abc import Callable, Sequence
from typing import Any

from activities.billing import BillingActivities, GatewayActivities
from activities.refunds import RefundActivities, RefundGatewayActivities
from models.contracts.queues import Queue
from providers.razorpay import Razorpay
from store.invoices import Supplier
from workers.parts import Parts
from workers.pool import Pool, Served
from workflows.payments import PaymentWorkflow
from workflows.refunds import RefundWorkflow


def _books(parts: Parts) -> Sequence[Callable[..., Any]]:
    supplier = Supplier.of(parts.settings)
    payments = BillingActivities(parts.database, parts.vault, supplier, Razorpay(parts.settings))
    refunds = RefundActivities(parts.database, parts.vault, supplier)
    return [
        payments.open_payment,
        payments.advance,
        payments.verify_checkout,
        payments.void_attempt,
        payments.book_capture,
        refunds.open_refund,
        refunds.advance,
    ]


def _gateway(parts: Parts) -> Sequence[Callable[..., Any]]:
    gateway = Razorpay(parts.settings)
    payments = GatewayActivities(parts.database, parts.vault, gateway)
    refunds = RefundGatewayActivities(parts.database, gateway)
    return [
        payments.create_order,
        payments.read_order,
        payments.capture,
        refunds.send,
        refunds.find,
    ]


# Subscriptions and reconciliation add their workflows to the first queue, their own transactions to
# `_books` and their calls to the gateway to `_gateway`.
POOL = Pool(
    name="billing",
    queues=[
        Served(Queue.BILLING, workflows=[PaymentWorkflow, RefundWorkflow], activities=_books),
        Served(Queue.RAZORPAY, activities=_gateway),
    ],
)
