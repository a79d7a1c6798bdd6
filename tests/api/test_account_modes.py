"""Who may let a customer's orders leave without a yes to each, and who takes that back."""

from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest

from cli.embedded import EmbeddedEngines
from tests.api.conftest import Api, Person
from tests.api.newsroom import Newsroom, newsroom, paper_account

PROVIDER = "EXCH/ALGO/1"


@pytest.fixture(scope="module")
async def room(engines: EmbeddedEngines, api: Api) -> AsyncIterator[Newsroom]:
    async with newsroom(engines, api) as made:
        yield made


async def flag(room: Newsroom, account: str, who: Person, body: Any) -> httpx.Response:
    return await room.api.put(f"/v1/compliance/accounts/{account}/mode", json=body, headers=who.headers)


async def test_compliance_flags_an_account_and_the_trail_says_so(room: Newsroom) -> None:
    officer, customer = await room.person("compliance"), await room.customer("premium")
    account = await paper_account(room, customer)
    answer = await flag(room, account, officer, {"mode": "auto", "algo_provider": PROVIDER})
    assert (answer.status_code, answer.json()["mode"]) == (200, "auto")
    shown = (await room.get("/trading/accounts", customer)).json()["items"]
    assert [each["mode"] for each in shown] == ["auto"]
    trail = await room.rows("SELECT actor, detail FROM audit.trail WHERE action = 'account.mode'")
    assert (officer.user_id, {"mode": "auto", "algo_provider": PROVIDER}) in [
        (each["actor"], each["detail"]) for each in trail
    ]
    again = await flag(room, account, officer, {"mode": "confirm"})
    assert (again.status_code, again.json()["algo_provider"]) == (200, None)


@pytest.mark.parametrize(
    "body", [{"mode": "auto"}, {"mode": "confirm", "algo_provider": PROVIDER}, {"mode": "always"}, {}]
)
async def test_a_flag_names_its_provider_and_nothing_else_is_taken(room: Newsroom, body: Any) -> None:
    officer, customer = await room.person("compliance"), await room.customer("premium")
    account = await paper_account(room, customer)
    assert (await flag(room, account, officer, body)).status_code == 422
    assert await modes(room, account) == ["confirm"]


@pytest.mark.parametrize("role", ["support", "finance", "admin", "analyst", ""])
async def test_nobody_else_flags_an_account(room: Newsroom, role: str) -> None:
    customer = await room.customer("premium")
    account, who = await paper_account(room, customer), await room.person(*filter(None, [role]))
    for person in (who, customer):
        answer = await flag(room, account, person, {"mode": "auto", "algo_provider": PROVIDER})
        assert answer.status_code == 403
    assert await modes(room, account) == ["confirm"]


async def test_an_unknown_account_is_no_account(room: Newsroom) -> None:
    officer = await room.person("compliance")
    answer = await flag(room, "acc_none", officer, {"mode": "confirm"})
    assert answer.status_code == 404


async def test_a_customer_may_not_flag_the_own_account(room: Newsroom) -> None:
    customer = await room.customer("premium")
    account = await paper_account(room, customer)
    answer = await room.api.put(
        f"/v1/trading/accounts/{account}", json={"mode": "auto"}, headers=customer.headers
    )
    assert answer.status_code == 422


async def modes(room: Newsroom, account: str) -> list[str]:
    rows = await room.rows("SELECT mode FROM trading.accounts WHERE account_id = %s", account)
    return [each["mode"] for each in rows]
