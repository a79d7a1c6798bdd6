"""Aadhaar offline e-KYC: files on request, signed by the sandbox's own key, and the certificate to pin."""

import base64
import re
import secrets
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Route

from sandbox.control import ControlError, fields
from sandbox.kyc import offline_file
from sandbox.kyc.answers import control_day, control_text
from sandbox.world import World, parse_time

GENDERS = {"m": "M", "male": "M", "f": "F", "female": "F", "t": "T", "transgender": "T", "other": "T"}


def signing_key(world: World) -> tuple[str, str]:
    """Private key and certificate (PEM): the one given at the start, else made once and kept over restarts
    and resets, since platforms pin it."""
    end = "-----END PRIVATE KEY-----\n"
    given = world.settings.credentials.get(("kyc", "aadhaar_signer"))
    both = (
        base64.b64decode(given).decode()
        if given
        else world.kept("kyc.aadhaar_signer", lambda: "".join(offline_file.new_signing_key()))
    )
    private, _, certificate = both.partition(end)
    return private + end, certificate


def routes(world: World) -> list[BaseRoute]:
    """`GET /kyc/aadhaar/certificate`, as UIDAI publishes its own: PEM."""

    async def certificate(request: Request) -> Response:
        return Response(signing_key(world)[1], media_type="application/x-pem-file")

    return [Route("/kyc/aadhaar/certificate", certificate, methods=["GET"])]


def control_routes(world: World) -> list[BaseRoute]:
    """`POST /_control/kyc/aadhaar` makes a file; `generated_at` (RFC 3339) dates it otherwise than now."""

    async def make(request: Request) -> JSONResponse:
        body = await fields(request)
        share_code = control_text(body, "share_code")
        try:
            made_at = parse_time(body["generated_at"]) if body.get("generated_at") else world.now(request)
        except (TypeError, ValueError, OverflowError) as bad:
            raise ControlError("`generated_at` is not a time with a zone") from bad
        reference, packed = offline_file.offline_file(_person(body), share_code, made_at, *signing_key(world))
        return JSONResponse({"zip_base64": offline_file.as_base64(packed), "reference_id": reference})

    return [Route("/_control/kyc/aadhaar", make, methods=["POST"])]


def _person(body: dict[str, Any]) -> offline_file.Person:
    digit, gender = str(body.get("last_digit", "")), control_text(body, "gender").lower()
    mobile = re.sub(r"\D", "", control_text(body, "mobile"))[-10:]
    if not re.fullmatch("[0-9]", digit) or gender not in GENDERS or len(mobile) != 10:
        raise ControlError("`last_digit`, `gender` or `mobile` is malformed")
    return offline_file.Person(
        name=control_text(body, "full_name"),
        date_of_birth=control_day(body, "date_of_birth"),
        gender=GENDERS[gender],
        mobile=mobile,
        email=control_text(body, "email", ""),
        address=_address(body.get("address")),
        last4=f"{secrets.randbelow(1000):03d}{digit}",
    )


def _address(given: Any) -> dict[str, str]:
    """`Poa` from an address of the platform's API `{line1, line2?, city, state, pincode}` or one line."""
    parts = given if isinstance(given, dict) else {"line1": given or ""}
    found = {key: parts.get(key) or "" for key in ("line1", "line2", "city", "state", "pincode", "care_of")}
    if not all(isinstance(value, str) for value in found.values()):
        raise ControlError("`address` is malformed")
    return {
        "careof": found["care_of"],
        "country": "India",
        "dist": found["city"],
        "house": "",
        "landmark": "",
        "loc": found["line2"],
        "pc": found["pincode"],
        "po": "",
        "state": found["state"],
        "street": found["line1"],
        "subdist": "",
        "vtc": found["city"],
    }
