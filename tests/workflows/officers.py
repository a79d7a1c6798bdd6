"""Compliance officers at their desk, and the process that they decide in."""

from datetime import datetime, timedelta
from typing import Any

from temporalio.client import WorkflowHandle

from models.contracts.assertions import Assertion, sign
from models.messages.onboarding import decision_action
from tests.api.conftest import Api, Person
from tests.journeys.people import (
    Customer,
    Outside,
    customer,
    hand_in,
    kyc,
    submission,
)

LISTED = "Zorvan Maldrake"
"""On the sandbox's list of fictional sanctions."""


def process(api: Api, who: Customer) -> WorkflowHandle[Any, Any]:
    return api.platform.client.get_workflow_handle(f"onboarding:{who.user_id}")


async def case_of(api: Api, officer: Person, who: Customer) -> dict[str, Any]:
    answer = await api.get("/v1/kyc/reviews", headers=officer.headers)
    return next(case for case in answer.json()["items"] if case["user_id"] == who.user_id)


async def decide(api: Api, officer: Person, case_id: str, decision: str) -> Any:
    path, body = f"/v1/kyc/reviews/{case_id}/decision", {"decision": decision, "reason": "seen the papers"}
    return await api.post(path, json=body, headers=officer.headers)


async def reviewed(api: Api, outside: Outside) -> Customer:
    """A namesake of a listed person, under review."""
    who = await customer(api, LISTED)
    await hand_in(api, who, await submission(outside, who))
    await kyc(api, who, "manual_review")
    return who


def signed(
    api: Api, workflow_id: str, officer: str, case_id: str, decision: str, at: datetime, command_id: str = ""
) -> Any:
    assertion = Assertion(
        subject=officer,
        role="compliance",
        workflow_id=workflow_id,
        action=decision_action(case_id, decision),
        expires_at=at + timedelta(minutes=10),
        command_id=command_id,
    )
    return sign(api.platform.settings.assertion_key.get_secret_value(), assertion)
