"""Customers who pass KYC over HTTP: the API in this process, the sandbox's control interface, the pool."""

import asyncio
import base64
import secrets
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from datetime import date
from typing import Any

import httpx

from api.app import create_app
from models.settings import Settings
from tests.api.conftest import Api, Person, eventually
from workers.onboarding import POOL
from workers.parts import assemble
from workers.pool import workers

BORN = date(1990, 5, 17)
SHARE_CODE = "4321"
ADDRESS = {"line1": "12 MG Road", "city": "Bengaluru", "state": "Karnataka", "pincode": "560001"}
PDF = base64.b64encode(b"%PDF-1.7 a bill").decode()
SURNAMES = ("Rao", "Iyer", "Menon", "Gupta", "Bose", "Nair", "Kulkarni", "Banerjee")
FIRST_NAMES = ("Asha", "Meera", "Ravi", "Kiran", "Divya", "Arjun", "Leela", "Vikram")


class Outside:
    """The sandbox's control interface, and its journal."""

    def __init__(self, sandbox: str) -> None:
        headers = {"X-Sandbox-Control": "1"}
        self.http = httpx.AsyncClient(base_url=f"{sandbox}/_control", headers=headers, timeout=20)

    async def control(self, path: str, **body: Any) -> dict[str, Any]:
        answer = await self.http.post(path, json=body)
        assert answer.is_success, answer.text
        return answer.json()

    async def journal(self, target: str, path: str) -> list[dict[str, Any]]:
        items = (await self.http.get("/journal", params={"target": target})).json()["items"]
        return [item for item in items if item["path"].startswith(path)]


@dataclass
class Customer:
    """Who a person claims to be, and what the outside world knows of them."""

    person: Person
    full_name: str
    pan: str
    born: date = BORN
    facts: dict[str, Any] = field(default_factory=dict)

    @property
    def user_id(self) -> str:
        return self.person.user_id

    @property
    def headers(self) -> dict[str, str]:
        return self.person.headers


def new_pan(full_name: str) -> str:
    letters = "".join(secrets.choice("ABCDEFGHJKLMNPQRSTUVWXYZ") for _ in range(4))
    return f"{letters[:3]}P{full_name.split()[-1][0].upper()}{secrets.randbelow(9000) + 1000}{letters[3]}"


async def customer(api: Api, full_name: str | None = None) -> Customer:
    """Registered, both contacts proven, signed in."""
    name = full_name or f"{secrets.choice(FIRST_NAMES)} {secrets.choice(SURNAMES)}"
    return Customer(await api.signed_in(full_name=name), name, new_pan(name))


async def submission(
    outside: Outside,
    who: Customer,
    *,
    tier: str = "basic",
    pan_name: str | None = None,
    pan_status: str = "valid",
    aadhaar_name: str | None = None,
    mobile: str | None = None,
    generated_at: str | None = None,
    **changed: Any,
) -> dict[str, Any]:
    """A body of `verify-kyc`, the outside world knowing what it says unless told otherwise."""
    await outside.control(
        "/kyc/pan",
        pan=who.pan,
        full_name=pan_name or who.full_name,
        date_of_birth=who.born.isoformat(),
        status=pan_status,
    )
    dated = {"generated_at": generated_at} if generated_at else {}
    ekyc = await outside.control(
        "/kyc/aadhaar",
        full_name=aadhaar_name or who.full_name,
        date_of_birth=who.born.isoformat(),
        gender="F",
        mobile=mobile or who.person.phone,
        email=who.person.email,
        address=ADDRESS,
        share_code=SHARE_CODE,
        last_digit="7",
        **dated,
    )
    return {
        "tier": tier,
        "full_name": who.full_name,
        "date_of_birth": who.born.isoformat(),
        "pan": who.pan,
        "address": ADDRESS,
        "aadhaar_ekyc": {"zip_base64": ekyc["zip_base64"], "share_code": SHARE_CODE},
        "documents": [],
        "consent": {"purposes": ["kyc"], "accepted": True},
        **changed,
    }


async def hand_in(api: Api, who: Customer, body: dict[str, Any], *, again: bool = False) -> dict[str, Any]:
    path = f"/v1/users/{who.user_id}/kyc/resubmit" if again else "/v1/auth/verify-kyc"
    # Under one key, again while the command is pending: a client's way on a busy machine.
    headers = {"Idempotency-Key": secrets.token_hex(8), **who.headers}
    async with asyncio.timeout(60):
        while (answer := await api.post(path, json=body, headers=headers)).status_code == 503:
            await asyncio.sleep(0.2)
    assert answer.status_code == 202, answer.text
    return answer.json()


async def kyc(api: Api, who: Customer, *wanted: str) -> dict[str, Any]:
    """The customer's KYC once its status is one of `wanted`."""

    async def read() -> dict[str, Any]:
        answer = await api.get(f"/v1/users/{who.user_id}/kyc", headers=who.headers)
        assert answer.status_code == 200, answer.text
        return answer.json()

    found = await eventually(read, lambda each: each["status"] in wanted, 20)
    assert found["status"] in wanted, found
    return found


async def verified_customer(api: Api, sandbox: str | Outside, tier: str = "basic") -> Customer:
    """Someone whose basic KYC is verified, through HTTP alone; the onboarding pool has to run."""
    outside = sandbox if isinstance(sandbox, Outside) else Outside(sandbox)
    who = await customer(api)
    await hand_in(api, who, await submission(outside, who, tier=tier))
    await kyc(api, who, "verified")
    return who


@asynccontextmanager
async def onboarding_pool(settings: Settings) -> AsyncIterator[None]:
    """Serves the onboarding pool in this process."""
    async with assemble(settings) as parts, AsyncExitStack() as stack:
        for worker in workers(POOL, parts, parts.client):
            await stack.enter_async_context(worker)
        yield


@asynccontextmanager
async def desk(settings: Settings) -> AsyncIterator[Api]:
    """The API and the onboarding pool in this process, limits a thousandfold."""
    app = create_app(settings.model_copy(update={"limit_factor": 1000.0}))
    async with onboarding_pool(settings), app.router.lifespan_context(app), Api(app) as api:
        yield api
