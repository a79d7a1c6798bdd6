"""The ``TREUM_*`` variables of an embedded home's processes, as ``models/settings.py`` reads them."""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from cli.engines import postgres, redis
from cli.keys import of_sandbox as of_keys

ROOT = Path(__file__).resolve().parent.parent
NAMESPACE = "treum"

# Who may hold what: a process that does not need a secret is not given it.
RESTRICTED = {
    "TREUM_ASSERTION_KEY": {"api"},
    "TREUM_TOKEN_KEY": {"api", "live", "codec"},
    "TREUM_CERTIFICATE_KEY": {"worker-education"},
    "TREUM_REPORT_KEY": {"worker-trading"},
    "TREUM_DOCUMENT_KEY": {"api"},
    "TREUM_MEDIA_KEY": {"api"},
    "TREUM_KITE_POSTBACK_SECRET": {"api"},
}


def python_path() -> str:
    """Where a child finds our packages, whatever folder it runs in, before those that we were given."""
    return os.pathsep.join([str(ROOT), *filter(None, [os.environ.get("PYTHONPATH")])])


def _url(port: int) -> str:
    return f"http://127.0.0.1:{port}"


def shared(home: Path, ports: Mapping[str, int], keys: Mapping[str, Any]) -> dict[str, str]:
    """Every variable that this home decides, secrets included."""
    return {
        "TREUM_ENV": "embedded",
        "TREUM_HOME": str(home),
        "TREUM_POSTGRES": postgres.dsn(ports["postgres"], keys["postgres_password"]),
        "TREUM_REDIS": redis.url(ports["redis"], keys["redis_password"]),
        "TREUM_TEMPORAL": f"127.0.0.1:{ports['temporal']}",
        "TREUM_NAMESPACE": NAMESPACE,
        "TREUM_TEMPORAL_UI": _url(ports["temporal-ui"]),
        "TREUM_HOST": "127.0.0.1",
        "TREUM_API_PORT": str(ports["api"]),
        "TREUM_LIVE_PORT": str(ports["live"]),
        "TREUM_CODEC_PORT": str(ports["codec"]),
        "TREUM_PUBLIC_URL": _url(ports["api"]),
        "TREUM_SANDBOX": _url(ports["sandbox"]),
        # The sandbox settles a day on that same day, so that what a test names is what its report shows.
        "TREUM_SETTLEMENT_LAG_DAYS": "0",
        **secrets_as_variables(keys),
    }


def secrets_as_variables(keys: Mapping[str, Any]) -> dict[str, str]:
    """The secrets of ``cli/keys.py`` as variables; RESTRICTED says who may hold which."""
    return {
        "TREUM_RAZORPAY_KEY_ID": keys["razorpay_key_id"],
        "TREUM_RAZORPAY_KEY_SECRET": keys["razorpay_key_secret"],
        "TREUM_RAZORPAY_WEBHOOK_SECRETS": ",".join(keys["razorpay_webhook_secrets"]),
        "TREUM_KITE_API_KEY": keys["kite_api_key"],
        "TREUM_KITE_API_SECRET": keys["kite_api_secret"],
        "TREUM_KITE_POSTBACK_SECRET": keys["kite_postback_secret"],
        "TREUM_AADHAAR_CERTIFICATES": keys["aadhaar_certificate"],
        "TREUM_CODEC_KEYS": ",".join(keys["codec_keys"]),
        "TREUM_VAULT_KEYS": ",".join(keys["vault_keys"]),
        "TREUM_INDEX_KEY": keys["index_key"],
        "TREUM_TOKEN_KEY": keys["token_key"],
        "TREUM_ASSERTION_KEY": keys["assertion_key"],
        "TREUM_ASSERTION_PUBLIC_KEY": keys["assertion_public_key"],
        "TREUM_MEDIA_KEY": keys["media_key"],
        "TREUM_CERTIFICATE_KEY": keys["certificate_key"],
        "TREUM_CERTIFICATE_PUBLIC_KEYS": keys["certificate_public_key"],
        "TREUM_REPORT_KEY": keys["report_key"],
        "TREUM_REPORT_PUBLIC_KEYS": keys["report_public_key"],
        "TREUM_IRP_PUBLIC_KEYS": keys["irp_public_key"],
        "TREUM_DOCUMENT_KEY": keys["document_key"],
        "TREUM_DOCUMENT_CERTIFICATE": keys["document_certificate"],
    }


def of_process(name: str, variables: Mapping[str, str], ports: Mapping[str, int]) -> dict[str, str]:
    """The whole environment of one of our processes.

    What the person at the terminal has set (limits, log level, OTLP endpoint, a kill point) passes
    through; what the home decides wins.
    """
    kept = {
        key: value for key, value in variables.items() if key not in RESTRICTED or name in RESTRICTED[key]
    }
    metrics = ports.get(f"metrics-{name}", 0)
    own = {"PYTHONPATH": python_path(), "PYTHONUNBUFFERED": "1", "TREUM_METRICS_PORT": str(metrics)}
    return os.environ | kept | own


def of_sandbox(home: Path, ports: Mapping[str, int], keys: Mapping[str, Any]) -> dict[str, str]:
    """The outside world's environment: its own keys, which are ours too, and where it calls us back."""
    api = _url(ports["api"])
    ours = {key: value for key, value in os.environ.items() if not key.startswith("TREUM_")}
    return ours | {
        "PYTHONPATH": python_path(),
        "PYTHONUNBUFFERED": "1",
        "TREUM_SANDBOX_PORT": str(ports["sandbox"]),
        "TREUM_SANDBOX_DB": str(home / "sandbox.db"),
        "TREUM_SANDBOX_WEBHOOK_URL": f"{api}/v1/webhooks/razorpay",
        "TREUM_SANDBOX_POSTBACK_URL": f"{api}/v1/webhooks/kite/{keys['kite_postback_secret']}",
        **of_keys(keys),
    }


def endpoints(home: Path, variables: Mapping[str, str], ports: Mapping[str, int]) -> dict[str, Any]:
    """``endpoints.json`` without its processes; the contract is in the documentation of the API."""
    return {
        "api": _url(ports["api"]),
        "live": _url(ports["live"]),
        "sandbox": _url(ports["sandbox"]),
        "codec": _url(ports["codec"]),
        # The codec's proxy: it serves the UI and decodes for those who signed in.
        "temporal_ui": _url(ports["codec"]),
        "temporal": variables["TREUM_TEMPORAL"],
        "namespace": NAMESPACE,
        "postgres": variables["TREUM_POSTGRES"],
        "redis": variables["TREUM_REDIS"],
        "credentials": str(home / "credentials.json"),
    }
