"""`workflows.ports.trading.OrderPort`: our record of an order, and the broker's."""

from temporalio import activity

from activities.broker_book import BrokerBook
from activities.brokers import Brokers, beating, to_the_end
from activities.order_changes import OrderChanges
from activities.order_reading import OrderReading
from activities.order_record import OrderRecord
from activities.order_sending import OrderSending
from activities.order_settling import OrderSettling
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
from store.database import Database
from workflows.ports.trading import OrderPort


class OrderActivities(OrderPort):
    """`workflows.ports.trading.OrderPort` on Postgres and the broker."""

    def __init__(self, database: Database, brokers: Brokers) -> None:
        self._record = OrderRecord(database)
        self._sending = OrderSending(database, brokers)
        self._book = BrokerBook(database, brokers)
        self._settling = OrderSettling(database, brokers)
        self._reading = OrderReading(database, brokers)
        self._changes = OrderChanges(database, brokers)

    @activity.defn(name="trading.admit")
    async def admit(self, command: AdmitOrder) -> Admission:
        return await self._record.admit(command)

    @activity.defn(name="trading.record")
    async def record(self, command: RecordStatus) -> Recorded:
        return await self._record.record(command)

    @activity.defn(name="trading.settle_attempt")
    async def settle_attempt(self, command: SettleAttempt) -> Finding:
        async with beating():
            return await self._settling.settle(command)

    @activity.defn(name="trading.submit")
    async def submit(self, command: SubmitOrder) -> Submission:
        async with beating():
            # What has begun to leave is not dropped by a cancelled activity: its lock would be freed early.
            return await to_the_end(self._sending.submit(command))

    @activity.defn(name="trading.resolve_attempt")
    async def resolve_attempt(self, command: ResolveAttempt) -> Finding:
        async with beating():
            return await self._book.resolve(command)

    @activity.defn(name="trading.read_order")
    async def read_order(self, command: ReadOrder) -> BookReading:
        async with beating():
            return await self._reading.read(command)

    @activity.defn(name="trading.cancel_at_broker")
    async def cancel_at_broker(self, command: CancelAtBroker) -> Recorded:
        async with beating():
            return await self._changes.cancel(command)

    @activity.defn(name="trading.modify_at_broker")
    async def modify_at_broker(self, command: ModifyAtBroker) -> Recorded:
        async with beating():
            return await self._changes.modify(command)
