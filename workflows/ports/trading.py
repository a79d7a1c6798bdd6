"""What the trading processes ask of the world; `activities/` does it."""

from temporalio import activity

from models.messages.broker_accounts import (
    BlockAccount,
    EndSession,
    ExchangeToken,
    Flatten,
    Flattening,
    KillSwitchInput,
    KillSwitchReport,
    LiftBlock,
    LiveOrders,
    LoginBegun,
    OpenLogin,
    SessionGranted,
    SettingsStand,
    StoreSettings,
    WaitingOrders,
)
from models.messages.trading import (
    Admission,
    AdmitOrder,
    BookReading,
    CancelAtBroker,
    Finding,
    ModifyAtBroker,
    ReadOrder,
    Recorded,
    RecordStatus,
    ResolveAttempt,
    SettleAttempt,
    Submission,
    SubmitOrder,
)


class OrderPort:
    """An order: our record of it, and the broker's."""

    @activity.defn(name="trading.admit")
    async def admit(self, command: AdmitOrder) -> Admission: ...

    @activity.defn(name="trading.record")
    async def record(self, command: RecordStatus) -> Recorded: ...

    @activity.defn(name="trading.settle_attempt")
    async def settle_attempt(self, command: SettleAttempt) -> Finding: ...

    @activity.defn(name="trading.submit")
    async def submit(self, command: SubmitOrder) -> Submission: ...

    @activity.defn(name="trading.resolve_attempt")
    async def resolve_attempt(self, command: ResolveAttempt) -> Finding: ...

    @activity.defn(name="trading.read_order")
    async def read_order(self, command: ReadOrder) -> BookReading: ...

    @activity.defn(name="trading.cancel_at_broker")
    async def cancel_at_broker(self, command: CancelAtBroker) -> Recorded: ...

    @activity.defn(name="trading.modify_at_broker")
    async def modify_at_broker(self, command: ModifyAtBroker) -> Recorded: ...


class SessionPort:
    """A customer's session at the broker."""

    @activity.defn(name="trading.open_login")
    async def open_login(self, command: OpenLogin) -> LoginBegun: ...

    @activity.defn(name="trading.exchange_token")
    async def exchange_token(self, command: ExchangeToken) -> SessionGranted: ...

    @activity.defn(name="trading.find_session")
    async def find_session(self, command: ExchangeToken) -> SessionGranted | None: ...

    @activity.defn(name="trading.end_session")
    async def end_session(self, command: EndSession) -> Recorded: ...

    @activity.defn(name="trading.store_settings")
    async def store_settings(self, command: StoreSettings) -> SettingsStand: ...

    @activity.defn(name="trading.wake_orders")
    async def wake_orders(self, account_id: str) -> WaitingOrders: ...


class KillSwitchPort:
    """The emergency stop of one account."""

    @activity.defn(name="trading.block_account")
    async def block_account(self, command: BlockAccount) -> LiveOrders: ...

    @activity.defn(name="trading.stop_orders")
    async def stop_orders(self, switch: KillSwitchInput) -> LiveOrders: ...

    @activity.defn(name="trading.flatten")
    async def flatten(self, command: Flatten) -> LiveOrders: ...

    @activity.defn(name="trading.flattening")
    async def flattening(self, switch: KillSwitchInput) -> Flattening: ...

    @activity.defn(name="trading.lift_block")
    async def lift_block(self, command: LiftBlock) -> Recorded: ...

    @activity.defn(name="trading.report_stop")
    async def report_stop(self, command: KillSwitchReport) -> Recorded: ...
