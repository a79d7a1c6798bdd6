"""A customer's session at the broker: signed in by the customer, over at 06:00 of the next day."""

from datetime import datetime, timedelta

from temporalio import workflow
from temporalio.exceptions import ActivityError

with workflow.unsafe.imports_passed_through():
    from domain.broker_accounts import AccountStatus
    from domain.market_calendar import session_end
    from models.contracts.identifiers import Prefix, mint
    from models.contracts.policies import BOOK, IRREVERSIBLE, READ_BROKER
    from models.contracts.queues import Queue
    from models.messages.broker_accounts import (
        AccountSettings,
        BeginLogin,
        CloseAccount,
        CompleteLogin,
        EndSession,
        ExchangeToken,
        LoginBegun,
        LoginCompleted,
        OpenLogin,
        SessionInput,
        SettingsStand,
        StoreSettings,
    )
    from workflows.failures import outcome, refuse
    from workflows.ports.trading import SessionPort
    from workflows.visible import show, waiting, working

Status = AccountStatus


@workflow.defn(name="TradingSession")
class TradingSession:
    """`session:{account}:{day}`. A second login on the same day renews the same run's session."""

    @workflow.init
    def __init__(self, session: SessionInput) -> None:
        self._session = session
        self._status = Status.AWAITING_LOGIN
        self._expires_at: datetime | None = None
        self._ends_at = session_end(workflow.now())
        self._renewed = False
        self._opened = False

    @workflow.run
    async def run(self, session: SessionInput) -> None:
        while self._status is not Status.CLOSED:
            self._tell()
            if await self._until_changed():
                # Before the orders are woken: a login that comes meanwhile wakes them once more.
                wakes, self._renewed, self._opened = self._opened, False, False
                if wakes:
                    await self._wake_orders()
                continue
            await self._expire()
            break
        working(f"over: {self._status}")
        await workflow.wait_condition(workflow.all_handlers_finished)

    @workflow.update(name="begin")
    async def begin(self, command: BeginLogin) -> LoginBegun:
        """Makes the account if it is new, and a login of it; paper needs none."""
        begun = await workflow.execute_local_activity_method(
            SessionPort.open_login,
            OpenLogin(
                account_id=self._session.account_id,
                user_id=self._session.user_id,
                broker=self._session.broker,
                login_id=mint(Prefix.SESSION, workflow.uuid7()),
                as_of=workflow.now(),
            ),
            **BOOK.local(),
        )
        self._status = begun.status
        self._renewed = True
        self._opened = self._opened or begun.status is Status.CONNECTED
        return begun

    @workflow.update(name="complete")
    async def complete(self, command: CompleteLogin) -> LoginCompleted:
        """Trades the request token for a session, if the login is fresh and the holder is the customer."""
        asked = ExchangeToken(
            account_id=self._session.account_id,
            user_id=self._session.user_id,
            login_id=command.login_id,
            request_token=command.request_token,
            as_of=workflow.now(),
        )
        try:
            granted = await workflow.execute_activity_method(
                SessionPort.exchange_token, asked, task_queue=Queue.KITE, **IRREVERSIBLE.options()
            )
        except ActivityError as error:
            # A worker may have died with the session stored: then orders are not left waiting for another.
            found = await workflow.execute_local_activity_method(
                SessionPort.find_session, asked, **BOOK.local()
            )
            if found is None:
                # An answer that was lost spent the token all the same: the customer signs in again.
                raise refuse(outcome(error).code) from None
            granted = found
        self._status, self._expires_at = Status.CONNECTED, granted.expires_at
        self._opened = True
        self._ends_at = workflow.now() + timedelta(seconds=granted.lives_seconds)
        self._renewed = True
        return LoginCompleted(
            account_id=self._session.account_id, status=self._status, expires_at=granted.expires_at
        )

    @complete.validator
    def _may_complete(self, command: CompleteLogin) -> None:
        if self._status is Status.CLOSED:
            raise refuse("account_closed")

    @workflow.update(name="settings")
    async def settings(self, command: AccountSettings) -> SettingsStand:
        """The customer's own limits, and whether to be reminded of the login before each opening."""
        asked = StoreSettings(account_id=self._session.account_id, settings=command)
        return await workflow.execute_local_activity_method(SessionPort.store_settings, asked, **BOOK.local())

    @workflow.update(name="close")
    async def close(self, command: CloseAccount) -> LoginCompleted:
        """The customer takes the connection back: the token is forgotten here and ended there. Refused while
        an order or a trigger lives."""
        try:
            await self._end(close=True)
        except ActivityError as error:
            raise refuse(outcome(error).code) from None
        self._status = Status.CLOSED
        return LoginCompleted(account_id=self._session.account_id, status=self._status)

    async def _until_changed(self) -> bool:
        left = self._ends_at - workflow.now()
        try:
            await workflow.wait_condition(
                lambda: self._renewed or self._status is Status.CLOSED, timeout=left
            )
        except TimeoutError:
            return False
        return True

    async def _expire(self) -> None:
        if self._expires_at is not None and self._session.broker != "paper":
            # Also where another login was begun and not completed.
            await self._end(close=False)
            self._status = Status.EXPIRED

    async def _end(self, *, close: bool) -> None:
        await workflow.execute_activity_method(
            SessionPort.end_session,
            EndSession(
                account_id=self._session.account_id,
                user_id=self._session.user_id,
                close=close,
                expires_at=None if close else self._expires_at,
                as_of=workflow.now(),
            ),
            task_queue=Queue.KITE,
            **READ_BROKER.options(),
        )

    async def _wake_orders(self) -> None:
        await workflow.execute_activity_method(
            SessionPort.wake_orders, self._session.account_id, **READ_BROKER.options()
        )

    def _tell(self) -> None:
        show(
            state=self._status,
            customer=self._session.user_id,
            reference=[self._session.account_id],
            due=self._ends_at,
        )
        awaited = "the customer to sign in" if self._status is Status.AWAITING_LOGIN else "06:00 in India"
        waiting(
            awaited,
            since=workflow.now(),
            otherwise="the session ends; orders wait for the next one",
            who="the customer",
            link="POST /v1/trading/exchanges/connect",
        )
