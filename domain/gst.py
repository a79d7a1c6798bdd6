"""Goods and Services Tax on what Treum sells: the split of a price, place of supply, numbers of documents.

Sources: CGST Act s.13(2), s.34(2); CGST Rules 46, 53; IGST Act s.12; Circular 242/36/2024.
"""

import re
from collections.abc import Mapping
from datetime import date, datetime
from enum import StrEnum
from typing import Annotated
from zoneinfo import ZoneInfo

from pydantic import BaseModel, ConfigDict, Field

from domain.money import half_up

IST = ZoneInfo("Asia/Kolkata")

RATES = ((date(2017, 7, 1), 18),)
"""Per cent, by the day since which it holds: education by a company, research services and software are all
taxed at the general rate (Notification 11/2017-Central Tax (Rate), headings 9983, 9992, 9997)."""

SAC_COACHING = "999293"
"""Commercial training and coaching services."""

RESEARCH_SACS = ((date(2017, 7, 1), "998311"),)
"""Service accounting code of research services, by the day since which it holds."""

SAC_RESEARCH = RESEARCH_SACS[-1][1]
"""Management consulting and financial advice. Which code the fees of research analysts
carry is not established (`india.md`), so it is a column of the plan: this is what a plan gets at first."""

ADDRESS_FROM = ((date(2017, 7, 1), 50_000_00),)
"""Paise, by the day since which it holds: from this value an invoice names the address of an unregistered
buyer too (CGST Rule 46(e))."""

MAX_NUMBER = 16
"""Rule 46(b): at most sixteen characters: letters, digits, hyphen, slash."""


class DocumentKind(StrEnum):
    INVOICE = "invoice"
    CREDIT_NOTE = "credit_note"
    FINANCIAL_CREDIT_NOTE = "financial_credit_note"
    """Past the time limit of s.34(2): returns money, leaves the tax where it is."""


SERIES = {
    DocumentKind.INVOICE: "TR",
    DocumentKind.CREDIT_NOTE: "CN",
    DocumentKind.FINANCIAL_CREDIT_NOTE: "FC",
}

STATES = {
    "JK": ("01", "Jammu and Kashmir"), "HP": ("02", "Himachal Pradesh"), "PB": ("03", "Punjab"),
    "CH": ("04", "Chandigarh"), "UK": ("05", "Uttarakhand"), "HR": ("06", "Haryana"),
    "DL": ("07", "Delhi"), "RJ": ("08", "Rajasthan"), "UP": ("09", "Uttar Pradesh"),
    "BR": ("10", "Bihar"), "SK": ("11", "Sikkim"), "AR": ("12", "Arunachal Pradesh"),
    "NL": ("13", "Nagaland"), "MN": ("14", "Manipur"), "MZ": ("15", "Mizoram"),
    "TR": ("16", "Tripura"), "ML": ("17", "Meghalaya"), "AS": ("18", "Assam"),
    "WB": ("19", "West Bengal"), "JH": ("20", "Jharkhand"), "OD": ("21", "Odisha"),
    "CG": ("22", "Chhattisgarh"), "MP": ("23", "Madhya Pradesh"), "GJ": ("24", "Gujarat"),
    "DN": ("26", "Dadra and Nagar Haveli and Daman and Diu"), "MH": ("27", "Maharashtra"),
    "KA": ("29", "Karnataka"), "GA": ("30", "Goa"), "LD": ("31", "Lakshadweep"),
    "KL": ("32", "Kerala"), "TN": ("33", "Tamil Nadu"), "PY": ("34", "Puducherry"),
    "AN": ("35", "Andaman and Nicobar Islands"), "TS": ("36", "Telangana"),
    "AP": ("37", "Andhra Pradesh"), "LA": ("38", "Ladakh"),
}  # fmt: skip
"""State code -> GST state code and name, as the GST portal lists them."""

_ALIASES = {"OR": "OD", "TG": "TS", "CT": "CG", "UT": "UK", "DH": "DN", "DD": "DN", "ORISSA": "OD"}
_BY_NAME = {name.casefold(): code for code, (_, name) in STATES.items()}
_BY_NUMBER = {number: code for code, (number, _) in STATES.items()}


class Split(BaseModel):
    """A price with its tax taken apart, in paise; the parts always add up to `total`."""

    model_config = ConfigDict(frozen=True)

    taxable: int
    cgst: int
    sgst: int
    igst: int

    @property
    def total(self) -> int:
        return self.taxable + self.cgst + self.sgst + self.igst

    def __sub__(self, other: "Split") -> "Split":
        return Split(
            taxable=self.taxable - other.taxable,
            cgst=self.cgst - other.cgst,
            sgst=self.sgst - other.sgst,
            igst=self.igst - other.igst,
        )


Paise = Annotated[int, Field(ge=0)]


def split(total: Paise, *, intra_state: bool, rate: int) -> Split:
    """Takes a GST-inclusive price apart: at 18 per cent IGST is half-up(total × 18/118), CGST and SGST are
    each half-up(total × 9/118), the taxable value is the rest; no rounding to whole rupees. `rate`: per cent,
    `rate_on` the day of the supply.

    Raises:
        ValueError: the total is negative.
    """
    if intra_state:
        # Halves of the rate over the whole: rate/2 over 100 + rate, kept in integers.
        half = half_up(total * rate, 2 * (100 + rate))
        return Split(taxable=total - 2 * half, cgst=half, sgst=half, igst=0)
    tax = half_up(total * rate, 100 + rate)
    return Split(taxable=total - tax, cgst=0, sgst=0, igst=tax)


def credit_split(
    invoice_total: int, credited_before: int, amount: int, *, intra_state: bool, rate: int
) -> Split:
    """The tax in a credit note over `amount`, after `credited_before` of the invoice was credited. `rate`:
    the invoice's, whatever holds today (s.34(1): the tax charged in that invoice is taken back).

    The difference of two cumulative splits, so that notes over the whole invoice reduce exactly its tax,
    however the amounts were cut.

    Raises:
        ValueError: more than the invoice would be credited.
    """
    if amount <= 0 or credited_before < 0 or credited_before + amount > invoice_total:
        raise ValueError("a credit note stays within its invoice")
    return split(credited_before + amount, intra_state=intra_state, rate=rate) - split(
        credited_before, intra_state=intra_state, rate=rate
    )


def rate_on(day: date) -> int:
    """Per cent on a supply of that day.

    Raises:
        ValueError: before GST.
    """
    for since, rate in reversed(RATES):
        if since <= day:
            return rate
    raise ValueError("no rate before 1 July 2017")


def needs_address(total: int, day: date) -> bool:
    """Whether an invoice of that day over `total` paise names an unregistered buyer's address."""
    return any(since <= day and total >= value for since, value in ADDRESS_FROM)


def state_of(text: str) -> str | None:
    """State code for a code, a GST number or a name (``KA``, ``29``, ``Karnataka``); None if unknown."""
    given = re.sub(r"\s*&\s*", " and ", " ".join(text.split()))
    upper = given.upper()
    upper = _ALIASES.get(upper, upper)
    if upper in STATES:
        return upper
    return _BY_NUMBER.get(given) or _BY_NAME.get(given.casefold())


def place_of_supply(buyer_state: str, buyer_gstin: str | None) -> str:
    """State code: a registered buyer's own state, else the unregistered buyer's state on record.

    Raises:
        ValueError: the state is not one of India's.
    """
    code = _BY_NUMBER.get(buyer_gstin[:2]) if buyer_gstin else state_of(buyer_state)
    if code is None:
        raise ValueError("not a state of India")
    return code


def india_date(at: datetime) -> date:
    """The business day of an instant, Asia/Kolkata."""
    return at.astimezone(IST).date()


def financial_year(day: date) -> int:
    """The year in which the Indian financial year of `day` began (April to March)."""
    return day.year if day.month >= 4 else day.year - 1


def document_number(kind: DocumentKind, year: int, sequence: int) -> str:
    """E.g. ``TR/2627/000001``: series, financial year, consecutive number; at most 16 characters.

    Raises:
        ValueError: the year has run out of numbers.
    """
    number = f"{SERIES[kind]}/{year % 100:02d}{(year + 1) % 100:02d}/{sequence:06d}"
    if len(number) > MAX_NUMBER:
        raise ValueError("a document number has at most 16 characters")
    return number


def credit_until(invoiced_on: date, annual_returns: Mapping[int, date]) -> date:
    """The last day on which a credit note reduces the tax of an invoice (s.34(2)): 30 November after its
    financial year, or the day on which that year's annual return was filed, whichever is earlier.

    `annual_returns`: the first calendar year of a financial year -> the day of filing, where it was filed.
    """
    year = financial_year(invoiced_on)
    november = date(year + 1, 11, 30)
    return min(november, annual_returns.get(year, november))


def credit_note_kind(
    invoiced_on: date, today: date, annual_returns: Mapping[int, date] | None = None
) -> DocumentKind:
    """What takes money back on `today`: past `credit_until` a financial note, which leaves the tax."""
    in_time = today <= credit_until(invoiced_on, annual_returns or {})
    return DocumentKind.CREDIT_NOTE if in_time else DocumentKind.FINANCIAL_CREDIT_NOTE
