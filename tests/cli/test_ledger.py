"""`treum ledger verify` ends with 0 for a book that holds, else with 1 and what does not."""

import json
from pathlib import Path

import psycopg
import pytest

from cli.ledger import main


def test_the_command_names_what_does_not_hold(
    database: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "endpoints.json").write_text(json.dumps({"postgres": database}))
    assert main(tmp_path) == 0
    assert "no, " not in capsys.readouterr().out
    with psycopg.connect(database) as connection:
        connection.execute("INSERT INTO finance.number_series VALUES ('invoice', 2025, 3)")
    assert main(tmp_path) == 1
    said = capsys.readouterr().out
    assert "series have no gap: no, 1 found" in said
    assert "invoice of 2025: 3 numbers given out, 0 documents" in said
