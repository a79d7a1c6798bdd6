"""What the look for orders made elsewhere asks of the world."""

from temporalio import activity

from models.messages.foreign_orders import AdoptOrders, OrdersAdopted


class ForeignOrdersPort:
    """The broker's book, held against ours."""

    @activity.defn(name="trading.adopt_orders")
    async def adopt_orders(self, command: AdoptOrders) -> OrdersAdopted: ...
