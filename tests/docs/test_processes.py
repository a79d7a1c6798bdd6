"""`docs/processes.md` shows every process that a worker serves, as the code now runs it."""

import importlib
from pathlib import Path
from types import ModuleType

import pytest

from workers.run import POOLS, pool_named

ROOT = Path(__file__).resolve().parent.parent.parent


@pytest.fixture(scope="module")
def diagrams() -> ModuleType:
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(ROOT / "deploy"))
        return importlib.import_module("diagrams")


@pytest.fixture(scope="module")
def page(diagrams: ModuleType) -> str:
    text: str = diagrams.page()
    return text


def test_the_page_is_what_the_code_draws(page: str) -> None:
    assert (ROOT / "docs" / "processes.md").read_text() == page, "run python deploy/diagrams.py"


def test_every_registered_process_is_drawn_with_its_start_and_its_messages(
    diagrams: ModuleType, page: str
) -> None:
    sections = {text.split("\n", 1)[0]: text for text in page.split("\n## ")[1:]}
    registered = [each for name in POOLS for served in pool_named(name).queues for each in served.workflows]
    assert len(sections) == len(registered) == len(diagrams.registered())
    for process in diagrams.registered():
        section, definition = sections[process.name], process.definition
        assert "stateDiagram-v2\n    state" in section or "stateDiagram-v2\n    [*] --> " in section
        assert "**started by** " in section
        for message in (*definition.updates, *definition.signals):
            assert f"  - `{message}`" in section


def test_no_arrow_of_a_picture_is_outside_its_table(diagrams: ModuleType) -> None:
    """The diamonds that share arrows say no more and no less than the table."""
    for table, first, _ in diagrams.STATES.values():
        drawn: dict[str, set[str]] = {}
        for line in diagrams.picture(table, first).splitlines():
            if "-->" in line:
                start, end = line.split("-->")
                drawn.setdefault(start.strip(), set()).add(end.strip())
        for state in diagrams.reachable(table, first):
            to, seen = set(drawn[str(state)]), set()
            while to - seen:
                seen |= to
                to |= {end for each in to if each.startswith("any_") for end in drawn[each]}
            reached = {each for each in to if not each.startswith("any_")} - {"[*]", str(state)}
            assert reached == {str(each) for each in table[state]}
