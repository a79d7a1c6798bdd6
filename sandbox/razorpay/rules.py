"""What an account agreement or an unpublished limit decides: settings, with the reason for each default."""

import os
from dataclasses import dataclass
from datetime import timedelta

MIN_AMOUNT_PAISE = 100
MAX_RECEIPT = 40
MAX_NOTES = 15
MAX_NOTE = 256
REFUNDABLE_MONTHS = 6
# Authorised money that nobody captures goes back by itself after three days.
UNCAPTURED_LIFE = timedelta(days=3)
# RBI e-mandate framework of 21 April 2026: above this the customer approves each debit.
UNATTENDED_LIMIT_PAISE = 15_000_00
# The link by which the customer approves lives this long.
APPROVAL_LIFE = timedelta(hours=72)
# A debit may follow its notice after this long (Razorpay: cards, UPI). Bank mandates: RBI's 24 hours.
NOTICE_LEAD = {
    "card": timedelta(hours=36, minutes=5),
    "upi": timedelta(hours=25),
    "emandate": timedelta(hours=24),
}
WEBHOOK_TIMEOUT_SECONDS = 5.0
WEBHOOK_LIFE_SECONDS = 24 * 3600.0


@dataclass(frozen=True)
class Rules:
    """Settings of one gateway account, from `TREUM_SANDBOX_RAZORPAY_*`.

    Attributes:
        fee_basis_points: fee on a captured payment; Razorpay's list price is 2%.
        gst_basis_points: GST on that fee.
        unique_receipts: the documentation says a receipt "has to be unique" and the gateway is known
            to accept repeats, so refusing them is off unless asked for.
        retry_seconds: first wait of the webhook retries, doubled each time; Razorpay publishes no numbers.
    """

    fee_basis_points: int = 200
    gst_basis_points: int = 1800
    unique_receipts: bool = False
    retry_seconds: float = 1.0

    @classmethod
    def from_environment(cls) -> "Rules":
        """Defaults, overridden where a variable is given."""

        def read(name: str, default: str) -> str:
            return os.environ.get(f"TREUM_SANDBOX_RAZORPAY_{name}", "") or default

        return cls(
            fee_basis_points=int(read("FEE_BASIS_POINTS", "200")),
            gst_basis_points=int(read("GST_BASIS_POINTS", "1800")),
            unique_receipts=read("UNIQUE_RECEIPTS", "0") == "1",
            retry_seconds=float(read("RETRY_SECONDS", "1")),
        )

    def fee_and_tax(self, amount: int) -> tuple[int, int]:
        """Fee (tax included) and the tax in it, in paise, each rounded half up."""
        base = (amount * self.fee_basis_points + 5_000) // 10_000
        tax = (base * self.gst_basis_points + 5_000) // 10_000
        return base + tax, tax
