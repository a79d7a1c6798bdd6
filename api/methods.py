"""Which methods a path has, over all routes: what ``Allow`` has to say with a 405 (RFC 9110, 15.5.6)."""

import re

from fastapi import FastAPI

from api.not_built import CALLS


class Methods:
    """Templates of every path with their methods, gathered once."""

    def __init__(self, app: FastAPI) -> None:
        found: dict[str, set[str]] = {}
        for template, operations in app.openapi()["paths"].items():
            found.setdefault(template, set()).update(method.upper() for method in operations)
        for call in CALLS.split("\n"):
            if call:
                method, template = call.split(" ")
                found.setdefault(template, set()).add(method)
        self._patterns = [(_pattern(template), methods) for template, methods in found.items()]

    def of(self, path: str) -> set[str]:
        """The methods of every template that `path` fits; empty for one outside the document."""
        return {
            method for pattern, methods in self._patterns if pattern.fullmatch(path) for method in methods
        }


def _pattern(template: str) -> re.Pattern[str]:
    parts = re.split(r"(\{\w+\})", template)
    return re.compile("".join("[^/]+" if part.startswith("{") else re.escape(part) for part in parts))
