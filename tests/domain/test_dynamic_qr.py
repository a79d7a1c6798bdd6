"""The dynamic QR holds each particular that Circular 146/02/2021 asks for, and nobody pays by it."""

from datetime import UTC, datetime
from urllib.parse import parse_qsl

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.dynamic_qr import upi_link
from domain.gst import Split, split

AT = datetime(2026, 11, 23, 18, 30, 7, 999, tzinfo=UTC)
"""Past midnight in India."""
NAME, GSTIN, UPI = "Treum & Söhne Pvt. Ltd.", "29AABCT3518Q1ZS", "treum.fees@hdfcbank"


def particulars(price: Split) -> dict[str, str]:
    scheme, _, query = upi_link(UPI, NAME, GSTIN, "TR/2627/000042", AT, price).partition("?")
    assert scheme == "upi://pay"
    return dict(parse_qsl(query, strict_parsing=True))


@pytest.mark.parametrize(
    ("intra_state", "taxes"),
    [(True, "GST:3661.02|CGST:1830.51|SGST:1830.51"), (False, "GST:3661.02|IGST:3661.02")],
)
def test_every_particular_of_the_circular_stands_in_it(intra_state: bool, taxes: str) -> None:
    assert particulars(split(24_000_00, intra_state=intra_state, rate=18)) == {
        "pa": UPI,
        "pn": NAME,
        "tr": "TR2627000042",
        "tn": "Invoice TR/2627/000042",
        "am": "24000.00",
        "cu": "INR",
        "invoiceNo": "TR/2627/000042",
        "invoiceDate": "2026-11-24T00:00:07+05:30",
        "gstIn": GSTIN,
        "gstBrkUp": taxes,
        "QRexpire": "2026-11-24T00:00:07+05:30",
    }


@given(st.integers(min_value=100, max_value=10**12), st.booleans())
def test_its_amounts_are_the_invoices_to_the_paisa(total: int, intra_state: bool) -> None:
    price = split(total, intra_state=intra_state, rate=18)
    found = particulars(price)
    taxes = dict(each.split(":") for each in found["gstBrkUp"].split("|"))
    paise = {name: int(amount.replace(".", "")) for name, amount in taxes.items()}
    assert int(found["am"].replace(".", "")) == total
    assert paise.pop("GST") == sum(paise.values()) == total - price.taxable
