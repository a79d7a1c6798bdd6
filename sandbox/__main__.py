"""`python -m sandbox --port N --db FILE`: the outside world as one process."""

import argparse
import logging
import os
import socket
import sys

import uvicorn

from sandbox.app import WORLDS, create_app
from sandbox.world import Settings, World


def main() -> None:
    """Serves until a signal ends it; prints its address once it listens."""
    parser = argparse.ArgumentParser(prog="sandbox", description=__doc__)
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=int(os.environ.get("TREUM_SANDBOX_PORT", "8090")))
    parser.add_argument("--db", default=os.environ.get("TREUM_SANDBOX_DB", "sandbox.db"))
    parser.add_argument("--worlds", default=",".join(WORLDS), help="serve only these (comma separated)")
    arguments = parser.parse_args()
    logging.basicConfig(level=logging.WARNING, format="%(asctime)s %(name)s %(levelname)s %(message)s")
    listener = socket.socket(socket.AF_INET6 if ":" in arguments.host else socket.AF_INET)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((arguments.host, arguments.port))
    except OSError as error:
        sys.exit(f"sandbox: cannot listen on {arguments.host}:{arguments.port}: {error.strerror}")
    listener.listen(1024)
    world = World(arguments.db, Settings.from_environment())
    app = create_app(world, tuple(arguments.worlds.split(",")))
    config = uvicorn.Config(
        app,
        log_level="warning",
        access_log=False,
        date_header=False,  # every answer carries the sandbox's own time instead
        server_header=False,
        proxy_headers=False,  # the control guard judges the real peer
        timeout_keep_alive=75,  # longer than clients keep idle connections: no request meets a closing one
        timeout_graceful_shutdown=1,
    )
    print(f"sandbox listening on http://{arguments.host}:{listener.getsockname()[1]}", flush=True)
    uvicorn.Server(config).run(sockets=[listener])


if __name__ == "__main__":
    main()
