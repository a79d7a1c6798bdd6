"""Watchlist screening (sanctions, PEP, adverse media). Reads only: asking twice does no harm."""

from datetime import date, datetime
from typing import Protocol

import httpx
from pydantic import BaseModel, ConfigDict, Field

from providers.calls import ProviderCalls

TIMEOUT_SECONDS = 10.0


class ScreeningHit(BaseModel):
    """A listed person who resembles the one asked about. For staff only: customers are never tipped off.

    `score` is 0 to 100; `date_of_birth` is the list's, which may be a year alone.
    """

    model_config = ConfigDict(frozen=True, extra="ignore")

    entry_id: str
    name: str
    matched_alias: str
    score: int = Field(ge=0, le=100)
    programme: str
    date_of_birth: str | None


class ScreeningAnswer(BaseModel):
    """Hits, best first, and the version of the list that was searched."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    search_id: str
    list_version: str
    hits: list[ScreeningHit]


class ScreeningList(BaseModel):
    """The list in force; another `list_version` means that everyone is screened again."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    list_version: str
    published_at: datetime
    entries: int


class ScreeningProvider(Protocol):
    """Codes: `screening_refused`, `screening_unavailable`; raises as `ProviderCalls.send` says."""

    async def search(
        self, name: str, date_of_birth: date | None, *, as_of: datetime | None = None
    ) -> ScreeningAnswer:
        """Everyone on the list who resembles this person."""

    async def current_list(self, *, as_of: datetime | None = None) -> ScreeningList:
        """Version of the list in force."""


class HttpScreening:
    """Screening over HTTP, below `base_url` (`.../screening`)."""

    def __init__(
        self, client: httpx.AsyncClient, base_url: str, *, timeout_seconds: float = TIMEOUT_SECONDS
    ) -> None:
        self._calls = ProviderCalls(client, base_url, "screening", timeout_seconds)

    async def search(
        self, name: str, date_of_birth: date | None, *, as_of: datetime | None = None
    ) -> ScreeningAnswer:
        """See `ScreeningProvider`."""
        born = {"date_of_birth": date_of_birth.isoformat()} if date_of_birth else {}
        return await self._calls.ask(
            ScreeningAnswer, "POST", "/search", json={"name": name, **born}, as_of=as_of
        )

    async def current_list(self, *, as_of: datetime | None = None) -> ScreeningList:
        """See `ScreeningProvider`."""
        return await self._calls.ask(ScreeningList, "GET", "/list", as_of=as_of)
