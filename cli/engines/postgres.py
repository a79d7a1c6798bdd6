"""Embedded Postgres 18: a cluster of one, TCP on loopback only, every connection with a password."""

import os
import shutil
import signal
import sys
from functools import partial
from pathlib import Path

from cli.engines import binaries
from cli.errors import Refused
from cli.supervisor import health
from cli.supervisor.process import Account, Program, last_line, spawn, unprivileged

SETTINGS = {
    "listen_addresses": "127.0.0.1",
    "unix_socket_directories": "",  # a home's path may be longer than a socket's name may be
    "max_connections": "200",
    "shared_buffers": "128MB",
    "wal_level": "logical",
    "fsync": "on",
    "synchronous_commit": "on",
    # After a kill every file is made durable before recovery: one by one that took 2 s of 1,600 files.
    **({"recovery_init_sync_method": "syncfs"} if sys.platform == "linux" else {}),
    "timezone": "UTC",
    "log_min_messages": "warning",
    "log_checkpoints": "off",
    "restart_after_crash": "on",
    "idle_in_transaction_session_timeout": "60s",  # a killed client's peer must not hold locks for ever
    "tcp_keepalives_idle": "30",
}

ENVIRONMENT = {"LC_ALL": "C", "TZ": "UTC", "PATH": os.defpath}


def dsn(port: int, password: str, database: str = "treum") -> str:
    return f"postgresql://treum:{password}@127.0.0.1:{port}/{database}"


def program(home: Path, port: int, password: str, *, durable: bool = True) -> Program:
    """Postgres in ``DIR/postgres``, made at the first start.

    ``durable=False`` is for tests, which survive a killed process and not a power cut.

    Raises:
        Refused: a binary is missing.
    """
    data = home / "postgres"
    binary = binaries.postgres()
    account = unprivileged(binary, home / "postgres")
    values = {**SETTINGS, "port": str(port)} | ({} if durable else {"fsync": "off"})
    options = [part for name, value in values.items() for part in ("-c", f"{name}={value}")]
    return Program(
        name="postgres",
        argv=(str(binary), "-D", str(data), *options),
        check=partial(health.postgres, port),
        environment=ENVIRONMENT,
        port=port,
        stage=1,
        stop=signal.SIGINT,  # fast shutdown: sessions end, the checkpoint is written
        grace=8.0,
        death=signal.SIGQUIT,  # immediate shutdown: the postmaster takes its children along
        account=account,
        attempts=6,  # sessions of a killed predecessor may hold its shared memory for a moment
        prepare=partial(_initialise, home, password, account),
    )


async def _initialise(home: Path, password: str, account: Account | None) -> None:
    """Make the cluster aside and move it into place: a home never holds half of one.

    Raises:
        Refused: Postgres could not make it.
    """
    data, making, log = home / "postgres", home / "postgres.new", home / "logs" / "initdb.log"
    if data.exists():
        return
    shutil.rmtree(making, ignore_errors=True)
    making.mkdir(mode=0o700)
    if account:
        os.chown(making, account.uid, account.gid)
    initdb = (str(binaries.postgres("initdb")), "-D", str(making), "-U", "treum", "--encoding=UTF8")
    locale = ("--locale-provider=builtin", "--builtin-locale=C.UTF-8", "--locale=C")
    access = ("--auth-local=reject", "--auth-host=scram-sha-256")
    await _run((*initdb, *locale, *access), log, account)
    # Single-user mode takes one statement a line; the password is url-safe and needs no escaping.
    statements = f"ALTER ROLE treum PASSWORD '{password}'\nCREATE DATABASE treum\n"
    single = (str(binaries.postgres()), "--single", "-D", str(making), "-c", "log_min_messages=warning")
    await _run((*single, "postgres"), log, account, statements.encode())
    making.rename(data)


async def _run(argv: tuple[str, ...], log: Path, account: Account | None, stdin: bytes = b"") -> None:
    child = await spawn(argv, log, ENVIRONMENT, account=account, stdin=stdin)
    if await child.wait() != 0:
        raise Refused(f"Postgres could not make its files: {last_line(log)} (all of it in {log})")
