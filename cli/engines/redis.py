"""Embedded Redis 6.2: what it holds can be rebuilt, so a second of it may be lost to a power cut."""

from functools import partial
from pathlib import Path

from cli.engines import binaries
from cli.supervisor import health
from cli.supervisor.process import Program
from cli.supervisor.state import write_atomically


def url(port: int, password: str) -> str:
    return f"redis://:{password}@127.0.0.1:{port}/0"


def program(home: Path, port: int, password: str) -> Program:
    """Redis with its append-only file in ``DIR/redis``.

    Raises:
        Refused: the binary is missing.
    """
    configuration = home / "redis" / "redis.conf"
    return Program(
        name="redis",
        argv=(str(binaries.redis()), str(configuration)),
        check=partial(health.redis, port, password),
        environment={"LC_ALL": "C"},
        port=port,
        stage=1,
        prepare=partial(_configure, configuration, port, password),
    )


async def _configure(path: Path, port: int, password: str) -> None:
    """Write the file at each start: a password on the command line would be seen by everyone."""
    path.parent.mkdir(mode=0o700, exist_ok=True)
    lines = [
        "bind 127.0.0.1",
        f"port {port}",
        f"requirepass {password}",
        f'dir "{path.parent}"',
        "appendonly yes",
        "appendfsync everysec",
        'save ""',
    ]
    write_atomically(path, "\n".join(lines) + "\n")
