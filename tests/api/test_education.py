"""Courses over HTTP: from the catalogue through payment, lessons and assessment to a verified certificate."""

import secrets
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import httpx
import pytest

from cli.embedded import EmbeddedEngines
from models.contracts.credentials import hashed_name
from store import education_seed
from tests.api.conftest import Api, Person, eventually
from workers import billing, education
from workers.parts import assemble
from workers.pool import workers

DRAFT: dict[str, Any] = {
    "title": "Reading a chart",
    "category": "trading",
    "level": "beginner",
    "price": 0,
    "syllabus": {
        "modules": [
            {
                "title": "One",
                "lessons": [
                    {"title": "A", "type": "text", "content": "a", "preview": True},
                    {
                        "title": "B",
                        "type": "video",
                        "media": "b.mp4",
                        "duration_seconds": 4000,
                        "content": "b",
                    },
                    {
                        "title": "Q",
                        "type": "quiz",
                        "assessment": {
                            "title": "Q",
                            "pass_percent": 50,
                            "attempts_allowed": 3,
                            "questions": [
                                {
                                    "kind": "single",
                                    "text": "?",
                                    "key": "a",
                                    "choices": [
                                        {"choice_id": "a", "text": "yes"},
                                        {"choice_id": "b", "text": "no"},
                                    ],
                                },
                                {"kind": "text", "text": "Name the index.", "key": ["NIFTY 50", "nifty50"]},
                            ],
                        },
                    },
                ],
            }
        ]
    },
}


def key() -> dict[str, str]:
    return {"Idempotency-Key": secrets.token_hex(12)}


@dataclass
class School:
    """The API, with the education and billing pools behind it and the gateway beside it."""

    api: Api
    sandbox: httpx.AsyncClient

    async def get(self, path: str, person: Person | None = None, **query: Any) -> httpx.Response:
        headers = person.headers if person else {}
        return await self.api.get(f"/v1{path}", headers=headers, params=query)

    async def post(self, path: str, person: Person, body: Any = None, **headers: str) -> httpx.Response:
        given = {} if body is None else {"json": body}
        return await self.api.post(f"/v1{path}", headers={**person.headers, **headers}, **given)

    async def learner(self) -> Person:
        """Someone who may pay: signed in, verified, with a billing state."""
        person = await self.api.signed_in()
        profile = {"billing": {"name": "Asha Verma", "state": "KA"}}
        base = f"/v1/users/{person.user_id}"
        assert (
            await self.api.put(f"{base}/profile", json=profile, headers=person.headers)
        ).status_code == 200
        async with self.api.platform.database.transaction() as connection:
            await connection.execute(
                """INSERT INTO user_management.kyc_status (user_id, status, tier, legal_name, verified_at,
                       expires_at, updated_at)
                   VALUES (%s, 'verified', 'basic', 'sealed', now(), now() + interval '2 years', now())""",
                (person.user_id,),
            )
        return person

    async def course(self, teacher: Person, *, publish: bool = True, **change: Any) -> dict[str, Any]:
        body = {**DRAFT, "slug": f"chart-{secrets.token_hex(4)}", **change}
        made = await self.post("/courses", teacher, body)
        assert made.status_code == 201, made.text
        if not publish:
            return made.json()
        published = await self.post(f"/courses/{made.json()['course_id']}/publish", teacher)
        assert published.status_code == 200, published.text
        return published.json()

    async def enrolled(self, course_id: str) -> tuple[Person, str]:
        """A learner with a place in a free course."""
        person = await self.api.signed_in()
        answer = await self.post(f"/courses/{course_id}/enroll", person)
        assert answer.status_code == 201, answer.text
        return person, answer.json()["enrollment_id"]

    async def progress(self, person: Person) -> dict[str, Any]:
        return (await self.get(f"/users/{person.user_id}/progress", person)).json()["items"][0]

    async def finish(self, person: Person, enrollment_id: str) -> str:
        """Does every lesson that is no assessment; the first assessment that is then open."""
        while True:
            lessons = (await self.progress(person))["lessons"]
            now_open = next(lesson for lesson in lessons if lesson["state"] == "open")
            if now_open["type"] == "quiz":
                return now_open["assessment_id"]
            path = f"/enrollments/{enrollment_id}/lessons/{now_open['lesson_id']}/progress"
            answer = await self.post(path, person, {"completed": True})
            assert answer.status_code == 200, answer.text

    async def sit(
        self, person: Person, enrollment_id: str, quiz: str, answers: dict[str, Any]
    ) -> httpx.Response:
        begun = await self.post(f"/assessments/{quiz}/attempts", person, {"enrollment_id": enrollment_id})
        assert begun.status_code == 201, begun.text
        body = {"attempt_id": begun.json()["attempt_id"], "answers": answers}
        return await self.post(f"/assessments/{quiz}/submit", person, body)

    async def answers(self, teacher: Person, course_id: str, quiz: str) -> dict[str, Any]:
        found = await self.get(f"/courses/{course_id}/answers", teacher)
        return found.json()["assessments"][quiz]


@pytest.fixture(scope="module")
async def school(engines: EmbeddedEngines, api: Api) -> AsyncIterator[School]:
    headers = {"X-Sandbox-Control": "1"}
    async with AsyncExitStack() as stack:
        parts = await stack.enter_async_context(assemble(api.platform.settings))
        for pool in (education.POOL, billing.POOL):
            for worker in workers(pool, parts, parts.client):
                await stack.enter_async_context(worker)
        async with parts.database.transaction() as connection:
            await education_seed.seed(connection)
        sandbox = httpx.AsyncClient(base_url=engines.settings.sandbox, headers=headers, timeout=10)
        yield School(api, await stack.enter_async_context(sandbox))


@pytest.fixture(scope="module")
async def teacher(school: School) -> Person:
    return await school.api.staff("instructor")


@pytest.fixture(scope="module")
async def course(school: School, teacher: Person) -> dict[str, Any]:
    """A free course of the teacher's."""
    return await school.course(teacher)


async def test_a_bought_course_is_learned_failed_once_passed_and_certified(
    school: School, teacher: Person
) -> None:
    person = await school.learner()
    listed = (await school.get("/courses", slug=education_seed.SLUG)).json()["items"]
    course_id = listed[0]["course_id"]
    assert listed[0]["price"] >= 24_000_00
    enrolled = await school.post(f"/courses/{course_id}/enroll", person, **key())
    checkout = enrolled.json()
    assert (enrolled.status_code, checkout["status"]) == (201, "awaiting_payment"), checkout
    assert checkout["amount"] == listed[0]["price"]
    lessons = (await school.progress(person))["lessons"]
    assert {lesson["state"] for lesson in lessons} == {"locked"}
    again = await school.post(f"/courses/{course_id}/enroll", person, **key())
    assert again.json()["gateway_order_id"] == checkout["gateway_order_id"]

    paid = await school.sandbox.post(
        "/_control/razorpay/checkout",
        json={"order_id": checkout["gateway_order_id"], "method": "card", "outcome": "success"},
    )
    names = ("razorpay_payment_id", "razorpay_order_id", "razorpay_signature")
    callback = {name: paid.json()[name] for name in names}
    await school.post(f"/payments/{checkout['payment_id']}/confirm", person, callback)
    begun = await eventually(lambda: school.progress(person), lambda item: item["status"] == "active")
    assert begun["status"] == "active", begun

    quiz = await school.finish(person, checkout["enrollment_id"])
    right = await school.answers(teacher, course_id, quiz)
    failed = (await school.sit(person, checkout["enrollment_id"], quiz, {})).json()
    assert (failed["score"], failed["passed"], failed["attempts_left"]) == (0, False, 4)
    assert failed["next_attempt_at"] <= datetime.now(UTC).isoformat()
    passed = (await school.sit(person, checkout["enrollment_id"], quiz, right)).json()
    assert (passed["score"], passed["passed"], passed["next_attempt_at"]) == (100, True, None)

    done = await school.progress(person)
    assert (done["status"], done["percent"]) == ("completed", 100)
    certificate = done["certificate_id"]
    mine = (await school.get(f"/certificates/{certificate}", person)).json()
    assert (mine["holder"], mine["status"]) == ("Asha Verma", "valid")
    pdf = await school.get(f"/certificates/{certificate}.pdf", person)
    assert pdf.content.startswith(b"%PDF")
    verified = (await school.get(f"/certificates/{certificate}/verify")).json()
    assert (verified["valid"], verified["status"]) == (True, "valid")
    identity = verified["credential"]["credentialSubject"]["identifier"][0]
    assert identity["identityHash"] == hashed_name("Asha Verma", identity["salt"])
    assert "Asha" not in str(verified)
