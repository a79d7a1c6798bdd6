"""An invoice or a credit note as PDF, with all that Rules 46 and 53 ask for, digitally signed."""

import io
import json
import re
from pathlib import Path
from typing import Any

import segno
import typst

from api.signing import Signer
from domain.dynamic_qr import upi_link
from domain.gst import IST, STATES, DocumentKind, Split, state_of
from domain.money import in_words, rupees
from store.invoices import Recipient

TEMPLATE = (Path(__file__).parent / "invoice.typ").read_bytes()
TITLES = {
    DocumentKind.INVOICE: "Tax Invoice",
    DocumentKind.CREDIT_NOTE: "Credit Note",
    DocumentKind.FINANCIAL_CREDIT_NOTE: "Financial Credit Note",
}
INCLUDED_NOTE = "Prices include GST."
PAID_NOTE = "Paid by electronic means before this invoice was issued (Circular 146/02/2021-GST)."
CREDIT_NOTE = "Issued under section 34 of the CGST Act, 2017: the tax on the invoice is reduced by this note."
FINANCIAL_NOTE = "Issued after the time limit of section 34(2) of the CGST Act: output tax is not reduced."
LINE_OF_LINK = 46
LONGEST_WORD = 18


def render(invoice: dict[str, Any], billed: Recipient, link: str, signer: Signer | None) -> bytes:
    """The PDF of a row of `store.invoices.find`. Blocking, some 200 ms of processor time.

    `link`: where anyone can check the document.
    """
    data = json.dumps(_data(invoice, billed, link, signer is not None), default=str)
    content = bytes(typst.compile(TEMPLATE, format="pdf", sys_inputs={"data": data}))
    return signer.sign(content) if signer else content


def _data(invoice: dict[str, Any], billed: Recipient, link: str, signed: bool) -> dict[str, Any]:
    kind = DocumentKind(invoice["kind"])
    supplier = invoice["supplier"]
    is_note = kind is not DocumentKind.INVOICE
    return {
        "title": TITLES[kind],
        "copy": "Original for recipient",
        "void": _void(invoice),
        "number": invoice["number"],
        "supplier": {"address": "", **supplier, "state_name": _state(supplier["state"])},
        "buyer": {
            "name": _breakable(billed.name),
            "gstin": invoice["buyer_gstin"],
            "lines": _address(invoice, billed.address),
        },
        "to_label": "Credited to" if is_note else "Billed to",
        "facts": _facts(invoice, is_note),
        "line": {
            "description": _breakable(invoice["description"]),
            "sac": invoice["sac"],
            "taxable": rupees(invoice["taxable"]),
            "tax": rupees(invoice["total"] - invoice["taxable"]),
            "total": rupees(invoice["total"]),
        },
        "totals": _totals(invoice),
        "total_label": "Total credited" if is_note else "Total paid",
        "total": rupees(invoice["total"]),
        "words": in_words(invoice["total"]),
        "notes": _notes(invoice, kind),
        "payment": invoice["payment_id"],
        "einvoice": _einvoice(invoice),
        "dynamic_qr": _dynamic_qr(invoice),
        "signed": signed,
        "link": link,
        "link_lines": [link[at : at + LINE_OF_LINK] for at in range(0, len(link), LINE_OF_LINK)],
        "qr": _qr(link, "m"),
    }


def _void(invoice: dict[str, Any]) -> str | None:
    if invoice["status"] != "void":
        return None
    return f"Void: replaced by {invoice['replaced_by_number']}"


def _address(invoice: dict[str, Any], address: dict[str, Any] | None) -> list[str]:
    """Lines under the name: always for a registered recipient and from ₹50,000, else where one is on record
    (Rule 46(d) to (f)); the state stands on every document."""
    if not address:
        return [f"{_state(invoice['place_of_supply'])}, India"]
    state = state_of(address.get("state") or "") or invoice["place_of_supply"]
    place = " ".join(part for part in (address.get("city"), address.get("pincode")) if part)
    given = [address.get("line1"), address.get("line2"), place, f"{_state(state)}, India"]
    return [_breakable(line) for line in given if line]


def _facts(invoice: dict[str, Any], is_note: bool) -> list[tuple[str, str]]:
    day = "%d %b %Y"
    facts = [
        ("Credit note no." if is_note else "Invoice no.", invoice["number"]),
        ("Date of issue", invoice["issued_on"].strftime(day)),
    ]
    if is_note:
        facts.append(("Against invoice", invoice["original_number"]))
        facts.append(("Invoice date", invoice["original_issued_on"].strftime(day)))
    facts.append(("Place of supply", _state(invoice["place_of_supply"])))
    facts.append(("Tax on reverse charge", "No"))
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


def _notes(invoice: dict[str, Any], kind: DocumentKind) -> list[str]:
    if kind is not DocumentKind.INVOICE:
        return [CREDIT_NOTE if kind is DocumentKind.CREDIT_NOTE else FINANCIAL_NOTE]
    return [INCLUDED_NOTE, PAID_NOTE] if "upi" in invoice["supplier"] else [INCLUDED_NOTE]


def _dynamic_qr(invoice: dict[str, Any]) -> dict[str, str] | None:
    supplier = invoice["supplier"]
    if not supplier.get("upi"):
        return None
    price = Split(**{name: invoice[name] for name in Split.model_fields})
    given = (supplier["upi"], supplier["name"], supplier["gstin"], invoice["number"], invoice["tax_point"])
    return {"upi": supplier["upi"], "qr": _qr(upi_link(*given, price), "l")}


def _einvoice(invoice: dict[str, Any]) -> dict[str, str] | None:
    if not invoice["irn"]:
        return None
    return {
        "irn": invoice["irn"],
        "ack_no": invoice["ack_no"],
        "ack_at": invoice["ack_at"].astimezone(IST).strftime("%d %b %Y, %H:%M IST"),
        "qr": _qr(invoice["signed_qr"], "l"),
    }


def _breakable(text: str) -> str:
    """The same to the eye: a word longer than a line may be broken anywhere (zero-width spaces)."""
    return re.sub(rf"(\S{{{LONGEST_WORD}}})(?=\S)", "\\1\u200b", text)


def _state(code: str) -> str:
    """E.g. ``29 - Karnataka``: the GST state code and the name."""
    number, name = STATES[code]
    return f"{number} - {name}"


def _qr(text: str, error: str) -> str:
    svg = io.BytesIO()
    segno.make(text, error=error, micro=False).save(svg, kind="svg", border=0, xmldecl=False)
    return svg.getvalue().decode()
