"""Runs as staff see them: read from Temporal's visibility, which holds ids and codes only."""

from collections.abc import AsyncIterator
from datetime import datetime
from typing import Any
from urllib.parse import quote

from pydantic import BaseModel
from temporalio.client import WorkflowExecution

from api.platform import Platform
from api.staff.table import actions_of
from models.contracts.search_attributes import Attribute


class Run(BaseModel):
    """One run; `due` is when something happens by itself, `actions` what this caller may do to it."""

    workflow_id: str
    workflow_type: str
    status: str
    state: str | None
    customer: str | None
    references: list[str]
    amount: int | None
    needs_attention: bool
    started_at: datetime
    age_seconds: int
    due: datetime | None
    link: str
    actions: list[str]


def shown(platform: Platform, run: WorkflowExecution, roles: frozenset[str], now: datetime) -> Run:
    """A run of visibility; `link` opens it in the Temporal UI."""
    held = run.typed_search_attributes
    open_now = run.close_time is None
    return Run(
        workflow_id=run.id,
        workflow_type=run.workflow_type,
        status=run.status.name.lower() if run.status else "unknown",
        state=held.get(Attribute.STATE.value),
        customer=held.get(Attribute.CUSTOMER.value),
        references=list(held.get(Attribute.REFERENCE.value) or ()),
        amount=held.get(Attribute.AMOUNT.value),
        needs_attention=bool(held.get(Attribute.NEEDS_ATTENTION.value)) and open_now,
        started_at=run.start_time,
        age_seconds=max(0, int(((run.close_time or now) - run.start_time).total_seconds())),
        due=held.get(Attribute.DUE.value),
        link=link(platform, run.id, run.run_id),
        actions=actions_of(run.id, roles) if open_now else [],
    )


def link(platform: Platform, workflow_id: str, run_id: str) -> str:
    """Where the Temporal UI shows the run: in an embedded home behind the proxy that signs staff in."""
    settings = platform.settings
    embedded = settings.env == "embedded"
    base = f"http://{settings.host}:{settings.codec_port}" if embedded else settings.temporal_ui
    path = f"namespaces/{settings.namespace}/workflows/{quote(workflow_id, safe='')}/{run_id}/history"
    return f"{base}/{path}"


async def listed(
    platform: Platform, query: str, limit: int, token: bytes | None = None
) -> tuple[list[WorkflowExecution], bytes | None]:
    """One page of visibility and the token of the next."""
    pages: Any = platform.client.list_workflows(
        query, page_size=limit, next_page_token=token, rpc_timeout=platform.settings.command_deadline
    )
    await pages.fetch_next_page(page_size=limit)
    return list(pages.current_page or ()), pages.next_page_token or None


async def of_references(platform: Platform, references: list[str], limit: int) -> list[WorkflowExecution]:
    """Runs that carry one of `references`, or that belong to it as a customer."""
    found = [run async for run in _each(platform, references, limit)]
    return list({run.run_id: run for run in found}.values())[:limit]


async def _each(platform: Platform, references: list[str], limit: int) -> AsyncIterator[WorkflowExecution]:
    for reference in references:
        text = quoted(reference)
        query = f"{Attribute.REFERENCE.value.name} = {text} OR {Attribute.CUSTOMER.value.name} = {text}"
        runs, _ = await listed(platform, query, limit)
        for run in runs:
            yield run


def quoted(text: str) -> str:
    """A value in a visibility query; a quote inside it ends nothing."""
    return "'" + text.replace("\\", "\\\\").replace("'", "''") + "'"
