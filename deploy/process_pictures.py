"""A table of steps as a Mermaid state diagram."""

from collections.abc import Iterable, Mapping
from enum import StrEnum
from typing import Any

WORTH_A_DIAMOND = 6
Steps = Mapping[Any, frozenset[Any]]


def picture(table: Steps, first: Iterable[StrEnum]) -> str:
    """The diagram. States that lead to each other and to the same others share their arrows, by a diamond."""
    # In the order of the words: a table may be written from sets, which have none.
    table = {state: table[state] for state in type(next(iter(table)))}
    shown = reachable(table, first)
    bundles = _bundles(table, shown)
    lines = ["stateDiagram-v2", *(f"    state {name} <<choice>>" for name in bundles)]
    lines += [f"    [*] --> {state}" for state in first]
    for now in (state for state in table if state in shown):
        lines += _arrows(
            now, table[now], {n: b for n, b in bundles.items() if b <= table[now] | {now}}, table
        )
        lines += [] if table[now] else [f"    {now} --> [*]"]
    for name, bundle in bundles.items():
        lines += _arrows(name, bundle, {other: b for other, b in bundles.items() if b < bundle}, table)
    return "\n".join(lines) + "\n"


def reachable(table: Steps, first: Iterable[StrEnum]) -> set[StrEnum]:
    """The states that something may come to; the others are words that nothing says yet."""
    reached, frontier = set(first), set(first)
    while frontier:
        frontier = {then for now in frontier for then in table[now]} - reached
        reached |= frontier
    return reached


def _bundles(table: Steps, shown: set[StrEnum]) -> dict[str, frozenset[StrEnum]]:
    """Where states share themselves and all their next ones: those, under a name of the diagram."""
    rows = [table[state] | {state} for state in table if state in shown]
    shared = dict.fromkeys(row for row in rows if _spared(rows.count(row), len(row)) >= WORTH_A_DIAMOND)
    return {f"any_{number}": row for number, row in enumerate(shared, start=1)}


def _spared(states: int, steps: int) -> int:
    """Arrows that a diamond spares: one from each state and one to each, in place of one for each pair."""
    return states * (steps - 1) - (states + steps)


def _arrows(
    start: str, to: frozenset[StrEnum], bundles: Mapping[str, frozenset[StrEnum]], table: Steps
) -> list[str]:
    """Arrows by the widest bundles that fit, and one for each state that they leave out."""
    widest = [
        name for name, bundle in bundles.items() if not any(bundle < other for other in bundles.values())
    ]
    left = to - {state for name in widest for state in bundles[name]}
    return [f"    {start} --> {name}" for name in widest] + [
        f"    {start} --> {then}" for then in table if then in left
    ]
