"""The e-invoice registration portal: IRN and signed QR for B2B invoices (GST rule 48(4), schema INV-01).

Requests are plain JSON where the portal of NIC encrypts them with a session key; fields, numbers of errors
and the content of the signed QR are the portal's.
"""

import hashlib
import json
from datetime import datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from joserfc import jwt
from joserfc.jwk import RSAKey
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import BaseRoute, Route

from sandbox.world import World

SCHEMA = """
CREATE TABLE IF NOT EXISTS irp_invoices (
  irn TEXT PRIMARY KEY, ack_no INTEGER NOT NULL, status TEXT NOT NULL, at TEXT NOT NULL, answer TEXT NOT NULL
);
"""

IST = ZoneInfo("Asia/Kolkata")
DOCUMENT_TYPES = frozenset({"INV", "CRN", "DBN"})
CANCEL_WITHIN = timedelta(hours=24)
FIRST_ACK = 112_010_000_000_000


def error(status: int, request: Request) -> Response:
    """A 5xx or 429 in this portal's shape."""
    code, message = ("5002", "Too many requests") if status == 429 else ("5001", "Application error")
    return _refused(code, message, status=status)


def financial_year(date: datetime) -> str:
    """`2026-27` for dates from 1 April 2026 to 31 March 2027."""
    first = date.year if date.month >= 4 else date.year - 1
    return f"{first}-{(first + 1) % 100:02d}"


def irn_of(gstin: str, year: str, kind: str, number: str) -> str:
    """SHA-256 over `gstin|financial year|document type|number`, 64 hex digits."""
    return hashlib.sha256(f"{gstin}|{year}|{kind}|{number}".encode()).hexdigest()


def _refused(code: str, message: str, info: Any = None, status: int = 200) -> Response:
    details = [{"ErrorCode": code, "ErrorMessage": message}]
    return JSONResponse({"Status": 0, "ErrorDetails": details, "Data": None, "InfoDtls": info}, status)


def _answered(data: dict[str, Any]) -> Response:
    return JSONResponse({"Status": 1, "ErrorDetails": None, "Data": data, "InfoDtls": None})


def _signing_key(world: World) -> RSAKey:
    def make() -> str:
        key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
        return key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        ).decode()

    return RSAKey.import_key(world.kept("irp.signing_key", make))


def _signed(world: World, data: dict[str, Any]) -> str:
    claims = {"data": json.dumps(data), "iss": "NIC"}
    return jwt.encode({"alg": "RS256", "typ": "JWT"}, claims, _signing_key(world))


def _document(invoice: Any) -> tuple[str, str, str, datetime]:
    """Seller's GSTIN, type, number and date of a document; raises KeyError, TypeError or ValueError."""
    document = invoice["DocDtls"]
    gstin, kind, number = invoice["SellerDtls"]["Gstin"], document["Typ"], document["No"]
    if not all(isinstance(text, str) and text for text in (gstin, kind, number)):
        raise ValueError("empty field")
    if kind not in DOCUMENT_TYPES or len(number) > 16 or len(gstin) != 15:
        raise ValueError("field out of range")
    return gstin, kind, number, datetime.strptime(document["Dt"], "%d/%m/%Y").replace(tzinfo=IST)


def _register(world: World, invoice: dict[str, Any], now: datetime) -> dict[str, Any]:
    gstin, kind, number, date = _document(invoice)
    items = invoice["ItemList"]
    irn = irn_of(gstin, financial_year(date), kind, number)
    stamp = now.astimezone(IST).strftime("%Y-%m-%d %H:%M:%S")
    qr = {
        "SellerGstin": gstin,
        "BuyerGstin": invoice["BuyerDtls"]["Gstin"],
        "DocNo": number,
        "DocTyp": kind,
        "DocDt": invoice["DocDtls"]["Dt"],
        "TotInvVal": invoice["ValDtls"]["TotInvVal"],
        "ItemCnt": len(items),
        "MainHsnCode": items[0]["HsnCd"],
        "Irn": irn,
        "IrnDt": stamp,
    }
    count = world.db.execute("SELECT count(*) AS n FROM irp_invoices").fetchone()["n"]
    return {
        "AckNo": FIRST_ACK + count + 1,
        "AckDt": stamp,
        "Irn": irn,
        "SignedInvoice": _signed(world, {**invoice, "Irn": irn, "AckDt": stamp}),
        "SignedQRCode": _signed(world, qr),
        "Status": "ACT",
        "EwbNo": None,
        "EwbDt": None,
        "EwbValidTill": None,
        "Remarks": None,
    }


def routes(world: World) -> list[BaseRoute]:
    """Register, look up and cancel (within 24 hours) an IRN; the key that verifies what is signed."""

    async def register(request: Request) -> Response:
        try:
            answer = _register(world, await request.json(), world.now(request))
        except (KeyError, TypeError, ValueError, IndexError):
            return _refused("3028", "The document does not follow the schema of the e-invoice")
        known = world.db.execute("SELECT answer FROM irp_invoices WHERE irn = ?", (answer["Irn"],)).fetchone()
        if known is not None:
            first = json.loads(known["answer"])
            desc = {name: first[name] for name in ("AckNo", "AckDt", "Irn")}
            return _refused("2150", "Duplicate IRN", [{"InfCd": "DUPIRN", "Desc": desc}])
        world.db.execute(
            "INSERT INTO irp_invoices VALUES (?, ?, 'ACT', ?, ?)",
            (answer["Irn"], answer["AckNo"], world.now(request).isoformat(), json.dumps(answer)),
        )
        request.state.effect = {"irn": answer["Irn"]}
        return _answered(answer)

    async def look_up(request: Request) -> Response:
        irn = request.path_params["irn"]
        row = world.db.execute("SELECT answer, status FROM irp_invoices WHERE irn = ?", (irn,)).fetchone()
        if row is None:
            return _refused("2148", "Requested IRN data is not available")
        return _answered({**json.loads(row["answer"]), "Status": row["status"]})

    async def cancel(request: Request) -> Response:
        body = await request.json()
        irn = body.get("Irn") if isinstance(body, dict) else None
        row = world.db.execute("SELECT * FROM irp_invoices WHERE irn = ?", (irn,)).fetchone()
        if row is None:
            return _refused("2148", "Requested IRN data is not available")
        if row["status"] == "CNL":
            return _refused("9999", "Invoice is not active")
        now = world.now(request)
        if now - datetime.fromisoformat(row["at"]) > CANCEL_WITHIN:
            return _refused(
                "2270", "The allowed cancellation time limit is crossed, you cannot cancel the IRN"
            )
        world.db.execute("UPDATE irp_invoices SET status = 'CNL' WHERE irn = ?", (irn,))
        request.state.effect = {"irn": irn, "cancelled": True}
        stamp = now.astimezone(IST).strftime("%Y-%m-%d %H:%M:%S")
        return _answered({"Irn": irn, "CancelDate": stamp})

    async def public_key(request: Request) -> Response:
        return PlainTextResponse(_signing_key(world).as_pem(private=False).decode())

    return [
        Route("/irp/eicore/v1.03/Invoice", register, methods=["POST"]),
        Route("/irp/eicore/v1.03/Invoice/irn/{irn}", look_up, methods=["GET"]),
        Route("/irp/eicore/v1.03/Invoice/Cancel", cancel, methods=["POST"]),
        Route("/irp/public-key", public_key, methods=["GET"]),
    ]


def control_routes(world: World) -> list[BaseRoute]:
    """The portal needs no control of its own: faults and journal suffice."""
    return []
