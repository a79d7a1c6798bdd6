"""What runs in an embedded home, in which order, and how each is asked for its health."""

import os
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

from cli import environment
from cli.engines import postgres, redis, temporal
from cli.entry import POOLS
from cli.supervisor import health
from cli.supervisor.process import Program, Step

ENGINES = ("postgres", "redis", "temporal")


@dataclass(frozen=True)
class Plan:
    """Programs and steps of one run; ``endpoints`` is what clients are told."""

    programs: list[Program]
    steps: list[Step]
    endpoints: Mapping[str, Any] = field(default_factory=dict)


def plan(
    home: Path,
    ports: Mapping[str, int],
    keys: Mapping[str, Any],
    *,
    engines_only: bool = False,
    durable: bool = True,
) -> Plan:
    """The plan of a home.

    Args:
        engines_only: engines, sandbox, migrations and registration, without our processes.
        durable: False lets Postgres skip fsync, for tests.

    Raises:
        Refused: an engine's binary is missing.
    """
    variables = environment.shared(home, ports, keys)
    engines = [
        postgres.program(home, ports["postgres"], keys["postgres_password"], durable=durable),
        redis.program(home, ports["redis"], keys["redis_password"]),
        temporal.program(home, dict(ports), environment.NAMESPACE),
        _sandbox(home, ports, keys),
    ]
    steps = [
        _step("migrate", variables, ports, after=("postgres",)),
        _step("register", variables, ports, after=("temporal",)),
    ]
    endpoints = environment.endpoints(home, variables, ports)
    if engines_only:
        return Plan(engines, steps, endpoints)
    steps.append(_step("seed", variables, ports, after=("migrate",)))
    return Plan([*engines, *_applications(variables, ports)], steps, endpoints)


def _applications(variables: Mapping[str, str], ports: Mapping[str, int]) -> list[Program]:
    after = (*ENGINES, "migrate", "register", "seed")
    own = partial(_own, variables=variables, ports=ports, after=after)
    return [
        own("api", ["api"], port=ports["api"], check=partial(health.http, ports["api"])),
        own("live", ["live"], port=ports["live"], check=partial(health.http, ports["live"])),
        own("codec", ["codec"], port=ports["codec"], check=partial(health.http, ports["codec"])),
        own("relay", ["relay"]),
        *(_worker(pool, own, ports[f"metrics-worker-{pool}"]) for pool in POOLS),
    ]


def _worker(pool: str, own: partial[Program], metrics: int) -> Program:
    return own(f"worker-{pool}", ["worker", pool], check=partial(health.polling, metrics))


def _own(
    name: str,
    arguments: list[str],
    *,
    variables: Mapping[str, str],
    ports: Mapping[str, int],
    after: tuple[str, ...],
    port: int | None = None,
    check: partial[Any] | None = None,
) -> Program:
    """One of our processes; without a port of its own it answers on that of its metrics."""
    metrics = ports[f"metrics-{name}"]
    return Program(
        name=name,
        argv=_entry(*arguments),
        entry=tuple(arguments),
        check=check or partial(health.tcp, metrics),
        environment=environment.of_process(name, variables, ports),
        port=port or metrics,
        after=after,
        grace=6.0,
        attempts=3,
    )


def _sandbox(home: Path, ports: Mapping[str, int], keys: Mapping[str, Any]) -> Program:
    return Program(
        name="sandbox",
        argv=_entry("sandbox"),
        check=partial(health.http, ports["sandbox"], "/health"),
        environment=environment.of_sandbox(home, ports, keys),
        port=ports["sandbox"],
        stage=1,
    )


def _step(name: str, variables: Mapping[str, str], ports: Mapping[str, int], after: tuple[str, ...]) -> Step:
    return Step(name, _entry(name), environment.of_process(name, variables, ports), after)


def _entry(*arguments: str) -> tuple[str, ...]:
    return (os.path.abspath(sys.executable), "-m", "cli.entry", *arguments)
