"""Time-based one-time passwords (RFC 6238): 30-second steps, one step of drift, each code used once."""

import hmac
import secrets
from datetime import datetime

import pyotp

STEP_SECONDS = 30
DRIFT_STEPS = 1


def counter_of(secret: str, code: str, now: datetime) -> int | None:
    """The step whose code this is, within the drift; None for a wrong code. All steps are compared."""
    current = int(now.timestamp()) // STEP_SECONDS
    totp = pyotp.TOTP(secret)
    found = None
    for step in range(current - DRIFT_STEPS, current + DRIFT_STEPS + 1):
        if hmac.compare_digest(totp.generate_otp(step).encode(), code.encode()):
            found = step
    return found


def recovery_codes(count: int = 10) -> list[str]:
    """Fresh codes of 60 random bits, in groups to be copied by hand."""
    alphabet = "ABCDEFGHJKLMNPQRSTUVWXYZ23456789"
    return [
        "-".join("".join(secrets.choice(alphabet) for _ in range(4)) for _ in range(3)) for _ in range(count)
    ]
