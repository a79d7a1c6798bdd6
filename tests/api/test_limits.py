"""Rate limits: by user, key or address, told on every answer, kept without Redis where they must be."""

import secrets
from collections.abc import AsyncIterator

import pytest

from api.app import create_app
from api.limits import HOUR, Limit, Limits
from cli.embedded import EmbeddedEngines
from tests.api.conftest import Api


def address() -> str:
    """An address that no other test has called from."""
    return f"10.{secrets.randbelow(256)}.{secrets.randbelow(256)}.{secrets.randbelow(256)}"


@pytest.fixture
async def limited(engines: EmbeddedEngines) -> AsyncIterator[Api]:
    """The application under the limits as they stand, called from a fresh address."""
    app = create_app(engines.settings.model_copy(update={"limit_factor": 1.0}))
    async with app.router.lifespan_context(app), Api(app, address()) as client:
        yield client


async def test_the_eleventh_sign_in_of_five_minutes_is_refused(limited: Api) -> None:
    body = {"email": f"{secrets.token_hex(4)}@example.in", "password": "not this one"}
    left = []
    for _ in range(10):
        answer = await limited.post("/v1/auth/refresh", json={"refresh_token": "none"})
        assert answer.status_code == 401
        assert answer.headers["RateLimit-Limit"] == "10"
        left.append(int(answer.headers["RateLimit-Remaining"]))
    assert left == list(range(9, -1, -1))
    refused = await limited.post("/v1/auth/login", json=body)
    assert (refused.status_code, refused.json()["code"]) == (429, "rate_limited")
    assert 0 < int(refused.headers["Retry-After"]) <= 300
    assert refused.headers["Retry-After"] == refused.headers["RateLimit-Reset"]
    assert (await limited.get("/v1/auth/jwks.json")).status_code == 200


async def test_an_invalid_body_is_told_before_the_limit(limited: Api) -> None:
    for _ in range(10):
        await limited.post("/v1/auth/refresh", json={"refresh_token": "none"})
    assert (await limited.post("/v1/auth/refresh", json={})).status_code == 422
    assert (await limited.post("/v1/auth/refresh", json={"refresh_token": "none"})).status_code == 429


async def test_another_address_behind_the_proxy_has_its_own_limit(engines: EmbeddedEngines) -> None:
    app = create_app(engines.settings.model_copy(update={"limit_factor": 0.1}))
    first, second = address(), address()
    async with app.router.lifespan_context(app), Api(app, "127.0.0.1") as client:
        body = {"refresh_token": "none"}
        for caller, status in ((first, 401), (first, 429), (second, 401)):
            headers = {"X-Forwarded-For": f"203.0.113.9, {caller}"}
            answer = await client.post("/v1/auth/refresh", json=body, headers=headers)
            assert answer.status_code == status


async def test_a_signed_in_user_has_the_plans_total_wherever_they_call_from(
    engines: EmbeddedEngines, api: Api
) -> None:
    person = await api.signed_in()
    app = create_app(engines.settings.model_copy(update={"limit_factor": 0.03}))
    async with app.router.lifespan_context(app):
        statuses = []
        for _ in range(4):
            async with Api(app, address()) as client:
                answer = await client.get(f"/v1/users/{person.user_id}/profile", headers=person.headers)
                statuses.append(answer.status_code)
                assert answer.headers["RateLimit-Limit"] == "3"
    assert statuses == [200, 200, 200, 429]


@pytest.mark.parametrize(
    ("peer", "forwarded", "caller"),
    [
        ("127.0.0.1", "203.0.113.7", "203.0.113.7"),
        ("127.0.0.1", "198.51.100.1, 203.0.113.7", "203.0.113.7"),
        ("127.0.0.1", "203.0.113.7, 127.0.0.1", "203.0.113.7"),
        ("198.51.100.1", "203.0.113.7", "198.51.100.1"),
        ("127.0.0.1", "forged", "127.0.0.1"),
        ("127.0.0.1", "", "127.0.0.1"),
    ],
)
def test_only_trusted_proxies_are_believed(api: Api, peer: str, forwarded: str, caller: str) -> None:
    limits: Limits = api.app.state.limits
    assert limits.address(peer, {"x-forwarded-for": forwarded}) == caller


async def test_the_window_slides(api: Api) -> None:
    limits: Limits = api.app.state.limits
    caller, narrow = secrets.token_hex(8), Limit("narrow", 2, HOUR)
    verdicts = [await limits._counted(caller, [narrow]) for _ in range(3)]
    assert [verdict.allowed for verdict in verdicts] == [True, True, False]
    key = f"limit:{{{caller}}}:narrow"
    redis = api.platform.redis
    (slot, used) = next(iter((await redis.hgetall(key)).items()))
    await redis.delete(key)
    await redis.hset(key, str(int(slot) - 59), used)
    assert not (await limits._counted(caller, [narrow])).allowed
    await redis.delete(key)
    await redis.hset(key, str(int(slot) - 61), used)
    assert (await limits._counted(caller, [narrow])).allowed


async def test_without_redis_calls_pass_but_sign_in_is_still_counted(engines: EmbeddedEngines) -> None:
    away = {"redis": "redis://127.0.0.1:1/0", "limit_factor": 1.0}
    app = create_app(engines.settings.model_copy(update=away))
    async with app.router.lifespan_context(app), Api(app, address()) as client:
        assert (await client.get("/v1/auth/jwks.json")).status_code == 200
        body = {"refresh_token": "none"}
        statuses = [(await client.post("/v1/auth/refresh", json=body)).status_code for _ in range(11)]
        assert statuses == [401] * 10 + [429]
