"""What starts each process, read from the source: routes that drive it, schedules, other processes."""

import ast
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
STARTERS = {
    *("start_workflow", "start_child_workflow"),
    *("_schedule", "WithStartWorkflowOperation"),
}
Definition = tuple[str, str]
"""Module and name of a function or class at its top level."""


def trees(*folders: str) -> Iterator[tuple[str, ast.Module]]:
    """Each module of the folders by its dotted name."""
    for folder in folders:
        for path in sorted((ROOT / folder).rglob("*.py")):
            name = ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")
            yield name, ast.parse(path.read_text())


def called(node: ast.Call) -> str:
    function = node.func
    return function.attr if isinstance(function, ast.Attribute) else getattr(function, "id", "")


def word(node: ast.AST | None) -> str:
    return node.value if isinstance(node, ast.Constant) and isinstance(node.value, str) else ""


def keyword(call: ast.Call, name: str) -> ast.expr | None:
    return next((each.value for each in call.keywords if each.arg == name), None)


def started_by_routes(routes: dict[Definition, str]) -> dict[str, list[str]]:
    """Workflow type to the routes whose command begins a run: what makes its `Drive`, what calls that, up to
    a route of `routes` (by module and name of the endpoint)."""
    makers: dict[str, set[Definition]] = defaultdict(set)
    callers: dict[Definition, set[Definition]] = defaultdict(set)
    for module, tree in trees("api"):
        names = _names(module, tree)
        for mine in _definitions(tree):
            me = (module, mine.name)
            for node in ast.walk(mine):
                if isinstance(node, ast.Call) and called(node) == "Drive" and _starts(keyword(node, "start")):
                    makers[word(keyword(node, "workflow_type"))].add(me)
                if isinstance(node, ast.Call) and _true(keyword(node, "create")) and called(node) in names:
                    makers[_type_of(names[called(node)])].add(me)
                if isinstance(node, ast.Name) and node.id in names and names[node.id] != me:
                    callers[names[node.id]].add(me)
    return {type_: sorted(_reached(found, callers, routes)) for type_, found in makers.items() if type_}


def _starts(given: ast.expr | None) -> bool:
    """Not where it depends on the caller: then the caller that says `create` is the one that starts."""
    return given is not None and not isinstance(given, ast.IfExp)


def _true(given: ast.expr | None) -> bool:
    return isinstance(given, ast.Constant) and given.value is True


def _type_of(definition: Definition) -> str:
    """The workflow type that a function makes a `Drive` for."""
    module, name = definition
    path = ROOT / Path(*module.split(".")).with_suffix(".py")
    for mine in _definitions(ast.parse(path.read_text())) if path.exists() else ():
        for node in ast.walk(mine) if mine.name == name else ():
            if isinstance(node, ast.Call) and called(node) == "Drive":
                return word(keyword(node, "workflow_type"))
    return ""


def started_otherwise(types: dict[str, list[str]]) -> dict[str, list[str]]:
    """Workflow type to who else starts it. `types`: the modules that make up each workflow."""
    found: dict[str, set[str]] = defaultdict(set)
    for module, tree in trees("relay", "temporal", "activities", "workflows"):
        for outer in tree.body:
            for node in ast.walk(outer):
                if isinstance(node, ast.Call) and called(node) in STARTERS and node.args:
                    first = node.args[0]
                    owner = first.value if isinstance(first, ast.Attribute) else None
                    started = word(first) or getattr(owner, "id", "")
                    if started:
                        found[started].add(_starter(module, outer, types))
    return {type_: sorted(each) for type_, each in found.items()}


def _starter(module: str, outer: ast.stmt, types: dict[str, list[str]]) -> str:
    path = module.replace(".", "/") + ".py"
    if module == "temporal.schedules":
        return f"a schedule (`{path}`)"
    if not module.startswith("workflows."):
        return f"`{path}`"
    name = outer.name if isinstance(outer, ast.ClassDef) else ""
    owners = [type_ for type_, modules in types.items() if module in modules]
    mine = [name] if name in owners else owners
    return "the process " + " or ".join(f"[{each}](#{each.lower()})" for each in sorted(mine))


def _reached(
    makers: set[Definition], callers: dict[Definition, set[Definition]], routes: dict[Definition, str]
) -> set[str]:
    seen, frontier = set(makers), set(makers)
    while frontier:
        # A route is where the walk ends: what calls a route is no way to start anything.
        frontier = {up for each in frontier if each not in routes for up in callers[each]} - seen
        seen |= frontier
    return {routes[each] for each in seen if each in routes}


def _definitions(tree: ast.Module) -> Iterator[ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef]:
    for node in tree.body:
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            yield node


def _names(module: str, tree: ast.Module) -> dict[str, Definition]:
    """What a name in the module means: something of its own, or something that it imports."""
    names = {each.name: (module, each.name) for each in _definitions(tree)}
    for node in tree.body:
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("api"):
            names |= {(each.asname or each.name): (node.module or "", each.name) for each in node.names}
    return names
