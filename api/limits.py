"""Rate limits: a sliding window in Redis, by user, else API key, else address (spec/platform.md).

A window is 60 slots; a slot counts wholly until it has left the window, so that no true window ever
holds more than its limit. A refused call is not counted.
"""

import ipaddress
import math
import time
from collections import OrderedDict, deque
from collections.abc import Mapping
from dataclasses import dataclass

import structlog
from redis.asyncio import Redis
from redis.exceptions import RedisError

from models.settings import Settings

log = structlog.get_logger()

HOUR = 3600
SLOTS = 60

TOTALS = {"free": 100, "premium": 1_000, "enterprise": 10_000}
LIVE_SIGNALS = {"free": 100, "premium": 1_000, "enterprise": 10_000}
OPENAPI_PATH = "/v1/openapi.json"
UNCOUNTED = frozenset({"/healthz", "/readyz", "/docs", OPENAPI_PATH})
"""What supervisors and browsers ask for: told the full limit, never counted."""

WEBHOOKS = 100_000
"""Providers' webhooks are signed and must not be lost; the limit only stops a flood."""

WINDOW = """
local now = tonumber(redis.call('TIME')[1])
local out, allowed, slots = {}, 1, tonumber(ARGV[1])
for i, key in ipairs(KEYS) do
  local limit, window = tonumber(ARGV[i * 2]), tonumber(ARGV[i * 2 + 1])
  local width = window / slots
  local slot = math.floor(now / width)
  local used, oldest = 0, slot
  local held = redis.call('HGETALL', key)
  for j = 1, #held, 2 do
    local at = tonumber(held[j])
    if at <= slot - slots then redis.call('HDEL', key, held[j])
    else
      used = used + tonumber(held[j + 1])
      if at < oldest then oldest = at end
    end
  end
  if used >= limit then allowed = 0 end
  out[#out + 1] = used
  out[#out + 1] = math.ceil((oldest + slots) * width - now)
  out[#out + 1] = slot
end
if allowed == 1 then
  for i, key in ipairs(KEYS) do
    redis.call('HINCRBY', key, string.format('%d', out[i * 3]), 1)
    redis.call('EXPIRE', key, tonumber(ARGV[i * 2 + 1]))
  end
end
out[#out + 1] = allowed
return out
"""


@dataclass(frozen=True)
class Limit:
    """At most `count` calls in any `window` seconds; `name` tells its counter from others."""

    name: str
    count: int
    window: int


@dataclass(frozen=True)
class Verdict:
    """What the caller is told: the tighter of the limits that hold."""

    allowed: bool
    limit: int
    remaining: int
    reset: int

    def headers(self) -> dict[str, str]:
        return {
            "RateLimit-Limit": str(self.limit),
            "RateLimit-Remaining": str(self.remaining),
            "RateLimit-Reset": str(self.reset),
        }


def route_limit(path: str, tier: str) -> Limit:
    """The limit of a path."""
    if path.startswith("/v1/auth/") and path != "/v1/auth/jwks.json":
        return Limit("auth", 10, 300)
    if path.startswith("/v1/payments"):
        return Limit("payments", 50, HOUR)
    if path in ("/v1/signals/live", "/v1/signals/stream"):
        return Limit("live", LIVE_SIGNALS.get(tier, LIVE_SIGNALS["free"]), HOUR)
    if path.startswith("/v1/invoices/"):
        return Limit("verify", 60, HOUR)
    if path.startswith("/v1/webhooks/"):
        return Limit("webhooks", WEBHOOKS, HOUR)
    return Limit("other", 1_000, HOUR)


class Limits:
    """Counts calls. Without Redis every call passes, except on ``/auth``: there each process counts."""

    def __init__(self, redis: Redis, settings: Settings) -> None:
        self._factor = settings.limit_factor
        self._script = redis.register_script(WINDOW)
        self._proxies = [ipaddress.ip_network(proxy, strict=False) for proxy in settings.trusted_proxies]
        self._local = LocalWindow()

    async def count(self, caller: str, path: str, *, tier: str | None) -> Verdict:
        """Counts one call of `caller` on `path`; `tier` None: no total holds (nobody signed in)."""
        limits = [self._scaled(route_limit(path, tier or "free"))]
        if path in UNCOUNTED:
            return untouched(limits[0])
        if tier is not None:
            limits.append(self._scaled(Limit("total", TOTALS[tier], HOUR)))
        try:
            return await self._counted(caller, limits)
        except (RedisError, OSError) as error:
            log.warning("limits_without_redis", error=type(error).__name__)
        if limits[0].name == "auth":
            return self._local.count(caller, limits[0])
        return untouched(limits[0])

    def address(self, peer: str, headers: Mapping[str, str]) -> str:
        """The caller's address: the last hop that is not a trusted proxy; forwarded hops are believed
        only as far as trusted proxies named them."""
        hop = peer
        forwarded = [part.strip() for part in headers.get("x-forwarded-for", "").split(",") if part.strip()]
        while forwarded and self._trusted(hop):
            hop = forwarded.pop()
        return hop if _is_address(hop) else peer

    def _trusted(self, hop: str) -> bool:
        return _is_address(hop) and any(ipaddress.ip_address(hop) in proxy for proxy in self._proxies)

    def _scaled(self, limit: Limit) -> Limit:
        return Limit(limit.name, max(1, math.ceil(limit.count * self._factor)), limit.window)

    async def _counted(self, caller: str, limits: list[Limit]) -> Verdict:
        keys = [f"limit:{{{caller}}}:{limit.name}" for limit in limits]
        arguments = [SLOTS, *(number for limit in limits for number in (limit.count, limit.window))]
        answer = await self._script(keys=keys, args=arguments)
        allowed = bool(answer[-1])
        verdicts = [
            Verdict(
                allowed, limit.count, max(0, limit.count - answer[i * 3] - allowed), int(answer[i * 3 + 1])
            )
            for i, limit in enumerate(limits)
        ]
        return min(verdicts, key=lambda verdict: verdict.remaining)


class LocalWindow:
    """The exact log of recent calls, in this process alone, of at most 10,000 callers."""

    def __init__(self) -> None:
        self._calls: OrderedDict[str, deque[float]] = OrderedDict()

    def count(self, caller: str, limit: Limit) -> Verdict:
        now = time.monotonic()
        calls = self._calls.setdefault(caller, deque())
        self._calls.move_to_end(caller)
        if len(self._calls) > 10_000:
            self._calls.popitem(last=False)
        while calls and calls[0] <= now - limit.window:
            calls.popleft()
        allowed = len(calls) < limit.count
        if allowed:
            calls.append(now)
        reset = math.ceil(calls[0] + limit.window - now)
        return Verdict(allowed, limit.count, limit.count - len(calls), reset)


def untouched(limit: Limit) -> Verdict:
    return Verdict(True, limit.count, limit.count, limit.window)


def _is_address(text: str) -> bool:
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return True
