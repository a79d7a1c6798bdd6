"""What a bench says of its figures, and the code that it ends with."""

from collections.abc import Mapping


def told(figures: Mapping[str, bool]) -> int:
    """Prints each figure, named with its limit, and whether it holds; 0 where all do, else 1."""
    for figure, holds in figures.items():
        print(f"{'holds' if holds else 'FAILS'}: {figure}", flush=True)
    return 0 if all(figures.values()) else 1
