"""``treum up``: what it keeps alive, what it tells, what it refuses."""

import os
import signal
import socket
import stat
import sys
from pathlib import Path
from typing import Any

import psycopg
import pytest
from redis import Redis

from tests.cli.conftest import Home, gone, until

BACK_SECONDS = 2.0


def test_endpoints_follow_the_contract(home: Home) -> None:
    told = home.read("endpoints.json")
    assert set(told) == {
        *("api", "live", "sandbox", "codec", "temporal_ui", "temporal", "namespace"),
        *("postgres", "redis", "processes", "credentials"),
    }
    assert told["namespace"] == "treum"
    assert told["credentials"] == str(home.path / "credentials.json")
    assert all(told[name].startswith("http://127.0.0.1:") for name in ("api", "live", "sandbox", "codec"))
    shown = home.status()
    assert shown["state"] == "ready"
    assert {name: entry["pid"] for name, entry in shown["processes"].items()} == told["processes"]


def test_what_the_home_holds_is_for_its_user_only(home: Home) -> None:
    for name in (
        "secrets.json",
        "endpoints.json",
        "run.json",
        "temporal.db",
        "sandbox.db",
        "redis/redis.conf",
    ):
        assert stat.S_IMODE((home.path / name).stat().st_mode) == 0o600, name
    for name in ("logs", "postgres", "redis"):
        assert stat.S_IMODE((home.path / name).stat().st_mode) == 0o700, name


def test_postgres_never_runs_as_root_and_asks_for_its_password(home: Home) -> None:
    told = home.read("endpoints.json")
    assert Path(f"/proc/{told['processes']['postgres']}").stat().st_uid != 0
    with pytest.raises(psycopg.OperationalError, match="password"):
        psycopg.connect(told["postgres"].replace("treum:", "treum:x", 1))
    with psycopg.connect(told["postgres"]) as connection:
        assert connection.execute("SHOW fsync").fetchone() == ("on",)


@pytest.mark.parametrize("name", ["postgres", "redis", "temporal", "sandbox"])
def test_a_killed_process_is_started_within_two_seconds_at_its_port(home: Home, name: str) -> None:
    before = home.read("endpoints.json")
    killed = before["processes"][name]
    os.kill(killed, signal.SIGKILL)

    def entry() -> dict[str, Any]:
        return home.read("run.json")["processes"][name]

    until(lambda: entry()["pid"] != killed, BACK_SECONDS)
    # How long it then takes to answer is the machine's affair: other tests use it, too.
    until(lambda: entry()["health"] == "healthy")
    after = home.read("endpoints.json")
    assert after.pop("processes")[name] != before.pop("processes")[name]
    assert after == before


def test_a_second_up_on_the_same_home_says_so(home: Home) -> None:
    for arguments in (["up"], ["up", "--detach"]):
        refused = home.treum(*arguments)
        assert refused.returncode == 1
        assert refused.stderr.count("\n") == 1
        assert f"already running on {home.path}" in refused.stderr
    assert home.status()["state"] == "ready"


def test_a_taken_port_is_named(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        refused = Home(tmp_path).treum("up", "--port-base", str(port))
    assert refused.returncode == 1
    assert refused.stderr.count("\n") == 1
    assert f"port {port} (for api) is taken" in refused.stderr


@pytest.mark.parametrize("kind", ["a file", "a file system that takes nothing"])
def test_a_home_that_cannot_be_written_is_named(tmp_path: Path, kind: str) -> None:
    path = tmp_path / "home" if kind == "a file" else Path("/proc/treum")
    if kind == "a file":
        path.write_text("")
    for arguments in (["up"], ["up", "--detach"]):
        refused = Home(path).treum(*arguments)
        assert refused.returncode == 1
        assert refused.stderr.count("\n") == 1
        assert f"cannot write to the home {path}" in refused.stderr


def test_a_missing_binary_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # An interpreter with every package and no `temporal` beside it.
    lonely = tmp_path / "python"
    lonely.symlink_to(sys.executable)
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(path for path in sys.path if "site-packages" in path))
    refused = Home(tmp_path / "home").treum("up", "--port-base", "0", python=lonely)
    assert refused.returncode == 1
    assert refused.stderr.count("\n") == 1
    assert f"the Temporal binary {tmp_path / 'temporal'} is missing" in refused.stderr


def test_down_and_up_keep_state_ports_and_secrets(tmp_path: Path) -> None:
    home = Home(tmp_path / "home")
    home.up()
    first = home.read("endpoints.json")
    with psycopg.connect(first["postgres"]) as connection:
        connection.execute("CREATE TABLE kept AS SELECT 7 AS number")
    Redis.from_url(first["redis"]).set("kept", "7")
    home.down()
    assert not (home.path / "endpoints.json").exists()
    assert all(gone(pid) for pid in first["processes"].values())

    home.up()
    second = home.read("endpoints.json")
    assert {**first, "processes": None} == {**second, "processes": None}
    with psycopg.connect(second["postgres"]) as connection:
        assert connection.execute("SELECT number FROM kept").fetchone() == (7,)
    assert Redis.from_url(second["redis"]).get("kept") == b"7"

    # The supervisor killed: its children end with it, and the home can be started again.
    os.kill(home.status()["supervisor"], signal.SIGKILL)
    until(lambda: all(gone(pid) for pid in second["processes"].values()))
    assert home.status()["state"] == "stopped"
    home.up()
    home.down()
