"""One API process: uvicorn on uvloop. Its own access log is off; the edge logs without personal data."""

import gc

import uvicorn

from api.app import create_app
from models.settings import settings
from temporal.telemetry import configure


def main() -> None:
    """Serves until told to stop, then finishes what is under way (at most 10 s)."""
    own = settings()
    configure("api", own)
    app = create_app(own)
    gc.collect()
    gc.freeze()  # as the workers do (`workers.run`)
    uvicorn.run(
        app,
        host=own.host,
        port=own.api_port,
        loop="uvloop",
        http="httptools",
        ws="none",
        access_log=False,
        log_config=None,
        server_header=False,
        proxy_headers=False,
        timeout_graceful_shutdown=10,
        h11_max_incomplete_event_size=64 * 1024,
    )


if __name__ == "__main__":
    main()
