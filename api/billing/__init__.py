"""The billing column's routes. Subscriptions and reconciliation have their own files and are added here."""

from fastapi import APIRouter

from api.billing import finance, invoices, payments, refunds, subscriptions, webhooks

ROUTERS: list[APIRouter] = [
    payments.router,
    subscriptions.router,
    refunds.router,
    invoices.router,
    webhooks.router,
    finance.router,
]
"""In the order in which paths are matched."""
