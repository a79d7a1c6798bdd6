"""Calls of the contract whose column has not come yet: 501 ``not_built``. Built routes match first."""

from fastapi import APIRouter
from starlette.responses import Response

from api.problems import Problem

router = APIRouter()

CALLS = """
GET /v1/auth/oidc/{provider}
GET /v1/auth/oidc/{provider}/callback
POST /v1/kyc/digilocker/start
GET /v1/kyc/digilocker/callback
GET /v1/users/{id}/export
POST /v1/users/{id}/erasure
POST /v1/graphql
"""


async def not_built() -> Response:
    raise Problem(501)


for call in CALLS.split("\n"):
    if call:
        method, path = call.split(" ")
        router.add_api_route(path, not_built, methods=[method], include_in_schema=False)
