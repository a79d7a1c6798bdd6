"""What `up` says while it starts: a moving line on a terminal, plain lines elsewhere."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager

from cli.supervisor.supervise import Report


@contextmanager
def reporting() -> Iterator[Report]:
    """A report for the supervisor; the word ``ready`` always stands on a line of its own."""
    if not sys.stdout.isatty():
        yield lambda line: print(line, flush=True)
        return
    from rich.console import Console

    console = Console()
    waiting = console.status("starting")
    waiting.start()

    def report(line: str) -> None:
        if line == "ready":
            waiting.stop()
            console.print("ready", style="bold green")
        else:
            console.print(f"  {line}", highlight=False)

    try:
        yield report
    finally:
        waiting.stop()
