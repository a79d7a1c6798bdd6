"""A grievance on the real server: its deadline, and who may resolve it."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from temporalio.client import WorkflowUpdateFailedError
from temporalio.testing._timeskipping import TimeSkipper

from cli.embedded import EmbeddedEngines
from models.contracts.assertions import Assertion, sign
from models.messages.complaints import Resolve
from tests.api.conftest import Api, Person, eventually
from tests.journeys.people import desk


@pytest.fixture(scope="module")
async def api(engines: EmbeddedEngines) -> AsyncIterator[Api]:
    async with desk(engines.settings) as served:
        yield served


async def complaint(api: Api, who: Person) -> str:
    body = {"subject": "My KYC", "text": "It takes too long."}
    answer = await api.post("/v1/complaints", json=body, headers=who.headers)
    assert answer.status_code == 201, answer.text
    return str(answer.json()["complaint_id"])


async def row(api: Api, complaint_id: str) -> dict[str, Any]:
    async with api.platform.database.reading() as connection:
        cursor = await connection.execute(
            "SELECT status, note_id FROM user_management.complaints WHERE complaint_id = %s", (complaint_id,)
        )
        found = await cursor.fetchone()
    assert found is not None
    return found


def resolution(api: Api, complaint_id: str, subject: str, role: str, at: datetime) -> Resolve:
    assertion = Assertion(
        subject=subject,
        role=role,
        workflow_id=f"complaint:{complaint_id}",
        action="resolve",
        expires_at=at + timedelta(minutes=5),
    )
    key = api.platform.settings.assertion_key.get_secret_value()
    return Resolve(note_id="not_answer", signed=sign(key, assertion))


async def test_an_unanswered_complaint_escalates_after_21_days_and_is_still_resolved(api: Api) -> None:
    complaint_id = await complaint(api, await api.signed_in())
    handle = api.platform.client.get_workflow_handle(f"complaint:{complaint_id}")
    skipper = TimeSkipper(api.platform.client)
    await skipper.fast_forward(handle, timedelta(days=20))
    assert (await row(api, complaint_id))["status"] == "open"
    await skipper.fast_forward(handle, timedelta(days=2))
    found = await eventually(lambda: row(api, complaint_id), lambda each: each["status"] == "escalated")
    assert found["status"] == "escalated"
    later = datetime.now(UTC) + timedelta(days=22)
    await handle.execute_update("resolve", resolution(api, complaint_id, "usr_staff", "support", later))
    assert await handle.result() == "resolved"
    assert await row(api, complaint_id) == {"status": "resolved", "note_id": "not_answer"}


async def test_neither_the_customer_nor_another_role_resolves_it(api: Api) -> None:
    who = await api.signed_in()
    complaint_id = await complaint(api, who)
    handle = api.platform.client.get_workflow_handle(f"complaint:{complaint_id}")
    for subject, role, code in (
        (who.user_id, "support", "own_case"),
        ("usr_staff", "analyst", "role_required"),
    ):
        answer = resolution(api, complaint_id, subject, role, datetime.now(UTC))
        with pytest.raises(WorkflowUpdateFailedError) as refused:
            await handle.execute_update("resolve", answer)
        assert refused.value.cause.details[0] == code  # type: ignore[union-attr]
    assert (await row(api, complaint_id))["status"] == "open"
