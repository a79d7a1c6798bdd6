"""From a session to the day's book behind it, whichever broker it is."""

from contextlib import suppress

from temporalio import activity
from temporalio.service import RPCError

from activities.brokers import PAPER, Brokers, Session
from activities.foreign_orders import look_for_foreign_orders
from activities.paper_day import PaperDay
from domain.errors import Rejected
from models.contracts.workflow_ids import Kind, workflow_id
from models.messages.trading import BrokerEvent
from providers.broker_day import DayBook
from providers.kite_portfolio import KiteDay
from store import trading_accounts
from store.database import Database
from store.vault import Vault


class DayBooks:
    """Makes the `providers.broker_day.DayBook` of a session."""

    def __init__(self, database: Database, vault: Vault, brokers: Brokers) -> None:
        self._database = database
        self._vault = vault
        self._brokers = brokers

    async def of(self, session: Session) -> DayBook:
        """Raises Rejected `session_expired`: it has ended meanwhile."""
        account = session.account
        if account.broker == PAPER:
            return PaperDay(self._database, account.account_id)
        async with self._database.transaction() as connection:
            token = await trading_accounts.token_of(connection, self._vault, account)
        if token is None:
            raise Rejected("session_expired")
        return KiteDay(self._brokers.kite, token)


async def hint(session: Session) -> None:
    """Has the book looked at for orders made elsewhere, by the process that follows such."""
    account, client = session.account, activity.client()
    if account.broker == PAPER:
        return
    with suppress(RPCError):  # a hint, no more: what nobody follows is taken over at the day's end
        await look_for_foreign_orders(client, account.account_id, account.user_id)
        process = client.get_workflow_handle(workflow_id(Kind.FOREIGN_ORDERS, account.account_id))
        await process.signal("broker_event", BrokerEvent(event_number=0))
