"""SignalLifecycle on the real server: expiry in virtual time, forged words, what survives a lost worker."""

import asyncio
import base64
from collections.abc import AsyncIterator, Awaitable
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from temporalio.client import WithStartWorkflowOperation, WorkflowHandle, WorkflowUpdateFailedError
from temporalio.common import WorkflowIDConflictPolicy
from temporalio.testing._timeskipping import TimeSkipper

from cli.embedded import EmbeddedEngines
from domain.signals import Action, Status, Timeframe
from domain.trading import Exchange
from models.contracts.assertions import Assertion, SignedAssertion, sign
from models.contracts.identifiers import Prefix, mint
from models.contracts.queues import Queue
from models.contracts.workflow_ids import Kind, workflow_id
from models.messages.signals import Publish, SignalInput, SignalTerms, SignalView, Withdraw
from store import notes
from workers.parts import Parts, assemble
from workers.pool import workers
from workers.signals import POOL

ANALYST = mint(Prefix.USER)
DEADLINE_SECONDS = 30.0


@pytest.fixture(scope="module")
async def parts(engines: EmbeddedEngines) -> AsyncIterator[Parts]:
    async with assemble(engines.settings) as made:
        yield made


@asynccontextmanager
async def serving(parts: Parts) -> AsyncIterator[None]:
    (worker,) = workers(POOL, parts, parts.client)
    async with worker:
        yield


async def drafted(parts: Parts, **changes: Any) -> tuple[WorkflowHandle, SignalInput]:
    """A signal of the analyst's, in draft; ten days to live unless told otherwise."""
    now = datetime.now(UTC)
    async with parts.database.transaction() as connection:
        texts = [await notes.write(connection, parts.vault, ANALYST, text, now) for text in ("why", "who")]
    terms: dict[str, Any] = {
        "exchange": Exchange.NSE, "symbol": "SBIN", "action": Action.BUY, "timeframe": Timeframe.D1,
        "entry_price": Decimal(880), "target_price": Decimal(900), "stop_loss": Decimal(860),
        "confidence": 80, "expires_at": now + timedelta(days=10), **changes,
    }  # fmt: skip
    given = SignalInput(
        signal_id=mint(Prefix.SIGNAL),
        analyst_id=ANALYST,
        terms=SignalTerms(**terms),
        rationale_note=texts[0],
        disclosure_note=texts[1],
        assertion_public_key=parts.settings.assertion_public_key,
    )
    start: WithStartWorkflowOperation = WithStartWorkflowOperation(
        "SignalLifecycle",
        given,
        id=workflow_id(Kind.SIGNAL, given.signal_id),
        task_queue=Queue.SIGNALS,
        id_conflict_policy=WorkflowIDConflictPolicy.USE_EXISTING,
    )
    await parts.client.execute_update_with_start_workflow("create", {}, start_workflow_operation=start)
    handle = await start.workflow_handle()
    return parts.client.get_workflow_handle(handle.id, result_type=SignalView), given


def word(parts: Parts, signal: SignalInput, wanted: str, **changes: Any) -> SignedAssertion:
    inside: dict[str, Any] = {
        "subject": ANALYST, "role": "analyst", "workflow_id": workflow_id(Kind.SIGNAL, signal.signal_id),
        "action": wanted, "expires_at": datetime.now(UTC) + timedelta(days=30), **changes,
    }  # fmt: skip
    return sign(parts.settings.assertion_key.get_secret_value(), Assertion(**inside))


def publication(parts: Parts, signal: SignalInput, **changes: Any) -> Publish:
    return Publish(assertion=word(parts, signal, "publish", **changes), registration_number="INH000000000")


async def refusal(work: Awaitable[Any]) -> str:
    with pytest.raises(WorkflowUpdateFailedError) as refused:
        await work
    return str(refused.value.cause.details[0])  # type: ignore[attr-defined]


async def row(parts: Parts, signal: SignalInput) -> dict[str, Any]:
    async with parts.database.reading() as connection:
        cursor = await connection.execute(
            "SELECT * FROM signals.trading_signals WHERE signal_id = %s", (signal.signal_id,)
        )
        found = await cursor.fetchone()
    assert found is not None
    return found


async def events(parts: Parts, signal: SignalInput) -> list[str]:
    async with parts.database.reading() as connection:
        cursor = await connection.execute(
            "SELECT type FROM audit.outbox WHERE key = %s ORDER BY number", (signal.signal_id,)
        )
        return [found["type"] for found in await cursor.fetchall()]


@pytest.mark.parametrize("published", [True, False])
async def test_a_signal_ends_by_itself_when_its_time_is_over(parts: Parts, published: bool) -> None:
    skipper = TimeSkipper(parts.client)
    async with parts.database.transaction() as connection:
        # Time does not skip while a watch is under way: the house is not signed in.
        await connection.execute("UPDATE signals.market_sessions SET ended_at = coalesce(ended_at, now())")
    async with serving(parts):
        handle, signal = await drafted(parts, expires_at=datetime.now(UTC) + timedelta(minutes=5))
        if published:
            await handle.execute_update("publish", publication(parts, signal))
        await skipper.fast_forward(handle, timedelta(minutes=10))
        ended = await asyncio.wait_for(handle.result(), DEADLINE_SECONDS)
    assert ended.status is Status.EXPIRED
    found = await row(parts, signal)
    assert (found["status"], found["return_percent"]) == ("expired", None)
    assert await events(parts, signal) == (["signal.published", "signal.closed"] if published else [])


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"role": "compliance"}, "role_required"),
        ({"subject": "usr_someone_else"}, "forbidden"),
        ({"action": "withdraw"}, "assertion_invalid"),
        ({"workflow_id": "signal:another"}, "assertion_invalid"),
        ({"expires_at": datetime(2020, 1, 1, tzinfo=UTC)}, "assertion_invalid"),
        ({"command_id": "cmd_another"}, "assertion_invalid"),
    ],
)
async def test_only_the_analysts_own_word_for_this_run_publishes(
    parts: Parts, changes: Any, code: str
) -> None:
    async with serving(parts):
        handle, signal = await drafted(parts)
        asked = publication(parts, signal, **changes)
        assert await refusal(handle.execute_update("publish", asked)) == code
        forged = publication(parts, signal)
        forged.assertion.signature = base64.b64encode(b"0" * 64).decode()
        assert await refusal(handle.execute_update("publish", forged)) == "assertion_invalid"
        assert (await row(parts, signal))["status"] == "draft"
        assert await events(parts, signal) == []
        await withdrawn(parts, handle, signal)


async def test_a_publication_accepted_by_a_lost_worker_happens_once(parts: Parts) -> None:
    async with serving(parts):
        handle, signal = await drafted(parts)
    update = handle.execute_update("publish", publication(parts, signal), id="the-same-update")
    asked = asyncio.create_task(update)
    async with serving(parts):
        first = await asyncio.wait_for(asked, DEADLINE_SECONDS)
    async with serving(parts):
        again = await handle.execute_update("publish", publication(parts, signal), id="the-same-update")
        assert again == first
        assert await events(parts, signal) == ["signal.published"]
        await withdrawn(parts, handle, signal)
    found = await row(parts, signal)
    assert (found["status"], found["withdrawal_note"] is not None) == ("withdrawn", True)
    assert found["kept_until"] >= found["published_at"] + timedelta(days=5 * 365)


async def test_a_publication_and_a_withdrawal_do_not_cross(parts: Parts) -> None:
    async with serving(parts):
        handle, signal = await drafted(parts)
        both = await asyncio.gather(
            handle.execute_update("publish", publication(parts, signal)),
            withdrawn(parts, handle, signal),
            return_exceptions=True,
        )
        await asyncio.wait_for(handle.result(), DEADLINE_SECONDS)
    assert not isinstance(both[1], BaseException)
    assert (await row(parts, signal))["status"] == "withdrawn"
    told = await events(parts, signal)
    assert told in (["signal.published", "signal.closed"], [])
    assert isinstance(both[0], WorkflowUpdateFailedError) is (told == [])


async def withdrawn(parts: Parts, handle: WorkflowHandle, signal: SignalInput) -> Any:
    async with parts.database.transaction() as connection:
        note = await notes.write(connection, parts.vault, ANALYST, "a slip", datetime.now(UTC))
    asked = Withdraw(assertion=word(parts, signal, "withdraw"), reason_note=note)
    return await handle.execute_update("withdraw", asked)
