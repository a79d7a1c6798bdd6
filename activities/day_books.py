"""From a session to the day's book behind it, whichever broker it is."""

from activities.brokers import Brokers, Session
from activities.paper_day import PaperDay
from domain.errors import Rejected
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
        if account.broker == "paper":
            return PaperDay(self._database, account.account_id)
        async with self._database.transaction() as connection:
            token = await trading_accounts.token_of(connection, self._vault, account)
        if token is None:
            raise Rejected("session_expired")
        return KiteDay(self._brokers.kite, token)
