"""Step 4: a course from the first lesson to a certificate that anyone can verify."""

from typing import Any

from cli.demo.money import pay
from cli.demo.people import sign_in
from cli.demo.stage import Person, Stage, promise


def step_course(stage: Stage, customer: Person) -> str:
    """The demo's course is seeded; its answers are known to its instructor, who is asked for them."""
    course = stage.call("GET", "/courses")["items"][0]
    enrolled = stage.call("POST", f"/courses/{course['course_id']}/enroll", customer, expect=201)
    enrollment = enrolled["enrollment_id"]
    promise(enrolled["status"] == "awaiting_payment", "a paid course waits for its payment")
    pay(stage, customer, enrolled, method="card")
    progress = f"/users/{customer.user_id}/progress"
    stage.until(
        progress, customer, lambda p: mine(p, enrollment)["status"] == "active", "payment opens the course"
    )
    quizzes = finish_lessons(stage, customer, enrollment, progress)
    scores = [sit(stage, customer, course, enrollment, quiz) for quiz in quizzes]
    done = stage.until(
        progress,
        customer,
        lambda p: mine(p, enrollment)["certificate_id"],
        "a passed course gives a certificate",
    )
    certificate = mine(done, enrollment)["certificate_id"]
    verified = stage.call("GET", f"/certificates/{certificate}/verify")
    promise(verified["valid"], "the certificate verifies for anyone")
    stage.link("enrollment", f"enrollment:{enrollment}")
    return (
        f"{course['title']!r}: failed with {scores[0][0]}, passed with {scores[0][1]}; certificate verifies"
    )


def mine(progress: dict[str, Any], enrollment: str) -> dict[str, Any]:
    return next(item for item in progress["items"] if item["enrollment_id"] == enrollment)


def finish_lessons(stage: Stage, customer: Person, enrollment: str, progress: str) -> list[str]:
    """Completes every lesson that is not an assessment, in the order they open; the assessments' ids."""
    while True:
        lessons = mine(stage.call("GET", progress, customer), enrollment)["lessons"]
        plain = [x for x in lessons if x["state"] == "open" and not x.get("assessment_id")]
        if not plain:
            return [x["assessment_id"] for x in lessons if x.get("assessment_id") and x["state"] == "open"]
        stage.call(
            "POST",
            f"/enrollments/{enrollment}/lessons/{plain[0]['lesson_id']}/progress",
            customer,
            json={"completed": True},
        )


def sit(
    stage: Stage, customer: Person, course: dict[str, Any], enrollment: str, quiz: str
) -> tuple[int, int]:
    """Fails an assessment once with wrong answers, then passes; both scores."""
    instructor = stage.staff("instructor")
    sign_in(stage, instructor)
    key = stage.call("GET", f"/courses/{course['course_id']}/answers", instructor)["assessments"][quiz]
    scores = []
    for right in (False, True):
        attempt = stage.call(
            "POST", f"/assessments/{quiz}/attempts", customer, expect=201, json={"enrollment_id": enrollment}
        )
        answers = {q["question_id"]: answer(q, key[q["question_id"]], right) for q in attempt["questions"]}
        result = stage.call(
            "POST",
            f"/assessments/{quiz}/submit",
            customer,
            json={"attempt_id": attempt["attempt_id"], "answers": answers},
        )
        promise(result["passed"] is right, "right answers pass and wrong ones do not")
        scores.append(result["score"])
    return scores[0], scores[1]


def answer(question: dict[str, Any], key: Any, right: bool) -> Any:
    """The key's answer, or another one of the same kind."""
    if right:
        return key
    match question["kind"]:
        case "single":
            return next(c["choice_id"] for c in question["choices"] if c["choice_id"] != key)
        case "multiple":
            return [c["choice_id"] for c in question["choices"] if c["choice_id"] not in key][:1]
        case _:
            return "-1"
