"""Writes `docs/processes.md` from the code that runs; with ``--check`` says whether it still fits.

States and steps come from the tables that the stores and the processes hold, commands and events from
Temporal's own reading of each workflow, waits and starts from the source.
"""

import ast
import importlib
import inspect
import re
import sys
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from textwrap import fill

from fastapi import FastAPI
from fastapi.routing import APIRoute, iter_route_contexts
from process_pictures import Steps, picture, reachable
from process_starts import called, keyword, started_by_routes, started_otherwise, word
from process_waits import waits
from temporalio import workflow

from api.routers import include
from domain import (
    broker_day,
    complaints,
    einvoices,
    kyc,
    payments,
    progression,
    signals,
    subscriptions,
    trading,
)
from domain.broker_accounts import ACCOUNT_NEXT, KILL_SWITCH_NEXT, AccountStatus, KillSwitchStatus
from domain.closing import PERIOD_NEXT, PeriodStatus
from domain.disputes import DISPUTE_FIRST, DISPUTE_NEXT
from domain.exits import EXIT_FIRST, EXIT_NEXT
from domain.reconciliation import BREAK_NEXT, DAY_NEXT, BreakStatus, DayStatus
from domain.vouchers import VOUCHER_FIRST, VOUCHER_NEXT
from domain.watchlist import ROUND_FIRST, ROUND_NEXT, WATCH_FIRST, WATCH_NEXT
from workers.run import POOLS, pool_named

PAGE = Path(__file__).resolve().parent.parent / "docs" / "processes.md"
Drawn = tuple[Steps, tuple[StrEnum, ...], str]
"""The table, the states that a process may begin in, and where the table is held."""

STATES: dict[str, Drawn] = {
    "CustomerOnboarding": (kyc.NEXT, (kyc.Status.PENDING,), "workflows/onboarding_book.py"),
    "Complaint": (complaints.NEXT, (complaints.Status.OPEN,), "store/complaints.py"),
    "Payment": (payments.NEXT, (payments.PaymentStatus.CREATED,), "store/payments.py"),
    "Refund": (payments.REFUND_NEXT, payments.REFUND_FIRST, "store/refunds.py"),
    "Dispute": (DISPUTE_NEXT, DISPUTE_FIRST, "store/disputes.py"),
    "Subscription": (
        subscriptions.NEXT, (subscriptions.Status.AWAITING_PAYMENT,), "models/messages/subscription_state.py",
    ),
    "EInvoice": (einvoices.NEXT, (einvoices.EInvoiceStatus.PENDING,), "store/einvoices.py"),
    "Reconciliation": (DAY_NEXT, (DayStatus.RUNNING,), "store/reconciliation.py"),
    "ReconciliationBreak": (BREAK_NEXT, (BreakStatus.OPEN,), "store/breaks.py"),
    "PeriodClose": (PERIOD_NEXT, (PeriodStatus.OPEN,), "store/periods.py"),
    "Voucher": (VOUCHER_NEXT, VOUCHER_FIRST, "store/vouchers.py"),
    "CourseEnrollment": (
        progression.FOLLOWS, (progression.EnrollmentStatus.AWAITING_PAYMENT,),
        "store/education_enrollments.py",
    ),
    "SignalRound": (ROUND_NEXT, ROUND_FIRST, "workflows/watchlist.py"),
    "SignalWatch": (WATCH_NEXT, WATCH_FIRST, "store/signals_watchlist.py"),
    "SignalLifecycle": (signals.MOVES, (signals.Status.DRAFT,), "store/signals.py"),
    "Order": (trading.NEXT, trading.FIRST, "store/trading.py"),
    "ExitOrders": (EXIT_NEXT, EXIT_FIRST, "store/trading_exits.py"),
    "TradingSession": (
        ACCOUNT_NEXT, (AccountStatus.AWAITING_LOGIN, AccountStatus.CONNECTED), "store/trading_accounts.py",
    ),
    "KillSwitch": (KILL_SWITCH_NEXT, (KillSwitchStatus.BLOCKING,), "store/trading_stops.py"),
    "BrokerDay": (broker_day.DAY_NEXT, (broker_day.DayStatus.WAITING,), "store/broker_days.py"),
    "BrokerBreak": (broker_day.BREAK_NEXT, (broker_day.BreakStatus.OPEN,), "store/broker_breaks.py"),
}  # fmt: skip

HEAD = """# Processes

Every workflow type that a worker of this release serves, drawn from the code that runs: `deploy/diagrams.py`
writes this page, and a test fails where it no longer fits. The states are the API's own words. A step that is
not in the picture is not stored: the file named under it holds the table that it is drawn from. A diamond
stands for whichever of the states leads into it. What has no table works once and says how it ended.

"""


@dataclass(frozen=True)
class Process:
    """A registered workflow with the pool that serves it."""

    type: type
    pool: str

    @property
    def definition(self) -> workflow._Definition:
        return workflow._Definition.must_from_class(self.type)

    @property
    def name(self) -> str:
        return self.definition.name or self.type.__name__

    @property
    def modules(self) -> list[str]:
        """Its own module, and what it imports that no other process is defined in: parts of it."""
        imported = [
            node.module
            for node in ast.walk(_tree(self.type.__module__))
            if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("workflows.")
        ]
        beside = {"workflows.visible", "workflows.failures"} | {each.type.__module__ for each in registered()}
        parts = [each for each in imported if each and ".ports" not in each and each not in beside]
        bases = [each.__module__ for each in self.type.__mro__[1:]]
        parts += [each for each in bases if each.startswith("workflows.")]
        return [self.type.__module__, *dict.fromkeys(parts)]

    def bodies(self) -> Iterator[ast.AST]:
        """Its class, the functions beside it, and the modules of its parts."""
        for node in _tree(self.type.__module__).body:
            if not isinstance(node, ast.ClassDef) or node.name == self.type.__name__:
                yield node
        yield from (_tree(each) for each in self.modules[1:])


def registered() -> list[Process]:
    return [
        Process(each, name)
        for name in POOLS
        for served in pool_named(name).queues
        for each in served.workflows
    ]


def page() -> str:
    """The whole page."""
    processes = registered()
    by_routes = started_by_routes(_routes())
    otherwise = started_otherwise({each.name: each.modules for each in processes})
    index = "".join(f"| [{p.name}](#{p.name.lower()}) | `{_id(p)}` | {p.pool} |\n" for p in processes)
    starts = {p.name: [*by_routes.get(p.name, []), *otherwise.get(p.name, [])] for p in processes}
    table = f"| process | workflow id | pool |\n| --- | --- | --- |\n{index}\n"
    return HEAD + table + "\n".join(_section(p, starts[p.name]) for p in processes)


def _routes() -> dict[tuple[str, str], str]:
    """Module and name of each endpoint to its method and path."""
    app = FastAPI()
    include(app)
    found = {}
    for context in iter_route_contexts(app.routes):
        if isinstance(context.original_route, APIRoute):
            endpoint, methods = context.original_route.endpoint, context.original_route.methods
            found[endpoint.__module__, endpoint.__name__] = (
                f"`{'/'.join(sorted(methods or ()))} {context.path}`"
            )
    return found


def _section(process: Process, starts: list[str]) -> str:
    definition = process.definition
    lines = [f"## {process.name}\n", f"{_prose(process)}\n", f"```mermaid\n{_picture(process)}```\n"]
    if process.name in STATES:
        table, first, held = STATES[process.name]
        lines.append(f"Held by `{held}`.{_unsaid(table, first)}\n")
    lines.append(f"- **workflow id** `{_id(process)}`, **pool** {process.pool}")
    lines.append(f"- **started by** {', '.join(starts)}")
    lines += _messages("updates", {name: each.fn for name, each in definition.updates.items() if name})
    lines += _messages("signals", {name: each.fn for name, each in definition.signals.items() if name})
    found = waits(list(process.bodies()))
    if found:
        lines.append("\n| waits for | if it never comes | who can act |\n| --- | --- | --- |")
        lines += [f"| {each.what} | {each.otherwise} | {each.who} |" for each in found]
    return "\n".join(lines) + "\n"


def _picture(process: Process) -> str:
    if process.name in STATES:
        table, first, _ = STATES[process.name]
        return picture(table, first)
    ends = _ends(process) or ["done"]
    lines = [f"    at_work --> {end}\n    {end} --> [*]" for end in ends]
    return "\n".join(["stateDiagram-v2", "    [*] --> at_work", *lines]) + "\n"


def _unsaid(table: Steps, first: Iterable[StrEnum]) -> str:
    shown = reachable(table, first)
    words = [f"`{state}`" for state in type(next(iter(table))) if state not in shown]
    return f" Words of the API that nothing says yet: {', '.join(words)}." if words else ""


def _ends(process: Process) -> list[str]:
    """How a process of one step ends: the words that it shows as its state."""
    body = ast.parse(inspect.getsource(process.type)).body[0]
    shown = [
        given
        for node in ast.walk(body)
        if isinstance(node, ast.Call) and called(node) in ("show", "_tell")
        for given in [keyword(node, "state") or (node.args[0] if node.args else None)]
        if given is not None
    ]
    names = {each.id for each in shown if isinstance(each, ast.Name)}
    assigned = [
        node.value
        for node in ast.walk(body)
        if isinstance(node, ast.Assign) and any(getattr(target, "id", "") in names for target in node.targets)
    ]
    returned = [node.value for node in ast.walk(body) if isinstance(node, ast.Return) and word(node.value)]
    said = [word(node) for each in [*shown, *assigned, *returned] if each for node in ast.walk(each)]
    refuses = any(isinstance(node, ast.Call) and called(node) == "refuse" for node in ast.walk(body))
    return list(dict.fromkeys([*filter(None, said), *(["refused"] if refuses else [])]))


def _messages(kind: str, found: Mapping[str, object]) -> list[str]:
    if not found:
        return []
    return [f"- **{kind}**"] + [f"  - `{name}`{_first(function)}" for name, function in sorted(found.items())]


def _first(function: object) -> str:
    text = " ".join((getattr(function, "__doc__", None) or "").split())
    return f": {re.split(r'(?<=[.;]) ', text)[0].rstrip('.;')}" if text else ""


def _id(process: Process) -> str:
    """The pattern that its docstring begins with."""
    found = re.match(r"`([a-z-]+[^`]*)`", process.type.__doc__ or "")
    if found is None:
        raise ValueError(f"the docstring of {process.name} begins with no workflow id")
    return found[1]


def _prose(process: Process) -> str:
    """What its module says of it, where it is alone there, and what its own docstring adds."""
    module = importlib.import_module(process.type.__module__)
    alone = sum(each.type.__module__ == module.__name__ for each in registered()) == 1
    about = inspect.getdoc(module) or ""
    own = re.sub(r"^`[^`]*`[.:;,]?\s*", "", inspect.getdoc(process.type) or "")
    texts = [*(about.split("\n\n") if alone else []), own[:1].upper() + own[1:]]
    return "\n\n".join(fill(" ".join(text.split()), 110) for text in texts if text)


def _tree(module: str) -> ast.Module:
    return ast.parse(inspect.getsource(importlib.import_module(module)))


def main() -> int:
    text = page()
    if "--check" not in sys.argv[1:]:
        PAGE.write_text(text)
        return 0
    if PAGE.exists() and PAGE.read_text() == text:
        return 0
    sys.stderr.write(f"{PAGE.name} does not fit the code: run `python deploy/diagrams.py`\n")
    return 1


if __name__ == "__main__":
    sys.exit(main())
