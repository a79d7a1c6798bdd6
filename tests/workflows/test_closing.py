"""A month's close and a voucher believe only what the API has signed, and lose nothing between two asks."""

from collections.abc import AsyncIterator
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest
from temporalio.client import WithStartWorkflowOperation
from temporalio.common import WorkflowIDConflictPolicy

from cli.embedded import EmbeddedEngines
from domain.ledger import Account, credit, debit
from models.contracts.assertions import LIFETIME, Assertion, SignedAssertion, sign
from models.contracts.identifiers import Prefix, mint
from models.contracts.queues import Queue
from models.contracts.workflow_ids import Kind, workflow_id
from models.messages.closing import AskClose, CloseInput
from models.messages.vouchers import Sign, VoucherInput
from tests.store.book import Book
from tests.workflows.shop import Shop, refusal, shop


@pytest.fixture(scope="module")
async def firm(engines: EmbeddedEngines) -> AsyncIterator[Shop]:
    dsn = engines.fresh_database()
    async with shop(engines, dsn) as serving:
        yield serving
    engines.drop_database(dsn)


def _signed(
    firm: Shop,
    run_id: str,
    action: str,
    role: str = "finance",
    lifetime: timedelta = LIFETIME,
    command_id: str = "",
) -> SignedAssertion:
    assertion = Assertion(
        subject="usr_finance",
        role=role,
        workflow_id=run_id,
        action=action,
        expires_at=datetime.now(UTC) + lifetime,
        command_id=command_id,
    )
    return sign(firm.engines.settings.assertion_key.get_secret_value(), assertion)


async def _asked(
    firm: Shop, kind: str, run_id: str, given: Any, update: str, argument: Any, command: str | None = None
) -> Any:
    start = WithStartWorkflowOperation(
        kind,
        given,
        id=run_id,
        task_queue=Queue.BILLING,
        id_conflict_policy=WorkflowIDConflictPolicy.USE_EXISTING,
    )
    return await firm.client.execute_update_with_start_workflow(
        update, argument, start_workflow_operation=start, id=command
    )


async def test_a_month_that_lacks_something_is_refused_by_the_process_too(firm: Shop) -> None:
    await Book(firm.database, firm.vault).captured(date(2019, 1, 20))
    run_id = workflow_id(Kind.CLOSE, "2019-01")
    given = CloseInput(period="2019-01", assertion_public_key=firm.engines.settings.assertion_public_key)
    asked = AskClose(assertion=_signed(firm, run_id, "close"))
    assert await refusal(_asked(firm, "PeriodClose", run_id, given, "close", asked)) == "period_not_ready"
    assert await firm.rows("SELECT * FROM finance.periods") == []


@pytest.mark.parametrize(
    ("role", "action", "code"),
    [("support", "close", "role_required"), ("finance", "resolve", "assertion_invalid")],
)
async def test_a_close_that_nobody_of_finance_has_signed_is_refused(
    firm: Shop, role: str, action: str, code: str
) -> None:
    run_id = workflow_id(Kind.CLOSE, "2018-01")
    given = CloseInput(period="2018-01", assertion_public_key=firm.engines.settings.assertion_public_key)
    asked = AskClose(assertion=_signed(firm, run_id, action, role))
    assert await refusal(_asked(firm, "PeriodClose", run_id, given, "close", asked)) == code
    assert await firm.rows("SELECT * FROM finance.periods WHERE period = '2018-01'") == []


async def test_a_voucher_on_an_account_that_processes_move_is_refused_by_the_process_too(firm: Shop) -> None:
    voucher_id = mint(Prefix.VOUCHER)
    run_id = workflow_id(Kind.VOUCHER, voucher_id)
    lines = [*debit(Account.BANK, 100), *credit(Account.REVENUE_COURSES, 100)]
    given = VoucherInput(
        voucher_id=voucher_id,
        date=date(2019, 1, 1),
        lines=lines,
        note_id=mint(Prefix.NOTE),
        assertion_public_key=firm.engines.settings.assertion_public_key,
    )
    asked = Sign(assertion=_signed(firm, run_id, "post"))
    assert await refusal(_asked(firm, "Voucher", run_id, given, "post", asked)) == "account_not_by_hand"
    assert await firm.rows("SELECT * FROM finance.vouchers WHERE voucher_id = %s", voucher_id) == []


async def test_a_signature_for_one_word_is_none_for_another(firm: Shop) -> None:
    voucher_id = mint(Prefix.VOUCHER)
    run_id = workflow_id(Kind.VOUCHER, voucher_id)
    given = VoucherInput(
        voucher_id=voucher_id,
        date=date(2019, 1, 1),
        lines=[*debit(Account.TDS_RECEIVABLE, 60_000_00), *credit(Account.BANK, 60_000_00)],
        note_id=mint(Prefix.NOTE),
        assertion_public_key=firm.engines.settings.assertion_public_key,
    )
    signed = Sign(assertion=_signed(firm, run_id, "post"))
    state = await _asked(firm, "Voucher", run_id, given, "post", signed)
    assert state["status"] == "awaiting_second"
    handle = firm.client.get_workflow_handle(run_id)
    assert await refusal(handle.execute_update("approve", signed)) == "assertion_invalid"
    same = Sign(assertion=_signed(firm, run_id, "approve"))
    assert await refusal(handle.execute_update("approve", same)) == "same_person"
    dropped = Sign(assertion=_signed(firm, run_id, "reject"))
    assert (await handle.execute_update("reject", dropped))["status"] == "rejected"
    assert await handle.result() == "rejected"


async def test_a_word_that_was_signed_in_time_holds_however_late_it_is_driven(firm: Shop) -> None:
    """A voucher and a close whose engines were down for a day; nobody else may bring what was signed."""
    key = firm.engines.settings.assertion_public_key
    long_ago = {"lifetime": timedelta(days=-1), "command_id": "cmd_mine"}
    voucher_id = mint(Prefix.VOUCHER)
    voucher = workflow_id(Kind.VOUCHER, voucher_id)
    lines = [*debit(Account.TDS_RECEIVABLE, 100), *credit(Account.BANK, 100)]
    post = Sign(assertion=_signed(firm, voucher, "post", **long_ago))
    given = VoucherInput(
        voucher_id=voucher_id,
        date=date(2019, 1, 1),
        lines=lines,
        note_id=mint(Prefix.NOTE),
        assertion_public_key=key,
    )
    close = workflow_id(Kind.CLOSE, "2017-08")
    month = CloseInput(period="2017-08", assertion_public_key=key)
    ask = AskClose(assertion=_signed(firm, close, "close", **long_ago))
    for word in (
        ("Voucher", voucher, given, "post", post),
        ("PeriodClose", close, month, "close", ask),
    ):
        assert await refusal(_asked(firm, *word, "cmd_another")) == "assertion_invalid"
        assert (await _asked(firm, *word, "cmd_mine"))["status"] in ("posted", "closed")
