"""Messages of broker accounts: their logins and sessions, and the kill switch."""

from datetime import date
from typing import Literal

from pydantic import AwareDatetime, BaseModel, Field

from domain.broker_accounts import AccountStatus, KillSwitchStatus
from domain.trading import BrokerName


class SessionInput(BaseModel):
    """Starts the TradingSession process of one account and day."""

    account_id: str
    user_id: str
    broker: BrokerName
    day: date


class BeginLogin(BaseModel):
    """The customer wants to sign in at the broker."""


class LoginBegun(BaseModel):
    account_id: str
    status: AccountStatus
    login_url: str | None = None


class CompleteLogin(BaseModel):
    """The browser came back from the broker."""

    login_id: str
    request_token: str


class LoginCompleted(BaseModel):
    account_id: str
    status: AccountStatus
    expires_at: AwareDatetime | None = None


class AccountSettings(BaseModel):
    """What the customer sets for the account; None leaves as it is. Limits in paise, at most the firm's."""

    session_reminders: bool | None = None
    signal_order_value: int | None = None
    """An order of at most so much is prepared when a signal is published; 0: none is."""
    mode: Literal["confirm"] | None = None
    """Back to asking before each order; only compliance flags an account `auto`."""
    max_order_value: int | None = None
    max_symbol_exposure: int | None = None
    max_open_positions: int | None = None
    max_daily_loss: int | None = None


class SettingsStand(BaseModel):
    """The account's settings as they stand; a limit of None is the firm's."""

    account_id: str
    session_reminders: bool
    signal_order_value: int
    mode: str
    max_order_value: int | None
    max_symbol_exposure: int | None
    max_open_positions: int | None
    max_daily_loss: int | None
    version: int


class StoreSettings(BaseModel):
    account_id: str
    settings: AccountSettings


class CloseAccount(BaseModel):
    """The customer takes the connection back."""


class OpenLogin(BaseModel):
    account_id: str
    user_id: str
    broker: BrokerName
    login_id: str
    as_of: AwareDatetime


class ExchangeToken(BaseModel):
    account_id: str
    user_id: str
    login_id: str
    request_token: str
    as_of: AwareDatetime


class SessionGranted(BaseModel):
    """`lives_seconds`: from now to the session's end, by the broker's clock."""

    expires_at: AwareDatetime
    lives_seconds: float


class EndSession(BaseModel):
    account_id: str
    user_id: str
    close: bool
    expires_at: AwareDatetime | None = None
    """Ends the session only if it is still the one that expires then."""
    as_of: AwareDatetime


class WaitingOrders(BaseModel):
    order_ids: list[str]


# The kill switch


class KillSwitchInput(BaseModel):
    """Starts the KillSwitch process."""

    kill_switch_id: str
    account_id: str
    user_id: str
    flatten: bool
    assertion_public_key: str = ""


class Engage(BaseModel):
    """Block the account now."""


class Lift(BaseModel):
    """The customer lets orders through again."""


class KillSwitchView(BaseModel):
    kill_switch_id: str
    status: KillSwitchStatus
    taken_back: list[str] = Field(default_factory=list)
    left_open: list[str] = Field(default_factory=list)


class BlockAccount(BaseModel):
    kill_switch_id: str
    account_id: str
    user_id: str
    flatten: bool
    as_of: AwareDatetime


class KillSwitchReport(BaseModel):
    """`taken_back`: orders that were live and have ended, filled ones too; `flattening`: closing orders.
    `at_broker`: orders that only the broker knew of; `verified`: whether its own book was read at the end."""

    kill_switch_id: str
    account_id: str
    status: KillSwitchStatus
    taken_back: list[str] = Field(default_factory=list)
    left_open: list[str] = Field(default_factory=list)
    at_broker: list[str] = Field(default_factory=list)
    triggers: list[str] = Field(default_factory=list)
    verified: bool = False
    flattening: list[str] = Field(default_factory=list)
    as_of: AwareDatetime


class LiveOrders(BaseModel):
    """What has not ended: orders of ours, orders that only the broker's book shows, triggers that stand
    there. `leaving`: orders whose own trigger may be on its way. `verified`: the book was read; `reachable`:
    the broker could be asked, or has no session for us. `held`: positions that no order of ours can close."""

    order_ids: list[str]
    at_broker: list[str] = Field(default_factory=list)
    triggers: list[str] = Field(default_factory=list)
    leaving: list[str] = Field(default_factory=list)
    verified: bool = False
    reachable: bool = True
    held: int = 0

    @property
    def clear(self) -> bool:
        """Nothing lives any more, as far as anybody can say."""
        standing = self.order_ids or self.at_broker or self.triggers or self.leaving
        return self.reachable and not standing


class Flatten(BaseModel):
    """Close what is held now; each round has orders of its own."""

    switch: KillSwitchInput
    round: int


class Flattening(BaseModel):
    """How far the closing has come: its orders that have not ended, and positions that are not flat."""

    live: list[str]
    held: int


class LiftBlock(BaseModel):
    kill_switch_id: str
    account_id: str
    as_of: AwareDatetime
