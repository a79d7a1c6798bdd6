"""The billing column's routes. Subscriptions and reconciliation have their own files and are added here."""

from fastapi import APIRouter

from api.billing import (
    disputes,
    finance,
    gst,
    invoices,
    ledger,
    monitoring,
    payments,
    periods,
    reconciliation,
    refunds,
    series,
    subscriptions,
    vouchers,
    webhooks,
)

router = APIRouter()
# In the order in which paths are matched.
PARTS = (
    *(payments, subscriptions, refunds, invoices, webhooks, reconciliation, disputes, finance, ledger, gst),
    *(periods, vouchers, monitoring, series),
)
for part in PARTS:
    router.include_router(part.router)
