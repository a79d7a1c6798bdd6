"""Signals as the caller's plan shows them."""

from datetime import UTC, datetime
from typing import Any

from fastapi import APIRouter
from pydantic_core import to_jsonable_python

from api.pages import Page, cut, page
from api.platform import Platform, PlatformDep
from api.principal import CurrentUser, Principal
from api.problems import Problem
from api.signals.shapes import Signal
from api.waiting import Wait, until
from domain.signals import CLOSED, FREE_A_DAY, HISTORY_DEPTH, Status
from store import signals, signals_delivery
from store.signals_texts import words_of

router = APIRouter()

STAFF = frozenset({"analyst", "compliance", "admin", "support"})
FIGURES = frozenset({"analyst", "compliance"})
"""Who may see figures that nobody has verified."""


@router.get("/signals/live")
async def live(principal: CurrentUser, query: Page, platform: PlatformDep) -> dict[str, Any]:
    """What is open now. On the free plan: what the day's allowance was spent on, the newest first."""
    async with platform.database.reading() as connection:
        rows = await signals.listing(
            connection,
            published=True,
            open_only=True,
            status=query.status,
            after=query.after,
            start=query.start,
            end=query.end,
            limit=query.limit + 1,
        )
    shown, cursor = cut(rows, query, "signal_id")
    if limited(principal):
        shown = [row for row in shown if await may_see(platform, principal, row["signal_id"])]
    return page(await views(platform, principal, shown), cursor)


@router.get("/signals/history")
async def history(principal: CurrentUser, query: Page, platform: PlatformDep) -> dict[str, Any]:
    """Every published signal, open or closed, as far back as the plan reaches."""
    depth = None if principal.roles & STAFF else HISTORY_DEPTH.get(principal.tier)
    async with platform.database.reading() as connection:
        rows = await signals.listing(
            connection,
            published=True,
            status=query.status,
            since=datetime.now(UTC) - depth if depth else None,
            shown_to=principal.user_id if limited(principal) else None,
            after=query.after,
            start=query.start,
            end=query.end,
            limit=query.limit + 1,
        )
    shown, cursor = cut(rows, query, "signal_id")
    return page(await views(platform, principal, shown), cursor)


@router.get("/signals/performance")
async def performance(principal: CurrentUser, platform: PlatformDep) -> dict[str, Any]:
    """How all published signals did. Until an agency has verified them (SEBI: PaRRVA), figures are for
    analysts and compliance alone."""
    if not principal.roles & FIGURES:
        return {"verified_by": None, "figures": None}
    async with platform.database.reading() as connection:
        figures = await signals.performance(connection)
    return {"verified_by": None, "figures": to_jsonable_python(figures)}


@router.get("/signals/{signal_id}")
async def one(signal_id: str, principal: CurrentUser, wait: Wait, platform: PlatformDep) -> Signal:
    """One signal; on the free plan it is one of the day's five. Drafts are for staff."""

    async def read() -> Signal:
        row = await visible(platform, principal, signal_id)
        return (await views(platform, principal, [row]))[0]

    return await until(read, wait, lambda s: s.version, lambda s: s.status in CLOSED, platform)


def limited(principal: Principal) -> bool:
    """Whether the caller has a daily allowance."""
    return principal.tier == "free" and not principal.roles & STAFF


async def may_see(platform: Platform, principal: Principal, signal_id: str) -> bool:
    """Whether a signal may be shown; on the free plan this spends one of the day, once a signal."""
    if not limited(principal):
        return True
    async with platform.database.transaction() as connection:
        granted = await signals_delivery.grant(
            connection, [principal.user_id], signal_id, FREE_A_DAY, datetime.now(UTC)
        )
    return granted[principal.user_id][0]


async def visible(platform: Platform, principal: Principal, signal_id: str) -> dict[str, Any]:
    """The signal's row, if the caller may see it.

    Raises:
        Problem: 404 for none, and for a draft to anyone but staff; 403 `allowance_spent`.
    """
    async with platform.database.reading() as connection:
        row = await signals.find(connection, signal_id)
    if row is None or (row["published_at"] is None and not principal.roles & STAFF):
        raise Problem(404)
    if row["status"] != Status.DRAFT and not await may_see(platform, principal, signal_id):
        raise Problem(403, "allowance_spent")
    return row


async def views(platform: Platform, principal: Principal, rows: list[dict[str, Any]]) -> list[Signal]:
    if not rows:
        return []
    async with platform.database.reading() as connection:
        words = await words_of(connection, platform.vault, rows)
    staff = bool(principal.roles & FIGURES)
    return [Signal.of(row, words[row["signal_id"]], staff=staff) for row in rows]
