"""A document of ours in the words of the e-invoice portal: schema INV-01, version 1.1 (Notification 60/2020).

Amounts leave as JSON numbers with two places, written from paise: no float in between.
"""

import hashlib
import json
import re
from datetime import date
from typing import Any

from pydantic import BaseModel, ConfigDict

from domain.gst import STATES, DocumentKind, financial_year

VERSION = "1.1"
TYPES = {DocumentKind.INVOICE: "INV", DocumentKind.CREDIT_NOTE: "CRN"}
_AMOUNT = "\ue000"
"""Marks the text of an amount until its quotes are taken away; a private code point (Unicode 23.5)."""
_MARKED = re.compile(f'"{_AMOUNT}(\\d+\\.\\d\\d)"')


class Party(BaseModel):
    """Seller or buyer; `state` is a state code of `domain.gst.STATES`, `pincode` may be empty."""

    model_config = ConfigDict(frozen=True)

    gstin: str
    name: str
    address: str
    place: str
    pincode: str
    state: str


class Document(BaseModel):
    """One invoice or credit note of one line. Amounts in paise, `rate` in per cent."""

    model_config = ConfigDict(frozen=True)

    kind: DocumentKind
    number: str
    issued_on: date
    seller: Party
    buyer: Party
    place_of_supply: str
    description: str
    sac: str
    rate: int
    taxable: int
    cgst: int
    sgst: int
    igst: int
    total: int
    original: tuple[str, date] | None = None
    """Number and date of the invoice that a credit note is against."""

    @property
    def irn(self) -> str:
        """What the portal will number it: SHA-256 over GSTIN, financial year, type and number."""
        year = financial_year(self.issued_on)
        key = (self.seller.gstin, f"{year}-{(year + 1) % 100:02d}", TYPES[self.kind], self.number)
        return hashlib.sha256("|".join(key).encode()).hexdigest()


def amount(paise: int) -> str:
    """``1999.05``. Raises ValueError for a negative amount: no document of ours has one."""
    if paise < 0:
        raise ValueError("an amount of a document is not negative")
    return f"{paise // 100}.{paise % 100:02d}"


def day(value: date) -> str:
    return value.strftime("%d/%m/%Y")


def inv01(document: Document) -> bytes:
    """The request body."""
    content: dict[str, Any] = {
        "Version": VERSION,
        "TranDtls": {"TaxSch": "GST", "SupTyp": "B2B", "RegRev": "N", "IgstOnIntra": "N"},
        "DocDtls": {"Typ": TYPES[document.kind], "No": document.number, "Dt": day(document.issued_on)},
        "SellerDtls": _party(document.seller),
        "BuyerDtls": _party(document.buyer) | {"Pos": STATES[document.place_of_supply][0]},
        "ItemList": [_item(document)],
        "ValDtls": {
            "AssVal": _marked(document.taxable),
            "CgstVal": _marked(document.cgst),
            "SgstVal": _marked(document.sgst),
            "IgstVal": _marked(document.igst),
            "TotInvVal": _marked(document.total),
        },
    }
    if document.original is not None:
        number, issued_on = document.original
        content["RefDtls"] = {"PrecDocDtls": [{"InvNo": number, "InvDt": day(issued_on)}]}
    return _MARKED.sub(r"\1", json.dumps(content, ensure_ascii=False)).encode()


def _item(document: Document) -> dict[str, Any]:
    return {
        "SlNo": "1",
        "PrdDesc": document.description.replace(_AMOUNT, "")[:300],
        "IsServc": "Y",
        "HsnCd": document.sac,
        "Qty": 1,
        "Unit": "OTH",
        "UnitPrice": _marked(document.taxable),
        "TotAmt": _marked(document.taxable),
        "AssAmt": _marked(document.taxable),
        "GstRt": document.rate,
        "CgstAmt": _marked(document.cgst),
        "SgstAmt": _marked(document.sgst),
        "IgstAmt": _marked(document.igst),
        "TotItemVal": _marked(document.total),
    }


def _party(party: Party) -> dict[str, Any]:
    """Texts of the lengths that the schema takes: 3 to 100 for names and addresses, 3 to 50 for a place."""
    given = {
        "Gstin": party.gstin,
        "LglNm": _fitting(party.name, 100),
        "Addr1": _fitting(party.address, 100),
        "Loc": _fitting(party.place, 50),
        "Stcd": STATES[party.state][0],
    }
    rest = _clean(party.address)[100:200]
    if len(rest) >= 3:
        given["Addr2"] = rest
    return given | ({"Pin": int(party.pincode)} if party.pincode else {})


def _clean(text: str) -> str:
    return " ".join(text.replace(_AMOUNT, "").split())


def _fitting(text: str, longest: int) -> str:
    return _clean(text)[:longest].ljust(3, ".")


def _marked(paise: int) -> str:
    return _AMOUNT + amount(paise)
