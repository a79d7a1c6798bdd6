"""The e-invoice registration portal: IRN and signed QR for B2B invoices (GST rule 48(4), schema INV-01).

Requests are plain JSON where the portal of NIC encrypts them with a session key; fields, numbers of errors
and the content of the signed QR are the portal's.
"""

import base64
import hashlib
import json
import re
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from joserfc import jwt
from joserfc.jwk import RSAKey
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import BaseRoute, Route

from sandbox.control import ControlError, fields
from sandbox.irp_rules import IST, Refused, check, day_of
from sandbox.world import World

SCHEMA = """
CREATE TABLE IF NOT EXISTS irp_invoices (
  irn TEXT PRIMARY KEY, ack_no INTEGER NOT NULL, status TEXT NOT NULL, at TEXT NOT NULL, answer TEXT NOT NULL
);
CREATE TABLE IF NOT EXISTS irp_gstins (gstin TEXT PRIMARY KEY, status TEXT NOT NULL);
"""

GSTIN_STATES = {"active": "ACT", "cancelled": "CNL", "suspended": "SUS", "unknown": ""}
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

    given = world.settings.credentials.get(("irp", "signer"))
    pem = base64.b64decode(given).decode() if given else world.kept("irp.signing_key", make)
    return RSAKey.import_key(pem)


def _signed(world: World, data: dict[str, Any]) -> str:
    claims = {"data": json.dumps(data, default=_plain), "iss": "NIC"}
    return jwt.encode({"alg": "RS256", "typ": "JWT"}, claims, _signing_key(world))


def _read(raw: bytes) -> Any:
    """JSON whose amounts stay decimal."""
    try:
        return json.loads(raw, parse_float=Decimal)
    except ValueError:
        raise Refused("2140", "Error while validating invoice: JSON") from None


def _plain(value: Any) -> Any:
    return float(value) if isinstance(value, Decimal) else str(value)


def _register(world: World, invoice: dict[str, Any], now: datetime) -> dict[str, Any]:
    document, items = invoice["DocDtls"], invoice["ItemList"]
    gstin, kind, number = invoice["SellerDtls"]["Gstin"], document["Typ"], document["No"]
    irn = irn_of(gstin, financial_year(day_of(document["Dt"])), kind, number)
    stamp = now.astimezone(IST).strftime("%Y-%m-%d %H:%M:%S")
    qr = {
        "SellerGstin": gstin,
        "BuyerGstin": invoice["BuyerDtls"]["Gstin"],
        "DocNo": number,
        "DocTyp": kind,
        "DocDt": document["Dt"],
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

    def standing(gstin: str) -> str:
        """`ACT`, `CNL` or `SUS`; empty where it is unknown. All are active that were not set."""
        row = world.db.execute("SELECT status FROM irp_gstins WHERE gstin = ?", (gstin,)).fetchone()
        return str(row["status"]) if row else "ACT"

    async def register(request: Request) -> Response:
        now = world.now(request)
        try:
            invoice = _read(await request.body())
            check(invoice, now)
            for party in ("SellerDtls", "BuyerDtls"):
                gstin = invoice[party]["Gstin"]
                if not standing(gstin):
                    raise Refused("3028", f"GSTIN {gstin} is not present in invoice system")
                if standing(gstin) != "ACT":
                    raise Refused("3029", f"GSTIN {gstin} is inactive or cancelled")
            answer = _register(world, invoice, now)
        except Refused as refused:
            return _refused(refused.code, refused.message)
        known = world.db.execute("SELECT answer FROM irp_invoices WHERE irn = ?", (answer["Irn"],)).fetchone()
        if known is not None:
            first = json.loads(known["answer"])
            desc = {name: first[name] for name in ("AckNo", "AckDt", "Irn")}
            return _refused("2150", "Duplicate IRN", [{"InfCd": "DUPIRN", "Desc": desc}])
        world.db.execute(
            "INSERT INTO irp_invoices VALUES (?, ?, 'ACT', ?, ?)",
            (answer["Irn"], answer["AckNo"], now.isoformat(), json.dumps(answer)),
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
        stamp = now.astimezone(IST).strftime("%Y-%m-%d %H:%M:%S")
        answer = json.dumps({**json.loads(row["answer"]), "CancelDate": stamp})
        world.db.execute("UPDATE irp_invoices SET status = 'CNL', answer = ? WHERE irn = ?", (answer, irn))
        request.state.effect = {"irn": irn, "cancelled": True}
        return _answered({"Irn": irn, "CancelDate": stamp})

    async def taxpayer(request: Request) -> Response:
        """The portal's master of taxpayers: made up from the number, the same each time."""
        gstin = request.path_params["gstin"]
        if not re.fullmatch(r"\d{2}[A-Z0-9]{13}", gstin) or not standing(gstin):
            return _refused("3001", "Requested data is not available")
        street = 1 + int(hashlib.sha256(gstin.encode()).hexdigest(), 16) % 400
        return _answered(
            {
                "Gstin": gstin,
                "TradeName": f"Sandbox {gstin[2:7]} Traders",
                "LegalName": f"Sandbox {gstin[2:7]} Private Limited",
                "AddrBnm": "Commerce House",
                "AddrBno": str(street),
                "AddrFlno": "2nd Floor",
                "AddrSt": "Station Road",
                "AddrLoc": "Old Town",
                "StateCode": int(gstin[:2]),
                "AddrPncd": 560_001,
                "TxpType": "REG",
                "Status": standing(gstin),
                "BlkStatus": "U",
            }
        )

    async def public_key(request: Request) -> Response:
        return PlainTextResponse(_signing_key(world).as_pem(private=False).decode())

    return [
        Route("/irp/eicore/v1.03/Invoice", register, methods=["POST"]),
        Route("/irp/eicore/v1.03/Invoice/irn/{irn}", look_up, methods=["GET"]),
        Route("/irp/eicore/v1.03/Invoice/Cancel", cancel, methods=["POST"]),
        Route("/irp/eivital/v1.04/Master/gstin/{gstin}", taxpayer, methods=["GET"]),
        Route("/irp/public-key", public_key, methods=["GET"]),
    ]


def control_routes(world: World) -> list[BaseRoute]:
    """`POST /_control/irp/gstin {gstin, status:"active"|"cancelled"|"suspended"|"unknown"}`."""

    async def gstin(request: Request) -> Response:
        body = await fields(request)
        number, status = body.get("gstin"), body.get("status")
        if not isinstance(number, str) or len(number) != 15 or status not in GSTIN_STATES:
            raise ControlError("`gstin` has 15 characters and `status` is one of " + ", ".join(GSTIN_STATES))
        world.db.execute("INSERT OR REPLACE INTO irp_gstins VALUES (?, ?)", (number, GSTIN_STATES[status]))
        return JSONResponse({"gstin": number, "status": status})

    return [Route("/_control/irp/gstin", gstin, methods=["POST"])]
