"""A report that comes in pages, and what goes wrong on the way: read to its end, each line once."""

from collections.abc import AsyncIterator
from datetime import date, timedelta
from typing import Any

import httpx
import pytest
from temporalio.testing import ActivityEnvironment

from cli.embedded import EmbeddedEngines
from domain.errors import Rejected, Unavailable
from models.messages.reconciliation import Compare, Day, Payout
from store import settlement_report
from tests.workflows.settlements import SettlementDay, activities, served
from tests.workflows.subscribers import Town, town

PAGE = 4
LINES = 10
PATH = "recon/combined"


@pytest.fixture(scope="module")
async def place(engines: EmbeddedEngines, database: str) -> AsyncIterator[Town]:
    async with town(engines, database, serve=False) as made, served(made, PAGE):
        # Debits that other tests left wait for a balance that covers them: not in a report of these tests.
        day = SettlementDay(made)
        await day.paid(50_00_000_00)
        await day.settle()
        yield made


@pytest.fixture
async def day(place: Town) -> SettlementDay:
    """Ten payments settled: four pages, each but the first beginning with the last line before it."""
    made = SettlementDay(place)
    await made.begin()
    user_id = await place.person()
    for number in range(LINES):
        await made.paid(1_000_00 + number, user_id)
    await made.settle()
    return made


async def asked(town: Town) -> list[str]:
    """Every page that was asked for, in order."""
    return [item["path"] for item in await town.journal() if PATH in item["path"]]


async def reading(day: SettlementDay) -> Day:
    env = ActivityEnvironment()
    given: Day = await env.run(activities(day.town, PAGE).begin, Day(date=day.date, as_of=day.at(20)))
    return given


async def kept(day: SettlementDay) -> list[dict[str, Any]]:
    query = "SELECT * FROM finance.report_lines WHERE date = %s ORDER BY number"
    return await day.town.rows(query, day.date)


@pytest.mark.parametrize("fault", ["page_repeated", "line_inserted", "line_removed"])
async def test_a_report_that_moves_while_it_is_read_is_read_again(day: SettlementDay, fault: str) -> None:
    await day.town.control("/razorpay/report", date=day.date.isoformat(), fault=fault, pages=2)
    env, done = ActivityEnvironment(), activities(day.town, PAGE)
    begun = await reading(day)
    with pytest.raises(Unavailable, match="report_changed"):
        await env.run(done.read, begun)
    assert await kept(day) == []
    settled = await env.run(done.read, begun)
    report = done._gateway.report(day.date, 0)
    assert [row["entity_id"] for row in await kept(day)] == [line.entity_id for line in report]
    assert settled.lines == len(report) == LINES + {"line_inserted": 1, "line_removed": -1}.get(fault, 0)


async def test_each_line_is_matched_once_whatever_moves(day: SettlementDay) -> None:
    await day.town.control("/razorpay/report", date=day.date.isoformat(), fault="line_inserted", pages=1)
    await day.town.control("/razorpay/report", date=day.date.isoformat(), fault="page_repeated", pages=2)
    compared = await day.reconcile()
    assert (compared.lines, compared.matched) == (LINES + 1, LINES)
    assert [found.kind for found in compared.breaks] == ["extra_line"]


@pytest.mark.parametrize("fault", ["error_5xx", "error_429", "timeout_before", "timeout_after"])
async def test_a_page_that_fails_is_asked_again_and_no_page_before_it(day: SettlementDay, fault: str) -> None:
    town, done, env = day.town, activities(day.town, PAGE), ActivityEnvironment()
    begun = await reading(day)
    lines = done._gateway.report(day.date, 0, PAGE)
    async with town.database.transaction() as connection:
        assert await settlement_report.keep_page(connection, day.date, begun.reading, 0, lines) == PAGE
    before = len(await asked(town))
    seconds = {"seconds": 0.01} if fault.startswith("timeout") else {}
    await town.control("/faults", target="razorpay", match=PATH, fault=fault, times=1, **seconds)
    with pytest.raises(Exception):  # noqa: B017, PT011 (429 has a class of its own)
        await env.run(done.read, begun)
    assert (await env.run(done.read, begun)).lines == LINES
    # The page that failed, the same again, and the one after it: the kept page is not asked for.
    assert len(await asked(town)) - before == 1 + 3
    assert len(await kept(day)) == LINES


async def test_a_process_outlives_the_gateways_bad_minute(day: SettlementDay) -> None:
    for fault in ("error_5xx", "error_429", "error_5xx"):
        await day.town.control("/faults", target="razorpay", match=PATH, fault=fault, times=1)
    compared = await day.reconcile()
    assert (compared.status, compared.matched) == ("balanced", LINES)


async def test_what_a_crash_of_postgres_took_is_never_compared(day: SettlementDay) -> None:
    first = await day.reconcile()
    env, done = ActivityEnvironment(), activities(day.town, PAGE)
    begun = await reading(day)
    settled = await env.run(done.read, begun)
    # The pages are unlogged: after a crash they are gone.
    await day.town.rows("DELETE FROM finance.report_lines WHERE date = %s RETURNING 1", day.date)
    asked_for = Compare(day=begun, lines=settled.lines, settled_until=settled.settled_until)
    with pytest.raises(Rejected, match="report_incomplete"):
        await env.run(done.compare, asked_for)
    again = await day.reconcile()
    assert (again.status, again.matched, again.breaks) == (first.status, LINES, [])


async def test_pages_that_are_there_in_part_are_read_anew(day: SettlementDay) -> None:
    env, done = ActivityEnvironment(), activities(day.town, PAGE)
    begun = await reading(day)
    await env.run(done.read, begun)
    await day.town.rows(
        "DELETE FROM finance.report_lines WHERE date = %s AND number < 3 RETURNING 1", day.date
    )
    assert (await env.run(done.read, begun)).lines == LINES
    assert [row["number"] for row in await kept(day)] == list(range(LINES))


async def test_a_worker_that_was_only_slow_changes_nothing(day: SettlementDay) -> None:
    env, done = ActivityEnvironment(), activities(day.town, PAGE)
    begun = await reading(day)
    lines = done._gateway.report(day.date, 0, PAGE)
    await env.run(done.read, begun)
    async with day.town.database.transaction() as connection:
        assert await settlement_report.keep_page(connection, day.date, begun.reading, 0, lines) == LINES
    await reading(day)
    with pytest.raises(Rejected, match="reading_superseded"):
        async with day.town.database.transaction() as connection:
            await settlement_report.keep_page(connection, day.date, begun.reading, 0, lines)
    assert await kept(day) == []


async def test_a_comparison_whose_answer_was_lost_is_not_made_again(day: SettlementDay) -> None:
    env, done = ActivityEnvironment(), activities(day.town, PAGE)
    begun = await reading(day)
    settled = await env.run(done.read, begun)
    asked_for = Compare(day=begun, lines=settled.lines, settled_until=settled.settled_until)
    first = await env.run(done.compare, asked_for)
    book = await day.book()
    assert await env.run(done.compare, asked_for) == first
    assert await day.book() == book
    assert (first.status, first.matched) == ("balanced", LINES)


async def test_a_settlement_made_while_the_report_is_read_is_left_to_the_next_reading(
    day: SettlementDay, monkeypatch: pytest.MonkeyPatch
) -> None:
    env, done = ActivityEnvironment(), activities(day.town, PAGE)
    late = await day.paid(7_000_00)
    # After the settlement that is there, and so not due in it.
    query = "UPDATE finance.payments SET captured_at = %s WHERE gateway_payment_id = %s RETURNING 1"
    await day.town.rows(query, day.at(19) - timedelta(minutes=30), late.id)
    begun = await reading(day)
    listed, asked_before = done._gateway.payouts, []

    def settles_after_the_last_page(on: date) -> list[Payout]:
        """The gateway as it is; only that it settles between the last page and its list of settlements."""
        if asked_before:
            answer = httpx.post(
                f"{day.town.settings.sandbox}/_control/razorpay/settle",
                json={"date": day.date.isoformat(), "now": day.at(19).isoformat()},
                headers={"X-Sandbox-Control": "1"},
            )
            assert answer.status_code == 200, answer.text
        asked_before.append(on)
        return listed(on)

    monkeypatch.setattr(done._gateway, "payouts", settles_after_the_last_page)
    settled = await env.run(done.read, begun)
    assert settled.lines == LINES
    compared = await env.run(
        done.compare, Compare(day=begun, lines=settled.lines, settled_until=settled.settled_until)
    )
    assert (compared.status, compared.breaks) == ("balanced", [])
    again = await day.reconcile()
    assert (again.status, again.matched) == ("balanced", LINES + 1)
    assert (await day.book())["gateway_clearing"] == -sum(1_000_00 + n for n in range(LINES)) - late.amount
