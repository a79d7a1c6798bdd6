"""Connecting a broker account, and taking the connection back."""

from datetime import UTC, datetime
from typing import Any

from fastapi import APIRouter
from starlette.responses import JSONResponse, RedirectResponse

from api.commanding import Commanding
from api.pages import Page, cut, page
from api.platform import PlatformDep
from api.principal import CurrentUser, own, step_up
from api.problems import Problem
from api.trading import shapes
from api.trading.kill_switch import Owned
from domain.broker_accounts import AccountStatus
from domain.market_calendar import trading_date
from domain.trading import BrokerName
from models.contracts.commands import Drive
from models.contracts.identifiers import Prefix, mint
from models.contracts.queues import Queue
from models.contracts.workflow_ids import Kind, workflow_id
from models.messages.broker_accounts import (
    AccountSettings,
    BeginLogin,
    CloseAccount,
    CompleteLogin,
    SessionInput,
)
from store import trading_accounts

router = APIRouter(prefix="/v1/trading", tags=["trading"])

APP_PATH = "/docs"
"""Where the customer goes on after the broker's login page: the app reads the query that came along."""


def session_drive(account_id: str, user_id: str, broker: str, update: str, argument: dict[str, Any]) -> Drive:
    """A command to the account's session of today; closing has a run of its own, which ends with it."""
    today = trading_date(datetime.now(UTC))
    key = [account_id, today.isoformat(), *(["close"] if update == "close" else [])]
    started = SessionInput(account_id=account_id, user_id=user_id, broker=BrokerName(broker), day=today)
    return Drive(
        workflow_type="TradingSession",
        workflow_id=workflow_id(Kind.SESSION, *key),
        queue=Queue.TRADING,
        start=started.model_dump(mode="json"),
        update=update,
        argument=argument,
        summary=f"Session of account {account_id}",
        details=f"Broker session of `{account_id}` for {today}",
        attributes={"CUSTOMER": user_id, "REFERENCE": [account_id]},
    )


@router.post("/exchanges/connect", status_code=201)
async def connect(
    body: shapes.ConnectBody, principal: CurrentUser, commander: Commanding, platform: PlatformDep
) -> JSONResponse:
    """Begins a login at the broker; the account that is there already is used again."""
    if body.broker is not BrokerName.PAPER:
        step_up(principal)
    async with platform.database.reading() as connection:
        known = await trading_accounts.open_account_of(connection, principal.user_id, body.broker)

    def drive(account_id: str) -> Drive:
        argument = BeginLogin().model_dump(mode="json")
        return session_drive(account_id, principal.user_id, body.broker, "begin", argument)

    return await commander.run(known or mint(Prefix.ACCOUNT), drive)


@router.get("/exchanges/callback", status_code=303, response_class=RedirectResponse)
async def returned() -> RedirectResponse:
    """Where the browser comes back from the broker: changes nothing. The app sends token and state itself,
    with the bearer of the customer who began."""
    return RedirectResponse(APP_PATH, status_code=303)


@router.post("/exchanges/callback")
async def callback(
    body: shapes.CallbackBody, principal: CurrentUser, commander: Commanding, platform: PlatformDep
) -> JSONResponse:
    """Completes the login that this customer began."""
    async with platform.database.reading() as connection:
        login = await trading_accounts.login_of(connection, platform.vault, body.state)
    own(principal, login.user_id if login else None)
    if login is None:
        raise Problem(404)
    complete = CompleteLogin(login_id=login.login_id, request_token=body.request_token)
    drive = Drive(
        workflow_type="TradingSession",
        workflow_id=login.process,
        queue=Queue.TRADING,
        update="complete",
        argument=complete.model_dump(mode="json"),
    )
    # The login is used once: the same one again is the same command, whatever its key.
    return await commander.run(login.account_id, lambda _: drive, natural_key=login.login_id, status=200)


@router.get("/accounts")
async def accounts(principal: CurrentUser, query: Page, platform: PlatformDep) -> dict[str, Any]:
    async with platform.database.reading() as connection:
        rows = await trading_accounts.list_of(connection, principal.user_id, query.after, query.limit)
    shown, cursor = cut(rows, query, "account_id")
    return page([shapes.account(row) for row in shown], cursor)


@router.put("/accounts/{account_id}")
async def change(
    account_id: Owned,
    body: shapes.SettingsBody,
    commander: Commanding,
    platform: PlatformDep,
) -> JSONResponse:
    """The customer's own limits (paise), and whether to be reminded of the broker's login before each
    opening."""
    async with platform.database.reading() as connection:
        account = await trading_accounts.account_of(connection, account_id)
    if account is None:
        raise Problem(404)
    argument = AccountSettings(**body.model_dump()).model_dump(mode="json")
    drive = session_drive(account_id, account.user_id, account.broker, "settings", argument)
    return await commander.run(account_id, lambda _: drive, status=200)


@router.delete("/accounts/{account_id}")
async def close(
    account_id: str, principal: CurrentUser, commander: Commanding, platform: PlatformDep
) -> JSONResponse:
    """Forgets the token here and ends it at the broker; the account stays in the record as closed. Refused
    (`account_in_use`) while an order of it has not ended or a trigger of it may fire: they are cancelled
    first, all at once by the kill switch."""
    async with platform.database.reading() as connection:
        account = await trading_accounts.account_of(connection, account_id)
        in_use = await trading_accounts.in_use(connection, account_id)
    own(principal, account.user_id if account else None)
    if account is None:
        raise Problem(404)
    if in_use and account.status != AccountStatus.CLOSED:
        raise Problem(409, "account_in_use")
    argument = CloseAccount().model_dump(mode="json")
    drive = session_drive(account_id, account.user_id, account.broker, "close", argument)
    # Under no natural key: what is refused today may be asked for again. A closed account is closed once
    # more, which changes nothing.
    again = drive.model_copy(update={"rerun": True})
    return await commander.run(account_id, lambda _: again, status=200)
