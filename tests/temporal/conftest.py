"""The API, as the codec server's door asks it."""

from tests.api.conftest import api, app

__all__ = ["api", "app"]
