"""Writes the lock files from ``pyproject.toml``, or with ``--check`` says whether they still fit it.

No address of a registry is written. Left out are the drawing libraries that `backtesting` names: of that
package only the data file it ships is read, by the sandbox, and nothing of it is imported.
"""

import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
UNUSED = ("bokeh", "contourpy", "narwhals", "tornado", "xyzservices", "pillow")
LOCKS = {"requirements.lock": ["--extra", "sandbox"], "requirements-dev.lock": ["--all-extras"]}


def compile_lock(name: str, target: Path) -> None:
    """Resolves into `target`, keeping the versions that it already holds."""
    command = ["uv", "pip", "compile", "pyproject.toml", *LOCKS[name], "--generate-hashes", "--universal"]
    command += ["--no-emit-index-url", "--no-header", "--no-annotate", "--quiet"]
    command += ["--output-file", str(target)]
    for package in UNUSED:
        command += ["--no-emit-package", package]
    uv = Path(sys.executable).with_name("uv")
    subprocess.run([str(uv), *command[1:]], cwd=ROOT, check=True)


def stale() -> list[str]:
    """Names of the locks that a fresh resolution would change."""
    found = []
    with tempfile.TemporaryDirectory() as scratch:
        for name in LOCKS:
            fresh = Path(scratch, name)
            fresh.write_text((ROOT / name).read_text())
            compile_lock(name, fresh)
            if fresh.read_text() != (ROOT / name).read_text():
                found.append(name)
    return found


if __name__ == "__main__":
    if "--check" in sys.argv:
        if names := stale():
            sys.exit(f"pyproject.toml and {', '.join(names)} differ: run `make lock`")
    else:
        for lock in LOCKS:
            compile_lock(lock, ROOT / lock)
