"""Task queues: one for each worker pool, and one for each provider whose pace is limited."""

from enum import StrEnum


class Queue(StrEnum):
    ONBOARDING = "onboarding"
    BILLING = "billing"
    EDUCATION = "education"
    SIGNALS = "signals"
    TRADING = "trading"
    RAZORPAY = "razorpay"
    """Calls to the payment gateway and the e-invoice portal; served by the billing pool."""
    KITE = "kite"
    """Calls to the broker; served by the trading pool."""
    KYC = "kyc"
    """Paid identity checks; served by the onboarding pool."""
