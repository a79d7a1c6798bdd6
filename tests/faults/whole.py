"""The whole platform on a home of its own, its kill points in a folder, and clients who do not give up."""

import asyncio
import json
import os
import secrets
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx

from cli.demo import people
from cli.demo.stage import BrokenPromise, Person, Stage
from cli.environment import ROOT
from cli.verify import gather, judge
from models.settings import settings
from tests.faults import (  # noqa: F401  (add their journeys)
    journeys_day,
    journeys_disputes,
    journeys_einvoices,
    journeys_ledger,
    journeys_orders,
    journeys_paper,
    journeys_payments,
    journeys_signals_watch,
    journeys_subscriptions,
)
from tests.faults.journeys import JOURNEYS

PATIENCE_SECONDS = 120.0
READY_SECONDS = 240.0
TOKEN_SECONDS = 600.0
AGAIN = ("command_pending", "idempotency_in_progress", "temporarily_unavailable")
"""Codes that tell a client to send the same request again."""


class Patient(httpx.Client):
    """Of the outside world, which may be killed too: what never arrived, or only reads, is sent again."""

    def send(self, request: httpx.Request, **given: Any) -> httpx.Response:
        deadline = time.monotonic() + PATIENCE_SECONDS
        while True:
            try:
                return super().send(request, **given)
            except httpx.TransportError as error:
                again = isinstance(error, httpx.ConnectError) or request.method == "GET"
                if not again or time.monotonic() > deadline:
                    raise
            time.sleep(0.1)


class Clients(Stage):
    """The platform's clients: each asks again with the same key until it is answered."""

    signed: dict[str, tuple[Person, float]]
    desk: threading.Lock

    def __post_init__(self) -> None:
        super().__post_init__()
        self.sandbox = Patient(
            base_url=self.sandbox.base_url, timeout=self.sandbox.timeout, headers=self.sandbox.headers
        )

    def call(
        self,
        method: str,
        path: str,
        who: Person | None = None,
        *,
        expect: int | tuple[int, ...] = 200,
        **given: Any,
    ) -> Any:
        given["headers"] = {"Idempotency-Key": secrets.token_hex(8)} | given.get("headers", {})
        expected = expect if isinstance(expect, tuple) else (expect,)
        deadline = time.monotonic() + PATIENCE_SECONDS
        while True:
            answer = self._sent(method, path, who, given)
            again = answer is None or (
                answer.status_code not in expected
                and (answer.status_code == 503 or answer.json().get("code") in AGAIN)
            )
            if answer is not None and answer.status_code in expected:
                return answer.json() if answer.content else {}
            if not again or time.monotonic() > deadline:
                text = "nothing" if answer is None else f"{answer.status_code}: {answer.text[:300]}"
                raise BrokenPromise(f"{method} {path} answered {text}")
            time.sleep(0.1)

    def _sent(
        self, method: str, path: str, who: Person | None, given: dict[str, Any]
    ) -> httpx.Response | None:
        headers = given["headers"] | ({"Authorization": f"Bearer {who.token}"} if who else {})
        try:
            return self.api.request(method, path, **{**given, "headers": headers})
        except httpx.TransportError:
            return None

    def control(self, path: str, **body: Any) -> Any:
        """The sandbox may be one of those that are killed."""
        deadline = time.monotonic() + PATIENCE_SECONDS
        while True:
            try:
                return super().control(path, **body)
            except httpx.TransportError:
                if time.monotonic() > deadline:
                    raise
                time.sleep(0.1)

    def until(
        self, path: str, who: Person, holds: Callable[[Any], bool], what: str, seconds: float = 240.0
    ) -> Any:
        return super().until(path, who, holds, what, seconds)

    def staff(self, role: str) -> Person:
        """Signed in once: a one-time code counts once, and the next one is half a minute away."""
        with self.desk:
            person, at = self.signed.get(role, (None, 0.0))
            if person is None or time.monotonic() - at > TOKEN_SECONDS:
                person = person or super().staff(role)
                people.sign_in(self, person)
                self.signed[role] = person, time.monotonic()
            return person


class Whole:
    """`treum up`, as a person would run it, its processes to be killed."""

    def __init__(self) -> None:
        self.home = Path(tempfile.mkdtemp(prefix="treum-faults-"))
        self.points = self.home / "points"

    def __enter__(self) -> "Whole":
        self.points.mkdir()
        environment = os.environ | {
            "TREUM_LIMIT_FACTOR": "10000",
            "TREUM_CRASH_AT": f"@{self.points}",
            "TREUM_LOG_LEVEL": "WARNING",
        }
        command = [sys.executable, "-m", "cli", "up", "--leash", "--home", str(self.home), "--port-base", "0"]
        with (self.home / "up.log").open("wb") as words:
            # Tied to this process by its standard input: however this one ends, the platform ends too.
            self._up = subprocess.Popen(
                command, cwd=ROOT, env=environment, stdin=subprocess.PIPE, stdout=words, stderr=words
            )
        deadline = time.monotonic() + READY_SECONDS
        while not (self.home / "endpoints.json").exists():
            if self._up.poll() is not None or time.monotonic() > deadline:
                self._end()
                raise RuntimeError((self.home / "up.log").read_text())
            time.sleep(0.1)
        self.clients = Clients.at(self.home)
        self.clients.code_seconds = PATIENCE_SECONDS
        self.clients.signed, self.clients.desk = {}, threading.Lock()
        return self

    def __exit__(self, *failure: object) -> None:
        self._end()
        if failure == (None, None, None):
            shutil.rmtree(self.home, ignore_errors=True)

    def _end(self) -> None:
        if self._up.stdin:
            self._up.stdin.close()
        self._up.wait(60)

    def arm(self, points: Iterable[str]) -> None:
        for point in points:
            (self.points / point).touch()

    def disarm(self) -> None:
        for point in self.points.iterdir():
            if point.suffix not in (".fired", ".seen"):
                point.unlink()

    def fired(self) -> set[str]:
        return {point.stem for point in self.points.glob("*.fired")}

    def seen(self) -> set[str]:
        return {point.stem for point in self.points.glob("*.seen")}

    def processes(self) -> dict[str, int]:
        run = json.loads((self.home / "run.json").read_text())
        return {name: entry["pid"] for name, entry in run["processes"].items()}

    def kill(self, name: str) -> None:
        """SIGKILL, and waits until the supervisor has another in its place."""
        pid = self.processes()[name]
        os.kill(pid, signal.SIGKILL)
        deadline = time.monotonic() + 30
        while self.processes()[name] == pid:
            assert time.monotonic() < deadline, f"{name} was not replaced"
            time.sleep(0.02)

    def findings(self, seconds: float = 60.0) -> dict[str, list[str]]:
        """What the checker finds once nothing is in flight any more; empty where it finds nothing."""
        endpoints = json.loads((self.home / "endpoints.json").read_text())
        config = settings().model_copy(
            update={"postgres": endpoints["postgres"], "sandbox": endpoints["sandbox"]}
        )
        deadline = time.monotonic() + seconds
        while True:
            found = {name: each for name, each in judge(asyncio.run(gather(config))).items() if each}
            if not found or time.monotonic() > deadline:
                return found
            time.sleep(0.5)


def played(whole: Whole, *lines: Sequence[str]) -> list[str]:
    """Plays lines of journeys side by side; what failed, by journey."""
    failures: list[str] = []

    def play(line: Sequence[str]) -> None:
        for journey in line:
            begun = time.monotonic()
            try:
                JOURNEYS[journey](whole.clients)
            except Exception as failure:  # noqa: BLE001  # told with its journey when all are done
                failures.append(f"{journey}: {type(failure).__name__}: {failure}")
                print(failures[-1])
            print(f"{journey}: {time.monotonic() - begun:.0f} s")

    with ThreadPoolExecutor(len(lines)) as side_by_side:
        list(side_by_side.map(play, lines))
    return failures
