"""GST by the letter: the parts always add up, notes never leave a paisa, numbers fit the rule."""

import re
from datetime import date, datetime, timedelta
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain import ledger
from domain.gst import (
    IST,
    STATES,
    DocumentKind,
    credit_note_kind,
    credit_split,
    credit_until,
    document_number,
    financial_year,
    india_date,
    needs_address,
    place_of_supply,
    rate_on,
    split,
    state_of,
)

TOTALS = st.integers(min_value=0, max_value=10**12)


RATES = st.integers(min_value=1, max_value=40)


@given(TOTALS, st.booleans(), RATES)
def test_a_split_adds_up_to_the_price(total: int, intra: bool, rate: int) -> None:
    parts = split(total, intra_state=intra, rate=rate)
    assert parts.total == total
    assert min(parts.taxable, parts.cgst, parts.sgst, parts.igst) >= 0
    assert (parts.igst == 0) if intra else (parts.cgst == parts.sgst == 0)


@given(TOTALS, RATES)
def test_each_tax_is_half_up_of_its_share(total: int, rate: int) -> None:
    def nearest(share: Fraction) -> int:
        return int(share + Fraction(1, 2))

    whole = split(total, intra_state=False, rate=rate)
    assert whole.igst == nearest(Fraction(total * rate, 100 + rate))
    halves = split(total, intra_state=True, rate=rate)
    assert halves.cgst == halves.sgst == nearest(Fraction(total * rate, 2 * (100 + rate)))


@given(
    st.lists(st.integers(min_value=100, max_value=10**9), min_size=1, max_size=12),
    st.booleans(),
    RATES,
    st.data(),
)
def test_credit_notes_over_the_whole_take_back_exactly_its_tax(
    parts: list[int], intra: bool, rate: int, data: st.DataObject
) -> None:
    total, before = sum(parts), 0
    notes = []
    for part in data.draw(st.permutations(parts)):
        note = credit_split(total, before, part, intra_state=intra, rate=rate)
        assert note.total == part
        assert min(note.taxable, note.cgst, note.sgst, note.igst) >= 0
        assert note.cgst == note.sgst
        notes.append(note)
        before += part
    whole = split(total, intra_state=intra, rate=rate)
    for name in ("taxable", "cgst", "sgst", "igst"):
        assert sum(getattr(note, name) for note in notes) == getattr(whole, name)


def test_a_credit_note_stays_within_its_invoice() -> None:
    with pytest.raises(ValueError, match="within its invoice"):
        credit_split(1000, 900, 101, intra_state=True, rate=18)


@pytest.mark.parametrize("text", ["KA", "ka", "29", "Karnataka", " karnataka "])
def test_a_state_is_known_by_code_number_and_name(text: str) -> None:
    assert state_of(text) == "KA"


def test_every_state_is_found_by_each_of_its_names() -> None:
    for code, (number, name) in STATES.items():
        assert state_of(code) == state_of(number) == state_of(name) == code
    assert len({number for number, _ in STATES.values()}) == len(STATES)
    assert state_of("Jammu & Kashmir") == "JK"
    assert state_of("Atlantis") is None


def test_a_registered_buyer_is_supplied_in_the_state_of_the_gstin() -> None:
    assert place_of_supply("KA", "27AAPFU0939F1ZV") == "MH"
    assert place_of_supply("Kerala", None) == "KL"
    with pytest.raises(ValueError, match="state"):
        place_of_supply("Atlantis", None)


@given(st.integers(min_value=0, max_value=99_999_999), st.sampled_from(list(DocumentKind)), st.dates())
def test_a_number_fits_rule_46(sequence: int, kind: DocumentKind, day: date) -> None:
    assert re.fullmatch(r"[A-Z0-9/-]{1,16}", document_number(kind, financial_year(day), sequence))


def test_a_series_that_runs_out_says_so() -> None:
    with pytest.raises(ValueError, match="16"):
        document_number(DocumentKind.INVOICE, 2026, 100_000_000)


def test_the_financial_year_begins_in_april_india_time() -> None:
    last_of_march = datetime(2027, 3, 31, 23, 59, tzinfo=IST)
    assert financial_year(india_date(last_of_march)) == 2026
    assert financial_year(india_date(last_of_march + timedelta(minutes=1))) == 2027
    assert document_number(DocumentKind.INVOICE, 2026, 42) == "TR/2627/000042"


def test_after_november_a_note_is_a_financial_one() -> None:
    invoiced = date(2026, 11, 23)
    assert credit_note_kind(invoiced, date(2027, 11, 30)) is DocumentKind.CREDIT_NOTE
    assert credit_note_kind(invoiced, date(2027, 12, 1)) is DocumentKind.FINANCIAL_CREDIT_NOTE
    assert credit_note_kind(date(2027, 3, 31), date(2027, 12, 1)) is DocumentKind.FINANCIAL_CREDIT_NOTE
    assert credit_note_kind(date(2027, 4, 1), date(2027, 12, 1)) is DocumentKind.CREDIT_NOTE


@given(TOTALS.filter(lambda total: total >= 100), st.booleans())
def test_capture_refund_and_payout_leave_every_account_at_zero(total: int, intra: bool) -> None:
    price, day = split(total, intra_state=intra, rate=18), date(2026, 11, 23)
    entries = [
        ledger.capture_entry("pay_1", day, price),
        ledger.refund_entry("rfd_1", day, price),
        ledger.payout_entry("rfd_1", day, total, ledger.Account.GATEWAY_CLEARING),
    ]
    net: dict[str, int] = {}
    for entry in entries:
        for line in entry.lines:
            net[line.account] = net.get(line.account, 0) + line.debit - line.credit
    assert set(net.values()) == {0}


def test_an_entry_that_does_not_balance_cannot_be_made() -> None:
    lines = ledger.debit(ledger.Account.BANK, 100) + ledger.credit(ledger.Account.DEFERRED_REVENUE, 99)
    with pytest.raises(ValueError, match="balances"):
        ledger.Entry(business_key="x", date=date(2026, 11, 23), lines=lines)
    with pytest.raises(ValueError, match="positive"):
        ledger.Line(account=ledger.Account.BANK, debit=1, credit=1)


def test_from_fifty_thousand_rupees_an_invoice_names_the_address() -> None:
    assert needs_address(50_000_00, date(2026, 11, 23))
    assert not needs_address(49_999_99, date(2026, 11, 23))


def test_there_is_no_rate_before_the_tax() -> None:
    assert rate_on(date(2017, 7, 1)) == 18
    with pytest.raises(ValueError, match="2017"):
        rate_on(date(2017, 6, 30))


def test_the_annual_return_ends_the_time_only_where_it_is_earlier() -> None:
    invoiced = date(2026, 11, 23)
    assert credit_until(invoiced, {}) == date(2027, 11, 30)
    assert credit_until(invoiced, {2026: date(2027, 9, 10)}) == date(2027, 9, 10)
    assert credit_until(invoiced, {2026: date(2027, 12, 31), 2025: date(2026, 1, 1)}) == date(2027, 11, 30)
