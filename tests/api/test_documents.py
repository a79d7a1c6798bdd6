"""Documents as they are printed: every particular of CGST Rules 46 and 53, read back from the PDF itself."""

from datetime import UTC, date, datetime
from typing import Any

import pytest

from api.billing.documents import render
from domain.dynamic_qr import upi_link
from domain.gst import DocumentKind, split
from store.invoices import Recipient
from tests.api.printed import Printed, code, read

LINK = "https://api.treum.in/v1/invoices/inv_01a2084a07587ebc98c3555e53a6a1c0/verify?code=Q2hlY2s"
AT = datetime(2026, 11, 23, 5, 35, 7, tzinfo=UTC)
UPI = "treum.fees@hdfcbank"
IRN = "35054cc24d97033afc24f49ec4444dbab81f542c555f9d30359dc75794e06bbe"
SUPPLIER = {
    "name": "Treum Technologies Private Limited", "gstin": "29AABCT3518Q1ZS", "state": "KA",
    "address": "Registered office, MG Road, Bengaluru 560001", "place": "Bengaluru", "pincode": "560001",
}  # fmt: skip
ADDRESS = {"line1": "1 Marine Drive", "city": "Mumbai", "state": "Maharashtra", "pincode": "400020"}
BILLED = Recipient("Verma & Co", ADDRESS)
OF_THE_SUPPLIER = (
    *("Treum Technologies Private Limited", "Registered office, MG Road, Bengaluru 560001"),
    *("29 - Karnataka, India", "GSTIN 29AABCT3518Q1ZS"),
)
OF_THE_BUYER = ("Verma & Co", "1 Marine Drive", "Mumbai 400020", "27 - Maharashtra, India")
SIGNED = ("For Treum Technologies Private Limited",)


def row(kind: DocumentKind = DocumentKind.INVOICE, *, place: str = "MH", **given: Any) -> dict[str, Any]:
    """As `store.invoices.find` gives it."""
    taxed = kind is not DocumentKind.FINANCIAL_CREDIT_NOTE
    price = split(60_000_00, intra_state=place == "KA", rate=18 if taxed else 0)
    note = kind is not DocumentKind.INVOICE
    values = {
        "kind": kind.value,
        "status": "issued",
        "number": "CN/2627/000007" if note else "TR/2627/000042",
        "issued_on": date(2026, 11, 23),
        "tax_point": AT,
        "supplier": SUPPLIER,
        "buyer_gstin": None,
        "place_of_supply": place,
        "description": "Options from first principles",
        "sac": "999293",
        "rate": 18 if taxed else 0,
        **price.model_dump(),
        "total": price.total,
        "payment_id": "pay_01a2084a07587ebc98c3555e53a6a1c0",
        "original_number": "TR/2627/000001" if note else None,
        "original_issued_on": date(2026, 4, 1) if note else None,
        **dict.fromkeys(("irn", "ack_no", "ack_at", "signed_qr")),
    }
    return {**values, **given}


def printed(invoice: dict[str, Any], billed: Recipient = BILLED) -> Printed:
    return read(render(invoice, billed, LINK, None))


def missing(found: Printed, *particulars: str) -> list[str]:
    return [each for each in particulars if each not in found.words]


RULE_46 = {
    "a": OF_THE_SUPPLIER,
    "b": ("Tax Invoice", "Invoice no. TR/2627/000042"),
    "c": ("Date of issue 23 Nov 2026",),
    "e": OF_THE_BUYER,
    "g": ("SAC", "999293"),
    "h": ("Options from first principles",),
    "j": ("Total paid ₹ 60,000.00", "Rupees Sixty Thousand Only"),
    "k": ("Taxable value 50,847.46",),
    "l, m": ("IGST 18% 9,152.54",),
    "n": ("Place of supply 27 - Maharashtra",),
    "p": ("Tax on reverse charge No",),
    "q": SIGNED,
}
"""By clause; (d) and (r) are those of a registered buyer, (i) and (o) of goods, (f) of below ₹50,000."""


@pytest.fixture(scope="module")
def invoice() -> Printed:
    return printed(row())


@pytest.mark.parametrize("clause", RULE_46)
def test_an_invoice_has_each_particular_of_rule_46(invoice: Printed, clause: str) -> None:
    assert missing(invoice, *RULE_46[clause]) == []


def test_an_invoice_carries_the_code_of_its_link_and_no_other(invoice: Printed) -> None:
    assert invoice.codes == [code(LINK, "m")]
    assert LINK in invoice.unspaced
    assert missing(invoice, "Unregistered recipient", "pay_01a2084a07587ebc98c3555e53a6a1c0") == []


def test_in_the_suppliers_state_the_tax_is_in_halves_and_a_small_sale_names_the_state_alone() -> None:
    """Rule 46(l), (m) and (f)."""
    found = printed(row(place="KA"), Recipient("Asha Verma", None))
    assert missing(found, "CGST 9% 4,576.27", "SGST 9% 4,576.27", "Asha Verma 29 - Karnataka, India") == []
    assert "IGST" not in found.words


def test_a_registered_buyers_has_gstin_irn_and_the_portals_code() -> None:
    """Rule 46(d) and (r)."""
    signed = "eyJhbGciOiJSUzI1NiJ9." + "eyJkYXRhIjoiSVJOIn0" * 20 + ".c2lnbmF0dXJl"
    registered = {"irn": IRN, "ack_no": "112010036563310", "ack_at": AT, "signed_qr": signed}
    found = printed(row(buyer_gstin="27AAPFU0939F1ZV", **registered))
    assert (
        missing(found, *OF_THE_BUYER, "GSTIN 27AAPFU0939F1ZV", "112010036563310", "23 Nov 2026, 11:05 IST")
        == []
    )
    assert IRN in found.unspaced
    assert found.codes == [code(signed, "l"), code(LINK, "m")]


RULE_53 = {
    "a": OF_THE_SUPPLIER,
    "c": ("Credit note no. CN/2627/000007",),
    "d": ("Date of issue 23 Nov 2026",),
    "e, f": (*OF_THE_BUYER, "Credited to", "Place of supply 27 - Maharashtra"),
    "g": ("Against invoice TR/2627/000001", "Invoice date 01 Apr 2026"),
    "i": SIGNED,
}
"""Of (1A); (b) and (h) differ by kind."""


@pytest.fixture(scope="module", params=["credit_note", "financial_credit_note"])
def note(request: pytest.FixtureRequest) -> tuple[DocumentKind, Printed]:
    kind = DocumentKind(request.param)
    return kind, printed(row(kind))


@pytest.mark.parametrize("clause", RULE_53)
def test_a_note_has_each_particular_of_rule_53(note: tuple[DocumentKind, Printed], clause: str) -> None:
    particulars = [each.upper() if each == "Credited to" else each for each in RULE_53[clause]]
    assert missing(note[1], *particulars) == []


def test_a_note_says_what_it_does_to_the_tax(note: tuple[DocumentKind, Printed]) -> None:
    """Rule 53(1A)(b) and (h); past the time of s.34(2) there is no tax to give back."""
    kind, found = note
    if kind is DocumentKind.CREDIT_NOTE:
        wanted = ("Credit Note", "Taxable value 50,847.46", "IGST 18% 9,152.54", "section 34 of the CGST Act")
    else:
        wanted = ("Financial Credit Note", "Taxable value 60,000.00", "output tax is not reduced")
        assert "IGST" not in found.words
    assert missing(found, *wanted, "Total credited ₹ 60,000.00") == []


def test_a_void_one_says_so_and_what_stands_instead() -> None:
    found = printed(row(status="void", replaced_by_number="TR/2627/000043"))
    assert missing(found, "VOID", "Void: replaced by TR/2627/000043") == []


@pytest.mark.parametrize("place", ["MH", "KA"])
def test_above_five_hundred_crore_a_private_buyers_has_the_dynamic_qr(place: str) -> None:
    found = printed(row(place=place, supplier={**SUPPLIER, "upi": UPI}))
    price = split(60_000_00, intra_state=place == "KA", rate=18)
    link = upi_link(UPI, SUPPLIER["name"], SUPPLIER["gstin"], "TR/2627/000042", AT, price)
    assert found.codes == [code(link, "l"), code(LINK, "m")]
    assert missing(found, "Dynamic QR code", UPI, "Circular 146/02/2021-GST", "Payment reference") == []


def test_without_a_upi_id_the_payments_reference_stands_for_it() -> None:
    found = printed(row(supplier={**SUPPLIER, "upi": ""}))
    assert len(found.codes) == 1
    assert missing(found, "Circular 146/02/2021-GST", "Payment reference pay_01a2084a0758") == []
    assert "Dynamic QR" not in found.words
