"""``treum keys``: fresh secrets for a cluster, one file for each group of processes that may hold them."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from cli import keys
from cli.environment import RESTRICTED, secrets_as_variables
from cli.errors import Refused
from cli.supervisor.state import write_atomically


def write_env_files(folder: Path) -> list[Path]:
    """Write ``engines.env, cluster.env, token.env, api.env, sandbox.env`` (mode 600).

    Raises:
        Refused: one is there already: its keys may seal data that nothing else opens.
    """
    paths = {name: folder / f"{name}.env" for name in ("engines", "cluster", "token", "api", "sandbox")}
    for path in paths.values():
        if path.exists():
            raise Refused(f"{path} is there already and its keys may be in use; move it away first")
    made = keys.make()
    for name, variables in _groups(made).items():
        text = "".join(f"{key}={value}\n" for key, value in variables.items())
        write_atomically(paths[name], text)
    return list(paths.values())


def _groups(made: Mapping[str, Any]) -> dict[str, dict[str, str]]:
    postgres, redis = made["postgres_password"], made["redis_password"]
    variables = secrets_as_variables(made)
    held = {process: _holdable(variables, process) for process in ("api", "live", "worker")}
    return {
        "engines": {
            "POSTGRES_PASSWORD": postgres,
            "POSTGRES_PWD": postgres,
            "SQL_PASSWORD": postgres,
            "REDIS_PASSWORD": redis,
        },
        "cluster": {
            "TREUM_POSTGRES": f"postgresql://treum:{postgres}@postgres:5432/treum",
            "TREUM_REDIS": f"redis://:{redis}@redis:6379/0",
            **held["worker"],
        },
        "token": {key: value for key, value in held["live"].items() if key not in held["worker"]},
        "api": {key: value for key, value in held["api"].items() if key not in held["worker"]},
        "sandbox": {
            **keys.of_sandbox(made),
            "TREUM_SANDBOX_WEBHOOK_URL": "http://api:8000/v1/webhooks/razorpay",
            "TREUM_SANDBOX_POSTBACK_URL": f"http://api:8000/v1/webhooks/kite/{made['kite_postback_secret']}",
        },
    }


def _holdable(variables: Mapping[str, str], process: str) -> dict[str, str]:
    return {
        key: value for key, value in variables.items() if key not in RESTRICTED or process in RESTRICTED[key]
    }
