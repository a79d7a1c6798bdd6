"""The connection to Temporal: Pydantic payloads, encrypted, failures too, traced."""

import dataclasses

from temporalio.client import Client
from temporalio.contrib.opentelemetry import TracingInterceptor
from temporalio.contrib.pydantic import pydantic_data_converter
from temporalio.converter import DataConverter, DefaultFailureConverterWithEncodedAttributes
from temporalio.runtime import PrometheusConfig, Runtime, TelemetryConfig

from models.contracts.sealing import KeyRing
from models.settings import Settings
from temporal.asking_again import AskingAgain
from temporal.codec import EncryptionCodec


def data_converter(settings: Settings) -> DataConverter:
    """Pydantic models in, ciphertext out; messages and stack traces of failures are encrypted as well."""
    return dataclasses.replace(
        pydantic_data_converter,
        payload_codec=EncryptionCodec(KeyRing(settings.ring(settings.codec_keys))),
        failure_converter_class=DefaultFailureConverterWithEncodedAttributes,
    )


async def connect(settings: Settings, *, sdk_metrics_port: int = 0) -> Client:
    """A client of the platform's namespace.

    `sdk_metrics_port`: where the SDK's own Prometheus metrics are served; 0 serves none.

    Raises:
        RuntimeError: the server cannot be reached.
    """
    runtime = None
    if sdk_metrics_port:
        endpoint = PrometheusConfig(bind_address=f"{settings.host}:{sdk_metrics_port}")
        runtime = Runtime(telemetry=TelemetryConfig(metrics=endpoint))
    return await Client.connect(
        settings.temporal,
        namespace=settings.namespace,
        data_converter=data_converter(settings),
        interceptors=[TracingInterceptor(), AskingAgain()],
        runtime=runtime,
    )
