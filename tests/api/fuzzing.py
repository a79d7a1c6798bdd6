"""Hooks of the fuzzing run (``SCHEMATHESIS_HOOKS``): what would stop it rather than try the API."""

import re
import secrets

import schemathesis
from schemathesis import Case, HookContext

LONGEST_WAIT = 30.0
MOMENT = 0.01


@schemathesis.hook
def before_call(context: HookContext, case: Case, kwargs: dict) -> None:
    """A read that may wait for half a minute is asked to wait no longer than a moment; a key that is due
    is there, so that bodies are looked at."""
    wait = str((case.query or {}).get("wait", ""))
    if re.fullmatch(r"\d+(\.\d+)?", wait) and MOMENT < float(wait) <= LONGEST_WAIT:
        case.query["wait"] = MOMENT
    case.headers.setdefault("Idempotency-Key", secrets.token_hex(8))
