"""KYC providers: PAN verification, Aadhaar offline e-KYC, DigiLocker, face match, KRA and CKYC look-ups."""

from starlette.routing import BaseRoute

from sandbox.kyc import aadhaar, digilocker, face, pan
from sandbox.kyc.answers import error
from sandbox.world import World

__all__ = ["SCHEMA", "control_routes", "error", "routes"]

_PARTS = (pan, aadhaar, face, digilocker)

SCHEMA = pan.SCHEMA + face.SCHEMA + digilocker.SCHEMA


def routes(world: World) -> list[BaseRoute]:
    """What the platform calls."""
    return [route for part in _PARTS for route in part.routes(world)]


def control_routes(world: World) -> list[BaseRoute]:
    """What tests and the demo set up."""
    return [route for part in _PARTS for route in part.control_routes(world)]
