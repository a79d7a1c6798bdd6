"""The platform's processes by name, started without the weight of the command line.

``python -m cli.entry NAME [ARGUMENT …]`` is what the supervisor runs; ``treum NAME`` does the same.
"""

import importlib
import sys
from collections.abc import Sequence

ENTRIES = {
    "api": "api.server:main",
    "live": "api.live:main",
    "worker": "workers.run:main",
    "relay": "relay.process:main",
    "codec": "temporal.codec_server:main",
    "sandbox": "sandbox.__main__:main",
    "migrate": "cli.prepare:migrate",
    "register": "cli.prepare:register",
    "seed": "cli.seed:main",
}

POOLS = ("onboarding", "billing", "education", "signals", "trading")


def run(name: str, arguments: Sequence[str] = ()) -> None:
    """Run one process in this one until it ends.

    Raises:
        KeyError: no process has that name.
    """
    sys.argv = [f"treum {name}"]  # who reads options of its own must not see ours
    module, _, function = ENTRIES[name].partition(":")
    getattr(importlib.import_module(module), function)(*arguments)


if __name__ == "__main__":
    _name, *_arguments = sys.argv[1:]
    run(_name, _arguments)
