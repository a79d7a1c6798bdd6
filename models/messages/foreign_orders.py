"""What the process that looks for orders made elsewhere takes and gives."""

from pydantic import BaseModel


class ForeignOrdersInput(BaseModel):
    """Starts the ForeignOrders process of one account."""

    account_id: str
    user_id: str


class AdoptOrders(BaseModel):
    """Look through the broker's book for orders that none of ours is."""

    account_id: str
    user_id: str


class OrdersAdopted(BaseModel):
    """`order_ids`: begun now, as orders of ours. `pause_seconds` until the next look; None: there is no
    session to look with, the next one begins anew."""

    order_ids: list[str]
    pause_seconds: float | None
