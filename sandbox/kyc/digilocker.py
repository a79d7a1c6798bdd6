"""DigiLocker: OAuth 2 code flow with PKCE, then the citizen's issued files.

Words and shapes follow DigiLocker's "Authorized Partner API Specification": token answer, issued files,
the `hmac` header over a file. A consent link, and the code it gives, live ten minutes.
"""

import base64
import hashlib
import hmac
import json
from datetime import date, datetime, timedelta
from html import escape
from typing import Any
from urllib.parse import parse_qs, urlencode

from lxml import etree
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, Response
from starlette.routing import BaseRoute, Route

from sandbox.control import ControlError, fields
from sandbox.kyc.answers import control_day, control_text
from sandbox.world import World

SCHEMA = """
CREATE TABLE IF NOT EXISTS kyc_consents (
  state TEXT PRIMARY KEY, client_id TEXT NOT NULL, redirect_uri TEXT NOT NULL, challenge TEXT NOT NULL,
  expires_at TEXT NOT NULL, code TEXT UNIQUE, code_expires_at TEXT, spent INTEGER NOT NULL DEFAULT 0,
  citizen TEXT
);
CREATE TABLE IF NOT EXISTS kyc_lockers (
  token TEXT PRIMARY KEY, expires_at TEXT NOT NULL, citizen TEXT NOT NULL
);
"""

CONSENT_LIFE = CODE_LIFE = timedelta(minutes=10)
TOKEN_LIFE = timedelta(hours=1)


def client(world: World) -> dict[str, str]:
    """Id and secret of the one partner app, kept over restarts and resets."""
    return {
        "client_id": world.kept("kyc.digilocker_client_id", lambda: world.new_id("", 8).upper()),
        "client_secret": world.kept("kyc.digilocker_client_secret", lambda: world.new_id("", 20)),
    }


def refuse(status: int, code: str, description: str) -> JSONResponse:
    """A refusal as OAuth 2 (RFC 6749, 5.2) words it."""
    return JSONResponse({"error": code, "error_description": description}, status)


def routes(world: World) -> list[BaseRoute]:
    """Consent page, token, list of issued files and one file."""

    async def authorize(request: Request) -> Response:
        asked = request.query_params
        needed = ("client_id", "redirect_uri", "state", "code_challenge")
        if asked.get("response_type") != "code" or not all(asked.get(key) for key in needed):
            return refuse(
                400, "invalid_request", "response_type, client_id, redirect_uri, state, code_challenge"
            )
        if asked.get("code_challenge_method") != "S256":
            return refuse(400, "invalid_request", "code_challenge_method must be S256")
        if asked["client_id"] != client(world)["client_id"]:
            return refuse(401, "invalid_client", "no such client")
        until = (world.now(request) + CONSENT_LIFE).isoformat()
        # Opening one link twice does not lengthen its life.
        world.db.execute(
            "INSERT OR IGNORE INTO kyc_consents (state, client_id, redirect_uri, challenge, expires_at)"
            " VALUES (?, ?, ?, ?, ?)",
            (asked["state"], asked["client_id"], asked["redirect_uri"], asked["code_challenge"], until),
        )
        return HTMLResponse(
            f"<!doctype html><title>DigiLocker sandbox</title><p>Consent {escape(asked['state'])}"
        )

    async def token(request: Request) -> Response:
        form = {
            key: values[0] for key, values in parse_qs(request.state.body.decode("utf-8", "replace")).items()
        }
        own = client(world)
        given = (form.get("client_id", ""), form.get("client_secret", ""))
        if not hmac.compare_digest("\n".join(given).encode(), "\n".join(own.values()).encode()):
            return refuse(401, "invalid_client", "client authentication failed")
        if form.get("grant_type") != "authorization_code":
            return refuse(400, "unsupported_grant_type", "authorization_code only")
        row = world.db.execute(
            "SELECT * FROM kyc_consents WHERE code = ?", (form.get("code", ""),)
        ).fetchone()
        if row is None or row["spent"] or _past(row["code_expires_at"], world.now(request)):
            return refuse(400, "invalid_grant", "the code is unknown, spent or expired")
        proof = hashlib.sha256(form.get("code_verifier", "").encode()).digest()
        challenge = base64.urlsafe_b64encode(proof).rstrip(b"=").decode()
        if form.get("redirect_uri") != row["redirect_uri"] or challenge != row["challenge"]:
            return refuse(400, "invalid_grant", "redirect_uri or code_verifier does not fit")
        world.db.execute("UPDATE kyc_consents SET spent = 1 WHERE state = ?", (row["state"],))
        access, citizen = world.new_id("", 40), json.loads(row["citizen"])
        until = (world.now(request) + TOKEN_LIFE).isoformat()
        world.db.execute("INSERT INTO kyc_lockers VALUES (?, ?, ?)", (access, until, row["citizen"]))
        request.state.effect = {"digilockerid": citizen["digilockerid"]}
        return JSONResponse(
            {
                "access_token": access,
                "expires_in": int(TOKEN_LIFE.total_seconds()),
                "token_type": "Bearer",
                "scope": "files.issueddocs",
                "digilockerid": citizen["digilockerid"],
                "name": citizen["name"],
                "dob": f"{date.fromisoformat(citizen['dob']):%d%m%Y}",
                "gender": citizen["gender"],
                "eaadhaar": "Y",
            }
        )

    def citizen_of(request: Request) -> dict[str, Any] | None:
        scheme, _, access = request.headers.get("authorization", "").partition(" ")
        row = world.db.execute("SELECT * FROM kyc_lockers WHERE token = ?", (access,)).fetchone()
        if scheme.lower() != "bearer" or row is None or _past(row["expires_at"], world.now(request)):
            return None
        found: dict[str, Any] = json.loads(row["citizen"])
        return found

    async def issued(request: Request) -> Response:
        citizen = citizen_of(request)
        if citizen is None:
            return refuse(401, "invalid_token", "the token is unknown or expired")
        return JSONResponse({"items": _listing(citizen), "resource": "Issued"})

    async def file(request: Request) -> Response:
        citizen = citizen_of(request)
        if citizen is None:
            return refuse(401, "invalid_token", "the token is unknown or expired")
        uri = request.path_params["uri"]
        if uri not in {item["uri"] for item in _listing(citizen)}:
            return refuse(404, "uri_not_found", "no such file in this locker")
        content = _certificate(uri, citizen)
        seal = hmac.new(client(world)["client_secret"].encode(), content, hashlib.sha256).digest()
        return Response(
            content, media_type="application/xml", headers={"hmac": base64.b64encode(seal).decode()}
        )

    return [
        Route("/kyc/digilocker/authorize", authorize, methods=["GET"]),
        Route("/kyc/digilocker/token", token, methods=["POST"]),
        Route("/kyc/digilocker/files/issued", issued, methods=["GET"]),
        Route("/kyc/digilocker/file/{uri}", file, methods=["GET"]),
    ]


def control_routes(world: World) -> list[BaseRoute]:
    """The partner app's credentials, and the citizen's answer on the consent page."""

    async def credentials(request: Request) -> JSONResponse:
        return JSONResponse(client(world))

    async def consent(request: Request) -> JSONResponse:
        body = await fields(request)
        state = control_text(body, "state")
        row = world.db.execute("SELECT * FROM kyc_consents WHERE state = ?", (state,)).fetchone()
        if row is None or row["code"]:
            raise ControlError("no consent page waits under this state", 404)
        if _past(row["expires_at"], world.now(request)):
            raise ControlError("the consent link has expired", 410)
        if body.get("allow", True) is not True:
            return _back(row["redirect_uri"], error="access_denied", state=state)
        code = world.new_id("", 40)
        until = (world.now(request) + CODE_LIFE).isoformat()
        citizen = {
            "digilockerid": world.new_id("", 36),
            "name": control_text(body, "full_name"),
            "dob": control_day(body, "date_of_birth").isoformat(),
            "gender": control_text(body, "gender", "M"),
            "pan": control_text(body, "pan", ""),
        }
        world.db.execute(
            "UPDATE kyc_consents SET code = ?, code_expires_at = ?, citizen = ? WHERE state = ?",
            (code, until, json.dumps(citizen), state),
        )
        return _back(row["redirect_uri"], code=code, state=state)

    return [
        Route("/_control/kyc/digilocker/client", credentials, methods=["GET"]),
        Route("/_control/kyc/digilocker/consent", consent, methods=["POST"]),
    ]


def _back(redirect_uri: str, **answer: str) -> JSONResponse:
    mark = "&" if "?" in redirect_uri else "?"
    return JSONResponse({"redirect_to": f"{redirect_uri}{mark}{urlencode(answer)}", **answer})


def _past(moment: str, now: datetime) -> bool:
    return datetime.fromisoformat(moment) <= now


def _listing(citizen: dict[str, Any]) -> list[dict[str, Any]]:
    kinds = [("ADHAR", "Aadhaar Card", "in.gov.uidai", "Unique Identification Authority of India")]
    if citizen["pan"]:
        kinds.append(("PANCR", "PAN Verification Record", "in.gov.pan", "Income Tax Department"))
    return [
        {
            "name": name,
            "type": "file",
            "size": "",
            "date": "01-01-2026",
            "parent": "",
            "mime": ["application/xml"],
            "uri": f"{issuer}-{kind}-{citizen['digilockerid'][:12]}",
            "doctype": kind,
            "description": name,
            "issuerid": issuer,
            "issuer": by,
        }
        for kind, name, issuer, by in kinds
    ]


def _certificate(uri: str, citizen: dict[str, Any]) -> bytes:
    number = citizen["pan"] if "-PANCR-" in uri else ""
    root = etree.Element("Certificate", number=number, type=uri.split("-")[1], status="A")
    person = etree.SubElement(etree.SubElement(root, "IssuedTo"), "Person")
    born = f"{date.fromisoformat(citizen['dob']):%d-%m-%Y}"
    person.attrib.update({"name": citizen["name"], "dob": born, "gender": citizen["gender"]})
    return bytes(etree.tostring(root, xml_declaration=True, encoding="UTF-8"))
