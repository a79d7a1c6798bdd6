"""What preparing the orders of a signal asks of the world; `activities/` does it."""

from temporalio import activity

from models.messages.signal_orders import Prepared, PreparePage


class SignalOrdersPort:
    """The customers who want an order prepared, and its process."""

    @activity.defn(name="signals.prepare_orders")
    async def prepare_orders(self, command: PreparePage) -> Prepared: ...
