"""What each process waits for, in the words that staff see: read from its calls to `visible.waiting`."""

import ast
from collections.abc import Iterator
from dataclasses import dataclass

SLOTS = ("what", "otherwise", "who")
Function = ast.FunctionDef | ast.AsyncFunctionDef
TEXTS = (ast.IfExp, ast.Constant, ast.JoinedStr)
Words = dict[str, str]


@dataclass(frozen=True)
class Wait:
    """What is awaited, what happens if it never comes, who can act. What a run fills in is shown as `…`."""

    what: str
    otherwise: str
    who: str


def waits(bodies: list[ast.AST]) -> list[Wait]:
    """The waits in the bodies of a process, in the order in which they stand there."""
    functions = [each for body in bodies for each in ast.walk(body) if isinstance(each, Function)]
    found: list[Wait] = []
    for function in functions:
        for call in _calls(function, "waiting"):
            for words in _said(functions, function, _arguments(call, ["what"])):
                wait = Wait(*(_plain(words.get(slot, "…")) for slot in SLOTS))
                if wait not in found:
                    found.append(wait)
    return found


def _said(functions: list[Function], inside: Function, given: dict[str, ast.expr]) -> Iterator[Words]:
    """The words of a call in each way that its function is called: a wrapper's parameters are filled in."""
    handed = _handed_on(given, inside)
    callers = [(each, call) for each in functions for call in _calls(each, inside.name)] if handed else []
    if not callers:
        yield {name: _words(value, inside, {}) for name, value in given.items()}
        return
    for caller, call in callers:
        for filled in _said(functions, caller, _arguments(call, _parameters(inside))):
            yield {name: _words(value, inside, filled) for name, value in given.items()}


def _handed_on(given: dict[str, ast.expr], inside: Function) -> bool:
    """Whether the words come from the function's own parameters: then it is a wrapper."""
    texts = {
        each.arg
        for each in inside.args.args
        if isinstance(each.annotation, ast.Name) and each.annotation.id == "str"
    }
    spoken = [given[slot] for slot in SLOTS if slot in given]
    return any(isinstance(node, ast.Name) and node.id in texts for each in spoken for node in ast.walk(each))


def _parameters(function: Function) -> list[str]:
    return [each.arg for each in function.args.args if each.arg != "self"]


def _calls(function: Function, name: str) -> Iterator[ast.Call]:
    for node in ast.walk(function):
        if isinstance(node, ast.Call) and name in (
            getattr(node.func, "id", ""),
            getattr(node.func, "attr", ""),
        ):
            yield node


def _arguments(call: ast.Call, names: list[str]) -> dict[str, ast.expr]:
    return dict(zip(names, call.args, strict=False)) | {
        each.arg: each.value for each in call.keywords if each.arg
    }


def _words(node: ast.expr, inside: Function, filled: Words) -> str:
    """An expression as it reads: texts as they stand, either side of a choice, `…` for a run's own facts."""
    match node:
        case ast.Constant(value=str(text)):
            return text
        case ast.JoinedStr(values=parts):
            return "".join(_words(each, inside, filled) for each in parts)
        case ast.FormattedValue(value=value):
            return _words(value, inside, filled)
        case ast.IfExp(body=one, orelse=other):
            both = [_words(each, inside, filled) for each in (one, other)]
            return " / ".join(each for each in both if each)
        case ast.BinOp(left=left, op=ast.Add(), right=right):
            return _words(left, inside, filled) + _words(right, inside, filled)
        case ast.Name(id=name) if name in filled:
            return filled[name]
        case ast.Name(id=name):
            return next((_words(each, inside, filled) for each in _assigned(inside, name)), "…")
        case _:
            return "…"


def _assigned(inside: Function, name: str) -> Iterator[ast.expr]:
    """What the function gives the name, where that is text: one choice of words among two."""
    for node in ast.walk(inside):
        if not isinstance(node, ast.Assign) or not isinstance(node.value, TEXTS):
            continue
        if any(getattr(each, "id", "") == name for each in node.targets):
            yield node.value


def _plain(text: str) -> str:
    return text.replace("|", "\\|").replace("`…`", "…").strip()
