"""History events of a billing cycle, of subscriptions that live through a virtual year.

    python -m bench.cycles [--months N] [--limit EVENTS]

A run of a subscription is one billing cycle, from one payment until the next: notice, debit, booking, and
the wait between. One subscriber each pays by card, UPI and bank mandate every month; one approves a yearly
debit above ₹15,000; of one the bank refuses a debit once, which takes a run of its own. The virtual clock's
own events are left out: there are none where time passes by itself. Prints how many cycles there were and
what their histories cost; exits 1 where a run costs more events than `--limit`, the webhook that tells of an
approval among them.
"""

import argparse
import asyncio
import statistics
import sys
from dataclasses import dataclass
from datetime import timedelta

from temporalio.api.enums.v1 import EventType
from temporalio.client import Client, WorkflowHistory

from bench.judging import told
from cli.embedded import EmbeddedEngines
from models.contracts.workflow_ids import Kind, workflow_id
from tests.workflows.subscribers import Subscriber, Town, eventually, town

MONTHLY, YEARLY = "pln_premium_monthly", "pln_premium_yearly"
A_MONTH, HOLIDAYS = timedelta(days=31), timedelta(days=5)
"""The longest month, and how far a debit by a bank mandate may move."""
AFTER_A_REFUSAL = timedelta(days=40)
TO_APPROVE = timedelta(days=365, hours=1)
METHODS = {"card": "card, monthly", "upi": "UPI, monthly", "emandate": "bank mandate, monthly"}
MESSAGES = (
    EventType.EVENT_TYPE_WORKFLOW_EXECUTION_UPDATE_ACCEPTED,
    EventType.EVENT_TYPE_WORKFLOW_EXECUTION_SIGNALED,
)
VIRTUAL = EventType.EVENT_TYPE_WORKFLOW_EXECUTION_TIME_SKIPPING_TRANSITIONED


@dataclass(frozen=True)
class Run:
    """Events of a run, and how many of them were commands and webhooks."""

    events: int
    messages: int = 0

    @classmethod
    def of(cls, history: WorkflowHistory) -> "Run":
        kinds = [event.event_type for event in history.events if event.event_type != VIRTUAL]
        return cls(len(kinds), sum(kind in MESSAGES for kind in kinds))


@dataclass(frozen=True)
class Cycles:
    """Each run but that of the first checkout; in `refusals` of them the debit was refused."""

    name: str
    runs: list[Run]
    refusals: int = 0

    def line(self) -> str:
        """Cycles, runs, messages, the median and the most events of a run, and the mean of a cycle."""
        events = [run.events for run in self.runs]
        cycles, messages = len(events) - self.refusals, sum(run.messages for run in self.runs)
        figures = f"{statistics.median(events):>8.0f}{max(events):>8}{sum(events) / cycles:>10.1f}"
        return f"{self.name:26}{cycles:>8}{len(events):>8}{messages:>10}{figures}"


async def monthly(place: Town, method: str, months: int) -> Cycles:
    one = await place.active(MONTHLY, method)
    await place.forward(one, months * A_MONTH + HOLIDAYS)
    return Cycles(METHODS[method], await closed(place.client, one, months))


async def refused_once(place: Town) -> Cycles:
    one = await place.active(MONTHLY, "card")
    await place.control("/razorpay/debit", token_id=one.token_id, outcome="failure")
    await place.forward(one, AFTER_A_REFUSAL)
    return Cycles("card, one debit refused", await closed(place.client, one, 2), refusals=1)


async def approved(place: Town) -> Cycles:
    one = await place.active(YEARLY, "card")
    await place.forward(one, TO_APPROVE)
    await place.status(one, "awaiting_approval")
    [debit] = await place.debits(one)
    now = await place.now(one)
    await place.control("/razorpay/approve", order_id=debit["gateway_order_id"], now=now.isoformat())
    order = debit["gateway_order_id"]
    await one.handle.signal("gateway_event", {"event_number": 1, "gateway_order_id": order})
    await place.status(one, "active")
    return Cycles("card, yearly, approved", await closed(place.client, one, 1))


async def closed(client: Client, one: Subscriber, least: int) -> list[Run]:
    """Each run that has ended, the first checkout's left out; waits until there are so many."""

    async def enough() -> list[Run] | None:
        runs = await chain(client, workflow_id(Kind.SUBSCRIPTION, one.subscription_id))
        return runs[1:] if len(runs) > least else None

    found: list[Run] = await eventually(enough, f"{least} runs of {one.subscription_id}")
    return found


async def chain(client: Client, name: str) -> list[Run]:
    """Each run that continued as new, from the first on."""
    now = await client.get_workflow_handle(name).fetch_history()
    run: str = now.events[0].workflow_execution_started_event_attributes.first_execution_run_id
    runs = []
    while following := next_run(
        history := await client.get_workflow_handle(name, run_id=run).fetch_history()
    ):
        runs.append(Run.of(history))
        run = following
    return runs


def next_run(history: WorkflowHistory) -> str:
    """The run that this one continued as; empty where it goes on."""
    last = history.events[-1]
    if last.event_type != EventType.EVENT_TYPE_WORKFLOW_EXECUTION_CONTINUED_AS_NEW:
        return ""
    return last.workflow_execution_continued_as_new_event_attributes.new_execution_run_id


async def measure(engines: EmbeddedEngines, months: int) -> list[Cycles]:
    async with town(engines, engines.settings.postgres) as place:
        lives = [monthly(place, method, months) for method in METHODS]
        return list(await asyncio.gather(*lives, approved(place), refused_once(place)))


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--months", type=int, default=12)
    parser.add_argument("--limit", type=int, default=40)
    given = parser.parse_args()
    with EmbeddedEngines() as engines:
        measured = asyncio.run(measure(engines, given.months))
    print(f"{'':26}{'cycles':>8}{'runs':>8}{'messages':>10}{'median':>8}{'most':>8}{'a cycle':>10}")
    for each in measured:
        print(each.line())
    return judged([run for each in measured for run in each.runs], given.limit)


def judged(runs: list[Run], limit: int) -> int:
    """The exit code; says the figure with its limit."""
    most = max((run.events for run in runs), default=0)
    return told({f"events of a cycle: {most}, at most {limit}": 0 < most <= limit})


if __name__ == "__main__":
    sys.exit(main())
