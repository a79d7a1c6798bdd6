"""Makes ``.venv`` from a lock file with nothing but Python 3.11 or newer: every package pinned and hashed."""

import subprocess
import sys
import venv
from pathlib import Path

OLDEST = (3, 11)


def main(lock: str) -> None:
    if sys.version_info < OLDEST:
        sys.exit(f"Treum needs Python 3.11 or newer; this is {sys.version.split()[0]}: set PYTHON=python3.11")
    root = Path(__file__).resolve().parent.parent
    environment = root / ".venv"
    python = environment / "bin" / "python"
    if not python.exists():
        print("making .venv", flush=True)
        venv.create(environment, with_pip=True)
    pip = [str(python), "-m", "pip", "--disable-pip-version-check", "install", "--progress-bar", "on"]
    quiet = [] if sys.stdout.isatty() else ["--quiet"]
    print(f"installing the packages of {lock}", flush=True)
    # The lock is the whole closure, so nothing is resolved and nothing unpinned can come along.
    subprocess.run([*pip, *quiet, "--no-deps", "--require-hashes", "-r", str(root / lock)], check=True)
    own = ["--no-deps", "--no-build-isolation", "--editable", str(root)]
    subprocess.run([*pip, "--quiet", *own], check=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
