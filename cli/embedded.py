"""The embedded engines for tests and benches: a home of its own, gone with the program that asked.

with EmbeddedEngines() as engines:
    engines.settings      # models.settings.Settings of this home, every secret included
    engines.environment   # the same as TREUM_* variables, for children
    engines.fresh_database()  # DSN of a new, migrated, empty database
"""

import asyncio
import json
import os
import secrets
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import psycopg

from cli import environment
from cli.engines import postgres
from cli.supervisor.state import load_run
from models.settings import Settings

START_SECONDS = 60.0
TEMPLATE = "treum_template"


class EmbeddedEngines:
    """Postgres (migrated), Redis, Temporal (attributes registered) and the sandbox on free ports.

    A supervisor holds them in a process of its own, tied to this one by its standard input: however
    this process ends, they end too. A killed engine is back within 2 s, as under ``treum up``.
    """

    def __init__(self, home: Path | None = None) -> None:
        self._own = home is None
        self.home = (home or Path(tempfile.mkdtemp(prefix="treum-"))).resolve()
        self._supervisor: subprocess.Popen[bytes] | None = None

    def start(self) -> Self:
        """Start and wait until all is healthy.

        Raises:
            RuntimeError: it did not start; the message carries the supervisor's words.
        """
        self._launch()
        deadline = time.monotonic() + START_SECONDS
        while not self._ready(deadline):
            time.sleep(0.02)
        return self._opened()

    def stop(self) -> None:
        """End every engine and, where the home was ours, remove it."""
        if self._supervisor and self._supervisor.stdin:
            self._supervisor.stdin.close()
            self._supervisor.wait(30)
        if self._own:
            shutil.rmtree(self.home, ignore_errors=True)

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    async def __aenter__(self) -> Self:
        return await asyncio.to_thread(self.start)

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await asyncio.to_thread(self.stop)

    def fresh_database(self) -> str:
        """A new database, migrated to head and empty; answers its DSN. About 60 ms."""
        name = f"test_{secrets.token_hex(6)}"
        with psycopg.connect(self._dsn("postgres"), autocommit=True) as connection:
            connection.execute(f'CREATE DATABASE "{name}" TEMPLATE {TEMPLATE}')
        return self._dsn(name)

    def drop_database(self, dsn: str) -> None:
        """Remove a database made here, whoever is still connected to it."""
        name = dsn.rpartition("/")[2]
        with psycopg.connect(self._dsn("postgres"), autocommit=True) as connection:
            connection.execute(f'DROP DATABASE IF EXISTS "{name}" WITH (FORCE)')

    def kill(self, name: str, number: signal.Signals = signal.SIGKILL) -> int:
        """Send a signal to an engine by name, answer the pid it had."""
        run = load_run(self.home)
        pid = run.processes[name].pid if run else 0
        os.kill(pid, number)
        return pid

    def _launch(self) -> None:
        arguments = ["up", "--engines", "--volatile", "--leash", "--home", str(self.home), "--port-base", "0"]
        self.home.mkdir(parents=True, exist_ok=True)
        self._words = (self.home / "supervisor.log").open("w+b")
        self._supervisor = subprocess.Popen(
            [sys.executable, "-m", "cli", *arguments],
            stdin=subprocess.PIPE,
            stdout=self._words,
            stderr=subprocess.STDOUT,
            cwd=environment.ROOT,
            start_new_session=True,
        )

    def _ready(self, deadline: float) -> bool:
        ended = self._supervisor is None or self._supervisor.poll() is not None
        if ended or time.monotonic() > deadline:
            self._words.seek(0)
            raise RuntimeError(f"the engines did not start: {self._words.read().decode(errors='replace')}")
        return (self.home / "endpoints.json").exists()

    def _opened(self) -> Self:
        self.ports: dict[str, int] = json.loads((self.home / "ports.json").read_text())["ports"]
        self.keys: dict[str, Any] = json.loads((self.home / "secrets.json").read_text())
        self.environment = environment.shared(self.home, self.ports, self.keys)
        self.settings = Settings(
            **{name.removeprefix("TREUM_").lower(): value for name, value in self.environment.items()}  # type: ignore[arg-type]
        )
        with psycopg.connect(self._dsn("postgres"), autocommit=True) as connection:
            if not connection.execute("SELECT FROM pg_database WHERE datname = %s", [TEMPLATE]).fetchone():
                connection.execute(f"CREATE DATABASE {TEMPLATE} TEMPLATE treum")
        return self

    def _dsn(self, database: str) -> str:
        return postgres.dsn(self.ports["postgres"], self.keys["postgres_password"], database)
