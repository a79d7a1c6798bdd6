"""Links to a lesson's media: signed for one person, for a time, and for nothing else."""

import hashlib
import hmac
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Annotated

from fastapi import APIRouter, Query
from starlette.responses import FileResponse

from api.education.shapes import Stream
from api.platform import PlatformDep
from api.problems import Problem
from models.settings import Settings
from store import education_courses

router = APIRouter(prefix="/v1/media", tags=["education"])

MARGIN = timedelta(hours=1)
"""How much longer than the lesson its link lives: pauses and rewinding."""


def stream_of(
    settings: Settings, lesson_id: str, user_id: str, duration_seconds: int, now: datetime
) -> Stream:
    """A fresh link for this person."""
    expires_at = (now + timedelta(seconds=duration_seconds) + MARGIN).replace(microsecond=0)
    expires = int(expires_at.timestamp())
    signature = signed(settings, lesson_id, user_id, expires)
    query = f"user={user_id}&expires={expires}&signature={signature}"
    return Stream(url=f"{settings.public_url}/v1/media/{lesson_id}?{query}", expires_at=expires_at)


def signed(settings: Settings, lesson_id: str, user_id: str, expires: int) -> str:
    """HMAC-SHA256 over lesson, person and expiry, in hex."""
    message = f"{lesson_id}\0{user_id}\0{expires}".encode()
    return hmac.new(settings.media_key.get_secret_value().encode(), message, hashlib.sha256).hexdigest()


@router.get("/{lesson_id}", response_class=FileResponse)
async def stream(
    lesson_id: str,
    platform: PlatformDep,
    user: Annotated[str, Query(max_length=64)],
    expires: Annotated[int, Query(ge=0, le=10**11)],
    signature: Annotated[str, Query(max_length=128)],
) -> FileResponse:
    """The media, whole or in ranges. The link is its own credential: players send no header.

    403 `link_invalid` for one that we did not sign, or that is over; 404 where the media is not uploaded.
    """
    wanted = signed(platform.settings, lesson_id, user, expires)
    if not hmac.compare_digest(wanted.encode(), signature.encode()):
        raise Problem(403, "link_invalid")
    if datetime.now(UTC).timestamp() > expires:
        raise Problem(403, "link_expired")
    async with platform.database.reading() as connection:
        lesson = await education_courses.lesson(connection, lesson_id)
    home = Path(platform.settings.media_home or Path(platform.settings.home) / "media")
    media = home / lesson["media"] if lesson and lesson["media"] else None
    if media is None or not media.is_file():
        raise Problem(404, "media_not_found")
    return FileResponse(media, headers={"Cache-Control": "private, max-age=300"})
