"""The table of timeouts: one name, one row."""

import ast
from collections import Counter
from pathlib import Path

from models.contracts import policies


def test_no_row_overwrites_another() -> None:
    body = ast.parse(Path(policies.__file__).read_text()).body
    names = [target.id for node in body if isinstance(node, ast.Assign) for target in node.targets
             if isinstance(target, ast.Name)]  # fmt: skip
    assert {name: count for name, count in Counter(names).items() if count > 1} == {}
    assert len(names) > 10
