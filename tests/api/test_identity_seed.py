"""The staff of an embedded home: seeded once, able to sign in, each with their role."""

import base64
import secrets

import psycopg
import pyotp
from psycopg.rows import dict_row

from api.tokens import Tokens
from models.contracts.identifiers import Prefix, mint
from store import seed
from tests.api.conftest import Api, Person


async def test_seeded_staff_sign_in_with_totp_and_hold_their_role(api: Api) -> None:
    staff = {name: _credential(name) for name in ("finance", "finance2")}
    for _ in range(2):
        await seed.run(api.platform.settings, staff)
    given = staff["finance2"]
    person = Person(given["user_id"], given["email"], "", given["password"])
    assert (await api.sign_in(person)).json()["code"] == "totp_required"
    assert (await api.sign_in(person, totp=pyotp.TOTP(given["totp_secret"]).now())).status_code == 200
    assert Tokens(api.platform.settings).read(person.access_token).user_id == given["user_id"]
    connection = await psycopg.AsyncConnection.connect(api.platform.settings.postgres, row_factory=dict_row)
    async with connection:
        cursor = await connection.execute(
            "SELECT role FROM user_management.user_roles WHERE user_id = %s", (given["user_id"],)
        )
        assert await cursor.fetchall() == [{"role": "finance"}]


def _credential(name: str) -> seed.Credential:
    return {
        "user_id": mint(Prefix.USER),
        "email": f"{name}.{secrets.token_hex(4)}@staff.example.com",
        "password": secrets.token_urlsafe(18),
        "totp_secret": base64.b32encode(secrets.token_bytes(20)).decode(),
    }
