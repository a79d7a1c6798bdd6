"""The closed set of errors that providers and activities raise (`workflows.md`, Activities).

Callers decide on the class and on `code`, never on a text. Every one is raised `from None`, so that
no driver's or provider's words, and with them nobody's personal data, enter a workflow's history.
"""


class TreumError(Exception):
    """Base of the set. `code` is a stable machine word; the exception's text is that word alone."""

    def __init__(self, code: str) -> None:
        super().__init__(code)
        self.code = code


class Rejected(TreumError):
    """Permanent: the same call would be refused again.

    `detail` is for staff and holds ids, field names and codes only, never personal data.
    """

    def __init__(self, code: str, detail: str = "") -> None:
        super().__init__(code)
        self.detail = detail

    def __reduce__(self) -> tuple[type["Rejected"], tuple[str, str]]:
        return type(self), (self.code, self.detail)


class Unavailable(TreumError):
    """Nothing lasting happened, or what happened is safe to ask for again: retry, after `retry_after` seconds
    where it is known that sooner is in vain."""

    def __init__(self, code: str, retry_after: float = 0.0) -> None:
        super().__init__(code)
        self.retry_after = retry_after

    def __reduce__(self) -> tuple[type["Unavailable"], tuple[str, float]]:
        return type(self), (self.code, self.retry_after)


class Unknown(TreumError):
    """An irreversible call whose outcome nobody knows: resolve it by our key, never repeat it."""


class RateLimited(TreumError):
    """The provider asks for a pause of `retry_after` seconds before the next call."""

    def __init__(self, retry_after: float) -> None:
        super().__init__("rate_limited")
        self.retry_after = retry_after

    def __reduce__(self) -> tuple[type["RateLimited"], tuple[float]]:
        return type(self), (self.retry_after,)
