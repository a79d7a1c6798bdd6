"""Money, positions, holdings, triggers and funds through the official client."""

from decimal import Decimal
from typing import Any

import pytest
from kiteconnect.exceptions import InputException, OrderException

from tests.sandbox.kite_user import KiteUser

INFY_BUY = {
    "exchange": "NSE", "tradingsymbol": "INFY", "transaction_type": "BUY", "variety": "regular",
    "product": "CNC", "order_type": "LIMIT", "quantity": 10, "price": 1500,
}  # fmt: skip


def test_margins_fall_with_what_is_bound(kite: KiteUser) -> None:
    kite.sandbox.control("POST", "/kite/account", {"user_id": "AB1234", "cash": 20_000})
    assert kite.client.margins("equity")["net"] == 20_000
    kite.wait(kite.buy(quantity=10, price=1300), "OPEN")
    assert kite.client.margins()["equity"]["available"]["live_balance"] == 20_000 - 10 * 1400
    with pytest.raises(InputException):
        kite.client.margins("stocks")


def test_intraday_round_trip_and_its_profit(kite: KiteUser) -> None:
    kite.wait(kite.buy(quantity=10, price=1400, product="MIS"), "COMPLETE")
    kite.market(price=1410)
    sell = kite.place(product="MIS", transaction_type="SELL", quantity=4, price=1410)
    kite.wait(sell, "COMPLETE")
    (net,) = kite.client.positions()["net"]
    assert (net["quantity"], net["buy_quantity"], net["sell_quantity"]) == (6, 10, 4)
    assert (net["average_price"], net["pnl"]) == (1400, 100)


def test_positions_change_product(kite: KiteUser) -> None:
    kite.wait(kite.buy(quantity=10, price=1400, product="MIS"), "COMPLETE")
    change = {
        "exchange": "NSE", "tradingsymbol": "RELIANCE", "transaction_type": "BUY", "position_type": "day",
        "old_product": "MIS", "new_product": "CNC",
    }  # fmt: skip
    assert kite.client.convert_position(quantity=6, **change) is True
    positions = {item["product"]: item["quantity"] for item in kite.client.positions()["net"]}
    assert positions == {"MIS": 4, "CNC": 6}
    with pytest.raises(InputException):
        kite.client.convert_position(quantity=5, **change)


def test_delivery_becomes_a_holding_and_can_be_sold(kite: KiteUser) -> None:
    kite.wait(kite.buy(quantity=10, price=1400), "COMPLETE")
    assert kite.client.holdings() == []
    kite.sandbox.control("POST", "/clock", {"now": "2026-11-25T10:00:00+05:30", "run": True})
    kite.client = kite.login()
    (holding,) = kite.client.holdings()
    assert (holding["quantity"], holding["t1_quantity"], holding["average_price"]) == (0, 10, 1400)
    assert kite.client.positions()["net"] == []
    kite.wait(kite.place(transaction_type="SELL", quantity=4), "COMPLETE")
    (holding,) = kite.client.holdings()
    assert (holding["used_quantity"], holding["opening_quantity"]) == (4, 10)
    kite.sandbox.control("POST", "/clock", {"now": "2026-11-26T10:00:00+05:30", "run": True})
    kite.client = kite.login()
    (holding,) = kite.client.holdings()
    assert (holding["quantity"], holding["t1_quantity"]) == (6, 0)


def test_intraday_positions_are_squared_off(kite: KiteUser) -> None:
    kite.wait(kite.buy(quantity=10, price=1400, product="MIS"), "COMPLETE")
    kite.sandbox.control("POST", "/clock", {"now": "2026-11-23T15:20:01+05:30", "run": True})
    closing = kite.wait_for(lambda: [o for o in kite.client.orders() if o["transaction_type"] == "SELL"])
    kite.wait(closing[0]["order_id"], "COMPLETE")
    assert [(item["quantity"], item["product"]) for item in kite.client.positions()["net"]] == [(0, "MIS")]
    with pytest.raises(OrderException, match="square-off"):
        kite.place(product="MIS")


def test_margin_and_charge_calls(kite: KiteUser) -> None:
    (margin,) = kite.client.order_margins([INFY_BUY])
    assert (margin["total"], margin["var"], margin["type"]) == (15_000, 15_000, "equity")
    cost = margin["charges"]
    parts = ("transaction_tax", "exchange_turnover_charge", "sebi_turnover_charge", "brokerage", "stamp_duty")
    total = sum(Decimal(str(cost[name])) for name in parts) + Decimal(str(cost["gst"]["total"]))
    assert abs(total - Decimal(str(cost["total"]))) < Decimal("0.000001")
    assert cost["transaction_tax"] == 15
    sell = {**INFY_BUY, "transaction_type": "SELL", "product": "MIS"}
    basket = kite.client.basket_order_margins([{**INFY_BUY, "product": "MIS"}, sell])
    assert basket["final"]["total"] < basket["initial"]["total"]
    assert len(basket["orders"]) == 2
    assert kite.client.basket_order_margins([INFY_BUY], mode="compact")["orders"] == []
    note: list[dict[str, Any]] = kite.client.get_virtual_contract_note([{**INFY_BUY, "average_price": 1500}])
    assert note[0]["charges"]["total"] == cost["total"]
    with pytest.raises(InputException):
        kite.client.order_margins([{**INFY_BUY, "tradingsymbol": "UNLISTED"}])


LEG = {"transaction_type": "BUY", "quantity": 1, "order_type": "LIMIT", "product": "CNC", "price": 1350}


def test_a_single_trigger_fires_a_limit_order(kite: KiteUser) -> None:
    placed = kite.client.place_gtt("single", "RELIANCE", "NSE", [1340], 1400, [{**LEG}])
    number = placed["trigger_id"]
    kite.client.modify_gtt(number, "single", "RELIANCE", "NSE", [1350], 1400, [{**LEG}])
    assert kite.client.get_gtt(number)["status"] == "active"
    kite.market(price=1349)
    gtt = kite.wait_for(lambda: [item for item in kite.client.get_gtts() if item["status"] == "triggered"])[0]
    result = gtt["orders"][0]["result"]["order_result"]
    assert result["status"] == "success"
    assert kite.wait(result["order_id"], "COMPLETE")["average_price"] == 1349


def test_two_legs_fire_once_and_a_failure_is_told(kite: KiteUser) -> None:
    sell = {**LEG, "transaction_type": "SELL"}
    kite.client.place_gtt("two-leg", "RELIANCE", "NSE", [1300, 1450], 1400, [sell, {**sell, "price": 1450}])
    kite.market(price=1450)
    gtt = kite.wait_for(lambda: [item for item in kite.client.get_gtts() if item["status"] == "triggered"])[0]
    assert gtt["orders"][0]["result"] is None
    assert "Insufficient stock holding" in gtt["orders"][1]["result"]["order_result"]["rejection_reason"]
    assert kite.client.orders() == []


def test_a_trigger_can_be_deleted_and_is_checked(kite: KiteUser) -> None:
    number = kite.client.place_gtt("single", "INFY", "NSE", [1400], 1500, [LEG])["trigger_id"]
    assert kite.client.delete_gtt(number) == {"trigger_id": number}
    assert kite.client.get_gtt(number)["status"] == "deleted"
    with pytest.raises(InputException, match="deleted"):
        kite.client.delete_gtt(number)
    with pytest.raises(InputException, match=r"0\.25%"):
        kite.client.place_gtt("single", "INFY", "NSE", [1500], 1500, [LEG])
    with pytest.raises(InputException, match="LIMIT"):
        kite.client.place_gtt("single", "INFY", "NSE", [1400], 1500, [{**LEG, "order_type": "MARKET"}])


def test_mutual_funds(kite: KiteUser) -> None:
    scheme = kite.client.mf_instruments()[0]
    assert scheme["purchase_allowed"] is True
    assert "synthetic" in scheme["name"]
    order_id = kite.client.place_mf_order(scheme["tradingsymbol"], "BUY", amount=5000, tag="mf1")["order_id"]
    assert kite.client.mf_orders(order_id)["amount"] == 5000
    assert kite.client.cancel_mf_order(order_id) == {"order_id": order_id}
    assert [order["status"] for order in kite.client.mf_orders()] == ["CANCELLED"]
    with pytest.raises(OrderException):
        kite.client.cancel_mf_order(order_id)
    plan = kite.client.place_mf_sip(scheme["tradingsymbol"], 1000, 12, "monthly", initial_amount=2000)
    assert kite.client.mf_orders(plan["order_id"])["amount"] == 2000
    kite.client.modify_mf_sip(plan["sip_id"], amount=1500, status="paused")
    sip = kite.client.mf_sips(plan["sip_id"])
    assert (sip["instalment_amount"], sip["status"]) == (1500, "PAUSED")
    assert kite.client.cancel_mf_sip(plan["sip_id"]) == {"sip_id": plan["sip_id"]}
    assert [sip["status"] for sip in kite.client.mf_sips()] == ["CANCELLED"]
    assert kite.client.mf_holdings() == []
