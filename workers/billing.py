"""The billing pool: payments, refunds, subscriptions and reconciliation, and the gateway's queue."""

from collections.abc import Callable, Sequence
from typing import Any

from activities.billing import BillingActivities, GatewayActivities
from activities.closing import ClosingActivities
from activities.debits import DebitActivities
from activities.disputes import DisputeActivities, DisputeGatewayActivities
from activities.einvoices import EInvoiceActivities
from activities.recognition import RecognitionActivities
from activities.reconciliation import ReconciliationActivities
from activities.refunds import RefundActivities, RefundGatewayActivities
from activities.subscriptions import SubscriptionActivities
from activities.vouchers import VoucherActivities
from models.contracts.queues import Queue
from providers.irp import HttpIrp
from providers.razorpay import Razorpay
from providers.razorpay_disputes import RazorpayDisputes
from providers.razorpay_mandates import RazorpayMandates
from providers.razorpay_reports import RazorpayReports
from store.invoices import Supplier
from workers.parts import Parts
from workers.pool import Pool, Served
from workflows.closing import PeriodClose
from workflows.dispute_watch import DisputeWatch
from workflows.disputes import DisputeWorkflow
from workflows.einvoices import EInvoice
from workflows.late_payments import LatePaymentWorkflow
from workflows.payments import PaymentWorkflow
from workflows.recognition import DailyRevenue, RevenueRecognition
from workflows.reconciliation import DailyReconciliation, Reconciliation, ReconciliationBreak
from workflows.refunds import RefundWorkflow
from workflows.returned_refunds import ReturnedRefundWorkflow
from workflows.subscriptions import Subscription
from workflows.vouchers import Voucher


def _books(parts: Parts) -> Sequence[Callable[..., Any]]:
    supplier = Supplier.of(parts.settings)
    payments = BillingActivities(parts.database, parts.vault, supplier, Razorpay(parts.settings))
    refunds = RefundActivities(parts.database, parts.vault, supplier)
    disputes = DisputeActivities(parts.database)
    subscriptions = SubscriptionActivities(parts.database, parts.vault, supplier)
    debits, days = _debits(parts), _reconciliation(parts)
    return [
        payments.open_payment,
        payments.advance,
        payments.escalate_review,
        payments.verify_checkout,
        payments.forestall,
        payments.void_attempt,
        payments.book_capture,
        refunds.open_refund,
        refunds.advance,
        disputes.take,
        disputes.approve,
        subscriptions.open,
        subscriptions.quote,
        subscriptions.save,
        subscriptions.begin,
        subscriptions.renew,
        subscriptions.miss,
        subscriptions.tell,
        debits.withdraw,
        debits.unsure,
        days.begin,
        days.compare,
        days.tell,
        days.decide,
        _einvoices(parts).reissue,
    ]


def _checkouts(parts: Parts) -> Sequence[Callable[..., Any]]:
    """Calls to the gateway that a customer waits for, a glance at a debit too: on the processes' own queue
    the server hands them over with the task that asked for them (eager start), which saves a poll each."""
    gateway = Razorpay(parts.settings)
    payments = GatewayActivities(parts.database, parts.vault, gateway)
    refunds = RefundGatewayActivities(parts.database, gateway)
    return [
        payments.create_order,
        payments.read_order,
        payments.capture,
        refunds.send,
        refunds.find,
        _debits(parts).look,
    ]


def _gateway(parts: Parts) -> Sequence[Callable[..., Any]]:
    """Calls that nobody waits for: a night of renewals or a report of a million lines keeps no checkout
    waiting."""
    debits, days = _debits(parts), _reconciliation(parts)
    disputes = DisputeGatewayActivities(parts.database, RazorpayDisputes(parts.settings))
    portal = _einvoices(parts)
    return [
        disputes.read,
        disputes.accept,
        disputes.untold,
        debits.notify,
        debits.debit,
        debits.look,
        debits.late,
        debits.end_mandate,
        days.read,
        portal.register,
        portal.cancel,
    ]


def _debits(parts: Parts) -> DebitActivities:
    return DebitActivities(parts.database, parts.vault, RazorpayMandates(parts.settings))


def _einvoices(parts: Parts) -> EInvoiceActivities:
    portal = HttpIrp(parts.http, parts.settings)
    return EInvoiceActivities(parts.database, parts.vault, Supplier.of(parts.settings), portal)


def _reconciliation(parts: Parts) -> ReconciliationActivities:
    gateway = RazorpayReports(parts.settings)
    return ReconciliationActivities(parts.database, gateway, parts.settings.settlement_lag_days)


def _months(parts: Parts) -> Sequence[Callable[..., Any]]:
    """What a day has earned and the close of a month, which may take minutes; what people post by hand."""
    vouchers = VoucherActivities(parts.database)
    return [
        RecognitionActivities(parts.database).recognise,
        ClosingActivities(parts.database).close,
        vouchers.take,
        vouchers.decide,
    ]


WORKFLOWS = [
    PaymentWorkflow,
    LatePaymentWorkflow,
    RefundWorkflow,
    ReturnedRefundWorkflow,
    DisputeWorkflow,
    DisputeWatch,
    Subscription,
    EInvoice,
    Reconciliation,
    ReconciliationBreak,
    DailyReconciliation,
    RevenueRecognition,
    DailyRevenue,
    PeriodClose,
    Voucher,
]

POOL = Pool(
    name="billing",
    queues=[
        Served(
            Queue.BILLING,
            workflows=WORKFLOWS,
            activities=lambda parts: [*_books(parts), *_checkouts(parts), *_months(parts)],
        ),
        Served(Queue.RAZORPAY, activities=_gateway),
    ],
)
