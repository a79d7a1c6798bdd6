"""An invoice or a credit note as PDF, with all that Rules 46 and 53 ask for."""

import io
import json
from pathlib import Path
from typing import Any

import segno
import typst

from domain.gst import STATES, DocumentKind
from domain.money import in_words, rupees

TEMPLATE = (Path(__file__).parent / "invoice.typ").read_bytes()
TITLES = {
    DocumentKind.INVOICE: "Tax Invoice",
    DocumentKind.CREDIT_NOTE: "Credit Note",
    DocumentKind.FINANCIAL_CREDIT_NOTE: "Financial Credit Note",
}
INCLUDED_NOTE = "Prices include GST. Tax is not payable on reverse charge."
FINANCIAL_NOTE = "Issued after the time limit of section 34(2) CGST Act: output tax is not reduced."


def render(invoice: dict[str, Any], buyer_name: str, public_url: str) -> bytes:
    """The PDF of a row of `finance.invoices`. Blocking, some 100 ms of processor time."""
    data = json.dumps(_data(invoice, buyer_name, public_url), default=str)
    return bytes(typst.compile(TEMPLATE, format="pdf", sys_inputs={"data": data}))


def _data(invoice: dict[str, Any], buyer_name: str, public_url: str) -> dict[str, Any]:
    kind = DocumentKind(invoice["kind"])
    link = f"{public_url}/v1/billing/invoices/{invoice['invoice_id']}"
    supplier = invoice["supplier"]
    is_note = kind is not DocumentKind.INVOICE
    return {
        "title": TITLES[kind],
        "copy": "Original for recipient",
        "number": invoice["number"],
        "supplier": {"address": "", **supplier, "state_name": _state(supplier["state"])},
        "buyer": {
            "name": buyer_name,
            "gstin": invoice["buyer_gstin"],
            "state_name": STATES[invoice["place_of_supply"]][1],
        },
        "to_label": "Credited to" if is_note else "Billed to",
        "facts": _facts(invoice, is_note),
        "line": {
            "description": invoice["description"],
            "sac": invoice["sac"],
            "taxable": rupees(invoice["taxable"]),
        },
        "totals": _totals(invoice),
        "total_label": "Total credited" if is_note else "Total paid",
        "total": rupees(invoice["total"]),
        "words": in_words(invoice["total"]),
        "notes": [FINANCIAL_NOTE if kind is DocumentKind.FINANCIAL_CREDIT_NOTE else INCLUDED_NOTE],
        "link": link,
        "qr": _qr(link),
    }


def _facts(invoice: dict[str, Any], is_note: bool) -> list[tuple[str, str]]:
    day = "%d %b %Y"
    facts = [
        ("Credit note no." if is_note else "Invoice no.", invoice["number"]),
        ("Date of issue", invoice["issued_on"].strftime(day)),
        ("Place of supply", _state(invoice["place_of_supply"])),
    ]
    if is_note:
        facts.append(("Against invoice", invoice["original_number"]))
        facts.append(("dated", invoice["original_issued_on"].strftime(day)))
    return facts


def _totals(invoice: dict[str, Any]) -> list[tuple[str, str]]:
    half = f"{invoice['rate'] / 2:g}%"
    rows = [("Taxable value", rupees(invoice["taxable"]))]
    if invoice["igst"]:
        rows.append((f"IGST {invoice['rate']}%", rupees(invoice["igst"])))
    elif invoice["cgst"]:
        rows.append((f"CGST {half}", rupees(invoice["cgst"])))
        rows.append((f"SGST {half}", rupees(invoice["sgst"])))
    return rows


def _state(code: str) -> str:
    """E.g. ``29 - Karnataka``: the GST state code and the name."""
    number, name = STATES[code]
    return f"{number} - {name}"


def _qr(link: str) -> str:
    svg = io.BytesIO()
    segno.make(link, error="m").save(svg, kind="svg", border=0, xmldecl=False)
    return svg.getvalue().decode()
