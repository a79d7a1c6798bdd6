"""The cluster's description against the code that it runs."""

import stat
import subprocess
import sys
from pathlib import Path

import pytest

from cli.cluster import write_env_files
from cli.entry import ENTRIES, POOLS
from cli.environment import ROOT
from cli.errors import Refused
from models.settings import Settings
from temporal.server import dynamic_config_file


def test_the_cluster_reads_the_same_server_settings() -> None:
    assert (ROOT / "deploy/temporal/dynamic.yaml").read_text() == dynamic_config_file()


def test_compose_is_valid_and_runs_every_process() -> None:
    import yaml

    checker = [sys.executable, "-m", "check_jsonschema", "--builtin-schema", "vendor.compose-spec"]
    checked = subprocess.run([*checker, str(ROOT / "compose.yaml")], capture_output=True, text=True)
    assert checked.returncode == 0, checked.stdout

    services = yaml.safe_load((ROOT / "compose.yaml").read_text())["services"]
    run = {
        tuple(service["command"])
        for service in services.values()
        if service.get("image") == "treum" and "command" in service
    }
    processes = set(ENTRIES) - {"worker", "migrate", "register", "seed", "sandbox"}
    assert run >= {(name,) for name in processes} | {("worker", pool) for pool in POOLS}
    named = {name for service in services.values() for name in service.get("environment", {})}
    known = {f"TREUM_{name.upper()}" for name in Settings.model_fields} | {
        "TREUM_SANDBOX_PORT",
        "TREUM_SANDBOX_DB",
    }
    assert {name for name in named if name.startswith("TREUM_")} <= known


def test_each_group_of_a_cluster_gets_only_its_keys(tmp_path: Path) -> None:
    files = {path.stem: path for path in write_env_files(tmp_path)}
    assert {stat.S_IMODE(path.stat().st_mode) for path in files.values()} == {0o600}
    held = {
        name: {line.partition("=")[0] for line in path.read_text().splitlines()}
        for name, path in files.items()
    }
    assert "TREUM_ASSERTION_KEY" in held["api"]
    assert "TREUM_TOKEN_KEY" in held["api"] & held["token"]
    assert not {"TREUM_ASSERTION_KEY", "TREUM_TOKEN_KEY"} & held["cluster"]
    assert not any(name.startswith("TREUM_") for name in held["engines"])
    with pytest.raises(Refused, match="already"):
        write_env_files(tmp_path)
