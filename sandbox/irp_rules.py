"""What the e-invoice portal refuses in a document (schema INV-01 1.1), by its own numbers of errors.

Numbers and texts: the portal's list of error codes (einvoice1.gst.gov.in/others/geterrorcodes/INV). The one
for a document past its 30 days is not in the list as it was read; ? 2163 is what stands for it here.
"""

import re
from datetime import datetime, timedelta
from decimal import Decimal, InvalidOperation
from typing import Any
from zoneinfo import ZoneInfo

IST = ZoneInfo("Asia/Kolkata")
DOCUMENT_TYPES = frozenset({"INV", "CRN", "DBN"})
REPORT_WITHIN = timedelta(days=30)
TOLERANCE = Decimal(1)
"""Rupees by which totals may differ from what their items add up to."""

REQUIRED = {
    "TranDtls": ("TaxSch", "SupTyp"),
    "DocDtls": ("Typ", "No", "Dt"),
    "SellerDtls": ("Gstin", "LglNm", "Addr1", "Loc", "Pin", "Stcd"),
    "BuyerDtls": ("Gstin", "LglNm", "Pos", "Addr1", "Loc", "Stcd"),
    "ValDtls": ("AssVal", "TotInvVal"),
}
ITEM = ("SlNo", "IsServc", "HsnCd", "UnitPrice", "TotAmt", "AssAmt", "GstRt", "TotItemVal")
TEXTS = {"Gstin": 15, "LglNm": 100, "Addr1": 100, "Addr2": 100, "Loc": 50, "Stcd": 2, "Pos": 2}


class Refused(Exception):
    """The portal's number and text."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(code)
        self.code = code
        self.message = message


def _malformed(what: str) -> Refused:
    return Refused("2140", f"Error while validating invoice: {what}")


def amount(owner: dict[str, Any], name: str) -> Decimal:
    """A number with at most two places; absent is zero."""
    value = owner.get(name, 0)
    if isinstance(value, bool) or not isinstance(value, int | Decimal):
        raise _malformed(f"{name} is a number")
    try:
        if value < 0 or value != round(Decimal(value), 2):
            raise _malformed(f"{name} has two places")
    except InvalidOperation:
        raise _malformed(f"{name} is out of range") from None
    return Decimal(value)


def check(invoice: Any, now: datetime) -> None:
    """Raises Refused with the first thing that is wrong."""
    _shape(invoice)
    seller, buyer, document = invoice["SellerDtls"], invoice["BuyerDtls"], invoice["DocDtls"]
    if seller["Gstin"] == buyer["Gstin"]:
        raise Refused("2211", "Supplier and recipient GSTIN should not be the same.")
    for party, code in ((seller, "2258"), (buyer, "2265")):
        if party["Gstin"][:2] != party["Stcd"]:
            raise Refused(code, f"GSTIN and state code {party['Stcd']} do not match")
    dated = day_of(document["Dt"])
    today = now.astimezone(IST)
    if dated.date() > today.date():
        raise Refused("2162", "Document date is ahead of the current date")
    if today.date() - dated.date() > REPORT_WITHIN:
        raise Refused("2163", "Document date is older than 30 days")
    if document["Typ"] != "INV" and not (invoice.get("RefDtls") or {}).get("PrecDocDtls"):
        raise _malformed("a note names the document before it")
    _totals(invoice, intra=seller["Stcd"] == buyer["Pos"])


def day_of(text: Any) -> datetime:
    """`DD/MM/YYYY` at midnight in India."""
    try:
        return datetime.strptime(text, "%d/%m/%Y").replace(tzinfo=IST)
    except (TypeError, ValueError):
        raise _malformed("Dt") from None


def _shape(invoice: Any) -> None:
    if not isinstance(invoice, dict) or invoice.get("Version") != "1.1":
        raise _malformed("Version")
    for part, names in REQUIRED.items():
        held = invoice.get(part)
        if not isinstance(held, dict) or any(name not in held for name in names):
            raise _malformed(part)
        for name, longest in TEXTS.items():
            if name in held and not (isinstance(held[name], str) and 1 <= len(held[name]) <= longest):
                raise _malformed(f"{part}.{name}")
    document = invoice["DocDtls"]
    if document["Typ"] not in DOCUMENT_TYPES or not re.fullmatch(
        r"[A-Za-z1-9][A-Za-z0-9/-]{0,15}", str(document["No"])
    ):
        raise _malformed("DocDtls")
    items = invoice.get("ItemList")
    if not isinstance(items, list) or not items:
        raise _malformed("ItemList")
    for item in items:
        if not isinstance(item, dict) or any(name not in item for name in ITEM):
            raise _malformed("ItemList")
        if not re.fullmatch(r"\d{4}|\d{6}|\d{8}", str(item["HsnCd"])) or (
            item["IsServc"] == "Y" and not str(item["HsnCd"]).startswith("99")
        ):
            raise Refused("2176", f"Invalid HSN code(s)-{item['HsnCd']}")


def _totals(invoice: dict[str, Any], *, intra: bool) -> None:
    items, values = invoice["ItemList"], invoice["ValDtls"]
    taxes = {name: sum(amount(item, f"{name}Amt") for item in items) for name in ("Igst", "Cgst", "Sgst")}
    if intra and taxes["Igst"]:
        raise Refused("2172", "For Intra-state transaction, IGST amounts are not applicable")
    if not intra and (taxes["Cgst"] or taxes["Sgst"]):
        raise Refused("2174", "For inter-state transaction, CGST and SGST amounts are not applicable")
    for item in items:
        expected = amount(item, "AssAmt") * amount(item, "GstRt") / 100
        tax = sum(amount(item, f"{name}Amt") for name in taxes)
        if abs(tax - expected) > TOLERANCE:
            raise Refused("2227", f"Tax of Sl. No {item['SlNo']} is not calculated from its value and rate")
    if abs(sum(amount(item, "AssAmt") for item in items) - amount(values, "AssVal")) > TOLERANCE:
        raise Refused("2182", "Taxable value of all items should equal the total taxable value")
    if abs(sum(amount(item, "TotItemVal") for item in items) - amount(values, "TotInvVal")) > TOLERANCE:
        raise Refused("2189", "Invalid total invoice value")
