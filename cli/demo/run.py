"""``treum demo``: starts everything, plays the eight steps, prints what happened, leaves nothing running."""

import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import httpx
from rich.console import Console
from rich.table import Table

from cli.demo import learning, markets, money, people
from cli.demo.stage import BrokenPromise, Person, Stage
from sandbox.kite.hours import is_trading_day

IST = ZoneInfo("Asia/Kolkata")
console = Console(highlight=False)


@dataclass
class Played:
    title: str
    seconds: float
    result: str


class Play:
    """The demo in progress: its cast, its stage, and what has been played."""

    def __init__(self, stage: Stage) -> None:
        self.stage = stage
        self.played: list[Played] = []
        self.customer = Person("Asha Raghavan")
        self.free = Person(people.LISTED)
        self.finance = stage.staff("finance")
        self.subscription = ""
        self.signal = ""

    def step(self, title: str, act: Callable[[], str]) -> None:
        """Plays one step and prints it with its result, its time and its links.

        Raises:
            BrokenPromise: the step did not hold.
        """
        number = len(self.played) + 1
        console.print(f"[bold]{number}. {title}[/]")
        begun = time.monotonic()
        shown = len(self.stage.links)
        result = act()
        seconds = time.monotonic() - begun
        self.played.append(Played(title, seconds, result))
        console.print(f"   {result}  [dim]({seconds:.1f} s)[/]")
        for label, address in self.stage.links[shown:]:
            console.print(f"   [dim]{label}:[/] {address}", soft_wrap=True)

    def all(self) -> None:
        day = self.open_market()
        self.step("A customer registers and signs in", self._register)
        self.step("KYC: one verified, one reviewed", self._kyc)
        self.step("The Premium plan", self._plan)
        self.step("A course and its certificate", lambda: learning.step_course(self.stage, self.customer))
        self.step("A signal on the live stream", self._signal)
        self.step(
            "From the yes to a position", lambda: markets.step_order(self.stage, self.customer, self.signal)
        )
        self.step("The day is reconciled", lambda: self._reconcile(day))
        self.step("A year of renewals", self._year)

    def open_market(self) -> datetime:
        """Sets the outside world's clock to 11:00 of the last trading day: no night, no holiday hinders."""
        now = datetime.now(IST)
        while not is_trading_day(now.date()):
            now -= timedelta(days=1)
        opened = now.replace(hour=11, minute=0, second=0, microsecond=0)
        self.stage.control("clock", now=opened.isoformat(), run=True)
        return opened

    def _register(self) -> str:
        self.customer = people.register(self.stage, self.customer.name)
        self.free = people.register(self.stage, self.free.name)
        return people.step_register(self.stage, self.customer)

    def _kyc(self) -> str:
        return people.step_kyc(self.stage, self.customer, self.free)

    def _plan(self) -> str:
        people.sign_in(self.stage, self.finance)
        result, self.subscription = money.step_plan(self.stage, self.customer, self.finance)
        return result

    def _signal(self) -> str:
        result, self.signal = markets.step_signal(self.stage, self.customer, self.free)
        return result

    def _reconcile(self, day: datetime) -> str:
        return money.step_reconcile(self.stage, self.finance, day.date())

    def _year(self) -> str:
        return money.step_year(self.stage, self.customer, self.finance, self.subscription)


def main() -> int:
    """Plays the demo; the exit code. ``KEEP=1`` leaves the platform running."""
    keep = os.environ.get("KEEP") == "1"
    home = Path(tempfile.mkdtemp(prefix="treum-demo-"))
    os.environ.setdefault("TREUM_LIMIT_FACTOR", "100")
    begun = time.monotonic()
    treum = [sys.executable, "-m", "cli"]
    up = subprocess.run([*treum, "up", "--home", str(home), "--port-base", "0", "--detach"], check=False)
    if up.returncode != 0:
        return up.returncode
    console.print(f"everything is up after {time.monotonic() - begun:.1f} s, its state in {home}\n")
    stage = Stage.at(home)
    play = Play(stage)
    broken: str | None = None
    try:
        play.all()
    except (BrokenPromise, httpx.HTTPError) as failure:
        broken = str(failure) or type(failure).__name__
    finally:
        if not keep:
            subprocess.run([*treum, "down", "--home", str(home)], check=False, stdout=subprocess.DEVNULL)
            if broken is None:
                shutil.rmtree(home, ignore_errors=True)
    return _close(play, stage, broken, keep, home)


def _close(play: Play, stage: Stage, broken: str | None, keep: bool, home: Path) -> int:
    table = Table(title="The main job")
    for column in ("step", "seconds", "what held"):
        table.add_column(column, justify="right" if column == "seconds" else "left")
    for step in play.played:
        table.add_row(step.title, f"{step.seconds:.1f}", step.result)
    table.add_section()
    table.add_row("all steps", f"{sum(step.seconds for step in play.played):.1f}", "")
    console.print(table)
    if broken is not None:
        console.print(f"[bold red]broken promise in step {len(play.played) + 1}:[/] {broken}", markup=True)
        console.print(f"logs: {home / 'logs'}")
        return 1
    if keep:
        console.print(
            f"still running: {stage.endpoints['temporal_ui']} (sign in with {home}/credentials.json)"
        )
        console.print(f"stop it with: treum down --home {home}")
    return 0
