"""``python -m tests.faults.crash_table``: writes ``docs/crash-table.md`` from the code; ``--check`` compares.

One row a step of each workflow. A cell names the test that injects the fault there. A dash stands where the
fault cannot be: a step whose code reaches no provider has no answer to lose, to hold back or to die upon.
"""

import ast
import sys
from itertools import groupby
from pathlib import Path

from models.contracts.killpoints import Stage
from tests.faults.catalogue import ROOT, Step, steps
from tests.faults.elsewhere import ELSEWHERE

TABLE = ROOT / "docs" / "crash-table.md"
CAMPAIGN = "tests/faults/test_campaign.py::test_spoiled_at_each_step"
COLUMNS = {
    Stage.BEFORE: "killed before",
    Stage.AFTER_SEND: "killed at",
    Stage.AFTER: "killed after",
    Stage.LOST: "answer lost",
    Stage.DOUBLED: "doubled",
    Stage.LATE: "late",
}
HEAD = """# What happens if it dies here

Written by `python -m tests.faults.crash_table` from the code that runs; `make lint` fails where a cell is
empty or this page is not what the code says. One row a step of each workflow; a cell names the test that
injects the fault there:

- **killed before**, **at**, **after**: the worker gets SIGKILL before the step begins, when the provider has
  answered and nobody has read it, when the step has returned and the server does not know;
- **answer lost**: the provider has done it, its answer never arrives; **late**: it arrives 3.5 s later;
- **doubled**: the step runs twice.

`—`: the step's code reaches no provider. **C** is the campaign, `{campaign}`: every point it
does not reach fails it.
"""


def table() -> str:
    parts = [HEAD.format(campaign=CAMPAIGN)]
    for (pool, process), rows in groupby(steps(), key=lambda step: (step.pool, step.process)):
        parts.append(f"\n## {process} ({pool})\n\n| step | {' | '.join(COLUMNS.values())} |\n")
        parts.append(f"| --- {'| --- ' * len(COLUMNS)}|\n")
        parts += [
            f"| `{row.activity}` | {' | '.join(cell(row, stage) for stage in COLUMNS)} |\n" for row in rows
        ]
    return "".join(parts)


def cell(step: Step, stage: Stage) -> str:
    if not step.meets(stage):
        return "—"
    test = ELSEWHERE.get(f"{step.activity}:{stage}")
    return "**C**" if test is None else f"`{test}`" if test else ""


def gaps() -> list[str]:
    """Cells without a test, and tests that are named and do not exist."""
    found = [
        f"{step.process}: {step.activity} has no test for {COLUMNS[stage]!r}"
        for step in steps()
        for stage in COLUMNS
        if not cell(step, stage)
    ]
    return found + [
        f"{test} does not exist" for test in sorted(set(ELSEWHERE.values()) | {CAMPAIGN}) if not exists(test)
    ]


def exists(test: str) -> bool:
    path, _, name = test.partition("::")
    file = ROOT / path
    return file.is_file() and name.partition("[")[0] in {
        node.name
        for node in ast.walk(ast.parse(file.read_text()))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
    }


def main(path: Path = TABLE) -> int:
    found = gaps()
    if "--check" in sys.argv:
        if not path.exists() or path.read_text() != table():
            found.append(
                f"{path.relative_to(ROOT)} is not what the code says: python -m tests.faults.crash_table"
            )
    else:
        path.write_text(table())
    print("\n".join(found) or f"{len(steps())} steps, no empty cell")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
