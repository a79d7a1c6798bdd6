"""What a month's documents mean for the returns: tables of GSTR-1 and GSTR-3B, by number of the form.

Sources: CGST Rules 59 and 61; the forms and instructions on the GST portal; Notification 12/2024-Central Tax
(invoice-wise reporting of large inter-State supplies); GSTN advisory of 22 January 2025 (table 12 in two
tabs). Amounts are paise; the portal takes rupees with two decimals.
"""

from collections.abc import Iterable, Mapping
from datetime import date
from typing import Any

LARGE_FROM = ((date(2017, 7, 1), 2_50_000_00), (date(2024, 8, 1), 1_00_000_00))
"""Paise by the day since which it holds: an inter-State invoice to an unregistered buyer above it is reported
by itself (Rule 59(4); Notification 12/2024-Central Tax, from 1 August 2024)."""

GATEWAY_STATE = "KA"
"""Where the gateway is registered (Razorpay Software Private Limited, Bengaluru): decides whether the GST on
its fees is central and State tax or integrated tax."""

AMOUNTS = ("taxable", "igst", "cgst", "sgst")
TAXES = ("igst", "cgst", "sgst")

Row = dict[str, Any]


def large_from(day: date) -> int:
    """Above how many paise an inter-State invoice of that day to an unregistered buyer is a large one.

    Before GST there is no invoice to report: for such a day the first limit stands.
    """
    return next((limit for since, limit in reversed(LARGE_FROM) if since <= day), LARGE_FROM[0][1])


def total(rows: Iterable[Mapping[str, Any]]) -> dict[str, int]:
    """Sums of the amounts of invoices, less those of credit notes."""
    sums = dict.fromkeys(AMOUNTS, 0)
    for row in rows:
        sign = -1 if row.get("kind") == "credit_note" else 1
        for name in AMOUNTS:
            sums[name] += sign * int(row[name])
    return sums


def halved(tax: int, *, intra_state: bool) -> dict[str, int]:
    """Input tax by its heads: central and State tax in halves, or integrated tax."""
    if not intra_state:
        return {"igst": tax, "cgst": 0, "sgst": 0}
    return {"igst": 0, "cgst": tax // 2, "sgst": tax - tax // 2}


def netted(rows: Iterable[Row], *keys: str) -> list[Row]:
    """Rows added up by `keys`, credit notes taken off; what comes to nothing at all is left out."""
    groups: dict[tuple[Any, ...], list[Row]] = {}
    for row in rows:
        groups.setdefault(tuple(row[key] for key in keys), []).append(row)
    found = [
        {**dict(zip(keys, key, strict=True)), **total(members)} for key, members in sorted(groups.items())
    ]
    return [row for row in found if any(row[name] for name in AMOUNTS)]


def gstr1(groups: Iterable[Row], listed: Iterable[Row], series: list[Row]) -> dict[str, Any]:
    """The tables of GSTR-1 of a month.

    `groups`: sums of documents by `kind`, `registered`, `large`, `place`, `rate`, `sac`; `listed`: each
    document that the form wants by itself; `series`: consecutive numbers with their documents. Financial
    credit notes are no documents of GST: they stand in no table but the last.
    """
    taxed = [row for row in groups if row["kind"] != "financial_credit_note"]
    documents = list(listed)

    def of(kind: str, *, registered: bool) -> list[Row]:
        return [row for row in documents if row["kind"] == kind and row["registered"] is registered]

    small = [row for row in taxed if not row["registered"] and not row["large"]]
    return {
        "b2b": of("invoice", registered=True),
        "b2cl": of("invoice", registered=False),
        "b2cs": netted(small, "place", "rate"),
        "cdnr": of("credit_note", registered=True),
        "cdnur": of("credit_note", registered=False),
        "hsn": {
            "b2b": netted((row for row in taxed if row["registered"]), "sac", "rate"),
            "b2c": netted((row for row in taxed if not row["registered"]), "sac", "rate"),
        },
        "documents": [row for row in series if row["kind"] != "financial_credit_note"],
        "other_documents": [row for row in series if row["kind"] == "financial_credit_note"],
    }


def gstr3b(groups: Iterable[Row], input_tax: int, supplier_state: str) -> dict[str, Any]:
    """The tables of GSTR-3B of a month that a supplier of taxed services fills.

    3.1(a) is net of credit notes; 3.2 lists the part of it that went to unregistered buyers of other States;
    4(A)(5) is the GST on the gateway's fees, claimable once the gateway's monthly invoice is there and stands
    in GSTR-2B (s.16(2)(a) and (aa)).
    """
    taxed = [row for row in groups if row["kind"] != "financial_credit_note"]
    outward = total(taxed)
    credit = halved(input_tax, intra_state=supplier_state == GATEWAY_STATE)
    return {
        "3.1a": outward,
        "3.2": netted(
            (row for row in taxed if not row["registered"] and row["place"] != supplier_state), "place"
        ),
        "4a5": credit,
        "6.1": {name: outward[name] - credit[name] for name in TAXES},
    }


def ties(
    groups: Iterable[Row],
    ledger: Mapping[str, int],
    ledger_value: int,
    numbers: Iterable[Row],
    input_tax: int,
) -> dict[str, Any]:
    """Documents less ledger by tax and in value, GST on fees by settlements and decisions less that of the
    ledger, and numbers without a document by series: all zero in a book that is whole. The ledger's side
    comes from its accounts (credit less debit), the series' from their counters."""
    rows = list(groups)
    taxed = total(row for row in rows if row["kind"] != "financial_credit_note")
    value = sum(row["value"] if row["kind"] == "invoice" else -row["value"] for row in rows)
    return {
        "ledger": {
            **{name: taxed[name] - ledger.get(f"output_{name}", 0) for name in TAXES},
            "value": value - ledger_value,
        },
        "input": {"gst": input_tax + ledger.get("input_gst", 0)},
        "series": {f"{row['kind']}/{row['financial_year']}": row["difference"] for row in numbers},
    }
