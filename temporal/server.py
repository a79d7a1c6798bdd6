"""The Temporal server's settings: one table, used by the embedded server and written out for a cluster.

Figures are of a 2-core machine, one worker, four no-op activities in a workflow.
"""

import json
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from temporalio.client import Client

RETENTION = timedelta(days=90)
"""How long closed runs stay readable; the server's default of 24 h is shorter than a dispute."""


@dataclass(frozen=True)
class DynamicSetting:
    """One key of the server's dynamic config and why it is not left at its default."""

    key: str
    value: bool | int | str
    reason: str


_POLL = "default 20 a second and shard makes every step wait for a 50 ms tick: 250 ms a workflow, then 47 ms"

DYNAMIC_CONFIG = (
    DynamicSetting("history.transferProcessorMaxPollRPS", 5000, _POLL),
    DynamicSetting("history.timerProcessorMaxPollRPS", 5000, _POLL),
    DynamicSetting("history.visibilityProcessorMaxPollRPS", 5000, _POLL),
    DynamicSetting("history.outboundProcessorMaxPollRPS", 5000, _POLL),
    DynamicSetting(
        "history.timerProcessorMaxTimeShift",
        "1ms",
        "default 1 s makes every timer up to 1 s late: ten 100 ms timers took 10.05 s, then 1.10 s",
    ),
    DynamicSetting(
        "history.maxInFlightUpdates",
        100,
        "default 10; webhook, callback, poll and staff may all update one run while its worker restarts",
    ),
    DynamicSetting(
        "frontend.WorkflowTimeSkippingEnabled",
        True,
        "a year of renewals is shown, and tested, on the real server's virtual time",
    ),
    DynamicSetting(
        "frontend.WorkflowTimeSkippingMaxSkipPerSession",
        100000,
        "after the default of 200 skips a run hangs, across continue-as-new too",
    ),
    DynamicSetting(
        "history.workflowIdReuseMinimalInterval",
        "0s",
        "default 1 s holds back a run that is continued within a real second, and on virtual time by as much"
        " again as was skipped: renewals came months late",
    ),
)

SQLITE_PRAGMAS = {
    # 14 workflows a second on a file before, 33 after. NORMAL survives the kill of a process; a power
    # cut may lose the last moments, which is why a cluster keeps its histories in Postgres.
    "journal_mode": "WAL",
    "synchronous": "NORMAL",
}


@dataclass(frozen=True)
class ServerPorts:
    """Loopback ports of the embedded server."""

    frontend: int
    http: int
    ui: int
    metrics: int
    codec: int
    """Where the signed-in door serves the UI and decodes for it."""


def start_dev_arguments(database: Path, ports: ServerPorts, namespace: str) -> list[str]:
    """Arguments of the ``temporal`` command for the embedded server with its UI."""
    arguments = ["server", "start-dev", "--ip", "127.0.0.1", "--ui-ip", "127.0.0.1"]
    arguments += ["--port", str(ports.frontend), "--http-port", str(ports.http)]
    arguments += ["--ui-port", str(ports.ui), "--metrics-port", str(ports.metrics)]
    arguments += ["--db-filename", str(database), "--namespace", namespace]
    arguments += ["--log-level", "warn", "--ui-disable-news-fetch"]
    arguments += ["--ui-codec-endpoint", f"http://127.0.0.1:{ports.codec}/codec"]
    for pragma, value in SQLITE_PRAGMAS.items():
        arguments += ["--sqlite-pragma", f"{pragma}={value}"]
    for setting in DYNAMIC_CONFIG:
        arguments += ["--dynamic-config-value", f"{setting.key}={json.dumps(setting.value)}"]
    return arguments


def dynamic_config_file() -> str:
    """The same table as the YAML file that a cluster's server reads (``deploy/temporal/dynamic.yaml``)."""
    blocks = [
        f"# {setting.reason}\n{setting.key}:\n  - value: {json.dumps(setting.value)}\n"
        for setting in DYNAMIC_CONFIG
    ]
    return "\n".join(["# Made by `python -m temporal.server`; a test keeps the two alike.\n", *blocks])


async def set_retention(client: "Client", retention: timedelta = RETENTION) -> None:
    """Keep the histories of closed runs that long; repeating it changes nothing."""
    # Imported here: the supervisor reads the table above and must not carry the client.
    from temporalio.api.namespace.v1 import NamespaceConfig
    from temporalio.api.workflowservice.v1 import UpdateNamespaceRequest

    config = NamespaceConfig()
    config.workflow_execution_retention_ttl.FromTimedelta(retention)
    await client.workflow_service.update_namespace(
        UpdateNamespaceRequest(namespace=client.namespace, config=config)
    )


if __name__ == "__main__":
    print(dynamic_config_file(), end="")
