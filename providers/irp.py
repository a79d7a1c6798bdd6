"""The e-invoice registration portal (IRP): register, look up, cancel, and the master of taxpayers.

The portal numbers a document by what is in it, so that a repeat is a duplicate and never a second
registration; what it signs is verified with its pinned key before it is believed. NIC encrypts bodies under a
session key; what is spoken here is the plain JSON that suvidha providers (GSP) take for it.
"""

import base64
import json
from datetime import datetime
from decimal import Decimal
from typing import Any, Protocol
from zoneinfo import ZoneInfo

import httpx
from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import RSAKey
from pydantic import BaseModel, ConfigDict, ValidationError

from domain.einvoice_document import TYPES, Document, amount, day, inv01
from domain.errors import Rejected, Unavailable
from models.settings import Settings
from providers.calls import ProviderCalls

TIMEOUT_SECONDS = 7.0
IST = ZoneInfo("Asia/Kolkata")

DUPLICATE = "2150"
NOT_AVAILABLE = "2148"
NOT_ACTIVE = "9999"
LATER = frozenset({"2141", "2146", "2147", "5001", "5002"})
"""The portal's own failures: nothing is wrong with the document."""

CANCELLED = "CNL"
WRONG_ENTRY = "2"
"""`CnlRsn`: 1 duplicate, 2 data entry mistake, 3 order cancelled, 4 others."""


class Registered(BaseModel):
    """What the portal keeps of a document; `signed_qr` is a JWT that has been verified."""

    model_config = ConfigDict(frozen=True)

    irn: str
    ack_no: str
    ack_at: datetime
    signed_qr: str
    signed_invoice: str
    cancelled: bool


class Taxpayer(BaseModel):
    """Who holds a GSTIN, as the portal's master has it. `pincode` may be empty."""

    model_config = ConfigDict(frozen=True)

    name: str
    address: str
    place: str
    pincode: str
    active: bool


class EInvoicePortal(Protocol):
    """Raises Unavailable (`irp_unavailable`) and RateLimited, and Rejected `irp_<number>` for what the portal
    refuses; `irp_forged` where its signature or what is signed is not ours. `as_of` is aware."""

    async def register(self, document: Document, *, as_of: datetime) -> Registered:
        """Registers the document, or finds it registered; safe to repeat."""

    async def cancel(self, document: Document, *, as_of: datetime) -> datetime:
        """Cancels the registration and says when; one that is cancelled already is found so."""

    async def taxpayer(self, gstin: str, *, as_of: datetime) -> Taxpayer:
        """The holder of a GSTIN."""


class _Refusal(BaseModel):
    ErrorCode: str


class _Answer(BaseModel):
    Status: int
    ErrorDetails: list[_Refusal] | None = None
    Data: dict[str, Any] | None = None


class HttpIrp:
    """The portal over HTTP."""

    def __init__(self, client: httpx.AsyncClient, settings: Settings) -> None:
        self._calls = ProviderCalls(client, settings.irp_base, "irp", TIMEOUT_SECONDS)
        self._headers = {
            "client-id": settings.irp_client_id,
            "client-secret": settings.irp_client_secret.get_secret_value(),
            "Gstin": settings.supplier_gstin,
        }
        self._keys = [RSAKey.import_key(base64.b64decode(key)) for key in settings.irp_public_keys]

    async def register(self, document: Document, *, as_of: datetime) -> Registered:
        """See `EInvoicePortal`."""
        try:
            data = await self._ask("POST", "/eicore/v1.03/Invoice", as_of, inv01(document))
        except Rejected as refused:
            if refused.code != f"irp_{DUPLICATE}":
                raise
            # An earlier call of ours, whose answer was lost: the registration is read, not made again.
            data = await self._look_up(document, as_of)
        return self._verified(document, data)

    async def cancel(self, document: Document, *, as_of: datetime) -> datetime:
        """See `EInvoicePortal`."""
        body = json.dumps({"Irn": document.irn, "CnlRsn": WRONG_ENTRY, "CnlRem": "Wrong entry"}).encode()
        try:
            data = await self._ask("POST", "/eicore/v1.03/Invoice/Cancel", as_of, body)
        except Rejected as refused:
            if refused.code != f"irp_{NOT_ACTIVE}":
                raise
            found = await self._look_up(document, as_of)
            if found.get("Status") != CANCELLED:
                raise
            data = found
        return _moment(data.get("CancelDate"))

    async def taxpayer(self, gstin: str, *, as_of: datetime) -> Taxpayer:
        """See `EInvoicePortal`."""
        data = await self._ask("GET", f"/eivital/v1.04/Master/gstin/{gstin}", as_of)
        parts = (data.get(name) for name in ("AddrBno", "AddrBnm", "AddrFlno", "AddrSt"))
        return Taxpayer(
            name=str(data.get("LegalName") or data.get("TradeName") or ""),
            address=", ".join(str(part) for part in parts if part),
            place=str(data.get("AddrLoc") or ""),
            pincode=str(data.get("AddrPncd") or ""),
            active=data.get("Status") == "ACT",
        )

    async def _look_up(self, document: Document, as_of: datetime) -> dict[str, Any]:
        return await self._ask("GET", f"/eicore/v1.03/Invoice/irn/{document.irn}", as_of)

    async def _ask(
        self, method: str, path: str, as_of: datetime, content: bytes | None = None
    ) -> dict[str, Any]:
        headers = {**self._headers, "Content-Type": "application/json"}
        response = await self._calls.send(
            method, path, repeatable=True, as_of=as_of, content=content, headers=headers
        )
        try:
            answer = _Answer.model_validate_json(response.content)
        except ValidationError:
            raise Unavailable("irp_unavailable") from None
        if answer.Status == 1 and answer.Data is not None:
            return answer.Data
        codes = [each.ErrorCode for each in answer.ErrorDetails or ()]
        if not codes or set(codes) & LATER or not all(code.isalnum() and len(code) <= 8 for code in codes):
            raise Unavailable("irp_unavailable")
        raise Rejected(f"irp_{codes[0]}")

    def _verified(self, document: Document, data: dict[str, Any]) -> Registered:
        """Raises Rejected `irp_forged`."""
        try:
            inside = self._opened(data["SignedQRCode"])
            self._opened(data["SignedInvoice"])
            said = (
                inside["SellerGstin"], inside["BuyerGstin"], inside["DocNo"], inside["DocTyp"],
                inside["DocDt"], Decimal(inside["TotInvVal"]), inside["Irn"], data["Irn"],
            )  # fmt: skip
        except (KeyError, TypeError, ValueError, JoseError):
            raise Rejected("irp_forged") from None
        ours = (
            document.seller.gstin, document.buyer.gstin, document.number, TYPES[document.kind],
            day(document.issued_on), Decimal(amount(document.total)), document.irn, document.irn,
        )  # fmt: skip
        if said != ours:
            raise Rejected("irp_forged")
        return Registered(
            irn=data["Irn"],
            ack_no=str(data.get("AckNo")),
            ack_at=_moment(data.get("AckDt")),
            signed_qr=data["SignedQRCode"],
            signed_invoice=data["SignedInvoice"],
            cancelled=data.get("Status") == CANCELLED,
        )

    def _opened(self, token: str) -> dict[str, Any]:
        """What the portal signed. Raises ValueError where none of its keys did, or for another shape."""
        for key in self._keys:
            try:
                claims = jwt.decode(token, key, algorithms=["RS256"]).claims
            except JoseError:
                continue
            found = json.loads(claims["data"], parse_float=Decimal)
            if not isinstance(found, dict):
                raise ValueError("not an object")
            return found
        raise ValueError("signed by nobody we know")


def _moment(text: Any) -> datetime:
    """`YYYY-MM-DD HH:MM:SS` in India. Raises Unavailable for another shape."""
    try:
        return datetime.strptime(str(text), "%Y-%m-%d %H:%M:%S").replace(tzinfo=IST)
    except ValueError:
        raise Unavailable("irp_unavailable") from None
