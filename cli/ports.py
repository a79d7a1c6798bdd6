"""Loopback ports of one home: chosen once, kept in ``DIR/ports.json``, the same over every restart."""

import json
import random
import socket
from pathlib import Path
from typing import Any

from cli.entry import POOLS
from cli.errors import Refused
from cli.supervisor.state import write_atomically

DEFAULT_BASE = 7600

SERVED = (
    "api",
    "live",
    "sandbox",
    "codec",
    "temporal",
    "temporal-http",
    "temporal-ui",
    "temporal-metrics",
    "postgres",
    "redis",
)
MEASURED = ("api", "live", "codec", "relay", *(f"worker-{pool}" for pool in POOLS))
NAMES = (*SERVED, *(f"metrics-{name}" for name in MEASURED))

# Below the range from which the system gives ports to outgoing connections: there, one of those could
# sit on a port in the moment between the death of its owner and the restart.
FREE_RANGE = (15000, 31000)


def assign(home: Path, base: int | None) -> dict[str, int]:
    """The home's ports by name, proven free.

    Args:
        base: first of a row of ports; 0 takes free ones; None keeps the home's own, or 7600 and up.

    Raises:
        Refused: a port is taken by another program.
    """
    held = _held(home)
    if base is None:
        base = held.get("base", DEFAULT_BASE)
    if base == 0:
        ports = _free(held["ports"] if held.get("base") == 0 else {})
    else:
        ports = _row(base)
        _demand(ports)
    write_atomically(home / "ports.json", json.dumps({"base": base, "ports": ports}, indent=2))
    return ports


def kept(home: Path) -> dict[str, int]:
    """The ports of the home, or those that it would ask for at its first start."""
    return _held(home).get("ports") or _row(DEFAULT_BASE)


def _held(home: Path) -> dict[str, Any]:
    path = home / "ports.json"
    return json.loads(path.read_text()) if path.exists() else {}


def _row(base: int) -> dict[str, int]:
    return {name: base + offset for offset, name in enumerate(NAMES)}


def _free(ports: dict[str, int]) -> dict[str, int]:
    """Keep those still free and find others from a random start, so that homes do not meet."""
    chosen = {name: port for name, port in ports.items() if name in NAMES and is_free(port)}
    low, high = FREE_RANGE
    candidate = random.randrange(low, high)  # noqa: S311 - a port is no secret
    for name in NAMES:
        while name not in chosen:
            candidate = candidate + 1 if candidate < high else low
            if candidate not in chosen.values() and is_free(candidate):
                chosen[name] = candidate
    return {name: chosen[name] for name in NAMES}


def _demand(ports: dict[str, int]) -> None:
    for name, port in ports.items():
        if not is_free(port):
            raise Refused(
                f"port {port} (for {name}) is taken by another program; "
                "end that one, or choose other ports with --port-base"
            )


def is_free(port: int) -> bool:
    """Whether a server could listen there now."""
    with socket.socket() as probe:
        # Connections in TIME_WAIT of a server that has ended must not count.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True
