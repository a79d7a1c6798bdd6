"""The official client, unchanged, trading on the sandbox: from the login to the postback."""

import hashlib
import json

from tests.sandbox.kite_user import KiteUser, statuses
from tests.sandbox.receiver import Receiver

ACCEPTED = ["PUT ORDER REQ RECEIVED", "VALIDATION PENDING", "OPEN PENDING", "OPEN"]


def test_login_place_fill_history_position_postback(kite: KiteUser, hooks: Receiver) -> None:
    client = kite.client
    order_id = kite.buy(quantity=10, price=1400)
    kite.wait(order_id, "COMPLETE")

    assert order_id.isdigit() and len(order_id) in (15, 19)
    assert statuses(client.order_history(order_id)) == [*ACCEPTED, "COMPLETE"]
    assert sum(trade["quantity"] for trade in client.order_trades(order_id)) == 10
    (position,) = client.positions()["net"]
    assert (position["tradingsymbol"], position["quantity"], position["average_price"]) == (
        "RELIANCE",
        10,
        1400,
    )

    (received,) = hooks.wait(lambda items: len(items) == 1)
    body = json.loads(received.body)
    source = body["order_id"] + body["order_timestamp"] + kite.sandbox.credentials["kite"]["api_secret"]
    assert body["checksum"] == hashlib.sha256(source.encode()).hexdigest()
    assert (body["status"], body["filled_quantity"], body["user_id"]) == ("COMPLETE", 10, "AB1234")
