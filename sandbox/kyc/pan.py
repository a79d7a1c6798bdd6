"""PAN verification as NSDL (Protean) answers it, and the KRA and CKYC registries keyed by PAN.

`pan_status` E: existing and valid; X: deactivated; N: not in the Income Tax database. Name and date of
birth are matched, never told. `aadhaar_seeding_status` Y: linked; R: not linked (inoperative); NA.

A check is charged. One that carries the caller's `reference` is charged once: the same reference with the
same question gets the first answer again, as verification services dedupe by their clients' task id.
"""

import json
import re
import unicodedata

from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import BaseRoute, Route

from sandbox.control import ControlError, fields
from sandbox.kyc.answers import BadCall, call_fields, control_day, control_text, day, refuse, text
from sandbox.world import World

SCHEMA = """
CREATE TABLE IF NOT EXISTS kyc_pans (
  pan TEXT PRIMARY KEY, full_name TEXT NOT NULL, date_of_birth TEXT NOT NULL, status TEXT NOT NULL,
  kra TEXT NOT NULL, ckyc TEXT NOT NULL
);
CREATE TABLE IF NOT EXISTS kyc_pan_checks (
  reference TEXT PRIMARY KEY, asked TEXT NOT NULL, answer TEXT NOT NULL
);
"""

SHAPE = re.compile(r"[A-Z]{5}[0-9]{4}[A-Z]")
PAN_STATUS = {"valid": "E", "inactive": "X", "unknown": "N"}
SEEDING = {"valid": "Y", "inactive": "R", "unknown": "NA"}
KRA_STATES = {"validated", "registered", "on_hold", "not_found"}
_KRA_DEFAULT = {"valid": "validated", "inactive": "on_hold", "unknown": "not_found"}


def normal_name(name: str) -> str:
    """Case, accents, dots and blanks do not count in a name match; every word and its place do."""
    plain = unicodedata.normalize("NFKC", name).casefold()
    return " ".join(re.sub(r"[^\w\s]", " ", plain).split())


def _pan_of(body: dict[str, object]) -> str:
    pan = text(body, "pan")
    if not SHAPE.fullmatch(pan):
        raise BadCall("malformed_pan")
    return pan


def routes(world: World) -> list[BaseRoute]:
    """`POST /kyc/pan`, `/kyc/kra`, `/kyc/ckyc`: a PAN in a body, never in a URL."""

    def stored(pan: str) -> dict[str, str]:
        row = world.db.execute("SELECT * FROM kyc_pans WHERE pan = ?", (pan,)).fetchone()
        return dict(row) if row else {"status": "unknown", "kra": "not_found", "ckyc": ""}

    async def verify(request: Request) -> JSONResponse:
        try:
            body = await call_fields(request)
            pan, name, born = _pan_of(body), text(body, "name"), day(body, "dob")
        except BadCall as bad:
            return refuse(400, bad.code)
        reference, asked = str(body.get("reference") or ""), f"{pan} {name} {born}"
        first = world.db.execute("SELECT * FROM kyc_pan_checks WHERE reference = ?", (reference,)).fetchone()
        if first and first["asked"] != asked:
            return refuse(409, "reference_reused")
        if first:
            return JSONResponse(json.loads(first["answer"]))
        found = stored(pan)
        known = found["status"] != "unknown"
        matches = {
            "name_match": normal_name(name) == normal_name(found["full_name"]) if known else None,
            "dob_match": born.isoformat() == found["date_of_birth"] if known else None,
        }
        check_id = world.new_id("pan_")
        request.state.effect = {"check_id": check_id}
        answer = {
            "check_id": check_id,
            "pan": pan,
            "status": found["status"],
            "pan_status": PAN_STATUS[found["status"]],
            **{key: "" if match is None else "Y" if match else "N" for key, match in matches.items()},
            "aadhaar_seeding_status": SEEDING[found["status"]],
        }
        if reference:
            world.db.execute(
                "INSERT INTO kyc_pan_checks VALUES (?, ?, ?)", (reference, asked, json.dumps(answer))
            )
        return JSONResponse(answer)

    async def kra(request: Request) -> JSONResponse:
        try:
            pan = _pan_of(await call_fields(request))
        except BadCall as bad:
            return refuse(400, bad.code)
        check_id = world.new_id("kra_")
        request.state.effect = {"check_id": check_id}
        return JSONResponse({"check_id": check_id, "pan": pan, "kra_status": stored(pan)["kra"]})

    async def ckyc(request: Request) -> JSONResponse:
        try:
            pan = _pan_of(await call_fields(request))
        except BadCall as bad:
            return refuse(400, bad.code)
        number = stored(pan)["ckyc"]
        check_id = world.new_id("ckyc_")
        request.state.effect = {"check_id": check_id}
        return JSONResponse({"check_id": check_id, "found": bool(number), "ckyc_number": number or None})

    return [
        Route("/kyc/pan", verify, methods=["POST"]),
        Route("/kyc/kra", kra, methods=["POST"]),
        Route("/kyc/ckyc", ckyc, methods=["POST"]),
    ]


def control_routes(world: World) -> list[BaseRoute]:
    """`POST /_control/kyc/pan`: what the provider knows of a PAN from now on."""

    async def plant(request: Request) -> JSONResponse:
        body = await fields(request)
        pan, status = control_text(body, "pan"), control_text(body, "status", "valid")
        if not SHAPE.fullmatch(pan) or status not in PAN_STATUS:
            raise ControlError("`pan` or `status` is malformed")
        kra = control_text(body, "kra_status", _KRA_DEFAULT[status])
        if kra not in KRA_STATES:
            raise ControlError("`kra_status` is malformed")
        name, born = control_text(body, "full_name"), control_day(body, "date_of_birth").isoformat()
        world.db.execute(
            "INSERT OR REPLACE INTO kyc_pans VALUES (?, ?, ?, ?, ?, ?)",
            (pan, name, born, status, kra, control_text(body, "ckyc_number", "")),
        )
        return JSONResponse({"pan": pan, "status": status, "kra_status": kra})

    return [Route("/_control/kyc/pan", plant, methods=["POST"])]
