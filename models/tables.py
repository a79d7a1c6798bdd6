"""Imports every table, so that the metadata is whole wherever it is needed at once."""

from models import (
    audit,
    education,
    finance,
    finance_disputes,
    finance_einvoices,
    finance_monitoring,
    finance_recognition,
    finance_reconciliation,
    finance_subscriptions,
    onboarding,
    platform,
    signals,
    trading,
    trading_days,
    trading_market,
    user_management,
)

__all__ = [
    "audit",
    "education",
    "finance",
    "finance_disputes",
    "finance_einvoices",
    "finance_monitoring",
    "finance_recognition",
    "finance_reconciliation",
    "finance_subscriptions",
    "onboarding",
    "platform",
    "signals",
    "trading",
    "trading_days",
    "trading_market",
    "user_management",
]
