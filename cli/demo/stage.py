"""Where the demo plays: the running platform's endpoints, its sandbox, and how a promise is checked."""

import json
import secrets
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import quote

import httpx

WAIT_SECONDS = 30.0
PATIENCE = 10
"""Times that a call is asked again where the answer says when to come back."""


class BrokenPromise(Exception):
    """Something the platform promises did not hold; the text says which."""


def promise(held: object, which: str) -> None:
    """Raises BrokenPromise unless `held`."""
    if not held:
        raise BrokenPromise(which)


@dataclass
class Person:
    """Someone signed in, or about to be."""

    name: str
    email: str = ""
    phone: str = ""
    password: str = ""
    user_id: str = ""
    token: str = ""
    totp_secret: str = ""
    totp_step: int = 0
    """The last time step whose code was used."""
    pan: str = ""

    @property
    def broker_user(self) -> str:
        """The client id at the broker: two letters and four digits, as the broker's are; by the PAN, which
        no two people share."""
        return self.pan[:2] + self.pan[5:9]


@dataclass
class Stage:
    """The platform as its clients see it. Runs that were seen are kept with their link into the UI."""

    home: Path
    endpoints: dict[str, Any]
    api: httpx.Client = field(init=False)
    sandbox: httpx.Client = field(init=False)
    links: list[tuple[str, str]] = field(default_factory=list)
    code_seconds: float = 20.0
    """How long a code may take to arrive by mail or text."""

    def __post_init__(self) -> None:
        self.api = httpx.Client(base_url=f"{self.endpoints['api']}/v1", timeout=40.0)
        control = {"X-Sandbox-Control": "1"}
        self.sandbox = httpx.Client(base_url=self.endpoints["sandbox"], timeout=40.0, headers=control)

    @classmethod
    def at(cls, home: Path) -> "Stage":
        return cls(home, json.loads((home / "endpoints.json").read_text()))

    def refresh(self) -> None:
        """Reads the pids again: a restart has rewritten them."""
        self.endpoints = json.loads((self.home / "endpoints.json").read_text())

    def staff(self, role: str) -> Person:
        """A member of staff as `treum seed` made them, not signed in yet."""
        found = json.loads(Path(self.endpoints["credentials"]).read_text())[role]
        return Person(
            role, found["email"], "", found["password"], found["user_id"], totp_secret=found["totp_secret"]
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
        """One HTTP call of a client; the JSON of the answer.

        Raises:
            BrokenPromise: another status than expected; the problem document's code is in the text.
        """
        headers = {"Idempotency-Key": secrets.token_hex(8)} if method == "POST" else {}
        if who is not None:
            headers["Authorization"] = f"Bearer {who.token}"
        answer = self._send(method, path, headers | given.pop("headers", {}), given)
        expected = expect if isinstance(expect, tuple) else (expect,)
        if answer.status_code not in expected:
            raise BrokenPromise(f"{method} {path} answered {answer.status_code}: {answer.text[:300]}")
        return answer.json() if answer.content else {}

    def _send(self, method: str, path: str, headers: dict[str, str], given: dict[str, Any]) -> httpx.Response:
        """Asks again under the same key where the platform says when: a busy machine breaks no promise."""
        for _ in range(PATIENCE):
            answer = self.api.request(method, path, headers=headers, **given)
            later = answer.headers.get("Retry-After")
            if later is None or answer.status_code not in (409, 503):
                break
            time.sleep(float(later))
        return answer

    def control(self, path: str, **body: Any) -> Any:
        """One call of the sandbox's control interface: what the outside world does next."""
        answer = self.sandbox.post(f"/_control/{path}", json=body)
        promise(
            answer.is_success, f"the sandbox answered {path} with {answer.status_code}: {answer.text[:300]}"
        )
        return answer.json() if answer.content else {}

    def journal(self, target: str) -> list[dict[str, Any]]:
        """Every call that the platform made to that world, with what it really did."""
        return self.sandbox.get("/_control/journal", params={"target": target}).json()["items"]

    def until(
        self, path: str, who: Person, holds: Callable[[Any], bool], what: str, seconds: float = WAIT_SECONDS
    ) -> Any:
        """Reads an object, waiting for its version to move, until `holds`.

        Raises:
            BrokenPromise: it did not come to hold in time.
        """
        deadline = time.monotonic() + seconds
        version: int | None = None
        while True:
            wait = {} if version is None else {"wait": 2, "since": version}
            found = self.call("GET", path, who, params=wait)
            if holds(found):
                return found
            if time.monotonic() > deadline:
                raise BrokenPromise(
                    f"{what}: not so after {seconds:.0f} s; last seen {json.dumps(found)[:300]}"
                )
            version = found.get("version") if isinstance(found, dict) else None
            if version is None:
                time.sleep(0.1)

    def link(self, label: str, workflow: str) -> None:
        """Keeps a link into the Temporal UI for the step that runs."""
        address = f"{self.endpoints['temporal_ui']}/namespaces/{self.endpoints['namespace']}/workflows"
        self.links.append((label, f"{address}/{quote(workflow, safe='')}"))
