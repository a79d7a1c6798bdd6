"""A bench ends with a failure where a figure is beyond its limit, and at the limit it does not."""

import pytest

from bench import cycles, payments


@pytest.mark.parametrize(
    ("ratio", "answer", "code"), [(5.0, 50.0, 0), (5.01, 50.0, 1), (5.0, 50.1, 1), (9.0, 90.0, 1)]
)
def test_a_slow_answer_fails_the_payments_as_a_slow_invoice_does(
    ratio: float, answer: float, code: int, capsys: pytest.CaptureFixture[str]
) -> None:
    assert payments.judged(ratio, answer, 5.0, 50.0) == code
    said = capsys.readouterr().out
    assert (f"{answer:.1f} ms, at most 50 ms" in said, said.count("FAILS")) == (
        True,
        (ratio > 5) + (answer > 50),
    )


def test_a_cycle_counts_all_its_runs() -> None:
    """Two cycles in three runs: one debit was refused and came again."""
    runs = [cycles.Run(30), cycles.Run(36, messages=1), cycles.Run(33)]
    line = cycles.Cycles("card", runs, refusals=1).line().split()
    assert line == ["card", "2", "3", "1", "33", "36", "49.5"]


@pytest.mark.parametrize(
    ("runs", "code"),
    [
        ([cycles.Run(40), cycles.Run(39, messages=1)], 0),
        ([cycles.Run(31), cycles.Run(41)], 1),
        ([cycles.Run(31), cycles.Run(41, messages=1)], 1),
        ([], 1),
    ],
)
def test_a_cycle_above_its_events_fails_and_so_does_none_at_all(runs: list[cycles.Run], code: int) -> None:
    assert cycles.judged(runs, 40) == code
