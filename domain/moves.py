"""How one state follows another: a table a process, held where its state is stored.

The tables are also what `docs/processes.md` is drawn from, so that the picture cannot differ from the code.
"""

from collections.abc import Collection, Mapping
from enum import StrEnum
from typing import TypeVar

S = TypeVar("S", bound=StrEnum)


class IllegalMove(ValueError):
    """A step that the table does not have: a defect of ours. Nothing is stored."""


def moved(table: Mapping[S, frozenset[S]], now: S, then: S) -> S:
    """`then`, where the state may go there or stands there already.

    Raises:
        IllegalMove: the table has no such step.
    """
    if then is not now and then not in table[now]:
        raise IllegalMove(f"{type(now).__name__}: {now} to {then}")
    return then


def begun(first: Collection[S], status: S) -> S:
    """`status`, where something may begin in it.

    Raises:
        IllegalMove: nothing begins there.
    """
    if status not in first:
        raise IllegalMove(f"{type(status).__name__}: nothing begins {status}")
    return status


def sources(table: Mapping[S, frozenset[S]], then: S) -> list[str]:
    """The states that may go to `then`: what a compare-and-set in the store asks for."""
    return [str(now) for now, following in table.items() if then in following]
