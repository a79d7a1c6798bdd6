"""Plans and subscriptions: taken, read, changed, paused, resumed, cancelled."""

from datetime import datetime
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Body, Depends
from pydantic import BaseModel, ConfigDict, Field
from pydantic_core import from_json, to_jsonable_python
from starlette.requests import Request
from starlette.responses import JSONResponse

from api.billing.checkout import open_checkout
from api.commanding import Commander, Commanding
from api.pages import Page, cut, page
from api.platform import Platform, PlatformDep, platform
from api.principal import CurrentUser, Principal, current_user, guard, own
from api.problems import Problem
from api.waiting import Wait, until
from domain.subscriptions import ENDED, UNPAID, Status
from models.contracts.commands import Drive
from models.contracts.identifiers import Prefix, mint
from models.contracts.queues import Queue
from models.contracts.workflow_ids import Kind, workflow_id
from models.messages.subscriptions import Cancel, ChangePlan, Pause, Resume, Subscribe, SubscriptionInput
from store import plans, subscriptions

router = APIRouter(prefix="/v1/billing", tags=["billing"])

STAFF = ("support", "finance")


class Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)


class NewSubscription(Strict):
    plan_id: Annotated[str, Field(min_length=1, max_length=64)]


class TakeBody(NewSubscription):
    trial: bool = False
    """Try it first, where the plan allows: nothing is paid, nothing is debited."""


class CancelBody(Strict):
    at_period_end: bool = True


class NoBody(Strict):
    """An empty object, or nothing."""


class Mandate(BaseModel):
    method: str
    max_amount: int | None


class View(BaseModel):
    """A subscription as its owner sees it. Amounts in paise, GST included."""

    subscription_id: str
    plan_id: str
    status: Status
    amount: int
    currency: str
    current_period_start: datetime | None
    current_period_end: datetime | None
    next_debit_at: datetime | None
    cancel_at: datetime | None
    next_plan_id: str | None
    mandate: Mandate | None
    trial_ends_at: datetime | None
    pending_plan_id: str | None
    """Begins as soon as its checkout is paid."""
    reason_code: str | None
    """Why it is paused or halted where the customer did not ask for it."""
    on_hold: bool
    """A payment is disputed: no access and no debit until the bank has decided."""
    version: int

    @classmethod
    def of(cls, row: dict[str, Any]) -> "View":
        mandate = Mandate(method=row["method"], max_amount=row["mandate_max"]) if row["method"] else None
        return cls(**{name: row[name] for name in cls.model_fields if name != "mandate"}, mandate=mandate)


@guard
async def owned(request: Request, subscription_id: str) -> str:
    """The subscription in the path, if it is the caller's; else 404."""
    principal = await current_user(request)
    async with platform(request).database.reading() as connection:
        row = await subscriptions.find(connection, subscription_id)
    staff = STAFF if request.method == "GET" else ()
    own(principal, row["user_id"] if row else None, *staff)
    return subscription_id


Owned = Annotated[str, Depends(owned)]


@router.get("/plans")
async def offers(platform: PlatformDep) -> dict[str, Any]:
    """What can be subscribed to; open to everyone."""
    async with platform.database.reading() as connection:
        found = await plans.offered(connection)
    return page(
        [plan.model_dump(include={"plan_id", "name", "tier", "amount", "currency", "cycle",
                                  "research_services", "trial_days"}) for plan in found]
    )  # fmt: skip


@router.post("/subscriptions", status_code=201)
async def take(
    body: TakeBody, principal: CurrentUser, commander: Commanding, platform: PlatformDep
) -> JSONResponse:
    """A new subscription with its checkout, or its trial; one that still awaits its payment, also of a plan
    that is being tried, is answered again."""
    return await subscribe(body.plan_id, principal, commander, platform, trial=body.trial)


async def subscribe(
    plan_id: str, principal: Principal, commander: Commander, platform: Platform, *, trial: bool = False
) -> JSONResponse:
    """The command behind `POST /billing/subscriptions` and `POST /signals/subscribe`.

    Raises:
        Problem: `consent_required`, `fee_cap_reached`, `already_subscribed`, `plan_unknown`,
            `trial_not_offered`, `trial_used`, or what the checkout refuses.
    """
    async with platform.database.reading() as connection:
        present = await subscriptions.open_of(connection, principal.user_id)
    minted = mint(Prefix.SUBSCRIPTION)
    if present is not None and present["status"] in UNPAID:
        if present["plan_id"] == plan_id:
            minted = present["subscription_id"]
        elif present["status"] == Status.AWAITING_PAYMENT:
            # Never paid for: another choice takes its place. A late payment for it is given back.
            given_up = present["subscription_id"]
            await commander.run(
                given_up,
                lambda found: _update(found, "cancel", Cancel(at_period_end=False)),
                natural_key=f"give-up:{given_up}",
            )
    key = platform.settings.assertion_public_key
    given = {"user_id": principal.user_id, "plan_id": plan_id, "trial": trial, "assertion_key": key}
    answer = await commander.run(
        minted, lambda found: _start(SubscriptionInput(subscription_id=found, **given))
    )
    view = from_json(bytes(answer.body))
    async with platform.database.reading() as connection:
        row = await subscriptions.find(connection, view["subscription_id"])
    if row is not None and row["status"] in UNPAID and not trial:
        view |= await open_checkout(commander, "subscription", view["subscription_id"])
    return JSONResponse(view, 201, _replayed(answer))


@router.get("/subscriptions")
async def listing(principal: CurrentUser, query: Page, platform: PlatformDep) -> dict[str, Any]:
    """The caller's subscriptions, newest first."""
    async with platform.database.reading() as connection:
        rows = await subscriptions.listing(
            connection,
            principal.user_id,
            **query.asked,
        )
    shown, cursor = cut(rows, query, "subscription_id")
    return page([to_jsonable_python(View.of(row)) for row in shown], cursor)


@router.get("/subscriptions/{subscription_id}")
async def one(subscription_id: Owned, wait: Wait, platform: PlatformDep) -> View:
    async def read() -> View:
        async with platform.database.reading() as connection:
            row = await subscriptions.find(connection, subscription_id)
        if row is None:
            raise Problem(404)
        return View.of(row)

    return await until(read, wait, lambda v: v.version, lambda v: v.status in ENDED, platform)


@router.post("/subscriptions/{subscription_id}/cancel")
async def cancel(
    subscription_id: Owned, commander: Commanding, body: Annotated[CancelBody | None, Body()] = None
) -> JSONResponse:
    """At the end of the paid period unless `at_period_end` is false; then access ends now."""
    asked = Cancel(at_period_end=body.at_period_end if body else True)
    return await commander.run(subscription_id, lambda found: _update(found, "cancel", asked), status=200)


@router.post("/subscriptions/{subscription_id}/pause")
async def pause(
    subscription_id: Owned, commander: Commanding, body: Annotated[NoBody | None, Body()] = None
) -> JSONResponse:
    return await commander.run(subscription_id, lambda found: _update(found, "pause", Pause()), status=200)


@router.post("/subscriptions/{subscription_id}/resume")
async def resume(
    subscription_id: Owned, commander: Commanding, body: Annotated[NoBody | None, Body()] = None
) -> JSONResponse:
    return await commander.run(subscription_id, lambda found: _update(found, "resume", Resume()), status=200)


@router.post("/subscriptions/{subscription_id}/change-plan")
async def change_plan(
    subscription_id: Owned, commander: Commanding, platform: PlatformDep, body: NewSubscription
) -> JSONResponse:
    """To a plan that costs no more a month, from the next period on. To any other by a checkout, whose fields
    stand beside: the plan begins when it is paid, and what is unexpired of the present one goes back. The
    present plan takes back what was asked for before.

    Raises:
        Problem: `consent_required`, `fee_cap_reached`, `checkout_open` (another plan's may still be paid),
            `debit_in_progress`, `payment_disputed`, `invalid_state`, or what the checkout refuses.
    """
    asked = ChangePlan(plan_id=body.plan_id)
    answer = await commander.run(
        subscription_id, lambda found: _update(found, "change_plan", asked), status=200
    )
    async with platform.database.reading() as connection:
        row = await subscriptions.find(connection, subscription_id)
    if row is None or row["pending_plan_id"] != body.plan_id:
        return answer
    view = from_json(bytes(answer.body)) | await open_checkout(commander, "subscription", subscription_id)
    return JSONResponse(view, 200, _replayed(answer))


def _replayed(answer: JSONResponse) -> dict[str, str]:
    return {name: value for name, value in answer.headers.items() if name.startswith("idempotency")}


def _start(given: SubscriptionInput) -> Drive:
    return Drive(
        workflow_type="Subscription",
        workflow_id=workflow_id(Kind.SUBSCRIPTION, given.subscription_id),
        queue=Queue.BILLING,
        start=given.model_dump(mode="json"),
        update="subscribe",
        argument=Subscribe().model_dump(mode="json"),
        summary=f"Subscription {given.subscription_id} to {given.plan_id}",
        details="One run a billing cycle: notice, debit, booking. Ends when cancelled or expired.",
        attributes={
            "CUSTOMER": given.user_id,
            "PLAN": given.plan_id,
            "STATE": Status.AWAITING_PAYMENT.value,
            "REFERENCE": [given.subscription_id],
        },
    )


def _update(
    subscription_id: str, name: Literal["cancel", "pause", "resume", "change_plan"], argument: BaseModel
) -> Drive:
    return Drive(
        workflow_type="Subscription",
        workflow_id=workflow_id(Kind.SUBSCRIPTION, subscription_id),
        queue=Queue.BILLING,
        update=name,
        argument=argument.model_dump(mode="json"),
    )
