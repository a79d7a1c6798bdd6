"""What can be killed, read from the code that runs: pools, their workflows, each one's steps, and which steps
speak to a provider."""

import ast
import inspect
import textwrap
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from importlib import import_module
from pathlib import Path
from types import FunctionType, ModuleType

from temporalio import activity, workflow

from models.contracts.killpoints import Stage
from workers.run import POOLS, pool_named

ROOT = Path(__file__).resolve().parents[2]
DEFINED = "__temporal_activity_definition"
OFFLINE = ("providers.aadhaar", "providers.aadhaar_zip", "providers.indicators")
"""Modules of `providers` that only compute; the others speak over a socket."""

OF_PROVIDERS = (Stage.AFTER_SEND, Stage.LOST, Stage.LATE)


@dataclass(frozen=True)
class Step:
    """One activity of one workflow. `sends`: its code reaches a provider."""

    pool: str
    process: str
    activity: str
    sends: bool

    @property
    def points(self) -> tuple[str, ...]:
        return tuple(f"{self.activity}:{stage}" for stage in Stage if self.meets(stage))

    def meets(self, stage: Stage) -> bool:
        """Whether the stage exists for this step: one that reaches no provider has no answer to spoil."""
        return self.sends or stage not in OF_PROVIDERS


@cache
def steps() -> tuple[Step, ...]:
    """Every step of every registered workflow, by pool, workflow and name."""
    found = set()
    for name in POOLS:
        for served in pool_named(name).queues:
            for kind in served.workflows:
                defined = workflow._Definition.must_from_class(kind)
                for used in _activities_of(import_module(kind.__module__), kind.__name__):
                    found.add(Step(name, defined.name or kind.__name__, used, used in senders()))
    return tuple(sorted(found, key=lambda step: (POOLS.index(step.pool), step.process, step.activity)))


def points() -> tuple[str, ...]:
    return tuple(sorted({point for step in steps() for point in step.points}))


def _activities_of(module: ModuleType, start: str, seen: frozenset[str] = frozenset()) -> set[str]:
    """Names of the activities that `start` calls, a class or function of a workflow's module, with all that
    it builds on there and in other modules of `workflows`."""
    names: set[str] = set()
    for node in _reachable(module, start):
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
            owner = getattr(module, node.value.id, None)
            method = getattr(owner, node.attr, None) if inspect.isclass(owner) else None
            if isinstance(method, FunctionType) and hasattr(method, DEFINED):
                names.add(str(activity._Definition.must_from_callable(method).name))
        if isinstance(node, ast.Name):
            names |= _elsewhere(getattr(module, node.id, None), module, seen)
    return names


def _elsewhere(used: object, module: ModuleType, seen: frozenset[str]) -> set[str]:
    """Activities of a class or function that comes from another module of `workflows`."""
    origin, name = getattr(used, "__module__", ""), getattr(used, "__name__", "")
    own = isinstance(origin, str) and origin.startswith("workflows.") and ".ports" not in origin
    key = f"{origin}.{name}"
    if not own or origin == module.__name__ or key in seen or hasattr(used, "__temporal_workflow_definition"):
        return set()
    return _activities_of(import_module(origin), name, seen | {key})


def _reachable(module: ModuleType, start: str) -> Iterator[ast.AST]:
    """Every node of a top-level definition and of the module's others that it names, base classes too."""
    body = ast.parse(inspect.getsource(module)).body
    defined = {
        n.name: n for n in body if isinstance(n, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef)
    }
    waiting, done = [start], set()
    while waiting:
        name = waiting.pop()
        if name in done or name not in defined:
            continue
        done.add(name)
        for node in ast.walk(defined[name]):
            if isinstance(node, ast.Name):
                waiting.append(node.id)
            yield node


@cache
def senders() -> frozenset[str]:
    """Names of the activities whose implementation reaches a provider."""
    names = set()
    for path in sorted((ROOT / "activities").glob("*.py")):
        module = import_module(f"activities.{path.stem}")
        for kind in _classes(module):
            for method in vars(kind).values():
                if hasattr(method, DEFINED) and _sends(kind, method.__name__, frozenset()):
                    names.add(str(activity._Definition.must_from_callable(method).name))
    return frozenset(names)


def _classes(module: ModuleType) -> Iterator[type]:
    for value in vars(module).values():
        if inspect.isclass(value) and value.__module__ == module.__name__:
            yield value


def _sends(kind: type, name: str, seen: frozenset[tuple[type, str]]) -> bool:
    """Whether a method speaks to a provider: itself, by a field's method, or by a function it calls."""
    method = inspect.getattr_static(kind, name, None)
    if not isinstance(method, FunctionType) or (kind, name) in seen:
        return False
    seen = seen | {(kind, name)}
    if "Reading" in str(method.__annotations__.get("return", "")):
        return True  # a broker's answer with the broker's time
    for node in ast.walk(_tree(method)):
        if not (isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute | ast.Name)):
            continue
        if any(_hands_over(argument, kind) for argument in node.args):
            return True
        if isinstance(node.func, ast.Name):
            if _function_sends(method, node.func.id, seen):
                return True
            continue
        owner = node.func.value
        if isinstance(owner, ast.Name) and owner.id == "self" and _sends(kind, node.func.attr, seen):
            return True
        held = _held(owner, kind)
        if held is not None and (_asks(held, node.func.attr) or _sends(held, node.func.attr, seen)):
            return True
    return False


def _held(expression: ast.expr, kind: type) -> type | None:
    """The type of ``self._x`` or ``self._x.y``, by what the constructors assign."""
    if not isinstance(expression, ast.Attribute):
        return None
    if isinstance(expression.value, ast.Name):
        return _fields(kind).get(expression.attr) if expression.value.id == "self" else None
    outer = _held(expression.value, kind)
    return _fields(outer).get(expression.attr) if outer is not None else None


def _hands_over(argument: ast.expr, kind: type) -> bool:
    """``in_thread(partial(self._gateway.report, …))`` and the like."""
    held = _held(argument.value, kind) if isinstance(argument, ast.Attribute) else None
    return held is not None and isinstance(argument, ast.Attribute) and _asks(held, argument.attr)


def _function_sends(method: FunctionType, name: str, seen: frozenset[tuple[type, str]]) -> bool:
    """A plain function of `activities` whose signature takes a provider."""
    function = method.__globals__.get(name)
    if not isinstance(function, FunctionType) or not function.__module__.startswith("activities"):
        return False
    return any(_is_provider(kind) for kind in _annotated(function).values())


def _fields(kind: type) -> dict[str, type]:
    """Types of ``self._x`` as ``__init__`` assigns them: from an annotated parameter or a constructor."""
    start = inspect.getattr_static(kind, "__init__", None)
    if not isinstance(start, FunctionType):
        return {}
    given, fields = _annotated(start), {}
    for node in ast.walk(_tree(start)):
        if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Attribute):
            value = node.value.func if isinstance(node.value, ast.Call) else node.value
            if isinstance(value, ast.Name):
                held = given.get(value.id) or start.__globals__.get(value.id)
                if inspect.isclass(held):
                    fields[node.targets[0].attr] = held
    return fields


def _annotated(function: FunctionType) -> dict[str, type]:
    return {name: kind for name, kind in function.__annotations__.items() if inspect.isclass(kind)}


def _is_provider(kind: type) -> bool:
    return kind.__module__.startswith("providers.") and kind.__module__ not in OFFLINE


def _asks(kind: type, name: str) -> bool:
    """A provider's method that goes over the socket. Where a class has asynchronous methods, those do;
    else all but those that answer a mere yes or no."""
    method = inspect.getattr_static(kind, name, None)
    if not _is_provider(kind) or not isinstance(method, FunctionType):
        return False
    if any(inspect.iscoroutinefunction(each) for each in vars(kind).values()):
        return inspect.iscoroutinefunction(method)
    return method.__annotations__.get("return") is not bool


def _tree(function: FunctionType) -> ast.AST:
    return ast.parse(textwrap.dedent(inspect.getsource(function)))
