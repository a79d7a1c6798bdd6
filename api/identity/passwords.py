"""Passwords: Argon2id hashes made off the event loop, and a floor for their strength."""

import asyncio
from concurrent.futures import ThreadPoolExecutor

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError
from zxcvbn import zxcvbn

from api.problems import FieldError, Problem

HASHER = PasswordHasher(time_cost=2, memory_cost=19 * 1024, parallelism=1)
"""OWASP's least setting for Argon2id (19 MiB, 2 passes, 1 lane): about 20 ms, so that sign-in keeps 200 ms at
p99 under load; a stronger one takes hold at each person's next sign-in (`stale`)."""

NOBODYS = HASHER.hash("nobody signs in with this")
"""Checked where no account has the mail, so that the answer takes the same time."""

WEAKEST = 2
"""zxcvbn's score from 0 to 4; 2 withstands an online attack (10^8 guesses)."""

_threads = ThreadPoolExecutor(2, thread_name_prefix="argon2")


async def hashed(password: str) -> str:
    return await asyncio.get_running_loop().run_in_executor(_threads, HASHER.hash, password)


async def fits(password: str, password_hash: str | None) -> bool:
    """Whether the password is the one hashed; as slow for None as for a real hash."""
    loop = asyncio.get_running_loop()
    right = await loop.run_in_executor(_threads, _verify, password_hash or NOBODYS, password)
    return right and password_hash is not None


def stale(password_hash: str) -> bool:
    """Whether the hash was made with other settings than today's."""
    return HASHER.check_needs_rehash(password_hash)


async def require_strong(password: str, personal: list[str], pointer: str = "/password") -> None:
    """422 ``weak_password`` for one that is guessed in few tries; `personal` words count as known."""
    # zxcvbn's time grows with the square of the length: what lies beyond 72 characters adds no doubt.
    result = await asyncio.get_running_loop().run_in_executor(
        _threads, lambda: zxcvbn(password[:72], user_inputs=personal)
    )
    if result["score"] < WEAKEST:
        raise Problem(
            422, "weak_password", errors=[FieldError(pointer, "weak_password", "too easy to guess")]
        )


def _verify(password_hash: str, password: str) -> bool:
    try:
        return HASHER.verify(password_hash, password)
    except (VerificationError, InvalidHashError):
        return False
