"""The live hub: one process that reads the topic once and tells everyone who listens."""

from api.live.server import main

__all__ = ["main"]
