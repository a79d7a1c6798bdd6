"""One HTTP call to a provider, with every way it can fail put into the closed set of `domain.errors`."""

import re
from collections.abc import Mapping
from datetime import datetime
from typing import Any, Literal, TypeVar

import httpx
from pydantic import BaseModel, ValidationError

from domain.errors import RateLimited, Rejected, Unavailable, Unknown

Answer = TypeVar("Answer", bound=BaseModel)

DEFAULT_PAUSE_SECONDS = 1.0
_CODE = re.compile(r"[a-z][a-z0-9_]{0,63}")


class ProviderCalls:
    """Calls below one provider's `base_url`.

    Args:
        client: shared pool, closed by whoever made it.
        name: prefix of the error codes (`kyc` gives `kyc_unavailable`, `kyc_refused`, ...).
        timeout_seconds: for connecting, sending and each read.
    """

    def __init__(self, client: httpx.AsyncClient, base_url: str, name: str, timeout_seconds: float) -> None:
        self._client = client
        self._base_url = base_url.rstrip("/")
        self._name = name
        self._timeout = httpx.Timeout(timeout_seconds)

    async def send(
        self,
        method: str,
        path: str,
        *,
        repeatable: bool,
        as_of: datetime | None = None,
        json: Mapping[str, Any] | None = None,
        form: Mapping[str, str] | None = None,
        content: bytes | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> httpx.Response:
        """Sends one call and answers a 2xx.

        Args:
            repeatable: whether a second identical call does no harm; without it, whatever may have
                reached the provider and got no clear answer is Unknown.
            as_of: business time that the sandbox judges the call by; real providers ignore it.

        Raises:
            Rejected: `<name>_refused`, a 4xx; `detail` is the provider's code where it gave one.
            Unavailable: `<name>_unavailable`.
            Unknown: `<name>_unknown`, only where not `repeatable`.
            RateLimited: a 429.
        """
        now = {"X-Sandbox-Now": as_of.isoformat()} if as_of else {}
        try:
            response = await self._client.request(
                method,
                f"{self._base_url}{path}",
                json=json,
                data=dict(form) if form is not None else None,
                content=content,
                headers={**now, **(headers or {})},
                timeout=self._timeout,
                follow_redirects=False,
            )
        except (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout):
            raise Unavailable(f"{self._name}_unavailable") from None
        except (httpx.HTTPError, httpx.InvalidURL):
            raise self._no_answer(repeatable) from None
        if response.is_success:
            return response
        raise self._refusal(response, repeatable)

    async def ask(
        self,
        answer: type[Answer],
        method: Literal["GET", "POST"],
        path: str,
        *,
        json: Mapping[str, Any] | None = None,
        as_of: datetime | None = None,
    ) -> Answer:
        """A repeatable JSON call whose answer is read into `answer`; raises as `send` does.

        An answer of another shape is `<name>_unavailable`: nothing can be concluded from it.
        """
        response = await self.send(method, path, repeatable=True, as_of=as_of, json=json)
        try:
            return answer.model_validate_json(response.content)
        except ValidationError:
            raise Unavailable(f"{self._name}_unavailable") from None

    def _no_answer(self, repeatable: bool) -> Unavailable | Unknown:
        return Unavailable(f"{self._name}_unavailable") if repeatable else Unknown(f"{self._name}_unknown")

    def _refusal(self, response: httpx.Response, repeatable: bool) -> Exception:
        if response.status_code == 429:
            return RateLimited(_pause(response))
        if 400 <= response.status_code < 500 and response.status_code != 408:
            return Rejected(f"{self._name}_refused", _code(response))
        return self._no_answer(repeatable)


def _pause(response: httpx.Response) -> float:
    # A date is allowed too (RFC 9110, 10.2.3); none of these providers sends one.
    given = response.headers.get("retry-after", "")
    return float(given) if re.fullmatch(r"\d{1,5}", given) else DEFAULT_PAUSE_SECONDS


def _code(response: httpx.Response) -> str:
    """The provider's own machine word, or its status: never its prose."""
    try:
        found = response.json()["error"]
        found = found["code"] if isinstance(found, dict) else found
    except (ValueError, KeyError, TypeError):
        found = None
    return found if isinstance(found, str) and _CODE.fullmatch(found) else f"http_{response.status_code}"
