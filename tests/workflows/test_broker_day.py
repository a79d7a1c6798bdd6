"""The end of a trading day on the real server: the book held against the broker's, breaks for a person."""

import time
from collections.abc import AsyncIterator
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from kiteconnect import KiteConnect
from kiteconnect.exceptions import NetworkException
from temporalio.client import WorkflowHandle, WorkflowUpdateFailedError
from temporalio.testing._timeskipping import TimeSkipper

from cli.embedded import EmbeddedEngines
from domain.market_calendar import INDIA_2026, trading_date
from domain.trading import Exchange
from models.contracts.assertions import Assertion, sign
from models.contracts.identifiers import Prefix, mint
from models.contracts.queues import Queue
from models.contracts.workflow_ids import Kind, workflow_id
from models.messages.broker_days import BrokerDayInput, DayBreak, DayCompared
from models.messages.broker_days import ResolveDayBreak as Resolve
from store import notes, trading_accounts, trading_paper, trading_positions, trading_statements
from temporal.schedules import BROKER_DAYS, ensure_schedules
from tests.workflows.traders import (
    TRADING_MORNING,
    Floor,
    Trader,
    eventually,
    floor_of,
    lose_session,
    working,
)

DAY = date.fromisoformat(TRADING_MORNING[:10])
POSITION = "SELECT * FROM trading.positions WHERE account_id = %s ORDER BY exchange, symbol, product"


@pytest.fixture(scope="module")
async def floor(engines: EmbeddedEngines) -> AsyncIterator[Floor]:
    async with floor_of(engines) as floor, working(engines):
        yield floor


async def began(floor: Floor, trader: Trader, day: date = DAY) -> WorkflowHandle[Any, DayCompared]:
    given = BrokerDayInput(
        account_id=trader.account_id,
        user_id=trader.user_id,
        day=day,
        assertion_public_key=floor.settings.assertion_public_key,
    )
    return await floor.client.start_workflow(
        "BrokerDay",
        given,
        id=workflow_id(Kind.BROKER_DAY, trader.account_id, day.isoformat()),
        task_queue=Queue.TRADING,
        result_type=DayCompared,
    )


async def compared(floor: Floor, trader: Trader) -> DayCompared:
    """The day compared; where both looks are due, the pause between them is skipped."""
    handle = await began(floor, trader)
    await skip_the_pause(floor, handle)
    return await handle.result()


async def skip_the_pause(floor: Floor, handle: WorkflowHandle[Any, DayCompared]) -> None:
    async def looked() -> bool:
        if (await handle.describe()).close_time is not None:
            return True
        history = await handle.fetch_history()
        return any(event.HasField("timer_started_event_attributes") for event in history.events)

    await eventually(looked, "the first look")
    if (await handle.describe()).close_time is None:
        await TimeSkipper(floor.client).fast_forward(handle, timedelta(seconds=25))


async def filled(floor: Floor, trader: Trader, **terms: Any) -> dict[str, Any]:
    answer = await floor.place(trader, **terms)
    return await floor.reaches(answer["order_id"], "filled")


class Patient(KiteConnect):
    """The official client, asking again where the broker's pace is spent: the platform asks beside it."""

    def _request(self, *given: Any, **more: Any) -> Any:
        deadline = time.monotonic() + 10
        while True:
            try:
                return super()._request(*given, **more)
            except NetworkException as refused:
                if refused.code != 429 or time.monotonic() > deadline:
                    raise
                time.sleep(0.1)


async def at_the_broker(floor: Floor, trader: Trader) -> KiteConnect:
    """The customer's own client, on the session that the platform has."""
    async with floor.database.reading() as connection:
        account = await trading_accounts.account_of(connection, trader.account_id)
        assert account is not None
        token = await trading_accounts.token_of(connection, floor.vault, account)
    return Patient(floor.settings.kite_api_key, access_token=token, root=floor.settings.kite_base)


async def complete(client: KiteConnect) -> None:
    """Every order of the broker's book has filled; asked within the broker's pace."""

    async def done() -> bool:
        return all(order["status"] == "COMPLETE" for order in client.orders())

    await eventually(done, "the broker's own orders to fill")


async def statement(floor: Floor, trader: Trader, day: date = DAY) -> dict[str, Any]:
    async with floor.database.reading() as connection:
        return await trading_statements.statement(connection, trader.account_id, day)


def run_of(floor: Floor, found: DayBreak) -> WorkflowHandle[Any, Any]:
    return floor.client.get_workflow_handle(workflow_id(Kind.BROKER_BREAK, found.break_id))


async def decision(floor: Floor, found: DayBreak, resolution: str, **changes: Any) -> Resolve:
    async with floor.database.transaction() as connection:
        note = await notes.write(connection, floor.vault, "usr_staff", "looked", datetime.now(UTC))
    inside: dict[str, Any] = {
        "subject": "usr_staff", "role": "support", "action": "resolve",
        "workflow_id": workflow_id(Kind.BROKER_BREAK, found.break_id),
        "expires_at": datetime.now(UTC) + timedelta(days=30), **changes,
    }  # fmt: skip
    signed = sign(floor.settings.assertion_key.get_secret_value(), Assertion(**inside))
    return Resolve.model_validate({"assertion": signed, "resolution": resolution, "note_id": note})


async def refusal(handle: WorkflowHandle[Any, Any], asked: Resolve) -> str:
    with pytest.raises(WorkflowUpdateFailedError) as refused:
        await handle.execute_update("resolve", asked)
    return str(refused.value.cause.details[0])  # type: ignore[attr-defined]


async def test_a_day_that_agrees_is_balanced_with_its_charges_and_a_rerun_changes_nothing(
    floor: Floor,
) -> None:
    trader = await floor.trader()
    for side, price in (("BUY", 1500), ("SELL", 1510)):
        await floor.market(price=price)
        await filled(floor, trader, side=side, price=Decimal(price), product="MIS")
    await floor.market(price=1500)
    first = await compared(floor, trader)
    assert (first.status, first.orders, first.trades, first.differences) == ("balanced", 2, 2, 0)
    told = await statement(floor, trader)
    client = await at_the_broker(floor, trader)
    (position,) = client.positions()["net"]
    assert [(line["closing_quantity"], line["realised"]) for line in told["positions"]] == [(0, 100_00)]
    assert told["totals"]["realised"] == round(position["pnl"] * 100)
    orders = [order for order in client.orders() if order["status"] == "COMPLETE"]
    names = ("order_id", "exchange", "tradingsymbol", "transaction_type", "variety", "product", "order_type",
             "quantity", "average_price")  # fmt: skip
    asked = [{name: order[name] for name in names} for order in orders]
    broker_says = sum(note["charges"]["total"] for note in client.get_virtual_contract_note(asked))
    assert abs(told["totals"]["charges"]["total"] - broker_says * 100) <= len(orders)
    assert told["totals"]["net"] == told["totals"]["realised"] - told["totals"]["charges"]["total"]
    again = await compared(floor, trader)
    assert again == first
    assert await statement(floor, trader) == {**told, "read_at": (await statement(floor, trader))["read_at"]}


async def test_what_the_customer_did_at_the_broker_is_taken_over_and_rebuilds_the_same(floor: Floor) -> None:
    trader = await floor.trader()
    await filled(floor, trader, product="MIS")
    client = await at_the_broker(floor, trader)
    client.place_order("regular", "NSE", "INFY", "SELL", 4, "MIS", "MARKET", market_protection=-1)
    # A product that we do not trade in: no order of ours can follow it.
    client.place_order("regular", "NSE", "INFY", "BUY", 2, "MTF", "MARKET", market_protection=-1)
    await complete(client)
    handle = await began(floor, trader)

    async def followed() -> bool:
        query = "SELECT * FROM trading.orders WHERE account_id = %s AND adopted AND status = 'filled'"
        return bool(await floor.rows(query, trader.account_id))

    await eventually(followed, "the customer's own order to be followed")
    await skip_the_pause(floor, handle)
    found = await handle.result()
    assert (found.status, found.trades, found.elsewhere) == ("balanced", 3, 1)
    before = await floor.rows(POSITION, trader.account_id)
    shown = await floor.rows("SELECT * FROM trading.day_positions WHERE account_id = %s", trader.account_id)
    quantities = {(row["product"], row["quantity"]) for row in before}
    assert quantities == {("MIS", 6), ("MTF", 2)}
    assert quantities == {(row["product"], row["quantity"]) for row in shown}
    async with floor.database.transaction() as connection:
        await trading_positions.rebuild(connection, trader.account_id)
    after = await floor.rows(POSITION, trader.account_id)
    assert [{**row, "version": 0} for row in after] == [{**row, "version": 0} for row in before]


async def test_a_break_waits_for_a_person_and_ends_with_the_brokers_position(floor: Floor) -> None:
    trader = await floor.trader()
    await filled(floor, trader, product="MIS")
    async with floor.database.transaction() as connection:
        # A trade that never was: as if our booking were at fault.
        await connection.execute(
            """INSERT INTO trading.trades (account_id, trading_day, trade_id, broker_order_id, exchange,
                   symbol, product, side, quantity, price, traded_at, kind)
               VALUES (%s, %s, 'ghost', 'ghost', 'NSE', 'INFY', 'MIS', 'BUY', 3, 1500, now(),
                   'adjustment')""",
            (trader.account_id, DAY),
        )
        await trading_positions.rebuild(connection, trader.account_id)
    result = await compared(floor, trader)
    assert (result.status, result.differences) == ("open", 1)
    (found,) = result.breaks
    assert (found.kind, found.reference, found.ours, found.theirs) == (
        "position_differs", "NSE/INFY/MIS", "13", "10",
    )  # fmt: skip
    handle = run_of(floor, found)

    async def asks_for_a_person() -> bool:
        return (await handle.describe()).search_attributes.get("TreumNeedsAttention") == [True]

    await eventually(asks_for_a_person, "the break to be found")
    assert (await compared(floor, trader)).breaks == [found]

    for wrong, code in (
        ({"role": "finance"}, "role_required"),
        ({"workflow_id": "broker-break:another"}, "assertion_invalid"),
        ({"subject": trader.user_id}, "own_case"),
    ):
        asked = await decision(floor, found, "adopt_broker", **wrong)
        assert await refusal(handle, asked) == code
    answer = await handle.execute_update("resolve", await decision(floor, found, "adopt_broker"))
    assert (answer["status"], answer["resolution"]) == ("resolved", "adopt_broker")
    assert await handle.result() == "resolved"
    assert (await floor.position(trader))["quantity"] == 10
    rerun = await compared(floor, trader)
    assert (rerun.status, rerun.differences) == ("resolved", 0)
    (row,) = (await statement(floor, trader))["breaks"]
    assert row["resolution"] == "adopt_broker"


async def test_a_fill_that_we_missed_is_a_break_until_the_books_agree_again(floor: Floor) -> None:
    trader = await floor.trader()
    row = await filled(floor, trader, product="MIS")
    change = "UPDATE trading.orders SET filled_quantity = %s WHERE order_id = %s"
    async with floor.database.transaction() as connection:
        await connection.execute(change, (9, row["order_id"]))
    result = await compared(floor, trader)
    (found,) = result.breaks
    assert (found.kind, found.reference, found.ours, found.theirs) == (
        "fill_differs", row["order_id"], "9", "10",
    )  # fmt: skip
    asked = await decision(floor, found, "adopt_broker")
    assert await refusal(run_of(floor, found), asked) == "resolution_not_possible"
    async with floor.database.transaction() as connection:
        await connection.execute(change, (10, row["order_id"]))
    rerun = await compared(floor, trader)
    assert (rerun.status, rerun.agreed) == ("balanced", [found.break_id])
    assert await run_of(floor, found).result() == "resolved"


async def test_what_was_carried_into_the_first_day_is_the_opening_and_later_days_hold_it(
    floor: Floor, engines: EmbeddedEngines
) -> None:
    trader = await floor.trader()
    client = await at_the_broker(floor, trader)
    futures = [row for row in client.instruments("NFO") if row["instrument_type"] == "FUT"]
    contract = max(futures, key=lambda row: row["expiry"])
    client.place_order(
        "regular", "NFO", contract["tradingsymbol"], "BUY", contract["lot_size"], "NRML", "MARKET",
        market_protection=-1,
    )  # fmt: skip
    client.place_order("regular", "NSE", "INFY", "BUY", 7, "CNC", "MARKET", market_protection=-1)

    await complete(client)
    await floor.clock("2026-11-25T10:00:00+05:30")
    try:
        begun = await floor.begin(trader.user_id, account_id=trader.account_id)
        assert begun.refused is None
        await floor.complete(trader.account_id, trader.broker_user)
        handle = await began(floor, trader, date(2026, 11, 25))
        result = await handle.result()
        assert (result.status, result.differences) == ("balanced", 0)
        held = await floor.rows(POSITION, trader.account_id)
        assert [(row["symbol"], row["quantity"]) for row in held] == [
            (contract["tradingsymbol"], contract["lot_size"])
        ]
        shares = await floor.rows("SELECT * FROM trading.holdings WHERE account_id = %s", trader.account_id)
        assert [(row["symbol"], row["quantity"], row["unsettled"]) for row in shares] == [("INFY", 7, 7)]
    finally:
        await floor.clock()


async def test_a_day_that_nobody_signed_in_for_is_unread_and_a_person_is_asked(floor: Floor) -> None:
    trader = await floor.trader()
    await filled(floor, trader, product="MIS")
    await lose_session(floor, trader)
    # The process waits by its own clock: a trading day that is not over, whatever day this is played on.
    today = trading_date(INDIA_2026.next_open(Exchange.NSE, datetime.now(UTC)))
    handle = await began(floor, trader, today)

    async def waits() -> list[dict[str, Any]]:
        query = "SELECT * FROM trading.broker_days WHERE account_id = %s AND status = 'waiting'"
        return await floor.rows(query, trader.account_id)

    await eventually(waits, "the day to wait for a session")
    skipper = TimeSkipper(floor.client)

    async def over() -> bool:
        if (await handle.describe()).close_time is None:
            await skipper.fast_forward(handle, timedelta(hours=6))
        return (await handle.describe()).close_time is not None

    await eventually(over, "the day to be given up")
    result = await handle.result()
    assert result.status == "unread"
    (found,) = result.breaks
    assert found.kind == "day_unread"
    await run_of(floor, found).execute_update("resolve", await decision(floor, found, "accept"))
    assert await run_of(floor, found).result() == "resolved"
    assert (await statement(floor, trader, today))["status"] == "resolved"


async def test_a_past_day_of_which_the_record_has_nothing_is_no_work_for_a_person(floor: Floor) -> None:
    """Whoever asks for it by hand: what is held was bought later."""
    trader = await floor.trader()
    await filled(floor, trader, product="MIS")
    result = await (await began(floor, trader, date(2026, 11, 20))).result()
    assert (result.status, result.reason_code, result.breaks) == (None, "day_over", [])
    query = "SELECT * FROM trading.broker_days WHERE account_id = %s"
    assert await floor.rows(query, trader.account_id) == []


async def test_a_waiting_day_goes_on_when_the_customer_signs_in(floor: Floor) -> None:
    now = datetime.now(UTC)
    await floor.clock(now.isoformat())
    try:
        trader = await floor.trader()
        await lose_session(floor, trader)
        handle = await began(floor, trader, trading_date(now))

        async def waits() -> list[dict[str, Any]]:
            query = "SELECT * FROM trading.broker_days WHERE account_id = %s AND status = 'waiting'"
            return await floor.rows(query, trader.account_id)

        await eventually(waits, "the day to wait for a session")
        await floor.begin(trader.user_id, account_id=trader.account_id)
        await floor.complete(trader.account_id, trader.broker_user)
        assert (await handle.result()).status == "balanced"
    finally:
        await floor.clock()


async def test_a_session_that_ended_elsewhere_is_noticed_when_the_day_is_read(floor: Floor) -> None:
    trader = await floor.trader()
    client = await at_the_broker(floor, trader)
    client.invalidate_access_token()
    handle = await began(floor, trader)

    async def expired() -> bool:
        (row,) = await floor.rows(
            "SELECT status FROM trading.accounts WHERE account_id = %s", trader.account_id
        )
        return bool(row["status"] == "expired")

    await eventually(expired, "the log-out to be noticed")
    await handle.terminate()


async def test_the_schedule_begins_each_account_of_a_trading_day(floor: Floor) -> None:
    await ensure_schedules(floor.client, floor.settings)
    schedule = floor.client.get_schedule_handle(BROKER_DAYS)
    spec = (await schedule.describe()).schedule
    assert spec.policy.catchup_window == timedelta(hours=6)
    assert {"16", "23"} == {
        str(each.hour[0].start) for each in spec.spec.calendars
    } if spec.spec.calendars else spec.spec.cron_expressions  # fmt: skip
    trader = await floor.trader()
    for day, begun in ((date(2026, 11, 24), False), (DAY, True)):
        given = {"assertion_public_key": floor.settings.assertion_public_key, "day": day.isoformat()}
        handle = await floor.client.start_workflow(
            "BrokerDays", given, id=f"broker-days-{day}-{trader.account_id}", task_queue=Queue.TRADING
        )
        assert await handle.result() == (day.isoformat() if begun else "no_trading_day")
    process = workflow_id(Kind.BROKER_DAY, trader.account_id, DAY.isoformat())
    assert (await floor.client.get_workflow_handle(process).describe()).workflow_type == "BrokerDay"


async def test_a_paper_account_has_the_same_end_of_day(floor: Floor) -> None:
    trader = await floor.trader()
    await filled(floor, trader, product="MIS", quantity=1)
    begun = await floor.begin(trader.user_id, "paper")
    paper = Trader(trader.user_id, begun.body["account_id"], "")
    async with floor.database.transaction() as connection:
        # Its clock is that of the market whose prices were read: the order above read one.
        today = trading_date(await trading_paper.now(connection))
        await connection.execute(
            """INSERT INTO trading.paper_orders (broker_order_id, account_id, tag, trading_day, exchange,
                   symbol, side, product, order_type, validity, quantity, status, filled_quantity, fill_price,
                   updated_at)
               VALUES (%(tag)s, %(account)s, %(tag)s, %(day)s, 'NSE', 'INFY', 'BUY', 'MIS', 'MARKET', 'DAY',
                   5, 'complete', 5, 1500, trading.paper_now())""",
            {"tag": mint(Prefix.ORDER)[4:24].upper(), "account": paper.account_id, "day": today},
        )
    handle = await began(floor, paper, today)
    await skip_the_pause(floor, handle)
    result = await handle.result()
    assert (result.status, result.elsewhere) == ("balanced", 1)
    told = await statement(floor, paper, today)
    assert [line["closing_quantity"] for line in told["positions"]] == [5]
    assert told["totals"]["charges"]["total"] == 0
