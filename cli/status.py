"""``treum status``: what the supervisor last saw, checked against the processes that are there."""

import json
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from cli.supervisor.state import Run, load_run
from domain import dated_tables
from domain.market_calendar import trading_date


def describe(home: Path) -> dict[str, Any]:
    """``{"home", "state", "supervisor", "processes": {name: {pid, port, health, since, restarts}},
    "warnings"}``: of dated tables that end soon.

    A process whose pid is gone, or belongs to another by now, is ``stopped`` whatever was noted.
    """
    run = load_run(home) or Run(pid=0, born=None, state="stopped")
    processes = {}
    for name, entry in run.processes.items():
        shown = asdict(entry)
        del shown["born"]
        processes[name] = shown if entry.alive else {**shown, "health": "stopped"}
    alive = run.alive
    return {
        "home": str(home),
        "state": run.state if alive else "stopped",
        "supervisor": run.pid if alive else None,
        "processes": processes,
        "warnings": dated_tables.warnings(trading_date(datetime.now(UTC))),
    }


def show(home: Path, *, as_json: bool) -> bool:
    """Print the state of the home; False if nothing runs there."""
    state = describe(home.resolve())
    if as_json:
        print(json.dumps(state, indent=2))
    else:
        _table(state)
    return state["state"] != "stopped"


def _table(state: dict[str, Any]) -> None:
    print(f"{state['home']}: {state['state']}")
    row = "{:<18} {:>8} {:>6} {:<10} {:>8} {}"
    if state["processes"]:
        print(row.format("process", "pid", "port", "health", "restarts", "since"))
    for name, entry in state["processes"].items():
        port = entry["port"] or ""
        print(row.format(name, entry["pid"], port, entry["health"], entry["restarts"], entry["since"]))
    for line in state["warnings"]:
        print(f"warning: {line}")
