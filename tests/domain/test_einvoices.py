"""Who needs an IRN and by when; a document in the portal's words, to the paisa."""

import hashlib
import json
from datetime import date, timedelta
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.einvoice_document import Document, Party, amount, inv01
from domain.einvoices import CRORE, is_due, needs_dynamic_qr, report_by
from domain.gst import DocumentKind, split

BUYER = "27AAPFU0939F1ZV"
TODAY = date(2026, 11, 23)


@pytest.mark.parametrize(
    ("on", "crore"),
    [
        (date(2020, 10, 1), 500),
        (date(2021, 1, 1), 100),
        (date(2021, 4, 1), 50),
        (date(2022, 4, 1), 20),
        (date(2022, 10, 1), 10),
        (date(2023, 8, 1), 5),
        (TODAY, 5),
    ],
)
def test_an_irn_is_due_above_the_turnover_of_the_day_and_not_at_it(on: date, crore: int) -> None:
    at = crore * CRORE
    assert [is_due(DocumentKind.INVOICE, BUYER, on, turnover) for turnover in (at, at + 1)] == [False, True]


@pytest.mark.parametrize(("on", "crore"), [(date(2020, 9, 30), 600), (date(2022, 9, 30), 11)])
def test_a_turnover_counts_from_its_day_on(on: date, crore: int) -> None:
    due = [is_due(DocumentKind.INVOICE, BUYER, day, crore * CRORE) for day in (on, on + timedelta(days=1))]
    assert due == [False, True]


def test_only_documents_of_the_tax_to_registered_buyers_are_registered() -> None:
    assert is_due(DocumentKind.CREDIT_NOTE, BUYER, TODAY, 6 * CRORE)
    assert not is_due(DocumentKind.FINANCIAL_CREDIT_NOTE, BUYER, TODAY, 600 * CRORE)
    assert not is_due(DocumentKind.INVOICE, None, TODAY, 600 * CRORE)


def test_thirty_days_from_ten_crore() -> None:
    assert report_by(TODAY, 10 * CRORE) == date(2026, 12, 23)
    assert report_by(TODAY, 10 * CRORE - 1) is None
    assert report_by(date(2025, 3, 31), 10 * CRORE) is None
    assert report_by(date(2023, 11, 1), 100 * CRORE) == date(2023, 12, 1)


def test_a_dynamic_qr_is_due_above_five_hundred_crore_only() -> None:
    assert needs_dynamic_qr(TODAY, 500 * CRORE + 1)
    assert not needs_dynamic_qr(TODAY, 500 * CRORE)
    assert not needs_dynamic_qr(date(2020, 11, 30), 600 * CRORE)


def document(total: int = 1_999_05, name: str = "Verma & Co", **given: object) -> Document:
    price = split(total, intra_state=False, rate=18)
    party = {"address": "1 Road", "place": "Pune", "pincode": "411001", "state": "MH"}
    values: dict[str, object] = {
        "kind": DocumentKind.INVOICE,
        "number": "TR/2627/000001",
        "issued_on": TODAY,
        "seller": Party(gstin="29AABCT3518Q1ZS", name="Treum", **{**party, "state": "KA"}),
        "buyer": Party(gstin=BUYER, name=name, **party),
        "place_of_supply": "MH",
        "description": "A course",
        "sac": "999293",
        "rate": 18,
        **price.model_dump(),
        "total": total,
    }
    return Document.model_validate(values | given)


@given(st.integers(min_value=100, max_value=10**13))
def test_amounts_are_numbers_of_two_places_and_add_up(total: int) -> None:
    raw = inv01(document(total))
    values = json.loads(raw, parse_float=Decimal)["ValDtls"]
    assert values["TotInvVal"] == Decimal(total) / 100
    assert sum(values[name] for name in ("AssVal", "IgstVal", "CgstVal", "SgstVal")) == values["TotInvVal"]
    assert f'"TotInvVal": {amount(total)}'.encode() in raw


@given(st.text(min_size=1, max_size=300))
def test_no_name_breaks_the_document(name: str) -> None:
    content = json.loads(inv01(document(name=name, description=name)))
    assert 3 <= len(content["BuyerDtls"]["LglNm"]) <= 100
    assert isinstance(content["BuyerDtls"]["LglNm"], str)
    assert isinstance(content["ItemList"][0]["PrdDesc"], str)


def test_a_name_that_looks_like_an_amount_stays_a_name() -> None:
    content = json.loads(inv01(document(name="\ue00012.34", description="\ue00012.34")))
    assert content["BuyerDtls"]["LglNm"] == "12.34"
    assert content["ItemList"][0]["PrdDesc"] == "12.34"


def test_the_irn_is_over_gstin_year_type_and_number() -> None:
    for kind, word in ((DocumentKind.INVOICE, "INV"), (DocumentKind.CREDIT_NOTE, "CRN")):
        text = f"29AABCT3518Q1ZS|2026-27|{word}|TR/2627/000001"
        assert document(kind=kind).irn == hashlib.sha256(text.encode()).hexdigest()


def test_a_note_names_its_invoice() -> None:
    original = ("TR/2627/000001", date(2026, 4, 1))
    note = document(kind=DocumentKind.CREDIT_NOTE, number="CN/2627/000001", original=original)
    content = json.loads(inv01(note))
    assert content["DocDtls"]["Typ"] == "CRN"
    assert content["RefDtls"]["PrecDocDtls"] == [{"InvNo": "TR/2627/000001", "InvDt": "01/04/2026"}]
    assert "RefDtls" not in json.loads(inv01(document()))


def test_a_document_has_no_negative_amount() -> None:
    with pytest.raises(ValueError, match="negative"):
        amount(-1)
