"""Face match and liveness, as video-KYC providers answer: whoever is not planted matches and is live."""

from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import BaseRoute, Route

from sandbox.control import ControlError, fields
from sandbox.kyc.answers import BadCall, call_fields, control_text, refuse, text
from sandbox.world import World

SCHEMA = """
CREATE TABLE IF NOT EXISTS kyc_faces (
  reference TEXT PRIMARY KEY, match INTEGER NOT NULL, live INTEGER NOT NULL
);
"""


def routes(world: World) -> list[BaseRoute]:
    """`POST /kyc/face {reference, selfie_base64?, document_base64?}`."""

    async def verify(request: Request) -> JSONResponse:
        try:
            reference = text(await call_fields(request), "reference")
        except BadCall as bad:
            return refuse(400, bad.code)
        row = world.db.execute("SELECT * FROM kyc_faces WHERE reference = ?", (reference,)).fetchone()
        match, live = (bool(row["match"]), bool(row["live"])) if row else (True, True)
        check_id = world.new_id("face_")
        request.state.effect = {"check_id": check_id}
        return JSONResponse({"check_id": check_id, "reference": reference, "match": match, "live": live})

    return [Route("/kyc/face", verify, methods=["POST"])]


def control_routes(world: World) -> list[BaseRoute]:
    """`POST /_control/kyc/face {reference, match, live}`."""

    async def plant(request: Request) -> JSONResponse:
        body = await fields(request)
        reference, match, live = control_text(body, "reference"), body.get("match"), body.get("live")
        if not isinstance(match, bool) or not isinstance(live, bool):
            raise ControlError("`match` and `live` are true or false")
        world.db.execute("INSERT OR REPLACE INTO kyc_faces VALUES (?, ?, ?)", (reference, match, live))
        return JSONResponse({"reference": reference, "match": match, "live": live})

    return [Route("/_control/kyc/face", plant, methods=["POST"])]
