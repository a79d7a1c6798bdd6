"""Settings refuse what must not be."""

from datetime import date

import pytest
from pydantic import ValidationError

from models.settings import Settings

REAL = {
    "razorpay_url": "https://api.razorpay.com",
    "kite_url": "https://api.kite.trade",
    "irp_url": "https://einv-apisandbox.nic.in",
}


@pytest.mark.parametrize("name", ["razorpay_url", "kite_url", "irp_url"])
@pytest.mark.parametrize(
    "address", ["", "http://127.0.0.1:8010/razorpay", "http://localhost:1", "http://[::1]:1"]
)
def test_production_refuses_the_sandbox(name: str, address: str) -> None:
    with pytest.raises(ValidationError, match="own address in production"):
        Settings(env="production", **REAL | {name: address})


def test_production_takes_the_providers() -> None:
    assert Settings(env="production", **REAL).kite_base == "https://api.kite.trade"


def test_a_key_ring_keeps_its_order_and_refuses_a_short_key() -> None:
    config = Settings()
    ring = config.ring(["new:" + "A" * 43 + "=", "old:" + "B" * 43 + "="])
    assert list(ring) == ["new", "old"]
    with pytest.raises(ValueError, match="32 bytes"):
        config.ring(["k1:QUJD"])


def test_the_days_of_annual_returns_are_read_or_refused() -> None:
    config = Settings(annual_returns=["2025:2026-10-15", "2026:2027-12-31"])
    assert config.filed_annual_returns == {2025: date(2026, 10, 15), 2026: date(2027, 12, 31)}
    with pytest.raises(ValueError, match="isoformat"):
        _ = Settings(annual_returns=["2025"]).filed_annual_returns
