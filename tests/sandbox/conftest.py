"""A real sandbox process for the tests, and a web server that receives what it sends."""

import itertools
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.sandbox.kite_user import KiteUser
from tests.sandbox.receiver import Receiver

ROOT = Path(__file__).resolve().parents[2]
TEST_NUMBERS = itertools.count(1)
CONTROL = {"X-Sandbox-Control": "1"}


class Sandbox:
    """One sandbox process on a port of its own.

    Attributes:
        base_url: `http://127.0.0.1:PORT`; worlds are below it (`/razorpay`, `/kite`, ...).
        credentials: the answer of `GET /_control/credentials`.
        http: a plain client for the provider paths.
    """

    def __init__(self, database: Path, hooks_url: str, worlds: str = "", kite_limits: str = "off") -> None:
        self.database = database
        self.hooks_url = hooks_url
        self.worlds = worlds
        self.kite_limits = kite_limits
        self.base_url = ""
        self.start()
        self.http = httpx.Client(base_url=self.base_url, timeout=20)
        self.credentials: dict[str, dict[str, str]] = self.control("GET", "/credentials")

    def start(self, port: int = 0) -> None:
        """Starts the process and waits until it listens."""
        command = [sys.executable, "-m", "sandbox", "--port", str(port), "--db", str(self.database)]
        environment = {name: value for name, value in os.environ.items() if not name.startswith("TREUM_")} | {
            "TREUM_SANDBOX_WEBHOOK_URL": f"{self.hooks_url}/razorpay",
            "TREUM_SANDBOX_POSTBACK_URL": f"{self.hooks_url}/kite",
            "TREUM_SANDBOX_RAZORPAY_RETRY_SECONDS": "0.1",
            "TREUM_SANDBOX_KITE_LIMITS": self.kite_limits,
        }
        self.process = subprocess.Popen(
            command + (["--worlds", self.worlds] if self.worlds else []),
            cwd=ROOT,
            env=environment,
            stdout=subprocess.PIPE,
            text=True,
        )
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        assert line.startswith("sandbox listening on "), f"the sandbox did not start: {line!r}"
        self.base_url = line.removeprefix("sandbox listening on ").strip()

    def control(self, method: str, path: str, body: dict[str, Any] | None = None) -> Any:
        """A control call (`path` below `/_control`); raises on any answer but 2xx."""
        answer = self.http.request(method, f"/_control{path}", json=body, headers=CONTROL)
        assert answer.is_success, f"{answer.status_code} {answer.text}"
        return answer.json()

    def journal(self, target: str) -> list[dict[str, Any]]:
        """Calls of one world, oldest first."""
        items: list[dict[str, Any]] = self.control("GET", f"/journal?target={target}")["items"]
        return items

    def effects(self, target: str) -> list[Any]:
        """What the calls of one world really did."""
        return [item["effect"] for item in self.journal(target) if item["effect"] is not None]

    def kill(self) -> None:
        """SIGKILL, as a crash."""
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()

    def restart(self) -> None:
        """Starts again on the same file and the same port after a kill."""
        self.start(int(self.base_url.rsplit(":", 1)[1]))

    def stop(self) -> None:
        """Ends the process."""
        self.http.close()
        self.process.terminate()
        self.process.wait(10)


@pytest.fixture(scope="session")
def hooks_server() -> Iterator[Receiver]:
    """The web server that webhooks (`/razorpay`) and postbacks (`/kite`) go to."""
    receiver = Receiver()
    yield receiver
    receiver.close()


@pytest.fixture(scope="session")
def sandbox(hooks_server: Receiver, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sandbox]:
    """One sandbox process with every world, shared by the tests of a session."""
    database = tmp_path_factory.mktemp("sandbox") / "sandbox.db"
    process = Sandbox(database, hooks_server.url)
    yield process
    process.stop()


@pytest.fixture
def clean(sandbox: Sandbox, hooks_server: Receiver) -> Sandbox:
    """The shared sandbox, emptied."""
    sandbox.control("POST", "/reset", {})
    hooks_server.clear()
    return sandbox


@pytest.fixture
def hooks(clean: Sandbox, hooks_server: Receiver) -> Receiver:
    """The receiver, emptied after the sandbox was; webhooks go to a path of this test's own."""
    path = f"/razorpay/{next(TEST_NUMBERS)}"
    clean.control("POST", "/razorpay/webhook", {"url": hooks_server.url + path})
    hooks_server.clear(path)
    return hooks_server


@pytest.fixture
def kite(clean: Sandbox) -> KiteUser:
    """A customer signed in at the sandbox's broker on a trading morning, on the emptied sandbox."""
    return KiteUser(clean)


@pytest.fixture
def own_sandbox(hooks_server: Receiver, tmp_path: Path) -> Iterator[Sandbox]:
    """A Kite world in a process of its own: for tests that kill it."""
    process = Sandbox(tmp_path / "sandbox.db", hooks_server.url, worlds="kite")
    yield process
    process.stop()


@pytest.fixture
def limited_sandbox(hooks_server: Receiver, tmp_path: Path) -> Iterator[Sandbox]:
    """A Kite world in a process of its own with Kite's rate limits."""
    process = Sandbox(tmp_path / "sandbox.db", hooks_server.url, worlds="kite", kite_limits="on")
    yield process
    process.stop()
