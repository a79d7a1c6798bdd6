"""The official client, unchanged, trading on the sandbox: from the login to the postback."""

import hashlib
import json
from typing import Any

import pytest
from kiteconnect import KiteConnect
from kiteconnect.exceptions import OrderException
from requests.exceptions import RequestException

from tests.sandbox.conftest import Sandbox
from tests.sandbox.kite_user import KiteUser, statuses
from tests.sandbox.receiver import Receiver

ACCEPTED = ["PUT ORDER REQ RECEIVED", "VALIDATION PENDING", "OPEN PENDING", "OPEN"]


def test_login_place_fill_history_position_postback(kite: KiteUser, hooks: Receiver) -> None:
    client = kite.client
    order_id = kite.buy(quantity=10, price=1400)
    kite.wait(order_id, "COMPLETE")

    assert order_id.isdigit()
    assert len(order_id) in (15, 19)
    assert statuses(client.order_history(order_id)) == [*ACCEPTED, "COMPLETE"]
    assert sum(trade["quantity"] for trade in client.order_trades(order_id)) == 10
    (position,) = client.positions()["net"]
    assert (position["tradingsymbol"], position["quantity"], position["average_price"]) == (
        "RELIANCE",
        10,
        1400,
    )
    assert kite.sandbox.effects("kite")[-1] == {"order_id": order_id}

    (received,) = hooks.wait(lambda items: len(items) == 1)
    body = json.loads(received.body)
    source = body["order_id"] + body["order_timestamp"] + kite.sandbox.credentials["kite"]["api_secret"]
    assert body["checksum"] == hashlib.sha256(source.encode()).hexdigest()
    assert (body["status"], body["filled_quantity"], body["user_id"]) == ("COMPLETE", 10, "AB1234")


def test_partial_fill_then_fill_and_the_trades_add_up(kite: KiteUser, hooks: Receiver) -> None:
    kite.market(manual=True)
    order_id = kite.buy(quantity=10, price=1400)
    kite.wait(order_id, "OPEN")
    kite.fill(order_id, 4)
    part = kite.order(order_id)
    assert (part["status"], part["filled_quantity"], part["pending_quantity"]) == ("OPEN", 4, 6)
    kite.fill(order_id, 6)
    done = kite.order(order_id)
    assert (done["status"], done["filled_quantity"], done["pending_quantity"]) == ("COMPLETE", 10, 0)
    assert [trade["quantity"] for trade in kite.client.order_trades(order_id)] == [4, 6]
    assert sum(trade["quantity"] for trade in kite.client.trades()) == done["filled_quantity"]
    sent = [json.loads(item.body) for item in hooks.wait(lambda items: len(items) == 2)]
    assert [(body["status"], body["filled_quantity"]) for body in sent] == [("UPDATE", 4), ("COMPLETE", 10)]


def test_a_finite_depth_fills_level_by_level_and_an_ioc_remainder_is_cancelled(kite: KiteUser) -> None:
    levels = [{"price": 1400, "quantity": 3}, {"price": 1401, "quantity": 2}, {"price": 1402, "quantity": 9}]
    kite.market(depth={"buy": [], "sell": levels})
    order_id = kite.buy(quantity=10, price=1401, validity="IOC")
    order = kite.wait(order_id, "CANCELLED")
    assert (order["filled_quantity"], order["cancelled_quantity"], order["average_price"]) == (5, 5, 1400.4)


def test_a_limit_order_waits_until_the_price_crosses(kite: KiteUser) -> None:
    order_id = kite.buy(quantity=1, price=1390)
    kite.wait(order_id, "OPEN")
    kite.market(price=1389)
    assert kite.wait(order_id, "COMPLETE")["average_price"] == 1389


def test_a_stop_order_triggers(kite: KiteUser) -> None:
    order_id = kite.place(order_type="SL", trigger_price=1410, price=1412)
    kite.wait(order_id, "TRIGGER PENDING")
    kite.market(price=1411)
    kite.wait(order_id, "COMPLETE")
    history = statuses(kite.client.order_history(order_id))
    assert history[2:] == ["OPEN PENDING", "TRIGGER PENDING", "OPEN", "COMPLETE"]


def test_a_halted_instrument_does_not_trade(kite: KiteUser) -> None:
    kite.market(halt=True)
    order_id = kite.place(order_type="MARKET", price=None, market_protection=-1)
    kite.wait(order_id, "OPEN")
    kite.market(halt=False)
    assert kite.wait(order_id, "COMPLETE")["average_price"] == 1400


def test_modify_goes_through_its_states_and_has_an_end(kite: KiteUser) -> None:
    order_id = kite.buy(quantity=1, price=1300)
    kite.wait(order_id, "OPEN")
    assert kite.client.modify_order("regular", order_id, quantity=2, price=1301) == order_id
    order = kite.wait(order_id, "OPEN")
    assert (order["quantity"], order["price"], order["modified"]) == (2, 1301, True)
    changed = ["MODIFY VALIDATION PENDING", "MODIFY PENDING", "MODIFIED", "OPEN"]
    assert statuses(kite.client.order_history(order_id)) == ACCEPTED + changed
    for n in range(24):
        kite.client.modify_order("regular", order_id, price=1302 + n)
        kite.wait(order_id, "OPEN")
    with pytest.raises(OrderException, match="Maximum allowed order modifications exceeded"):
        kite.client.modify_order("regular", order_id, price=1350)
    assert kite.sandbox.effects("kite")[-1] == {"order_id": order_id, "modified": True}


def test_cancel(kite: KiteUser, hooks: Receiver) -> None:
    order_id = kite.buy(quantity=3, price=1300)
    kite.wait(order_id, "OPEN")
    assert kite.client.cancel_order("regular", order_id) == order_id
    assert kite.wait(order_id, "CANCELLED")["cancelled_quantity"] == 3
    assert statuses(kite.client.order_history(order_id))[-2:] == ["CANCEL PENDING", "CANCELLED"]
    with pytest.raises(OrderException):
        kite.client.cancel_order("regular", order_id)
    assert kite.sandbox.effects("kite")[-1] == {"order_id": order_id, "cancelled": True}
    hooks.wait(lambda items: [json.loads(item.body)["status"] for item in items] == ["CANCELLED"])


@pytest.mark.parametrize(
    ("different", "message"),
    [
        ({"price": 1600.0}, "Order price is beyond LPP limit"),
        ({"tradingsymbol": "NIFTYBEES", "price": 400.0}, "upper circuit limit"),
    ],
)
def test_the_exchange_rejects_after_an_order_id_was_given(
    kite: KiteUser, hooks: Receiver, different: dict[str, Any], message: str
) -> None:
    order_id = kite.place(**different)
    assert message in kite.wait(order_id, "REJECTED")["status_message"]
    hooks.wait(lambda items: [json.loads(item.body)["status"] for item in items] == ["REJECTED"])


def test_after_market_orders_wait_for_the_opening(kite: KiteUser) -> None:
    kite.sandbox.control("POST", "/clock", {"now": "2026-11-22T20:00:00+05:30", "run": True})
    kite.client = kite.login()
    with pytest.raises(OrderException, match="Markets are closed"):
        kite.place()
    order_id = kite.place(variety="amo")
    assert kite.order(order_id)["status"] == "AMO REQ RECEIVED"
    kite.sandbox.control("POST", "/clock", {"now": "2026-11-23T09:15:01+05:30", "run": True})
    kite.client = kite.login()
    kite.wait(order_id, "COMPLETE")
    assert [order["order_id"] for order in kite.client.orders()] == [order_id]


def test_day_orders_lapse_and_the_book_is_the_days(kite: KiteUser) -> None:
    order_id = kite.buy(quantity=1, price=1300)
    kite.wait(order_id, "OPEN")
    kite.sandbox.control("POST", "/clock", {"now": "2026-11-23T15:30:01+05:30", "run": True})
    kite.wait(order_id, "CANCELLED")
    kite.sandbox.control("POST", "/clock", {"now": "2026-11-25T10:00:00+05:30", "run": True})
    kite.client = kite.login()
    assert kite.client.orders() == []


def test_autoslice_answers_children_that_worked_and_children_that_did_not(kite: KiteUser) -> None:
    kite.sandbox.control("POST", "/kite/account", {"user_id": "AB1234", "cash": 12_000_000})
    answer = kite.client.place_autoslice_order(
        variety="regular", exchange="NFO", tradingsymbol="NIFTY26DECFUT", transaction_type="BUY",
        quantity=65 * 81,
        product="NRML", order_type="LIMIT", price=26130,
    )  # fmt: skip
    kinds = [
        "order_id" if "order_id" in child else child["error"]["error_type"] for child in answer["children"]
    ]
    assert kinds == ["order_id", "MarginException"]
    child = kite.wait(answer["children"][0]["order_id"], "COMPLETE")
    assert child["tags"] == ["autoslice", f"autoslice:{answer['order_id']}"]
    assert child["quantity"] <= 1800
    assert child["quantity"] % 65 == 0


def test_an_iceberg_shows_one_leg_after_the_other(kite: KiteUser) -> None:
    order_id = kite.place(variety="iceberg", quantity=25, iceberg_legs=3, iceberg_quantity=10)
    kite.wait(order_id, "COMPLETE")
    legs = {order["meta"]["iceberg"]["leg"]: order["quantity"] for order in kite.client.orders()}
    assert legs == {1: 10, 2: 10, 3: 5}
    assert sum(trade["quantity"] for trade in kite.client.trades()) == 25


def test_a_cover_order_gets_its_stop_and_exits(kite: KiteUser) -> None:
    order_id = kite.place(variety="co", product="MIS", trigger_price=1380)
    kite.wait(order_id, "COMPLETE")
    (leg,) = [order for order in kite.client.orders() if order["parent_order_id"] == order_id]
    kite.wait(leg["order_id"], "TRIGGER PENDING")
    kite.client.exit_order("co", leg["order_id"], parent_order_id=order_id)
    kite.wait(leg["order_id"], "COMPLETE")
    assert [position["quantity"] for position in kite.client.positions()["net"]] == [0]


def test_auction_order_needs_its_auction(kite: KiteUser) -> None:
    holding = [{"symbol": "INFY", "quantity": 20, "average_price": 1450}]
    auction = [{"symbol": "INFY", "quantity": 20, "auction_number": "22"}]
    kite.sandbox.control(
        "POST", "/kite/account", {"user_id": "AB1234", "holdings": holding, "auctions": auction}
    )
    (listed,) = kite.client.get_auction_instruments()
    assert (listed["tradingsymbol"], listed["auction_number"], listed["quantity"]) == ("INFY", "22", 20)
    order_id = kite.place(
        variety="auction", tradingsymbol="INFY", transaction_type="SELL", quantity=20, price=1500,
        auction_number="22",
    )  # fmt: skip
    assert kite.wait(order_id, "OPEN")["auction_number"] == "22"
    kite.client.cancel_order("auction", order_id)
    kite.wait(order_id, "CANCELLED")


def test_a_lost_answer_leaves_one_order_that_its_tag_finds(kite: KiteUser) -> None:
    fault = {"target": "kite", "match": "/orders/regular", "fault": "timeout_after", "times": 1, "seconds": 0}
    kite.sandbox.control("POST", "/faults", fault)
    with pytest.raises(RequestException):
        kite.place(tag="lost1", algo_id="ALGO1")
    (found,) = [order for order in kite.client.orders() if order["tag"] == "lost1"]
    assert kite.sandbox.effects("kite")[-1] == {"order_id": found["order_id"], "tag": "lost1"}
    kite.wait(found["order_id"], "COMPLETE")


def test_a_call_that_never_arrived_places_nothing(kite: KiteUser) -> None:
    fault = {
        "target": "kite",
        "match": "/orders/regular",
        "fault": "timeout_before",
        "times": 1,
        "seconds": 0,
    }
    kite.sandbox.control("POST", "/faults", fault)
    with pytest.raises(RequestException):
        kite.place(tag="lost2")
    assert kite.client.orders() == []


def test_orders_and_fills_survive_a_kill(own_sandbox: Sandbox) -> None:
    kite = KiteUser(own_sandbox)
    kite.market(manual=True)
    order_id = kite.buy(quantity=10, price=1400)
    kite.wait(order_id, "OPEN")
    kite.fill(order_id, 4)
    own_sandbox.kill()
    own_sandbox.restart()
    assert kite.order(order_id)["filled_quantity"] == 4
    kite.market(manual=False, price=1399)
    assert kite.wait(order_id, "COMPLETE")["filled_quantity"] == 10
    assert sum(trade["quantity"] for trade in kite.client.order_trades(order_id)) == 10


def test_one_customer_does_not_see_anothers_orders(kite: KiteUser) -> None:
    order_id = kite.buy(quantity=1, price=1300)
    other: KiteConnect = KiteUser(kite.sandbox, "CD5678", now="").client
    assert other.orders() == []
    with pytest.raises(OrderException):
        other.order_history(order_id)
    with pytest.raises(OrderException):
        other.cancel_order("regular", order_id)
