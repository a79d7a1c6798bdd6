"""The billing pool: payments, refunds, subscriptions and reconciliation, and the gateway's queue."""

from collections.abc import Callable, Sequence
from typing import Any

from activities.billing import BillingActivities, GatewayActivities
from activities.refunds import RefundActivities, RefundGatewayActivities
from activities.subscriptions import SubscriptionActivities
from models.contracts.queues import Queue
from providers.razorpay import Razorpay
from providers.razorpay_mandates import RazorpayMandates
from store.invoices import Supplier
from workers.parts import Parts
from workers.pool import Pool, Served
from workflows.payments import PaymentWorkflow
from workflows.refunds import RefundWorkflow
from workflows.subscriptions import Subscription


def _books(parts: Parts) -> Sequence[Callable[..., Any]]:
    supplier = Supplier.of(parts.settings)
    payments = BillingActivities(parts.database, parts.vault, supplier, Razorpay(parts.settings))
    refunds = RefundActivities(parts.database, parts.vault, supplier)
    renewals = _subscriptions(parts)
    return [
        payments.open_payment,
        payments.advance,
        payments.verify_checkout,
        payments.void_attempt,
        payments.book_capture,
        refunds.open_refund,
        refunds.advance,
        renewals.open,
        renewals.plan,
        renewals.save,
        renewals.begin,
        renewals.withdraw,
        renewals.renew,
        renewals.miss,
    ]


def _gateway(parts: Parts) -> Sequence[Callable[..., Any]]:
    gateway = Razorpay(parts.settings)
    payments = GatewayActivities(parts.database, parts.vault, gateway)
    refunds = RefundGatewayActivities(parts.database, gateway)
    renewals = _subscriptions(parts)
    return [
        payments.create_order,
        payments.read_order,
        payments.capture,
        refunds.send,
        refunds.find,
        renewals.notify,
        renewals.debit,
        renewals.look,
    ]


def _subscriptions(parts: Parts) -> SubscriptionActivities:
    gateway = RazorpayMandates(parts.settings)
    return SubscriptionActivities(parts.database, parts.vault, gateway, Supplier.of(parts.settings))


POOL = Pool(
    name="billing",
    queues=[
        Served(Queue.BILLING, workflows=[PaymentWorkflow, RefundWorkflow, Subscription], activities=_books),
        Served(Queue.RAZORPAY, activities=_gateway),
    ],
)
