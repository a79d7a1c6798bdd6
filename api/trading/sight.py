"""The broker's acceptance of an order, seen in the record a moment before the order's process can say so.

The step that sends an order writes what the broker answered in the transaction that tells the readers of the
order; the process hears of it a round trip to Temporal and a workflow task later. Both say the same.
"""

from api.changes import Changes
from models.contracts.commands import Answer
from models.messages.trading import OrderView
from store import trading
from store.database import Database


async def at_broker(changes: Changes, database: Database, order_id: str) -> Answer:
    """Waits, for as long as it takes, until the record shows the order at the broker; what a command that
    sends it is answered then. While nobody listens to the record it sees nothing."""
    with changes.watching([order_id]) as woken:
        while True:
            await woken.wait()
            woken.clear()
            async with database.reading() as connection:
                stored = await trading.read(connection, order_id)
            if stored is None or stored.broker_order_id is None:
                continue
            return Answer(body=OrderView.of(order_id, stored).model_dump(mode="json"))
