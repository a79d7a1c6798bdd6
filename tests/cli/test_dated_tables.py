"""A dated table of the platform's that ends is told where an operator looks."""

from datetime import date
from pathlib import Path

import pytest

from cli import status
from cli.doctor import examine
from domain import dated_tables
from domain.dated_tables import DatedTable


@pytest.fixture(autouse=True)
def _ended(monkeypatch: pytest.MonkeyPatch) -> None:
    ended = DatedTable("a table", date(2020, 12, 31), "its source", "it goes on")
    later = DatedTable("another", date(2999, 12, 31), "its source", "it goes on")
    monkeypatch.setattr(dated_tables, "TABLES", (ended, later))


def test_doctor_warns_and_fails_nothing_for_it(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    well = examine(tmp_path)
    told = capsys.readouterr().out.splitlines()
    assert well == (not any(line.startswith("FAIL") for line in told))
    assert [line for line in told if line.startswith("warn")] == [
        "warn  dated tables   a table: ended on 2020-12-31; now it goes on; next: its source"
    ]


def test_status_warns_people_and_programs(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert status.describe(tmp_path)["warnings"] == [
        "a table: ended on 2020-12-31; now it goes on; next: its source"
    ]
    assert status.show(tmp_path, as_json=False) is False
    assert "warning: a table: ended on 2020-12-31" in capsys.readouterr().out
