"""What the process of a returned refund is given."""

from pydantic import BaseModel


class ReturnedInput(BaseModel):
    """Starts `ReturnedRefund`."""

    refund_id: str
    payment_id: str
    gateway_payment_id: str
    assertion_key: str
    """Public key, PEM in base 64, that staff assertions are checked against."""
