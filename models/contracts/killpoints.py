"""Kill points: where campaigns end a process, and the only place that knows how.

``TREUM_CRASH_AT`` is ``<activity>:<before|after_send|after>``, or ``@FILE`` for a file that holds such a
line, or ``@FOLDER`` for a folder with a file of such a name for each armed point. A file is claimed by
renaming it to ``….fired``, so a point fires once however often its process is restarted, and a campaign
arms the next points without a restart; a folder also keeps a ``….seen`` of each point that was passed.
Unset, as everywhere outside tests, nothing is looked at.
"""

import os
import signal
from contextlib import suppress
from contextvars import ContextVar
from enum import StrEnum
from pathlib import Path


class Stage(StrEnum):
    BEFORE = "before"
    """The activity has not begun."""
    AFTER_SEND = "after_send"
    """The provider has answered; nobody here has read it."""
    AFTER = "after"
    """The activity has returned; the server does not know yet."""


current_activity: ContextVar[str] = ContextVar("current_activity", default="")
_armed = os.environ.get("TREUM_CRASH_AT", "")


def reached(stage: Stage, activity: str = "") -> None:
    """Ends this process by SIGKILL if this is the armed point."""
    if not _armed:
        return
    point = f"{activity or current_activity.get()}:{stage}"
    if _armed.startswith("@"):
        _fire_once(Path(_armed[1:]), point)
    elif _armed == point:
        os.kill(os.getpid(), signal.SIGKILL)


def _fire_once(armed: Path, point: str) -> None:
    with suppress(FileNotFoundError):
        if armed.is_dir():
            (armed / f"{point}.seen").touch()
            (armed / point).rename(armed / f"{point}.fired")
        elif armed.read_text().strip() == point:
            armed.rename(armed.with_suffix(".fired"))
        else:
            return
        os.kill(os.getpid(), signal.SIGKILL)
