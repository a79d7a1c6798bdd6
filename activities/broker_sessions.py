"""A customer's login at the broker: the one-time state, the token exchange, the holder's name, the end."""

import base64
import re
from datetime import UTC, datetime

from rapidfuzz import fuzz
from temporalio import activity
from temporalio.client import Client, WorkflowHandle
from temporalio.service import RPCError, RPCStatusCode

from activities.brokers import Brokers, beating
from activities.foreign_orders import look_for_foreign_orders
from domain.broker_accounts import AccountStatus
from domain.errors import Rejected
from domain.market_calendar import session_end, trading_date
from models.contracts.workflow_ids import Kind, workflow_id
from models.messages.broker_accounts import (
    EndSession,
    ExchangeToken,
    LoginBegun,
    OpenLogin,
    SessionGranted,
    SettingsStand,
    StoreSettings,
    WaitingOrders,
)
from models.messages.trading import Recorded, SessionOpened
from store import broker_days, trading, trading_accounts
from store.database import Database
from store.onboarding import kyc_of, legal_name
from store.vault import Vault
from workflows.ports.trading import SessionPort

NAME_MATCH_PERCENT = 85.0
"""How alike (token-sort ratio) the broker's and the verified name must be; initials and order vary."""
TITLES = frozenset({"mr", "mrs", "ms", "shri", "smt", "kumari", "dr"})


def normalised(name: str) -> str:
    """Lower-case words without titles and punctuation."""
    words = re.findall(r"\w+", name.casefold())
    return " ".join(word for word in words if word not in TITLES)


def same_holder(at_broker: str, verified: str) -> bool:
    """Whether two spellings name one person: the same words in any order, small misspellings allowed.

    `token_sort_ratio`, not the set ratio: a name that is only part of the other is another person's.
    """
    ratio = fuzz.token_sort_ratio(normalised(at_broker), normalised(verified))
    return bool(ratio >= NAME_MATCH_PERCENT)


def state_of(vault: Vault, login_id: str) -> str:
    """The one-time state of a login: derived, so that making it twice gives the same."""
    return base64.urlsafe_b64encode(vault.index("login", login_id)).decode().rstrip("=")


class SessionActivities(SessionPort):
    """`workflows.ports.trading.SessionPort`."""

    def __init__(self, database: Database, vault: Vault, brokers: Brokers, client: Client) -> None:
        self._database = database
        self._vault = vault
        self._brokers = brokers
        self._client = client

    @activity.defn(name="trading.open_login")
    async def open_login(self, command: OpenLogin) -> LoginBegun:
        """Makes the account and one login of it; safe to repeat under the same login id."""
        state = state_of(self._vault, command.login_id)
        async with self._database.transaction() as connection:
            status = await trading_accounts.open_account(
                connection, command.account_id, command.user_id, command.broker, command.as_of
            )
            if command.broker == "paper":
                return LoginBegun(account_id=command.account_id, status=status)
            await trading_accounts.begin_login(
                connection,
                self._vault,
                login_id=command.login_id,
                state=state,
                account_id=command.account_id,
                user_id=command.user_id,
                process=activity.info().workflow_id or "",
                now=command.as_of,
            )
        return LoginBegun(
            account_id=command.account_id,
            status=AccountStatus.AWAITING_LOGIN,
            login_url=self._brokers.kite.login_url(state),
        )

    @activity.defn(name="trading.exchange_token")
    async def exchange_token(self, command: ExchangeToken) -> SessionGranted:
        """Spends the login and the request token, once.

        Raises Rejected: `login_expired`, `kyc_required`, `account_holder_mismatch`, `account_taken`,
        `account_closed`, `login_refused`; Unknown for a lost answer, after which the customer signs in again.
        """
        async with beating(), self._database.transaction() as connection:
            kyc = await kyc_of(connection, command.user_id, command.as_of)
            name = await legal_name(connection, self._vault, command.user_id)
            if kyc is None or not kyc.in_force or name is None:
                raise Rejected("kyc_required")
            if not await trading_accounts.use_login(connection, command.login_id, command.as_of):
                raise Rejected("login_expired")
        async with beating():
            return await self._exchange(command, name)

    async def _exchange(self, command: ExchangeToken, verified_name: str) -> SessionGranted:
        try:
            grant = await self._brokers.kite.exchange(command.request_token)
        except Rejected:
            raise Rejected("login_refused") from None
        if not same_holder(grant.value.holder, verified_name):
            await self._brokers.kite.end_session(grant.value.access_token)
            raise Rejected("account_holder_mismatch")
        expires_at = session_end(grant.at).astimezone(UTC)
        try:
            async with self._database.transaction() as connection:
                await trading_accounts.connect(
                    connection,
                    self._vault,
                    account_id=command.account_id,
                    user_id=command.user_id,
                    broker_user_id=grant.value.broker_user_id,
                    access_token=grant.value.access_token,
                    began_at=grant.at,
                    expires_at=expires_at,
                    now=command.as_of,
                )
        except Rejected:
            await self._brokers.kite.end_session(grant.value.access_token)
            raise
        self._brokers.clock("kite").heard(grant.at)
        return SessionGranted(expires_at=expires_at, lives_seconds=(expires_at - grant.at).total_seconds())

    @activity.defn(name="trading.find_session")
    async def find_session(self, command: ExchangeToken) -> SessionGranted | None:
        """The session that this exchange has stored, if it has and it stands."""
        async with self._database.reading() as connection:
            found = await trading_accounts.connected_by(connection, command.account_id, command.as_of)
        if found is None:
            return None
        # By the broker's clock, which this process may not have heard: the seconds since are not counted.
        began_at, expires_at = found
        return SessionGranted(expires_at=expires_at, lives_seconds=(expires_at - began_at).total_seconds())

    @activity.defn(name="trading.end_session")
    async def end_session(self, command: EndSession) -> Recorded:
        """Forgets the session; where the customer closes the account it is ended at the broker too.

        Raises Rejected `account_in_use`: an order or a trigger lives, which nobody could see to its end.
        """
        async with beating():
            if command.close:
                await self._close(command.account_id)
                return Recorded(version=0)
            async with self._database.transaction() as connection:
                await trading_accounts.end_session(
                    connection, command.account_id, close=False, expires_at=command.expires_at
                )
        return Recorded(version=0)

    async def _close(self, account_id: str) -> None:
        """The token is needed to end the session at the broker, so that is done before it is forgotten."""
        async with self._database.reading() as connection:
            if await trading_accounts.in_use(connection, account_id):
                raise Rejected("account_in_use")
        await self._end_at_broker(account_id)
        async with self._database.transaction() as connection:
            closed = await trading_accounts.close(connection, account_id)
            if not closed:
                # An order was faster: it waits for the customer, who has to sign in anew.
                await trading_accounts.end_session(connection, account_id, close=False)
        if not closed:
            raise Rejected("account_in_use")

    @activity.defn(name="trading.store_settings")
    async def store_settings(self, command: StoreSettings) -> SettingsStand:
        async with self._database.transaction() as connection:
            return await trading_accounts.store_settings(connection, command.account_id, command.settings)

    @activity.defn(name="trading.wake_orders")
    async def wake_orders(self, account_id: str) -> WaitingOrders:
        """Tells every order of the account that is not over that there is a session again."""
        async with self._database.reading() as connection:
            orders = await trading.not_over(connection, account_id)
            account = await trading_accounts.account_of(connection, account_id)
        if account is not None and account.broker != "paper":
            await look_for_foreign_orders(self._client, account_id, account.user_id)
        for order_id in orders:
            handle: WorkflowHandle = self._client.get_workflow_handle(workflow_id(Kind.ORDER, order_id))
            try:
                await handle.signal("session_opened", SessionOpened(account_id=account_id))
            except RPCError as error:
                if error.status is not RPCStatusCode.NOT_FOUND:
                    raise
        await self._wake_days(account_id)
        return WaitingOrders(order_ids=orders)

    async def _wake_days(self, account_id: str) -> None:
        """The comparisons of days that wait for a session, and today's, which may be about to."""
        async with self._database.reading() as connection:
            days = set(await broker_days.waiting(connection, account_id))
        for day in days | {trading_date(self._brokers.clock("kite").now() or datetime.now(UTC))}:
            process = workflow_id(Kind.BROKER_DAY, account_id, day.isoformat())
            try:
                handle: WorkflowHandle = self._client.get_workflow_handle(process)
                await handle.signal("session_opened", SessionOpened(account_id=account_id))
            except RPCError as error:
                if error.status is not RPCStatusCode.NOT_FOUND:
                    raise

    async def _end_at_broker(self, account_id: str) -> None:
        async with self._database.reading() as connection:
            account = await trading_accounts.account_of(connection, account_id)
            if account is None or account.broker == "paper":
                return
            token = await trading_accounts.token_of(connection, self._vault, account)
        if token:
            await self._brokers.kite.end_session(token)
