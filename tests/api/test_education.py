"""Courses over HTTP: from the catalogue through payment, lessons and assessment to a verified certificate."""

import asyncio
import base64
import json
import secrets
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
import pytest
from joserfc import jws
from joserfc.jwk import RSAKey

from api.education.streaming import signed
from cli.embedded import EmbeddedEngines
from models.contracts.credentials import hashed_name
from models.contracts.workflow_ids import Kind, workflow_id
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

    async def finish_first(self, person: Person, enrollment_id: str) -> None:
        lesson_id = (await self.progress(person))["lessons"][0]["lesson_id"]
        path = f"/enrollments/{enrollment_id}/lessons/{lesson_id}/progress"
        assert (await self.post(path, person, {"completed": True})).status_code == 200

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


async def test_enrolling_again_under_any_key_is_the_same_place(
    school: School, course: dict[str, Any]
) -> None:
    person, enrollment_id = await school.enrolled(course["course_id"])
    path = f"/courses/{course['course_id']}/enroll"
    first, second = await school.post(path, person, **key()), await school.post(path, person)
    assert {first.json()["enrollment_id"], second.json()["enrollment_id"]} == {enrollment_id}
    assert first.json()["status"] == "active"
    assert len((await school.get(f"/users/{person.user_id}/progress", person)).json()["items"]) == 1


async def test_lessons_open_by_preview_by_enrollment_and_in_their_order(
    school: School, course: dict[str, Any]
) -> None:
    modules = (await school.get(f"/courses/{course['course_id']}/modules")).json()["items"]
    lessons = modules[0]["lessons"]
    assert [lesson["state"] for lesson in lessons] == ["open", "locked", "locked"]
    preview, video, quiz = (lesson["lesson_id"] for lesson in lessons)
    stranger = await school.api.signed_in()
    assert (await school.get(f"/lessons/{preview}")).status_code == 401
    assert (await school.get(f"/lessons/{preview}", stranger)).json()["content"] == "a"
    refused = await school.get(f"/lessons/{video}", stranger)
    assert (refused.status_code, refused.json()["code"]) == (403, "enrollment_required")
    assert (await school.get("/lessons/les_none", stranger)).status_code == 404

    person, enrollment_id = await school.enrolled(course["course_id"])
    locked = await school.get(f"/lessons/{video}", person)
    assert (locked.status_code, locked.json()["code"]) == (403, "lesson_locked")
    base = f"/enrollments/{enrollment_id}/lessons"
    early = await school.post(f"{base}/{video}/progress", person, {"completed": True})
    assert (early.status_code, early.json()["code"]) == (409, "lesson_locked")
    by_hand = await school.post(f"{base}/{quiz}/progress", person, {"completed": True})
    assert (by_hand.status_code, by_hand.json()["code"]) == (409, "assessment_required")
    assert (await school.post(f"{base}/{preview}/progress", person, {"completed": True})).status_code == 200
    assert (await school.get(f"/lessons/{video}", person)).json()["stream"]["url"]
    seen = (await school.get(f"/courses/{course['course_id']}/modules", person)).json()["items"]
    assert [lesson["state"] for lesson in seen[0]["lessons"]] == ["done", "open", "locked"]


async def test_a_stream_link_is_for_one_person_and_ends(
    school: School, course: dict[str, Any], tmp_path: Path
) -> None:
    person, enrollment_id = await school.enrolled(course["course_id"])
    await school.finish_first(person, enrollment_id)
    video = (await school.progress(person))["lessons"][1]["lesson_id"]
    link = httpx.URL((await school.get(f"/lessons/{video}", person)).json()["stream"]["url"])
    absent = await school.api.get(link.raw_path.decode())
    assert (absent.status_code, absent.json()["code"]) == (404, "media_not_found")
    (tmp_path / "b.mp4").write_bytes(b"0123456789")
    settings = school.api.platform.settings
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(settings, "media_home", str(tmp_path))
        whole = await school.api.get(link.raw_path.decode())
        part = await school.api.get(link.raw_path.decode(), headers={"Range": "bytes=2-4"})
        assert (whole.content, part.status_code, part.content) == (b"0123456789", 206, b"234")
    for change in ({"user": "usr_other"}, {"expires": "99999999999"}, {"signature": "0" * 64}):
        forged = await school.api.get(str(link.copy_merge_params(change).raw_path.decode()))
        assert (forged.status_code, forged.json()["code"]) == (403, "link_invalid")
    over = int(datetime.now(UTC).timestamp()) - 1
    query = {"user": "u", "expires": over, "signature": signed(settings, video, "u", over)}
    late = await school.get(f"/media/{video}", **query)
    assert (late.status_code, late.json()["code"]) == (403, "link_expired")


async def test_free_video_ends_after_two_hours_a_day_and_the_same_lesson_counts_once(
    school: School, course: dict[str, Any]
) -> None:
    person, enrollment_id = await school.enrolled(course["course_id"])
    await school.finish_first(person, enrollment_id)
    first = (await school.progress(person))["lessons"][1]["lesson_id"]
    for _ in range(2):
        assert (await school.get(f"/lessons/{first}", person)).status_code == 200
    teacher = await school.api.staff("instructor")
    other = await school.course(teacher)
    assert (await school.post(f"/courses/{other['course_id']}/enroll", person)).status_code == 201
    item = await school.progress(person)
    await school.post(
        f"/enrollments/{item['enrollment_id']}/lessons/{item['lessons'][0]['lesson_id']}/progress",
        person,
        {"completed": True},
    )
    second = item["lessons"][1]["lesson_id"]
    spent = await school.get(f"/lessons/{second}", person)
    assert (spent.status_code, spent.json()["code"]) == (429, "video_allowance_spent")
    assert 0 < int(spent.headers["Retry-After"]) <= 86400
    assert (await school.get(f"/lessons/{first}", person)).status_code == 200


async def test_progress_is_waited_for_and_is_the_persons_own(school: School, course: dict[str, Any]) -> None:
    person, enrollment_id = await school.enrolled(course["course_id"])
    path = f"/users/{person.user_id}/progress"
    seen = (await school.get(path, person)).json()
    waiting = asyncio.create_task(school.get(path, person, wait=20, since=seen["version"]))
    await eventually(
        lambda: _now(school.api.platform.changes.watched(person.user_id)), lambda watched: watched
    )
    await school.finish_first(person, enrollment_id)
    moved = (await asyncio.wait_for(waiting, 10)).json()
    assert moved["version"] > seen["version"]
    assert moved["items"][0]["lessons"][0]["state"] == "done"
    assert "assessment_id" not in moved["items"][0]["lessons"][0]
    other = await school.api.signed_in()
    assert (await school.get(path, other)).status_code == 404
    assert (await school.get(path)).status_code == 401
    assert (await school.get(path, await school.api.staff("support"))).status_code == 200


async def test_an_assessment_shows_no_keys_and_is_sat_by_its_owner_only(
    school: School, course: dict[str, Any], teacher: Person
) -> None:
    person, enrollment_id = await school.enrolled(course["course_id"])
    quiz = await school.finish(person, enrollment_id)
    begin = {"enrollment_id": enrollment_id}
    same_key = key()
    begun = await school.post(f"/assessments/{quiz}/attempts", person, begin, **same_key)
    assert begun.status_code == 201
    assert "key" not in str(begun.json()["questions"])
    assert "NIFTY" not in begun.text
    replay = await school.post(f"/assessments/{quiz}/attempts", person, begin, **same_key)
    assert replay.json() == begun.json()
    assert replay.headers["Idempotency-Replayed"] == "true"
    attempt_id = begun.json()["attempt_id"]
    other = await school.api.signed_in()
    assert (await school.post(f"/assessments/{quiz}/attempts", other, begin)).status_code == 404
    theirs = {"attempt_id": attempt_id, "answers": {}}
    assert (await school.post(f"/assessments/{quiz}/submit", other, theirs)).status_code == 404
    odd = {"attempt_id": attempt_id, "answers": {"qst_none": "a"}}
    refused = await school.post(f"/assessments/{quiz}/submit", person, odd)
    assert (refused.status_code, refused.json()["code"]) == (422, "answers_invalid")
    for malformed in ({"attempt_id": attempt_id, "answers": {"q": 4}}, {"answers": {}}, []):
        answer = await school.post(f"/assessments/{quiz}/submit", person, malformed)
        assert answer.status_code == 422, malformed
    right = await school.answers(teacher, course["course_id"], quiz)
    right = {name: value.lower() if value.startswith("NIFTY") else value for name, value in right.items()}
    body = {"attempt_id": attempt_id, "answers": right}
    graded = await school.post(f"/assessments/{quiz}/submit", person, body)
    assert graded.json()["passed"] is True, graded.text


async def test_a_certificate_that_was_altered_or_revoked_does_not_verify(
    school: School, course: dict[str, Any], teacher: Person
) -> None:
    person, enrollment_id = await school.enrolled(course["course_id"])
    quiz = await school.finish(person, enrollment_id)
    await school.sit(person, enrollment_id, quiz, await school.answers(teacher, course["course_id"], quiz))
    certificate = (await school.get("/certificates", person)).json()["items"][0]
    path = f"/certificates/{certificate['certificate_id']}"
    header = json.loads(_decoded(certificate["credential_jwt"].split(".")[0]))
    public = (await school.api.get(httpx.URL(header["kid"]).path)).json()
    token = jws.deserialize_compact(certificate["credential_jwt"], RSAKey.import_key(public), ["RS256"])
    assert json.loads(token.payload)["type"] == ["VerifiableCredential", "OpenBadgeCredential"]

    other = await school.api.signed_in()
    assert (await school.get(path, other)).status_code == 404
    assert (await school.get(f"{path}.pdf", other)).status_code == 404
    assert (await school.get(path)).status_code == 401
    assert (await school.get("/certificates/crt_none/verify")).status_code == 404

    head, payload, signature = certificate["credential_jwt"].split(".")
    altered = _decoded(payload).replace(b"Reading a chart", b"Reading a Chart")
    forged = ".".join((head, base64.urlsafe_b64encode(altered).decode().rstrip("="), signature))
    for column, value, status in (
        ("credential", forged, "tampered"),
        ("course_title", "Rocket science", "tampered"),
        ("revoked_at", datetime.now(UTC), "revoked"),
    ):
        async with school.api.platform.database.transaction() as connection:
            cursor = await connection.execute(
                f"SELECT {column} AS kept FROM education.certificates WHERE certificate_id = %s",
                (certificate["certificate_id"],),
            )
            kept = (await cursor.fetchone())["kept"]
            change = f"UPDATE education.certificates SET {column} = %s WHERE certificate_id = %s"
            await connection.execute(change, (value, certificate["certificate_id"]))
        told = (await school.get(f"{path}/verify")).json()
        assert (told["valid"], told["status"]) == (False, status), column
        async with school.api.platform.database.transaction() as connection:
            await connection.execute(change, (kept, certificate["certificate_id"]))
    assert (await school.get(f"{path}/verify")).json()["valid"] is True


async def test_instructors_write_publish_and_keep_what_was_published(school: School, teacher: Person) -> None:
    draft = await school.course(teacher, publish=False)
    path = f"/courses/{draft['course_id']}"
    assert (draft["status"], draft["syllabus_version"]) == ("draft", None)
    customer, colleague = await school.api.signed_in(), await school.api.staff("instructor")
    for stranger in (customer, colleague):
        assert (await school.get(path, stranger)).status_code == 404
        assert (await school.post(f"{path}/publish", stranger)).status_code == 404
        assert (await school.get(f"{path}/answers", stranger)).status_code == 404
    assert (await school.post("/courses", customer, DRAFT | {"slug": "x"})).status_code == 403
    assert (await school.get(path, teacher)).json()["draft"]["modules"][0]["title"] == "One"
    taken = await school.post("/courses", teacher, DRAFT | {"slug": draft["slug"]})
    assert (taken.status_code, taken.json()["code"]) == (409, "slug_taken")

    first = (await school.post(f"{path}/publish", teacher)).json()
    assert (first["status"], first["syllabus_version"]) == ("published", 1)
    before = (await school.get(f"{path}/modules")).json()
    person, _ = await school.enrolled(draft["course_id"])
    changed = DRAFT | {"slug": draft["slug"], "title": "Reading two charts"}
    answer = await school.api.put(f"/v1{path}", json=changed, headers=teacher.headers)
    assert (answer.status_code, answer.json()["title"]) == (200, "Reading two charts")
    assert (await school.get(f"{path}/modules")).json() == before
    second = (await school.post(f"{path}/publish", teacher)).json()
    assert second["syllabus_version"] == 2
    assert (await school.get(f"{path}/modules")).json()["syllabus_version"] == 2
    assert (await school.get(f"{path}/modules", person)).json()["syllabus_version"] == 1


async def test_what_may_not_be_published_is_told(school: School, teacher: Person) -> None:
    recent = datetime.now(UTC).date().isoformat()
    lessons = [
        {"title": "Today", "type": "text", "market_data_until": recent},
        {"title": "V", "type": "video"},
    ]
    change = {"price": 100, "syllabus": {"modules": [{"title": "M", "lessons": lessons}]}}
    draft = await school.course(teacher, publish=False, **change)
    refused = await school.post(f"/courses/{draft['course_id']}/publish", teacher)
    assert (refused.status_code, refused.json()["code"]) == (422, "not_publishable")
    assert {error["code"] for error in refused.json()["errors"]} == {
        "price_below_floor",
        "market_data_too_recent",
        "media_missing",
    }
    for wrong in ({"price": "1"}, {"level": "guru"}, {"secret": 1}, {"slug": "No Slug"}):
        answer = await school.post("/courses", teacher, DRAFT | {"slug": "a"} | wrong)
        assert answer.status_code == 422, wrong


async def test_the_catalogue_is_filtered_searched_and_paged(school: School, teacher: Person) -> None:
    word = secrets.token_hex(5)
    for number in range(3):
        await school.course(teacher, title=f"Candles {word} {number}", level="advanced", category=f"c{word}")
    found = (await school.get("/courses", query=word)).json()["items"]
    assert [item["title"][-1] for item in found] == ["2", "1", "0"]
    assert len((await school.get("/courses", category=f"c{word}", level="advanced")).json()["items"]) == 3
    assert (await school.get("/courses", category=f"c{word}", level="beginner")).json()["items"] == []
    assert (await school.get("/courses", slug=found[0]["slug"])).json()["items"] == [found[0]]
    first = (await school.get("/courses", category=f"c{word}", limit=2)).json()
    rest = await school.get("/courses", category=f"c{word}", limit=2, cursor=first["next_cursor"])
    assert [item["title"][-1] for item in first["items"] + rest.json()["items"]] == ["2", "1", "0"]
    assert rest.json()["next_cursor"] is None
    assert (await school.get(f"/courses/{found[0]['slug']}")).json()["lessons"] == 3
    assert (await school.get("/courses/crs_none")).status_code == 404


async def test_one_more_attempt_is_granted_by_staff_only(school: School, course: dict[str, Any]) -> None:
    person, enrollment_id = await school.enrolled(course["course_id"])
    quiz = await school.finish(person, enrollment_id)
    path = f"/enrollments/{enrollment_id}/assessments/{quiz}/grant"
    finance = await school.api.staff("finance")
    for asked in (path, path.replace(enrollment_id, "enr_none")):
        assert (await school.post(asked, person)).status_code == 404
        refused = await school.post(asked, finance)
        assert (refused.status_code, refused.json()["code"]) == (403, "role_required")
    support = await school.api.staff("support")
    assert (await school.post(path.replace(enrollment_id, "enr_none"), support)).status_code == 404
    same_key = key()
    for _ in range(2):
        granted = await school.post(path, support, **same_key)
        assert granted.json()["attempts_left"] == 4, granted.text
    words = await school.api.words(workflow_id(Kind.ENROLLMENT, enrollment_id))
    assert words == {("grant_attempt", True)}


async def _now(value: bool) -> bool:
    return value


def _decoded(part: str) -> bytes:
    return base64.urlsafe_b64decode(part + "=" * (-len(part) % 4))


async def test_certificates_are_paged_from_the_newest_on(school: School, teacher: Person) -> None:
    person, earned = await school.api.signed_in(), []
    lesson = {"title": "A", "type": "text", "content": "a"}
    for _ in range(3):
        course = await school.course(teacher, syllabus={"modules": [{"title": "One", "lessons": [lesson]}]})
        place = (await school.post(f"/courses/{course['course_id']}/enroll", person)).json()
        items = (await school.get(f"/users/{person.user_id}/progress", person)).json()["items"]
        mine = next(item for item in items if item["enrollment_id"] == place["enrollment_id"])
        done = f"/enrollments/{place['enrollment_id']}/lessons/{mine['lessons'][0]['lesson_id']}/progress"
        assert (await school.post(done, person, {"completed": True})).status_code == 200
        earned.append(course["course_id"])
    pages = [(await school.get("/certificates", person, limit=2)).json()]
    pages.append((await school.get("/certificates", person, limit=2, cursor=pages[0]["next_cursor"])).json())
    assert [each["course_id"] for page in pages for each in page["items"]] == earned[::-1]
    assert pages[1]["next_cursor"] is None
