"""The emergency stop on the real server: blocked, taken back, verified at the broker, closed, signed."""

import asyncio
import base64
import json
from collections.abc import AsyncIterator
from decimal import Decimal
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import load_pem_public_key

from api.trading.accounts import session_drive
from api.trading.kill_switch import switch_drive
from cli.embedded import EmbeddedEngines
from models.contracts.identifiers import Prefix, mint
from models.contracts.reports import ForgedReport, canonical, check
from models.contracts.workflow_ids import Kind, workflow_id
from tests.workflows.stopping import engage, lift, reported
from tests.workflows.test_broker_day import at_the_broker, complete
from tests.workflows.traders import Floor, Trader, eventually, floor_of, working


@pytest.fixture(scope="module")
async def floor(engines: EmbeddedEngines) -> AsyncIterator[Floor]:
    async with floor_of(engines) as floor, working(engines):
        yield floor


async def test_the_report_is_signed_and_whoever_has_the_public_key_can_check_it(floor: Floor) -> None:
    trader = await floor.trader()
    resting = await floor.place(trader, price=Decimal(1400))
    await floor.reaches(resting["order_id"], "open")
    held = await floor.place(trader, product="MIS")
    await floor.reaches(held["order_id"], "filled")
    row = await reported(floor, await engage(floor, trader))
    told = row["report"]
    assert told["taken_back"] == [resting["order_id"]]
    assert [(order["order_id"], order["status"]) for order in told["orders"]] == [
        (resting["order_id"], "cancelled")
    ]
    assert told["positions"] == [{"exchange": "NSE", "symbol": "INFY", "product": "MIS", "quantity": 10}]
    assert (told["verified"], told["left_open"], told["flattening"]) == (True, [], [])

    # With a key and a library alone, nothing of ours.
    header, payload, signature = (
        base64.urlsafe_b64decode(part + "==") for part in row["signed_report"].split(".")
    )
    key = load_pem_public_key(base64.b64decode(floor.settings.report_public_keys[0]))
    assert isinstance(key, Ed25519PublicKey)
    key.verify(signature, row["signed_report"].rpartition(".")[0].encode())
    assert json.loads(header)["alg"] == "Ed25519"
    assert payload == canonical(told)
    forged = row["signed_report"].replace(
        base64.urlsafe_b64encode(payload).decode().rstrip("="),
        base64.urlsafe_b64encode(payload.replace(b"cancelled", b"filled")).decode().rstrip("="),
    )
    with pytest.raises(ForgedReport):
        check(forged, floor.settings.report_public_keys)


async def test_what_only_the_broker_knows_of_is_taken_back_too(floor: Floor) -> None:
    """Triggers that could still fire, and an order that the customer made at the broker's own desk."""
    trader = await floor.trader()
    client = await at_the_broker(floor, trader)
    leg = {"transaction_type": "BUY", "quantity": 1, "order_type": "LIMIT", "product": "CNC", "price": 1300}
    trigger = str(client.place_gtt("single", "INFY", "NSE", [1310], 1500, [leg])["trigger_id"])
    own = client.place_order("regular", "NSE", "INFY", "BUY", 1, "CNC", "LIMIT", price=1400)
    row = await reported(floor, await engage(floor, trader))
    assert row["report"]["verified"]
    assert client.get_gtt(trigger)["status"] == "deleted"
    assert client.order_history(own)[-1]["status"] == "CANCELLED"
    assert client.get_gtts() == [] or all(gtt["status"] != "active" for gtt in client.get_gtts())


async def test_no_order_leaves_between_block_and_report_however_they_race(floor: Floor) -> None:
    trader = await floor.trader()
    going = [
        asyncio.create_task(floor.place(trader, quantity=1, price=Decimal(1400 + number)))
        for number in range(12)
    ]
    await asyncio.sleep(0)
    switch = await engage(floor, trader)
    more = await asyncio.gather(*(floor.place(trader, quantity=1, price=Decimal(1300)) for _ in range(3)))
    assert {answer["reason_code"] for answer in more} == {"account_blocked"}
    await reported(floor, switch)
    left = len(await floor.sent(trader))
    await asyncio.gather(*going)
    client = await at_the_broker(floor, trader)
    assert {order["status"] for order in client.orders()} <= {"CANCELLED", "REJECTED"}
    ended = await floor.rows("SELECT status FROM trading.orders WHERE account_id = %s", trader.account_id)
    assert {order["status"] for order in ended} <= {"cancelled", "risk_rejected", "rejected"}
    assert len(await floor.sent(trader)) == left, "an order left after the report"


async def test_a_position_above_the_freeze_quantity_is_closed_in_slices(floor: Floor) -> None:
    trader = await floor.trader(tier="advanced")
    client = await at_the_broker(floor, trader)
    options = [
        row for row in client.instruments("NFO") if row["name"] == "NIFTY" and row["instrument_type"] == "CE"
    ]
    option = max(options, key=lambda row: (row["expiry"], row["strike"]))
    quantity = (1800 // option["lot_size"] + 1) * option["lot_size"]
    price = client.ltp(f"NFO:{option['tradingsymbol']}")[f"NFO:{option['tradingsymbol']}"]["last_price"]
    bought = await floor.place(
        trader, exchange="NFO", symbol=option["tradingsymbol"], product="NRML", quantity=quantity,
        price=Decimal(str(price)),
    )  # fmt: skip
    await floor.reaches(bought["order_id"], "filled")
    row = await reported(floor, await engage(floor, trader, flatten=True))
    assert row["report"]["positions"] == []
    (closing,) = row["report"]["flattening"]
    assert len(await floor.placed(closing)) == 2
    assert {net["quantity"] for net in client.positions()["net"]} == {0}


async def test_an_account_without_a_session_is_blocked_and_says_that_nobody_could_look(floor: Floor) -> None:
    user_id = await floor.customer()
    begun = await floor.begin(user_id)
    trader = Trader(user_id, begun.body["account_id"], "")
    row = await reported(floor, await engage(floor, trader))
    assert row["report"]["verified"] is False
    assert (await lift(floor, trader, row["kill_switch_id"])).body["status"] == "lifted"


async def test_a_broker_that_is_away_keeps_the_switch_at_work_until_it_is_back(floor: Floor) -> None:
    trader = await floor.trader()
    await floor.fault("/kite/gtt/triggers", "error_5xx", times=2)
    row = await reported(floor, await engage(floor, trader))
    assert row["report"]["verified"] is True


async def test_a_paper_account_stops_in_the_same_way(floor: Floor) -> None:
    user_id = await floor.customer()
    begun = await floor.begin(user_id, "paper")
    trader = Trader(user_id, begun.body["account_id"], "")
    switch = await engage(floor, trader, flatten=True)
    row = await reported(floor, switch)
    assert (row["report"]["verified"], row["report"]["positions"]) == (True, [])
    refused = await floor.place(trader)
    assert (refused["status"], refused["reason_code"]) == ("risk_rejected", "account_blocked")
    assert (await lift(floor, trader, switch)).body["status"] == "lifted"


async def test_a_second_switch_takes_back_the_closing_orders_of_the_first(floor: Floor) -> None:
    trader = await floor.trader()
    held = await floor.place(trader, product="MIS")
    await floor.reaches(held["order_id"], "filled")
    await floor.market(manual=True)
    try:
        first = await engage(floor, trader, flatten=True)
        closing = await closing_of(floor, first)
        assert (await lift(floor, trader, first)).body["status"] == "lifted"
        second = await engage(floor, trader, flatten=True)
        again = await closing_of(floor, second)
        assert (await floor.order(closing["order_id"]))["status"] == "cancelled"
        await floor.fill(again["broker_order_id"], 10)
        row = await reported(floor, second)
    finally:
        await floor.market(manual=False)
    assert row["report"]["taken_back"] == [closing["order_id"]]
    client = await at_the_broker(floor, trader)
    assert [net["quantity"] for net in client.positions()["net"]] == [0]


async def test_a_block_that_its_run_has_not_heard_of_yet_is_lifted_all_the_same(floor: Floor) -> None:
    """As after the death of a worker whose block was committed: the word to lift comes before the run's."""
    trader = await floor.trader()
    switch = mint(Prefix.KILL_SWITCH)
    drive = switch_drive(switch, trader.account_id, trader.user_id, flatten=False)
    first = drive.model_copy(update={"update": "lift", "argument": {}})
    answer = await floor.run(first, switch, trader.user_id)
    assert (answer.refused, answer.body.get("status")) == (None, "lifted")
    placed = await floor.place(trader, price=Decimal(1400))
    await floor.reaches(placed["order_id"], "open")


async def test_a_session_is_not_closed_over_an_order_that_was_faster(floor: Floor) -> None:
    """The order comes after the API has looked."""
    trader = await floor.trader()
    placed = await floor.place(trader, price=Decimal(1400))
    await floor.reaches(placed["order_id"], "open")
    drive = session_drive(trader.account_id, trader.user_id, "kite", "close", {})
    answer = await floor.run(drive, trader.account_id, trader.user_id)
    assert answer.refused == "account_in_use"
    (account,) = await floor.rows("SELECT * FROM trading.accounts WHERE account_id = %s", trader.account_id)
    assert account["status"] == "connected"


async def closing_of(floor: Floor, switch: str) -> dict[str, Any]:
    """The switch's closing order, once it rests at the exchange."""

    async def resting() -> dict[str, Any] | None:
        query = "SELECT * FROM trading.orders WHERE flattens = %s AND status = 'open'"
        rows = await floor.rows(query, switch)
        return rows[0] if rows else None

    return await eventually(resting, f"the closing order of {switch}")


async def test_what_is_closed_is_what_the_broker_says_is_held(floor: Floor) -> None:
    """The customer has closed one position at the broker's own desk, and opened one that no order of ours can
    close: the first is not sold twice, the second is a person's."""
    trader = await floor.trader()
    held = await floor.place(trader, product="MIS")
    await floor.reaches(held["order_id"], "filled")
    client = await at_the_broker(floor, trader)
    client.place_order("regular", "NSE", "INFY", "SELL", 10, "MIS", "MARKET", market_protection=-1)
    client.place_order("regular", "NSE", "TCS", "BUY", 2, "MTF", "MARKET", market_protection=-1)
    await complete(client)
    row = await reported(floor, await engage(floor, trader, flatten=True), "needs_person")
    assert row["report"]["flattening"] == []
    quantities = {net["product"]: net["quantity"] for net in client.positions()["net"]}
    assert quantities == {"MIS": 0, "MTF": 2}


async def test_a_block_that_is_lifted_meanwhile_leaves_no_word_that_all_was_done(floor: Floor) -> None:
    trader = await floor.trader()
    await floor.fault("/kite/gtt/triggers", "error_5xx", times=1000)
    try:
        switch = await engage(floor, trader)
        assert (await lift(floor, trader, switch)).body["status"] == "lifted"
    finally:
        await floor.control("/faults/heal", target="kite")
    handle = floor.client.get_workflow_handle(workflow_id(Kind.KILL_SWITCH, trader.account_id, switch))
    assert (await handle.result())["status"] == "lifted"
    (row,) = await floor.rows("SELECT * FROM trading.kill_switches WHERE kill_switch_id = %s", switch)
    assert (row["status"], row["report"], row["signed_report"]) == ("lifted", None, None)
