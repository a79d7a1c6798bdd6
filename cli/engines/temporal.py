"""Embedded Temporal: server and UI in one process, histories in ``DIR/temporal.db``."""

from functools import partial
from pathlib import Path

from cli.engines import binaries
from cli.supervisor import health
from cli.supervisor.process import Program


def program(home: Path, ports: dict[str, int], namespace: str) -> Program:
    """The server; healthy when its frontend knows the namespace.

    Raises:
        Refused: the binary is missing.
    """
    from temporal.server import ServerPorts, start_dev_arguments

    own = ServerPorts(
        frontend=ports["temporal"],
        http=ports["temporal-http"],
        ui=ports["temporal-ui"],
        metrics=ports["temporal-metrics"],
        codec=ports["codec"],
    )
    arguments = start_dev_arguments(home / "temporal.db", own, namespace)
    return Program(
        name="temporal",
        argv=(str(binaries.temporal()), *arguments),
        check=partial(health.http, own.http, f"/api/v1/namespaces/{namespace}"),
        # HOME: the program looks for a profile of its own there, which must not decide anything here.
        environment={"HOME": str(home), "LC_ALL": "C"},
        port=own.frontend,
        stage=1,
    )
