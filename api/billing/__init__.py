"""The billing column's routes. Subscriptions and reconciliation have their own files and are added here."""

from fastapi import APIRouter

from api.billing import disputes, finance, invoices, payments, reconciliation, refunds, subscriptions, webhooks

router = APIRouter()
for part in (payments, subscriptions, refunds, invoices, webhooks, reconciliation, disputes, finance):
    # In the order in which paths are matched.
    router.include_router(part.router)
