"""Every call of the served document against the contract's order of checks: 401, 404 or 403, 400, 415, 422.

The tables below say who may call what and whose object a path names; a call that is in none of them fails
the first test, so that nobody adds a route without saying whom it lets in.
"""

import asyncio
import json
import re
import secrets
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from typing import Any

import httpx
import pytest

from cli.embedded import EmbeddedEngines
from tests.api.conftest import Api, eventually
from tests.api.house import House, house

PUBLIC = {
    "POST /v1/auth/register",
    "POST /v1/auth/verify",
    "POST /v1/auth/verify/resend",
    "POST /v1/auth/login",
    "POST /v1/auth/refresh",
    "POST /v1/auth/password/forgot",
    "POST /v1/auth/password/reset",
    "GET /v1/auth/jwks.json",
    "GET /v1/billing/plans",
    "GET /v1/courses",
    "GET /v1/courses/{id}",
    "GET /v1/courses/{id}/modules",
    "GET /v1/certificates/keys/{thumbprint}",
    "GET /v1/certificates/{id}/verify",
    # By the code that stands on the document.
    "GET /v1/invoices/{id}/verify",
    # A browser comes back without a bearer; it changes nothing.
    "GET /v1/trading/exchanges/callback",
    "GET /v1/trading/reports/keys.json",
    # Signed by the one who sends, by the secret in their path, or by us in their query.
    "POST /v1/webhooks/razorpay",
    "POST /v1/webhooks/kite/{app_secret}",
    "GET /v1/media/{lesson_id}",
}
"""Whoever asks. Everything else needs a credential."""

STAFF = {
    "/v1/staff/roles": {"admin"},
    "/v1/finance/": {"finance"},
    "/v1/kyc/reviews": {"compliance"},
    "/v1/kyc/rescreenings": {"compliance"},
    "/v1/compliance/": {"compliance"},
    "GET /v1/staff/attention": {"admin", "compliance", "finance", "support"},
    "GET /v1/staff/search": {"compliance", "support"},
    "POST /v1/staff/runs/{workflow_id}/actions/{name}": {"compliance", "support"},
    "GET /v1/audit": {"compliance", "support"},
    "POST /v1/courses": {"instructor", "admin"},
    "PUT /v1/courses/{id}": {"instructor", "admin"},
    "POST /v1/courses/{id}/publish": {"instructor", "admin"},
    "GET /v1/courses/{id}/answers": {"instructor", "admin"},
    "GET /v1/trading/breaks": {"compliance", "support"},
    "POST /v1/signals": {"analyst"},
    "POST /v1/signals/{signal_id}/publish": {"analyst"},
    "POST /v1/signals/{signal_id}/withdraw": {"analyst"},
    "POST /v1/signals/runs": {"analyst"},
    "GET /v1/signals/runs/{run_id}": {"analyst", "compliance"},
    "POST /v1/signals/market-data": {"analyst", "admin"},
    "/v1/signals/watchlist": {"analyst"},
    "GET /v1/signals/drafts": {"analyst"},
    "POST /v1/enrollments/{id}/assessments/{assessment_id}/grant": {"instructor", "support"},
}
"""Roles of one of which the call needs; a path alone stands for all that begins with it."""

OWNED = {
    "/v1/auth/sessions/{session_id}": "session_id",
    "/v1/auth/api-keys/{api_key_id}": "api_key_id",
    "/v1/users/{user_id}/": "user_id",
    "/v1/users/{id}/": "user_id",
    "/v1/payments/refunds/{id}": "refund_id",
    "/v1/payments/{id}/": "payment_id",
    "/v1/billing/subscriptions/{subscription_id}": "subscription_id",
    "/v1/billing/invoices/{id}": "invoice_id",
    "/v1/trading/accounts/{account_id}": "account_id",
    "/v1/trading/orders/{order_id}": "order_id",
    "/v1/enrollments/{id}/": "enrollment_id",
    "/v1/certificates/{id}": "certificate_id",
}
"""Paths that name a person's object, and which of the owner's it is: nobody else can tell it from none."""

SHARED = {
    "/v1/courses/{id}": "course_id",
    "/v1/lessons/{id}": "lesson_id",
    "/v1/assessments/{id}/": "assessment_id",
    "/v1/signals/{signal_id}": "signal_id",
    "/v1/signals/runs/{run_id}": "run_id",
    "/v1/signals/watchlist/{watch_id}": "watch_id",
    "/v1/compliance/accounts/{account_id}/mode": "account_id",
    "/v1/finance/refunds/{id}/": "refund_id",
    "/v1/finance/disputes/{dispute_id}": "dispute_id",
    "/v1/finance/breaks/{break_id}/": "break_id",
    "/v1/finance/reconciliations/{date}": "date",
    "/v1/finance/revenue/{date}": "date",
    "/v1/finance/periods/{period}": "period",
    "/v1/finance/vouchers/{voucher_id}/": "voucher_id",
    "/v1/kyc/reviews/{case_id}/": "case_id",
    "/v1/webhooks/kite/{app_secret}": "app_secret",
    "/v1/certificates/keys/{thumbprint}": "thumbprint",
    "/v1/certificates/{id}/verify": "certificate_id",
    "/v1/invoices/{id}/verify": "invoice_id",
    "/v1/media/{lesson_id}": "lesson_id",
    "/v1/staff/runs/{workflow_id}/actions/{name}": "complaint_run",
}
"""Paths that name an object of the house, found by whoever may make the call at all."""

REST_SECONDS = 0.3
BROKEN = b'{"half": '
STRANGE = "a_field_that_no_call_has"


@dataclass(frozen=True)
class Call:
    """One operation of the document."""

    method: str
    template: str
    has_body: bool
    body_due: bool

    @property
    def name(self) -> str:
        return f"{self.method} {self.template}"

    @property
    def roles(self) -> set[str]:
        """Roles of which one is needed; empty: every person who signed in."""
        if self.name in STAFF:
            return STAFF[self.name]
        return next((roles for path, roles in STAFF.items() if self.template.startswith(path)), set())

    def object_in(self, table: dict[str, str]) -> str | None:
        """Which object the path names by `table`, the longest beginning deciding."""
        fits = [path for path in table if self.template.startswith(path)]
        return table[max(fits, key=len)] if fits else None

    @property
    def owned(self) -> bool:
        return self.object_in(OWNED) is not None and self.name not in PUBLIC and not self.roles

    def path(self, ids: dict[str, str]) -> str:
        """The template with the owner's objects in it; what the owner has none of is an id of nothing."""
        first = self.object_in(OWNED | SHARED)
        kinds = iter([first or "", *re.findall(r"{(\w+)}", self.template)[1:]])

        def fill(_: re.Match[str]) -> str:
            kind = next(kinds)
            return ids.get(kind, f"none_{kind}")

        return re.sub(r"{\w+}", fill, self.template)


class Matrix:
    """The house, everyone who comes to it, and every call there is."""

    def __init__(self, place: House, calls: list[Call]) -> None:
        self.place = place
        self.api = place.api
        self.calls = calls
        self.staff = place.staff

    def rightful(self, call: Call) -> dict[str, str]:
        """Headers of someone whom the call lets in."""
        if call.name in PUBLIC:
            return {}
        role = min(call.roles, default=None)
        return self.staff[role].headers if role else self.place.owner.headers

    async def send(
        self,
        call: Call,
        headers: dict[str, str],
        content: bytes | None = BROKEN,
        kind: str = "application/json",
    ) -> httpx.Response:
        headers = {"Idempotency-Key": secrets.token_hex(8), **headers}
        if content is not None:
            headers["Content-Type"] = kind
        content = content if call.has_body else None
        return await self.api.request(
            call.method, call.path(self.place.ids), content=content, headers=headers
        )

    def bodies(self) -> Iterator[Call]:
        return (call for call in self.calls if call.has_body)


@pytest.fixture(scope="module")
async def matrix(engines: EmbeddedEngines, api: Api) -> AsyncIterator[Matrix]:
    document = (await api.get("/v1/openapi.json")).json()
    calls = [
        Call(
            method.upper(),
            template,
            "requestBody" in operation,
            operation.get("requestBody", {}).get("required", False),
        )
        for template, operations in document["paths"].items()
        for method, operation in operations.items()
    ]
    async with house(engines, api) as place:
        await place.furnish()
        yield Matrix(place, calls)


@pytest.fixture
async def _unchanged(matrix: Matrix) -> AsyncIterator[None]:
    """What is refused changes nothing: the whole record is the same, row for row, once the processes that
    the owner set going have come to rest."""

    async def rested() -> dict[str, tuple[int, int]] | None:
        first = await record(matrix.api)
        await asyncio.sleep(REST_SECONDS)
        return first if await record(matrix.api) == first else None

    before = await eventually(rested, bool, 20)
    assert before is not None, "the record does not come to rest"
    yield
    after = await record(matrix.api)
    assert {table for table in before if before[table] != after[table]} == set()


async def record(api: Api) -> dict[str, tuple[int, int]]:
    """Rows of each table, and a sum over their contents."""
    async with api.platform.database.reading() as connection:
        cursor = await connection.execute(
            """SELECT format('%I.%I', schemaname, tablename) AS name FROM pg_tables
               WHERE schemaname NOT IN ('pg_catalog', 'information_schema')"""
        )
        found = {}
        for table in sorted(row["name"] for row in await cursor.fetchall()):
            counted = await connection.execute(
                f"""SELECT count(*) AS rows, coalesce(sum(hashtextextended(t::text, 0)::numeric), 0) AS sum
                    FROM {table} t"""
            )
            row = await counted.fetchone()
            found[table] = (row["rows"], row["sum"]) if row else (0, 0)
    return found


def fault(call: Call, answer: httpx.Response, status: int, *codes: str) -> str | None:
    """What is wrong with the answer, None where it is the problem document that was due."""
    wrong = f"{call.name}: {answer.status_code} {answer.text[:200]}, due {status} {codes}"
    if answer.status_code != status or answer.headers.get("content-type") != "application/problem+json":
        return wrong
    body = answer.json()
    whole = set(body) >= {"type", "title", "status", "detail", "code", "instance", "trace_id", "errors"}
    if not whole or body["status"] != status or (codes and body["code"] not in codes):
        return wrong
    return None


def held(faults: list[str | None]) -> None:
    """Fails with every fault at once."""
    assert not any(faults), "\n".join(each for each in faults if each)


def test_every_call_is_classed(matrix: Matrix) -> None:
    named = {call.name for call in matrix.calls}
    assert named >= PUBLIC
    assert {name for name in STAFF if " " in name} <= named
    unclassed = [
        call.name for call in matrix.calls if "{" in call.template and call.object_in(OWNED | SHARED) is None
    ]
    assert unclassed == [], "say in OWNED or SHARED whose object these paths name"
    assert len(named) > 100


@pytest.mark.usefixtures("_unchanged")
async def test_who_has_not_signed_in_gets_401(matrix: Matrix) -> None:
    faults = []
    for call in matrix.calls:
        if call.name in PUBLIC:
            answer = await matrix.send(call, {})
            if answer.status_code == 401:
                faults.append(f"{call.name} is public and answers 401")
            continue
        faults.append(fault(call, await matrix.send(call, {}), 401, "unauthenticated"))
        forged = {"Authorization": "Bearer e30.e30.e30"}
        faults.append(fault(call, await matrix.send(call, forged), 401, "token_invalid"))
        faults.append(fault(call, await matrix.send(call, {"X-API-Key": "none"}), 401, "api_key_invalid"))
    held(faults)


@pytest.mark.usefixtures("_unchanged")
async def test_a_wrong_role_gets_403(matrix: Matrix) -> None:
    faults = []
    people = {**matrix.staff, "customer": matrix.place.stranger}
    for call in matrix.calls:
        for role, person in people.items() if call.roles else ():
            if role not in call.roles:
                answer = await matrix.send(call, person.headers)
                if role == "customer" and call.object_in(OWNED):
                    # Another person's object first: to a customer it is not there.
                    faults.append(fault(call, answer, 404, "not_found"))
                else:
                    faults.append(fault(call, answer, 403, "role_required"))
    held(faults)


@pytest.mark.usefixtures("_unchanged")
async def test_anothers_object_is_404_before_the_body_is_looked_at(matrix: Matrix) -> None:
    faults = []
    for call in matrix.calls:
        if call.owned:
            for content in (BROKEN, b"{}"):
                answer = await matrix.send(call, matrix.place.stranger.headers, content)
                faults.append(fault(call, answer, 404, "not_found"))
    held(faults)


@pytest.mark.usefixtures("_unchanged")
async def test_anothers_object_in_a_body_is_404(matrix: Matrix) -> None:
    ids = matrix.place.ids
    order = {
        "account_id": ids["account_id"], "exchange": "NSE", "symbol": "TCS", "side": "BUY", "quantity": 2,
        "order_type": "LIMIT", "price": "3100", "product": "CNC", "validity": "DAY",
    }  # fmt: skip
    answers = {"enrollment_id": ids["enrollment_id"]}
    sent: dict[str, Any] = {
        "/payments/create": {"purpose": "subscription", "reference_id": ids["subscription_id"]},
        "/payments/refund": {"payment_id": ids["payment_id"], "reason": "mine now"},
        "/trading/orders": order,
        f"/assessments/{ids['assessment_id']}/attempts": answers,
    }
    for path, body in sent.items():
        headers = {**matrix.place.stranger.headers, "Idempotency-Key": secrets.token_hex(8)}
        answer = await matrix.api.post(f"/v1{path}", json=body, headers=headers)
        assert (answer.status_code, answer.json()["code"]) == (404, "not_found"), f"{path}: {answer.text}"


@pytest.mark.usefixtures("_unchanged")
async def test_malformed_json_is_400_and_another_media_type_415(matrix: Matrix) -> None:
    faults = []
    for call in matrix.bodies():
        headers = matrix.rightful(call)
        faults.append(fault(call, await matrix.send(call, headers), 400, "malformed"))
        answer = await matrix.send(call, headers, b"<a/>", "text/xml")
        faults.append(fault(call, answer, 415, "unsupported_media_type"))
    held(faults)


@pytest.mark.usefixtures("_unchanged")
async def test_a_field_that_no_call_has_is_422_and_pointed_at(matrix: Matrix) -> None:
    faults = []
    for call in matrix.bodies():
        answer = await matrix.send(call, matrix.rightful(call), json.dumps({STRANGE: 1}).encode())
        wrong = fault(call, answer, 422, "invalid")
        if wrong is None and not any(error["pointer"].endswith(STRANGE) for error in answer.json()["errors"]):
            wrong = f"{call.name} does not point at the field that it does not know"
        faults.append(wrong)
        for shape in (b"[]", b'"text"', b"7", *([b"null", b""] if call.body_due else [])):
            answer = await matrix.send(call, matrix.rightful(call), shape)
            faults.append(fault(call, answer, 422, "invalid"))
    held(faults)
