"""The API served in this process against the session's engines, and people who come to it over HTTP."""

import asyncio
import re
import secrets
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any

import httpx
import psycopg
import pyotp
import pytest
from fastapi import FastAPI

from api.app import create_app
from api.platform import Platform
from cli.embedded import EmbeddedEngines
from models.contracts.assertions import Assertion
from models.contracts.commands import Drive
from store.vault import Vault

PASSWORD = "correct horse battery staple 47"
ASKED_AGAIN = 5


@dataclass
class Person:
    """Someone with an account; `headers` carry the bearer."""

    user_id: str
    email: str
    phone: str
    password: str = PASSWORD
    access_token: str = ""
    refresh_token: str = ""
    totp_secret: str = ""

    @property
    def headers(self) -> dict[str, str]:
        return {"Authorization": f"Bearer {self.access_token}"}


class Api(httpx.AsyncClient):
    """An HTTP client of the application, with what its tests do again and again."""

    def __init__(self, app: FastAPI, address: str = "127.0.0.1") -> None:
        transport = httpx.ASGITransport(app, client=(address, 50000))
        super().__init__(transport=transport, base_url="http://treum.test")
        self.app = app
        self.platform: Platform = app.state.platform

    async def send(self, request: httpx.Request, **given: Any) -> httpx.Response:
        """As a client does that reads `Retry-After`: a command whose answer takes longer than the envelope
        waits, as on a busy machine, is asked about again under its key."""
        for _ in range(ASKED_AGAIN):
            answer = await super().send(request, **given)
            if answer.status_code != httpx.codes.SERVICE_UNAVAILABLE:
                return answer
            await answer.aread()
            if "command_pending" not in answer.text:
                return answer
            await asyncio.sleep(float(answer.headers["Retry-After"]))
        return answer

    async def register(self, **given: str) -> Person:
        """A fresh account, nothing verified."""
        person = Person("", f"{secrets.token_hex(6)}@example.in", f"+919{secrets.randbelow(10**9):09d}")
        body = {
            "email": person.email,
            "phone": person.phone,
            "password": person.password,
            "full_name": "Asha Verma",
            **given,
        }
        answer = await self.post("/v1/auth/register", json=body)
        assert answer.status_code == 201, answer.text
        person.user_id = answer.json()["user_id"]
        return person

    async def verified(self, **given: str) -> Person:
        """An account with both contacts proven."""
        person = await self.register(**given)
        for channel in ("email", "phone"):
            code = await self.code(person.user_id, channel)
            body = {"user_id": person.user_id, "channel": channel, "code": code}
            answer = await self.post("/v1/auth/verify", json=body)
            assert answer.status_code == 200, answer.text
        return person

    async def signed_in(self, **given: str) -> Person:
        """A customer with a session."""
        person = await self.verified(**given)
        await self.sign_in(person)
        return person

    async def sign_in(self, person: Person, **more: str) -> httpx.Response:
        body = {"email": person.email, "password": person.password, **more}
        answer = await self.post("/v1/auth/login", json=body)
        if answer.status_code == 200:
            person.access_token = answer.json()["access_token"]
            person.refresh_token = answer.json()["refresh_token"]
        return answer

    async def staff(self, *roles: str) -> Person:
        """A member of staff with a session; roles count from the next request."""
        person = await self.signed_in()
        async with await psycopg.AsyncConnection.connect(self.platform.settings.postgres) as connection:
            for role in roles:
                await connection.execute(
                    """INSERT INTO user_management.user_roles (user_id, role, granted_by, granted_at)
                       VALUES (%s, %s, 'test', now())""",
                    (person.user_id, role),
                )
        return person

    async def with_totp(self, person: Person) -> list[str]:
        """Makes TOTP due for the person; the recovery codes."""
        enrolled = await self.post("/v1/auth/totp/enroll", headers=person.headers)
        person.totp_secret = enrolled.json()["secret"]
        # The code of the step before, so that the present one is still to be used.
        code = pyotp.TOTP(person.totp_secret).at(int(time.time()) - 30)
        answer = await self.post("/v1/auth/totp/activate", json={"code": code}, headers=person.headers)
        assert answer.status_code == 200, answer.text
        return answer.json()["recovery_codes"]

    async def stepped_up(self, person: Person) -> dict[str, str]:
        """Headers with a token of acr "2", by a code sent to the person's phone."""
        body: dict[str, Any] = {"method": "phone"}
        await self.post("/v1/auth/step-up/challenge", json=body, headers=person.headers)
        body["code"] = await self.code(person.user_id, "phone")
        answer = await self.post("/v1/auth/step-up", json=body, headers=person.headers)
        assert answer.status_code == 200, answer.text
        return {"Authorization": f"Bearer {answer.json()['access_token']}"}

    async def code(self, user_id: str, channel: str) -> str:
        """The latest code written to the person on that channel."""
        wire = {"email": "email", "phone": "sms"}[channel]
        texts = [text for sent_by, text in await self.letters(user_id) if sent_by == wire]
        found = [match.group() for text in texts if (match := re.search(r"\b\d{6}\b", text))]
        return found[-1]

    async def letters(self, user_id: str) -> list[tuple[str, str]]:
        """Every message written to the person, oldest first: (channel, text)."""
        vault: Vault = self.platform.vault
        async with self.platform.database.transaction() as connection:
            cursor = await connection.execute(
                """SELECT message_id, channel, text FROM platform.messages WHERE person_id = %s
                   ORDER BY made_at, message_id""",
                (user_id,),
            )
            rows = await cursor.fetchall()
            ring = await vault.person(connection, user_id)
        return [
            (row["channel"], ring.open(bytes(row["text"]), f"message:{row['message_id']}").decode())
            for row in rows
        ]

    async def words(self, workflow_id: str | None = None) -> set[tuple[str, bool]]:
        """Of each kept command that carries a signed word: its update, and whether the word is for it alone.

        One that is not is refused for its age where the engines were down and the command is driven late.
        """
        async with self.platform.database.reading() as connection:
            cursor = await connection.execute("SELECT command_id, drive FROM platform.commands")
            rows = await cursor.fetchall()
        firm, found = self.platform.vault.firm, set()
        for row in rows:
            drive = Drive.model_validate_json(firm.open(bytes(row["drive"]), row["command_id"]))
            given = drive.argument or {}
            word = given.get("assertion") or given.get("signed")
            if word and workflow_id in (None, drive.workflow_id):
                inside = Assertion.model_validate_json(word["assertion"])
                found.add((drive.update or "", inside.command_id == drive.update_id))
        return found


@pytest.fixture(scope="session")
async def app(engines: EmbeddedEngines) -> AsyncIterator[FastAPI]:
    """The application with its lifespan; its limits a thousandfold, so that only their tests meet them."""
    app = create_app(engines.settings.model_copy(update={"limit_factor": 1000.0}))
    async with app.router.lifespan_context(app):
        yield app


@pytest.fixture(scope="session")
async def api(app: FastAPI) -> AsyncIterator[Api]:
    async with Api(app) as client:
        yield client


@pytest.fixture(scope="module")
async def till(engines: EmbeddedEngines, app: FastAPI, api: Api) -> AsyncIterator[Any]:
    """Where customers pay."""
    from tests.api.till import counter  # it builds on this module

    async with counter(engines, app, api) as made:
        yield made


async def eventually(read: Any, holds: Any, seconds: float = 10.0) -> Any:
    """Reads until `holds` is true of what was read; AssertionError where it is not within `seconds`."""
    deadline = asyncio.get_running_loop().time() + seconds
    while True:
        found = await read()
        if holds(found):
            return found
        assert asyncio.get_running_loop().time() < deadline, f"waited in vain, at last for {found!r}"
        await asyncio.sleep(0.02)
