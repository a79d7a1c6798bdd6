"""Reading where a customer's KYC stands. A customer sees neutral codes; screening is for compliance only."""

from typing import Annotated, Any

from fastapi import APIRouter, Depends
from starlette.requests import Request

from api.onboarding import shapes
from api.platform import PlatformDep
from api.principal import CurrentUser, current_user, guard, own
from api.problems import Problem
from api.waiting import Wait, until
from domain.kyc import RESTING, SCREENING, Result, Status, Step, Tier, limits_of
from store import onboarding
from store.onboarding import IN_FORCE, INDIA

router = APIRouter()

SILENT = frozenset({"pan_shared", "pan_not_a_persons", "aadhaar_mobile_differs", "aadhaar_name_differs"})
"""Codes of flags: what compliance watches, the customer is not told."""


@guard
async def readable(request: Request, user_id: str) -> str:
    """The person in the path, if the caller is that person, compliance or support."""
    own(await current_user(request), user_id, "compliance", "support")
    return user_id


@router.get("/users/{user_id}/kyc")
async def standing(
    user_id: Annotated[str, Depends(readable)], principal: CurrentUser, wait: Wait, platform: PlatformDep
) -> shapes.StaffKyc | shapes.Kyc:
    """The customer's own, or any for compliance and support."""

    async def read() -> dict[str, Any]:
        async with platform.database.reading() as connection:
            row = await onboarding.standing_row(connection, user_id)
        if row is None:
            raise Problem(404)
        return row

    row = await until(
        read, wait, lambda found: found["version"], lambda found: found["status"] in RESTING, platform
    )
    whole = "compliance" in principal.roles and principal.user_id != user_id
    return staff_view(row) if whole else customer_view(row)


def customer_view(row: dict[str, Any]) -> shapes.Kyc:
    tier = Tier(row["tier"]) if row["tier"] else None
    counts = tier is not None and row["status"] in IN_FORCE and row["frozen_at"] is None
    limits = limits_of(tier, row["updated_at"].astimezone(INDIA).date()) if tier and counts else None
    found = {each["step"]: each for each in row["steps"]}
    return shapes.Kyc(
        status=row["status"],
        tier=row["tier"],
        steps=[_step(step, found.get(step), row["status"]) for step in Step] if row["submission_id"] else [],
        limits=shapes.Bounds(**vars(limits)) if limits else shapes.Bounds(single=0, daily=0, monthly=0),
        reason_code=row["reason_code"],
        verified_at=row["verified_at"],
        expires_at=row["expires_at"],
        version=row["version"],
    )


def staff_view(row: dict[str, Any]) -> shapes.StaffKyc:
    return shapes.StaffKyc(
        **customer_view(row).model_dump(exclude={"steps"}),
        steps=[_plain(each) for each in row["steps"]],
        user_id=row["user_id"],
        risk_score=row["risk_score"],
        codes={each["step"]: each["codes"] for each in row["steps"]},
        screening=row["hits"],
        list_version=row["list_version"],
        screened_at=row["screened_at"],
        frozen_at=row["frozen_at"],
    )


def _plain(found: dict[str, Any]) -> shapes.Step:
    code = found["codes"][0] if found["codes"] else None
    return shapes.Step(step=found["step"], status=found["result"], reason_code=code, at=found["at"])


def _step(step: Step, found: dict[str, Any] | None, status: str) -> shapes.Step:
    """What a customer may know: of screening only that it is done once all of it is."""
    if found is None:
        waiting = "in_progress" if status == Status.IN_PROGRESS else "pending"
        return shapes.Step(step=step, status=waiting, reason_code=None, at=None)
    if step in SCREENING:
        done = status == Status.VERIFIED
        return shapes.Step(step=step, status="passed" if done else "in_progress", reason_code=None, at=None)
    result = Result.PASSED if found["result"] == Result.FLAGGED else found["result"]
    told = [code for code in found["codes"] if code not in SILENT]
    return shapes.Step(step=step, status=result, reason_code=told[0] if told else None, at=found["at"])
