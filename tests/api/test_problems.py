"""Every refusal is a problem document, in the contract's order, with the headers of every answer."""

import asyncio
import json
import secrets
from collections.abc import AsyncIterator
from datetime import date
from typing import Annotated

import httpx
import pytest
import structlog
from fastapi import APIRouter, Depends, FastAPI
from pydantic import BaseModel, ConfigDict
from starlette.requests import Request
from starlette.responses import Response
from temporalio.worker import Worker

from api.app import create_app
from api.commanding import Commanding
from api.platform import PlatformDep
from api.principal import CurrentUser, Principal, guard, own, require_role
from api.routing import BODY_LIMIT, check_routes
from api.waiting import Wait, until
from cli.embedded import EmbeddedEngines
from domain import dated_tables
from domain.dated_tables import DatedTable
from models.contracts.commands import Drive
from store.changes import touch
from temporal.client import connect
from tests.api.conftest import Api, Person, eventually
from tests.temporal.greeting import Counter
from workers.pool import runner

Finance = Annotated[Principal, Depends(require_role("finance"))]
QUEUE = f"test-{secrets.token_hex(4)}"


class Amount(BaseModel):
    model_config = ConfigDict(extra="forbid")

    amount: int


class Thing:
    """What the waiting routes read."""

    version = 1
    terminal = False


@guard
async def owned(request: Request, owner_id: str, principal: CurrentUser) -> str:
    own(principal, owner_id)
    return owner_id


router = APIRouter(prefix="/v1/test")
nested = APIRouter()
thing = Thing()


@nested.post("/owned/{owner_id}")
async def change_owned(body: Amount, owner_id: Annotated[str, Depends(owned)]) -> dict:
    return {"amount": body.amount, "owner": owner_id}


@nested.post("/finance")
async def finance(body: Amount, principal: Finance) -> dict:
    return {"amount": body.amount, "by": principal.user_id}


@nested.post("/count/{name}")
async def count(name: str, body: Amount, principal: CurrentUser, commander: Commanding) -> Response:
    def drive(minted: str) -> Drive:
        return Drive(
            workflow_type="Counter",
            workflow_id=f"counter:{minted}",
            queue=QUEUE,
            start={},
            update="add",
            argument={"amount": body.amount, "command": minted},
        )

    natural = f"{principal.user_id}:{name}" if name != "free" else None
    return await commander.run(f"cnt_{secrets.token_hex(4)}", drive, natural_key=natural)


@nested.get("/things/{thing_id}")
async def read_thing(thing_id: str, wait: Wait, platform: PlatformDep) -> dict:
    async def read() -> Thing:
        return thing

    found = await until(read, wait, lambda t: t.version, lambda t: t.terminal, platform)
    return {"version": found.version}


@nested.get("/fault")
async def fault() -> None:
    raise ZeroDivisionError("a secret word")


router.include_router(nested)


@pytest.fixture(scope="module")
async def probe(engines: EmbeddedEngines) -> AsyncIterator[Api]:
    """The application with routes of the test's own, and a worker for their process."""
    app = create_app(engines.settings.model_copy(update={"limit_factor": 1000.0}))
    app.include_router(check_routes(router))
    client = await connect(engines.settings)
    async with app.router.lifespan_context(app), Api(app) as api:
        async with Worker(client, task_queue=QUEUE, workflows=[Counter], workflow_runner=runner()):
            yield api


@pytest.fixture(scope="module")
async def person(probe: Api) -> Person:
    return await probe.signed_in()


def assert_problem(answer: httpx.Response, status: int, code: str) -> dict:
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    body = answer.json()
    assert body["code"] == code
    assert body["status"] == status
    assert set(body) >= {"type", "title", "detail", "instance", "trace_id", "errors"}
    return body


async def test_every_answer_carries_the_security_and_limit_headers(api: Api) -> None:
    for path in ("/healthz", "/v1/nothing", "/v1/openapi.json", "/docs", "/v1/auth/sessions", "/v1/graphql"):
        answer = await api.get(path)
        headers = answer.headers
        assert headers["X-Content-Type-Options"] == "nosniff"
        assert headers["X-Frame-Options"] == "DENY"
        assert headers["Strict-Transport-Security"] == "max-age=31536000; includeSubDomains"
        assert "default-src 'none'" in headers["Content-Security-Policy"]
        for name in ("RateLimit-Limit", "RateLimit-Remaining", "RateLimit-Reset"):
            assert int(headers[name]) >= 0, path
    assert "sha256-" in (await api.get("/docs")).headers["Content-Security-Policy"]


async def test_unknown_paths_methods_and_unbuilt_calls_are_problems(api: Api) -> None:
    body = assert_problem(await api.get("/v1/nothing"), 404, "not_found")
    assert body["instance"] == "/v1/nothing"
    assert len(body["trace_id"]) == 32
    wrong = await api.delete("/v1/auth/login")
    assert_problem(wrong, 405, "method_not_allowed")
    assert wrong.headers["Allow"] == "POST"
    several = await api.patch("/v1/users/usr_1/profile")
    assert several.headers["Allow"] == "GET, PUT"


async def test_a_guard_speaks_before_the_body_is_looked_at(probe: Api, person: Person) -> None:
    other = await probe.signed_in()
    path, bad = f"/v1/test/owned/{person.user_id}", b"{"
    large = b"[" + b" " * BODY_LIMIT + b"]"
    assert_problem(await probe.post(path, content=bad), 401, "unauthenticated")
    assert_problem(await probe.post(path, content=large), 401, "unauthenticated")
    assert_problem(await probe.post(path, content=bad, headers=other.headers), 404, "not_found")
    assert_problem(await probe.post(path, content=bad, headers=person.headers), 400, "malformed")
    assert_problem(await probe.post(path, content=large, headers=person.headers), 413, "body_too_large")
    xml = {"Content-Type": "text/xml", **person.headers}
    assert_problem(await probe.post(path, content=b"<a/>", headers=xml), 415, "unsupported_media_type")
    assert_problem(await probe.post(path, json={}, headers=person.headers), 422, "invalid")
    assert (await probe.post(path, json={"amount": 1}, headers=person.headers)).status_code == 200
    assert_problem(
        await probe.post("/v1/test/finance", content=bad, headers=person.headers), 403, "role_required"
    )


async def test_a_body_that_comes_without_its_length_is_still_bounded(probe: Api, person: Person) -> None:
    async def endless() -> AsyncIterator[bytes]:
        for _ in range(BODY_LIMIT // 65536 + 2):
            yield b" " * 65536

    path = f"/v1/test/owned/{person.user_id}"
    assert_problem(await probe.post(path, content=endless(), headers=person.headers), 413, "body_too_large")


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (b"", 422),
        (b"null", 422),
        (b"[]", 422),
        (b'"text"', 422),
        (b'{"amount": 1, "extra": 1}', 422),
        (b'{"amount": "one"}', 422),
        (b'{"amount": "1"}', 422),
        (b'{"amount": true}', 422),
        (b'{"amount": 1e400}', 422),
        (b'{"amount": NaN}', 400),
        (b'{"amount": 1', 400),
        (b'{"amount": "\\ud800"}', 400),
        (b'{"amount": "\\u0000"}', 422),
        (b"\xff\xfe", 400),
        (b"[" * 100_000, 400),
    ],
)
async def test_no_body_gives_more_than_a_problem(
    probe: Api, person: Person, body: bytes, status: int
) -> None:
    path = f"/v1/test/owned/{person.user_id}"
    headers = {"Content-Type": "application/json", **person.headers}
    answer = await probe.post(path, content=body, headers=headers)
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/problem+json"


async def test_what_is_invalid_is_pointed_at_without_repeating_it(api: Api) -> None:
    body = {"email": "nobody", "phone": "12345", "password": "x", "full_name": "A"}
    answer = await api.post("/v1/auth/register", json=body)
    errors = assert_problem(answer, 422, "invalid")["errors"]
    assert {error["pointer"] for error in errors} == {"/email", "/phone", "/password"}
    assert "nobody" not in answer.text


async def test_a_fault_of_ours_says_nothing_but_its_trace(probe: Api) -> None:
    with structlog.testing.capture_logs() as lines:
        answer = await probe.get("/v1/test/fault")
    assert_problem(answer, 500, "internal")
    assert "secret" not in repr(lines)
    assert any("test_problems.py" in repr(line.get("where")) for line in lines)
    assert "secret" not in answer.text
    assert answer.headers["X-Frame-Options"] == "DENY"


async def test_zero_bytes_in_paths_and_queries_find_nothing(probe: Api, person: Person) -> None:
    assert (await probe.delete("/v1/auth/sessions/a%00b", headers=person.headers)).status_code in (404, 422)
    answer = await probe.get(
        f"/v1/users/{person.user_id}/consents", params={"cursor": "AA=="}, headers=person.headers
    )
    assert_problem(answer, 422, "invalid")


async def test_a_command_answers_once_and_repeats_its_answer(probe: Api, person: Person) -> None:
    headers = {"Idempotency-Key": "count-1", **person.headers}
    first = await probe.post("/v1/test/count/free", json={"amount": 5}, headers=headers)
    again = await probe.post("/v1/test/count/free", json={"amount": 5}, headers=headers)
    assert (first.status_code, first.json()) == (201, {"total": 5})
    assert (again.status_code, again.json()) == (201, {"total": 5})
    assert "Idempotency-Replayed" not in first.headers
    assert again.headers["Idempotency-Replayed"] == "true"
    other = await probe.post("/v1/test/count/free", json={"amount": 6}, headers=headers)
    assert_problem(other, 422, "idempotency_key_reused")
    long = {**headers, "Idempotency-Key": "k" * 256}
    assert_problem(
        await probe.post("/v1/test/count/free", json={"amount": 5}, headers=long),
        400,
        "idempotency_key_invalid",
    )


async def test_a_refusal_of_a_process_is_a_conflict_and_is_repeated(probe: Api, person: Person) -> None:
    headers = {"Idempotency-Key": "count-2", **person.headers}
    for replayed in (False, True):
        answer = await probe.post("/v1/test/count/free", json={"amount": -1}, headers=headers)
        assert_problem(answer, 409, "negative_amount")
        assert ("Idempotency-Replayed" in answer.headers) is replayed


async def test_a_natural_key_makes_requests_one_whatever_their_key(probe: Api, person: Person) -> None:
    name = secrets.token_hex(4)
    first = await probe.post(f"/v1/test/count/{name}", json={"amount": 5}, headers=person.headers)
    headers = {"Idempotency-Key": name, **person.headers}
    again = await probe.post(f"/v1/test/count/{name}", json={"amount": 5}, headers=headers)
    assert (first.json(), again.json()) == ({"total": 5}, {"total": 5})
    other = await probe.post(f"/v1/test/count/{name}", json={"amount": 6}, headers=headers)
    assert_problem(other, 422, "idempotency_key_reused")


async def test_one_key_is_two_things_for_two_people(probe: Api, person: Person) -> None:
    other = await probe.signed_in()
    key = {"Idempotency-Key": "shared"}
    for who, amount in ((person, 1), (other, 2)):
        answer = await probe.post(
            "/v1/test/count/free", json={"amount": amount}, headers={**key, **who.headers}
        )
        assert answer.json() == {"total": amount}


async def test_requests_raced_under_one_key_do_one_thing(probe: Api, person: Person) -> None:
    headers = {"Idempotency-Key": "race", **person.headers}
    answers = await asyncio.gather(
        *(probe.post("/v1/test/count/free", json={"amount": 7}, headers=headers) for _ in range(8))
    )
    assert {answer.status_code for answer in answers} <= {201, 409}
    for answer in answers:
        if answer.status_code == 409:
            assert_problem(answer, 409, "idempotency_in_progress")
            assert answer.headers["Retry-After"] == "1"
        else:
            assert answer.json() == {"total": 7}


async def test_a_key_that_is_due_is_asked_for_before_the_body_is_checked(api: Api) -> None:
    person = await api.signed_in()
    for path in ("/v1/payments/create", "/v1/payments/refund", "/v1/trading/orders"):
        answer = await api.post(path, json={}, headers=person.headers)
        if answer.status_code != 501:
            assert_problem(answer, 400, "idempotency_key_required")


async def test_a_waiting_read_answers_when_the_object_moves(probe: Api) -> None:
    thing.version = 1
    waiting = asyncio.create_task(probe.get("/v1/test/things/thing-1?wait=20&since=1"))
    assert await eventually(lambda: _watched(probe, "thing-1"), bool)
    thing.version = 2
    async with probe.platform.database.transaction() as connection:
        await touch(connection, "thing-1")
    # Sooner than the read that is made now and then without a notice.
    answer = await asyncio.wait_for(waiting, 3)
    assert answer.json() == {"version": 2}


async def test_a_waiting_read_ends_with_its_time_and_at_once_where_it_differs(probe: Api) -> None:
    thing.version = 3
    answer = await asyncio.wait_for(probe.get("/v1/test/things/thing-2?wait=0.3&since=3"), 2)
    assert answer.json() == {"version": 3}
    at_once = await asyncio.wait_for(probe.get("/v1/test/things/thing-2?wait=30&since=2"), 2)
    assert at_once.json() == {"version": 3}
    assert_problem(await probe.get("/v1/test/things/thing-2?wait=31"), 422, "invalid")
    assert_problem(await probe.get("/v1/test/things/thing-2?wait=nan"), 422, "invalid")


async def test_readiness_tells_of_a_dated_table_that_ends_and_serves_on(
    api: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    ended = DatedTable("a table", date(2020, 12, 31), "its source", "it goes on")
    monkeypatch.setattr(dated_tables, "TABLES", (ended,))
    ready = await api.get("/readyz")
    assert (ready.status_code, ready.json()["status"]) == (200, "ready")
    assert ready.json()["warnings"] == [
        "a table: ended on 2020-12-31; now it goes on; next: its source",
    ]


async def test_engines_that_are_away_give_503_and_never_500(engines: EmbeddedEngines, api: Api) -> None:
    nowhere = {
        "postgres": "postgresql://nobody@127.0.0.1:1/none",
        "redis": "redis://127.0.0.1:1/0",
        "temporal": "127.0.0.1:1",
    }
    person = await api.signed_in()
    app: FastAPI = create_app(engines.settings.model_copy(update=nowhere))
    async with app.router.lifespan_context(app), Api(app) as away:
        assert (await away.get("/healthz")).status_code == 200
        ready = await away.get("/readyz")
        assert ready.status_code == 503
        assert ready.json()["engines"] == {"postgres": False, "redis": False, "temporal": False}
        answer = await away.get("/v1/auth/sessions", headers=person.headers)
        assert_problem(answer, 503, "temporarily_unavailable")
        assert int(answer.headers["Retry-After"]) >= 1


async def test_the_openapi_document_names_the_problem_and_every_identity_call(api: Api) -> None:
    document = (await api.get("/v1/openapi.json")).json()
    assert "/v1/auth/login" in document["paths"]
    for path, operations in document["paths"].items():
        for operation in operations.values():
            assert "4XX" in operation["responses"], path
    assert "Problem" in document["components"]["schemas"]
    assert "ValidationError" not in json.dumps(document)


async def _watched(api: Api, object_id: str) -> bool:
    return api.platform.changes.listening and api.platform.changes.watched(object_id)
