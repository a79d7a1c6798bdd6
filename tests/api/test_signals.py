"""Signals over HTTP: drawn up, published once, kept as they were, shown by plan, answered by customers."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any

import psycopg
import pytest

from cli.embedded import EmbeddedEngines
from tests.api.conftest import Api, eventually
from tests.api.newsroom import DRAFT, Newsroom, newsroom, paper_account


@pytest.fixture(scope="module")
async def room(engines: EmbeddedEngines, api: Api) -> AsyncIterator[Newsroom]:
    async with newsroom(engines, api) as made:
        yield made


def soon(days: int = 5) -> str:
    return (datetime.now(UTC) + timedelta(days=days)).isoformat()


async def test_a_draft_is_for_staff_until_it_is_published(room: Newsroom) -> None:
    signal_id = await room.draft()
    customer = await room.customer("premium")
    assert (await room.get(f"/signals/{signal_id}", customer)).status_code == 404
    answer = await room.post(f"/signals/{signal_id}/publish", room.analyst)
    assert (answer.status_code, answer.json()["status"]) == (200, "published")
    assert await room.api.words(f"signal:{signal_id}") == {("publish", True)}
    seen = await room.signal(signal_id, customer)
    assert (seen["analyst"], seen["registration_number"]) == ("Asha Verma", "INH000000000")
    assert (seen["disclosure"], seen["rationale"]) == (DRAFT["disclosure"], DRAFT["rationale"])
    assert (seen["entry_price"], seen["risk_reward"]) == ("1500.00", "2.00")
    assert seen["measured"] is None, "unverified figures are not for customers"


async def test_publishing_twice_and_by_others_is_refused(room: Newsroom) -> None:
    signal_id = await room.published()
    again = await room.post(f"/signals/{signal_id}/publish", room.analyst)
    assert (again.status_code, again.json()["code"]) == (409, "not_a_draft")
    customer, other = await room.customer(), await room.person("analyst")
    assert (await room.post(f"/signals/{signal_id}/publish", customer)).status_code == 403
    assert (await room.post(f"/signals/{signal_id}/publish", other)).status_code == 404
    assert (await room.api.post(f"/v1/signals/{signal_id}/publish", json={})).status_code == 401


async def test_only_a_confidence_above_75_is_distributed(room: Newsroom) -> None:
    signal_id = await room.draft(confidence=75)
    answer = await room.post(f"/signals/{signal_id}/publish", room.analyst)
    assert (answer.status_code, answer.json()["code"]) == (409, "confidence_too_low")
    assert (await room.signal(signal_id))["status"] == "draft"


@pytest.mark.parametrize(
    ("changes", "pointer", "code"),
    [
        ({"stop_loss": "1500.00"}, "/stop_loss", "stop_on_wrong_side"),
        ({"target_price": "1400.00"}, "/target_price", "target_on_wrong_side"),
        ({"stop_loss": None}, "/stop_loss", "price_required"),
        ({"expires_at": "2020-01-01T00:00:00Z"}, "/expires_at", "expires_in_the_past"),
        ({"rationale": "  "}, "/rationale", "string_too_short"),
        ({"confidence": 101}, "/confidence", "less_than_equal"),
        ({"entry_price": "-1"}, "/entry_price", "greater_than"),
        ({"colour": "red"}, "/colour", "extra_forbidden"),
    ],
)
async def test_a_senseless_draft_is_refused(
    room: Newsroom, changes: dict[str, Any], pointer: str, code: str
) -> None:
    body = {**DRAFT, "expires_at": soon(), **changes}
    answer = await room.post("/signals", room.analyst, body)
    assert answer.status_code == 422
    assert {"pointer": pointer, "code": code}.items() <= answer.json()["errors"][0].items()


async def test_drawing_up_is_for_analysts(room: Newsroom) -> None:
    body = {**DRAFT, "expires_at": soon()}
    assert (await room.post("/signals", await room.customer(), body)).status_code == 403
    assert (await room.api.post("/v1/signals", json=body)).status_code == 401


async def test_the_same_key_draws_up_one_signal(room: Newsroom) -> None:
    body = {**DRAFT, "expires_at": soon()}
    headers = {"Idempotency-Key": "the-same-draft"}
    first, second = [await room.post("/signals", room.analyst, body, **headers) for _ in range(2)]
    assert first.json() == second.json()
    assert second.headers["Idempotency-Replayed"] == "true"
    other = await room.post("/signals", room.analyst, {**body, "confidence": 90}, **headers)
    assert (other.status_code, other.json()["code"]) == (422, "idempotency_key_reused")


async def test_what_was_published_is_never_edited_nor_deleted(room: Newsroom) -> None:
    signal_id = await room.published()
    for change in (
        "UPDATE signals.trading_signals SET entry_price = 1 WHERE signal_id = %s",
        "UPDATE signals.trading_signals SET rationale_note = disclosure_note WHERE signal_id = %s",
        "UPDATE signals.trading_signals SET published_at = now() WHERE signal_id = %s",
        "UPDATE signals.trading_signals SET status = 'draft' WHERE signal_id = %s",
        "DELETE FROM signals.trading_signals WHERE signal_id = %s",
    ):
        with pytest.raises(psycopg.errors.RestrictViolation):
            await room.rows(change, signal_id)


async def test_withdrawn_before_anyone_saw_the_market(room: Newsroom) -> None:
    signal_id = await room.published()
    assert (await room.post(f"/signals/{signal_id}/withdraw", room.analyst)).status_code == 422
    answer = await room.post(f"/signals/{signal_id}/withdraw", room.analyst, {"reason": "a slip"})
    assert (answer.status_code, answer.json()["status"]) == (200, "withdrawn")
    again = await room.post(f"/signals/{signal_id}/withdraw", room.analyst, {"reason": "a slip"})
    assert again.status_code == 409
    figures = (await room.get("/signals/performance", room.analyst)).json()["figures"]
    assert figures["withdrawn"] >= 1, "a withdrawn signal counts all the same"
    assert figures["unmeasured"] >= 1


async def test_performance_is_not_shown_to_customers_unverified(room: Newsroom) -> None:
    answer = await room.get("/signals/performance", await room.customer("enterprise"))
    assert answer.json() == {"verified_by": None, "figures": None}


async def test_the_free_plan_sees_five_a_day_whichever_way(room: Newsroom) -> None:
    published = [await room.published() for _ in range(6)]
    free, paid = await room.customer(), await room.customer("premium")
    assert len((await room.get("/signals/live", free)).json()["items"]) == 5
    assert len((await room.get("/signals/live", free)).json()["items"]) == 5, "a repeat spends nothing"
    refused = await room.get(f"/signals/{published[0]}", free)
    assert (refused.status_code, refused.json()["code"]) == (403, "allowance_spent")
    assert (await room.get(f"/signals/{published[-1]}", free)).status_code == 200
    shown = {item["signal_id"] for item in (await room.get("/signals/live", paid)).json()["items"]}
    assert set(published) <= shown
    history = (await room.get("/signals/history", free)).json()["items"]
    assert len(history) == 5
    answering = {
        "account_id": await paper_account(room, free), "exchange": "NSE", "symbol": "SBIN", "side": "BUY",
        "quantity": 1, "order_type": "MARKET", "product": "CNC", "signal_id": published[0],
    }  # fmt: skip
    ordered = await room.post("/trading/orders", free, answering)
    assert (ordered.status_code, ordered.json()["code"]) == (403, "allowance_spent")


async def test_a_strategy_finds_a_signal_in_real_candles(room: Newsroom) -> None:
    closed = await room.rows("UPDATE signals.market_sessions SET ended_at = now() RETURNING session_id")
    body = {"strategy": "trend", "exchange": "NSE", "symbol": "GOOG", "timeframe": "1d"}
    answer = await room.answered("/signals/runs", room.analyst, body)
    assert (answer.status_code, answer.json()["code"]) == (409, "market_data_closed"), closed
    opened = await room.sign_in_house()
    assert opened.status_code == 201, opened.text
    assert opened.json()["expires_at"] == "2026-11-24T00:30:00Z"

    run = (await room.answered("/signals/runs", room.analyst, body)).json()
    assert (run["candle_source"], run["last_candle_at"][:10]) == ("replayed", "2013-02-28")
    assert run["candle_count"] > 400
    assert [test["bars"] for test in run["backtest"]] == [30, 90]
    (draft,) = run["signals"]
    assert (draft["action"], draft["entry_price"], draft["status"]) == ("buy", "806.19", "draft")
    seen = await room.signal(draft["signal_id"])
    assert "replayed" in seen["disclosure"]
    assert (seen["source"], seen["run_id"]) == ("algorithm", run["run_id"])
    published = await room.post(f"/signals/{draft['signal_id']}/publish", room.analyst)
    assert published.status_code == 200, published.text
    kept = (await room.get(f"/signals/runs/{run['run_id']}", room.analyst)).json()
    assert kept["candle_count"] == run["candle_count"]
    assert (await room.get(f"/signals/runs/{run['run_id']}", await room.customer())).status_code == 403


@pytest.mark.parametrize(
    ("changes", "code"),
    [({"symbol": "NOSUCH"}, "instrument_unknown"), ({"timeframe": "4h"}, "timeframe_not_offered")],
)
async def test_a_run_that_cannot_be(room: Newsroom, changes: dict[str, str], code: str) -> None:
    assert (await room.sign_in_house()).status_code == 201
    body = {"strategy": "trend", "exchange": "NSE", "symbol": "GOOG", "timeframe": "1d", **changes}
    answer = await room.post("/signals/runs", room.analyst, body)
    assert (answer.status_code, answer.json()["code"]) == (422, code)


async def test_a_request_token_is_spent_once(room: Newsroom) -> None:
    answer = await room.post("/signals/market-data", room.analyst, {"request_token": "made-up"})
    assert (answer.status_code, answer.json()["code"]) == (409, "login_refused")


async def test_the_market_reaches_the_target_and_the_true_return_is_kept(room: Newsroom) -> None:
    assert (await room.sign_in_house()).status_code == 201
    await room.control("/kite/market", symbol="TCS", price=3100)
    levels = {"entry_price": "3100", "target_price": "3200", "stop_loss": "3000"}
    signal_id = await room.published(symbol="TCS", **levels)
    live = await eventually(lambda: room.signal(signal_id), lambda s: s["status"] == "live")
    assert live["measured"]["actual_entry"] == "3100"
    await room.control("/kite/market", symbol="TCS", price=3255)
    closed = await eventually(lambda: room.signal(signal_id), lambda s: s["status"] == "target")
    assert closed["measured"] == {
        "actual_entry": "3100",
        "actual_exit": "3255",
        "return_percent": "5.0000",
    }
    with pytest.raises(psycopg.errors.RestrictViolation):
        await room.rows(
            "UPDATE signals.trading_signals SET return_percent = 50 WHERE signal_id = %s", signal_id
        )


async def test_a_signal_whose_level_the_market_has_passed_is_not_published(room: Newsroom) -> None:
    assert (await room.sign_in_house()).status_code == 201
    await room.control("/kite/market", symbol="HDFCBANK", price=990)
    buy: dict[str, Any] = {"symbol": "HDFCBANK", "action": "buy", "entry_price": "960", "target_price": "980",
           "stop_loss": "940"}  # fmt: skip
    sell = {**buy, "action": "sell", "entry_price": "1000", "target_price": "985", "stop_loss": "1020"}
    for levels, price in ((buy, 985), (buy, 939), (sell, 984), (sell, 1021)):
        await room.control("/kite/market", symbol="HDFCBANK", price=price)
        draft = await room.draft(**levels)
        answer = await room.post(f"/signals/{draft}/publish", room.analyst)
        assert (answer.status_code, answer.json()["code"]) == (409, "level_passed"), levels
        assert (await room.signal(draft))["status"] == "draft"
    await room.control("/kite/market", symbol="HDFCBANK", price=961)
    seen = await room.signal(await room.published(**buy))
    assert seen["market_price_at_publication"] == "961"


async def test_the_part_of_artificial_intelligence_is_told(room: Newsroom) -> None:
    seen = await room.signal(await room.published(ai_used=True))
    assert seen["ai_used"] is True
    assert (await room.signal(await room.published()))["ai_used"] is False
    with pytest.raises(psycopg.errors.RestrictViolation):
        await room.rows(
            "UPDATE signals.trading_signals SET ai_used = false WHERE signal_id = %s", seen["signal_id"]
        )


async def test_the_words_of_a_published_signal_are_kept(room: Newsroom) -> None:
    signal_id = await room.published()
    for change, error in (
        ("UPDATE platform.notes SET text = 'x' WHERE note_id = %s RETURNING note_id",
         psycopg.errors.RestrictViolation),
        ("DELETE FROM platform.notes WHERE note_id = %s RETURNING note_id",
         psycopg.errors.ForeignKeyViolation),
    ):  # fmt: skip
        (row,) = await room.rows(
            "SELECT rationale_note AS note FROM signals.trading_signals WHERE signal_id = %s", signal_id
        )
        with pytest.raises(error):
            await room.rows(change, row["note"])


async def test_every_published_signal_counts_in_the_figures(room: Newsroom) -> None:
    """Withdrawn before anyone could enter: counted with nothing, not left out."""
    before = (await room.get("/signals/performance", room.analyst)).json()["figures"]
    signal_id = await room.published(symbol="ZZUNSEEN")
    await room.post(f"/signals/{signal_id}/withdraw", room.analyst, {"reason": "a slip"})
    after = (await room.get("/signals/performance", room.analyst)).json()["figures"]
    for name in ("published", "withdrawn", "never_entered", "counted"):
        assert after[name] == before[name] + 1, name
    assert after["gained"] == before["gained"]
    closed = after["target"] + after["stop"] + after["expired"] + after["withdrawn"]
    assert after["published"] == after["open"] + closed
    counted = await room.rows(
        """SELECT count(*) AS n FROM signals.trading_signals
           WHERE published_at IS NOT NULL AND closed_at IS NOT NULL AND action IN ('buy', 'sell')"""
    )
    assert after["counted"] == counted[0]["n"]


async def test_a_no_is_recorded_once(room: Newsroom) -> None:
    signal_id, customer = await room.published(), await room.customer("premium")
    account = await paper_account(room, customer)
    body = {"account_id": account, "decision": "decline"}
    first = await room.post(f"/signals/{signal_id}/act", customer, body)
    assert (first.status_code, first.json()["order_id"]) == (200, None)
    second = await room.post(f"/signals/{signal_id}/act", customer, body)
    assert second.json() == first.json()
    stranger = await room.customer("premium")
    assert (await room.post(f"/signals/{signal_id}/act", stranger, body)).status_code == 404
    without = await room.api.post(f"/v1/signals/{signal_id}/act", json=body, headers=customer.headers)
    assert (without.status_code, without.json()["code"]) == (400, "idempotency_key_required")
    await room.post(f"/signals/{signal_id}/withdraw", room.analyst, {"reason": "a slip"})
    late = await room.post(
        f"/signals/{signal_id}/act", customer, {**body, "decision": "confirm", "quantity": 1}
    )
    assert (late.status_code, late.json()["code"]) == (409, "signal_closed")


async def test_an_order_that_names_a_signal_is_the_signals(room: Newsroom) -> None:
    """Else its drift would be measured against another instrument, and its target and stop be another's."""
    signal_id, customer = await room.published(), await room.customer("premium")
    row = await room.signal(signal_id)
    body = {
        "account_id": await paper_account(room, customer), "exchange": row["exchange"],
        "symbol": row["symbol"], "side": "BUY", "quantity": 1, "order_type": "MARKET", "product": "CNC",
        "signal_id": signal_id,
    }  # fmt: skip
    assert row["action"] == "buy"
    for different in ({"symbol": "NOSUCH"}, {"side": "SELL"}, {"exchange": "BSE"}):
        answer = await room.post("/trading/orders", customer, body | different)
        assert (answer.status_code, answer.json()["code"]) == (422, "signal_mismatch")
