"""Every setting of a process, read from ``TREUM_*`` variables and from nothing else."""

import base64
from datetime import date, timedelta
from functools import lru_cache
from typing import Annotated, Literal, Self
from urllib.parse import urlsplit

from pydantic import BeforeValidator, Field, SecretStr, model_validator
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict


def _split(value: object) -> object:
    return [part.strip() for part in value.split(",") if part.strip()] if isinstance(value, str) else value


CommaList = Annotated[list[str], NoDecode, BeforeValidator(_split)]


class Settings(BaseSettings):
    """One process's configuration.

    Keys are base 64 of 32 random bytes; key rings list ``id:key`` pairs, newest first, so that a
    rotated key still opens what it sealed.
    """

    model_config = SettingsConfigDict(env_prefix="TREUM_", extra="ignore")

    env: Literal["embedded", "cluster", "production"] = "embedded"
    home: str = ".treum"

    postgres: str = "postgresql://treum@127.0.0.1:5432/treum"
    redis: str = "redis://127.0.0.1:6379/0"
    temporal: str = "127.0.0.1:7233"
    namespace: str = "treum"
    temporal_ui: str = "http://127.0.0.1:8233"

    host: str = "127.0.0.1"
    api_port: int = 8000
    live_port: int = 8001
    codec_port: int = 8002
    metrics_port: int = 0
    public_url: str = "http://127.0.0.1:8000"
    """Where customers reach the API; webhooks and links are built on it."""

    sandbox: str = "http://127.0.0.1:8010"
    razorpay_url: str = ""
    razorpay_key_id: str = ""
    razorpay_key_secret: SecretStr = SecretStr("")
    razorpay_webhook_secrets: CommaList = Field(default_factory=list)
    """Current secret first, then the one before it: retries keep the old one after a rotation."""
    settlement_lag_days: int = 2
    """Bank days from capture to settlement, as agreed with the gateway (Razorpay: T+2). An embedded home sets
    0: its sandbox settles a day on that same day."""
    kite_url: str = ""
    kite_api_key: str = ""
    kite_api_secret: SecretStr = SecretStr("")
    kite_algo_id: str = "GENERIC"
    """Names our orders as an algorithm's, as the broker has registered it (SEBI, from April 2026); the
    generic one stands for algorithms below the exchanges' threshold of orders a second."""
    kite_postback_secret: SecretStr = SecretStr("")
    """The secret path segment of the app's one postback URL."""

    irp_url: str = ""
    irp_client_id: str = ""
    irp_client_secret: SecretStr = SecretStr("")
    irp_public_keys: CommaList = Field(default_factory=list)
    """Pinned public keys of the e-invoice portal, each PEM in base 64: the one in force, then former ones."""

    aadhaar_certificates: CommaList = Field(default_factory=list)
    """Pinned certificates of the offline e-KYC signer, each PEM in base 64: the one in force, then former
    ones. Never read from the file that is being checked."""

    codec_keys: CommaList = Field(default_factory=list)
    vault_keys: CommaList = Field(default_factory=list)
    index_key: SecretStr = SecretStr("")
    """Key of the blind indexes (HMAC of mail, phone, PAN)."""
    token_key: SecretStr = SecretStr("")
    """RS256 private key of access tokens, PEM in base 64."""
    assertion_key: SecretStr = SecretStr("")
    """Ed25519 private key of staff assertions, PEM in base 64; only the API holds it."""
    assertion_public_key: str = ""
    certificate_key: SecretStr = SecretStr("")
    """RS256 private key that signs certificates of completion, PEM in base 64; only the education pool
    holds it."""
    certificate_public_keys: CommaList = Field(default_factory=list)
    """Its public half, PEM in base 64: the one in force, then former ones, so that what they signed still
    verifies."""
    report_key: SecretStr = SecretStr("")
    """Ed25519 private key that signs the reports of kill switches, PEM in base 64; only the trading pool
    holds it."""
    report_public_keys: CommaList = Field(default_factory=list)
    """Its public half, PEM in base 64: the one in force, then former ones."""
    document_key: SecretStr = SecretStr("")
    """RSA private key that signs invoices (CGST Rule 46(q)), PEM in base 64; only the API holds it."""
    document_certificate: str = ""
    """Its X.509 certificate, PEM in base 64: of a licensed certifying authority in production."""
    media_key: SecretStr = SecretStr("")
    """HMAC key of links to lessons' media, 32 bytes in base 64; the API makes and checks them."""
    media_home: str = ""
    """Folder of the lessons' media; empty: ``media`` in the home."""

    limit_factor: float = 1.0
    trusted_proxies: CommaList = Field(default_factory=lambda: ["127.0.0.1/32", "::1/128"])
    otlp_endpoint: str = ""
    log_level: str = "INFO"
    command_deadline: timedelta = timedelta(seconds=3)

    supplier_name: str = "Treum Technologies Private Limited"
    supplier_address: str = "Registered office, MG Road, Bengaluru 560001"
    """On every invoice (CGST Rule 46(a))."""
    supplier_place: str = "Bengaluru"
    supplier_pincode: str = "560001"
    supplier_turnover: int = 12_00_00_000
    """Rupees, the highest of any financial year since 2017-18: over the limits of `domain/einvoices.py` sales
    to registered buyers are registered with the e-invoice portal, within 30 days."""
    supplier_upi: str = Field("", pattern=r"^([A-Za-z0-9._-]{2,256}@[A-Za-z][A-Za-z0-9.]{1,63})?$")
    """The firm's UPI ID: in the dynamic QR of invoices to unregistered buyers (turnover above ₹500 crore)."""
    annual_returns: CommaList = Field(default_factory=list)
    """``2025:2026-10-15``: the financial year that began in 2025 had its annual return filed on that day,
    which ends the time for its credit notes (CGST s.34(2))."""
    supplier_gstin: str = "29AABCT3518Q1ZS"
    supplier_state: str = "KA"
    research_registration: str = "INH000000000"
    """The firm's registration as a research analyst (SEBI); every signal carries it."""

    crash_at: str = ""
    """``<activity>:<before|after_send|after>``: tests only; the process kills itself there."""

    @model_validator(mode="after")
    def _no_sandbox_in_production(self) -> Self:
        """A production platform that speaks to a stand-in would take money that is not there."""
        if self.env == "production":
            for name in ("razorpay_url", "kite_url", "irp_url"):
                host = urlsplit(getattr(self, name)).hostname or ""
                if host in ("", "localhost", "::1") or host.startswith("127."):
                    raise ValueError(
                        f"TREUM_{name.upper()} has to be the provider's own address in production"
                    )
        return self

    @property
    def razorpay_base(self) -> str:
        return self.razorpay_url or f"{self.sandbox}/razorpay"

    @property
    def irp_base(self) -> str:
        return self.irp_url or f"{self.sandbox}/irp"

    @property
    def filed_annual_returns(self) -> dict[int, date]:
        """Day of filing by the year in which a financial year began. Raises ValueError for another shape."""
        pairs = (entry.partition(":") for entry in self.annual_returns)
        return {int(year): date.fromisoformat(day) for year, _, day in pairs}

    @property
    def kite_base(self) -> str:
        return self.kite_url or f"{self.sandbox}/kite"

    def ring(self, keys: list[str]) -> dict[str, bytes]:
        """Key ring as id -> 32 bytes, the current key first.

        Raises:
            ValueError: an entry is not ``id:base64`` of 32 bytes.
        """
        ring: dict[str, bytes] = {}
        for entry in keys:
            name, _, encoded = entry.partition(":")
            key = base64.b64decode(encoded)
            if not name or len(key) != 32:
                raise ValueError("a key ring entry is id:base64 of 32 bytes")
            ring[name] = key
        return ring


@lru_cache
def settings() -> Settings:
    """The settings of this process, read once."""
    return Settings()
