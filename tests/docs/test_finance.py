"""`docs/finance.md` tells of every account, every kind of break and resolution, and what stops a close."""

from pathlib import Path

import pytest

from domain.chart import MEANINGS
from domain.closing import MESSAGES, Missing
from domain.ledger import NATURES, Account
from domain.reconciliation import BreakKind, Resolution

PAGE = (Path(__file__).resolve().parents[2] / "docs" / "finance.md").read_text()
ROWS = [line for line in PAGE.splitlines() if line.startswith("| `")]


@pytest.mark.parametrize("account", Account)
def test_every_account_has_its_row_in_the_words_of_the_chart(account: Account) -> None:
    [row] = [row for row in ROWS if row.startswith(f"| `{account}` |")]
    assert f"({NATURES[account]})" in row
    assert MEANINGS[account] in row


@pytest.mark.parametrize("word", [*BreakKind, *Resolution, *Missing])
def test_every_break_resolution_and_lack_has_a_row_that_says_what_to_do(word: str) -> None:
    [row] = [row for row in ROWS if row.startswith(f"| `{word}` |")]
    assert len(row) > 40


def test_every_lack_has_a_message() -> None:
    assert set(MESSAGES) == set(Missing)
