"""Traces, metrics and logs of one process. OTLP export when an endpoint is configured, silent otherwise."""

import logging
import sys
from collections.abc import MutableMapping
from typing import Any

import structlog
from opentelemetry import trace
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from prometheus_client import start_http_server
from structlog.tracebacks import ExceptionDictTransformer

from models.settings import Settings

WITHOUT_VALUES = structlog.processors.ExceptionRenderer(ExceptionDictTransformer(show_locals=False))
"""Tracebacks without local variables: those hold bodies, names, passwords."""


def _add_trace(_: Any, __: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    context = trace.get_current_span().get_span_context()
    if context.is_valid:
        event["trace_id"] = format(context.trace_id, "032x")
    return event


def configure_logs(service: str, level: str) -> None:
    """One JSON line an event, to standard error; events are named by code and carry ids, never texts."""
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            _add_trace,
            WITHOUT_VALUES,
            structlog.processors.JSONRenderer(),
        ],
        wrapper_class=structlog.make_filtering_bound_logger(logging.getLevelNamesMapping()[level]),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
    )
    structlog.contextvars.bind_contextvars(service=service)
    logging.basicConfig(level=logging.WARNING, stream=sys.stderr, format="%(levelname)s %(name)s %(message)s")


def configure_traces(service: str, settings: Settings) -> None:
    provider = TracerProvider(resource=Resource.create({"service.name": f"treum-{service}"}))
    if settings.otlp_endpoint:
        # Imported here: the exporter costs start-up time that a silent process need not pay.
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter

        exporter = OTLPSpanExporter(endpoint=f"{settings.otlp_endpoint.rstrip('/')}/v1/traces")
        provider.add_span_processor(BatchSpanProcessor(exporter))
    trace.set_tracer_provider(provider)


def configure(service: str, settings: Settings, *, metrics: bool = True) -> None:
    """Sets up logs and traces, and serves Prometheus metrics where the process has a port for them.

    `metrics=False` where the port serves the Temporal SDK's own metrics instead.
    """
    configure_logs(service, settings.log_level)
    configure_traces(service, settings)
    if metrics and settings.metrics_port:
        start_http_server(settings.metrics_port, addr=settings.host)
