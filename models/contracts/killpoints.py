"""Kill points: where campaigns end a process or spoil an answer, and the only place that knows how.

``TREUM_CRASH_AT`` is ``<activity>:<stage>`` (see `Stage`), or ``@FILE`` for a file that holds such a
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
    LOST = "lost"
    """The provider has done it and its answer is lost on the way; the process lives."""
    LATE = "late"
    """The provider's answer is held back for `LATE_SECONDS`."""
    DOUBLED = "doubled"
    """The activity runs twice, as after a lost heartbeat."""


KILLS = (Stage.BEFORE, Stage.AFTER_SEND, Stage.AFTER)
LATE_SECONDS = 3.5
"""Beyond a command's deadline and the shortest heartbeat, within a provider client's own timeout."""


current_activity: ContextVar[str] = ContextVar("current_activity", default="")
_armed = os.environ.get("TREUM_CRASH_AT", "")


def reached(stage: Stage, activity: str = "") -> None:
    """Ends this process by SIGKILL if this is the armed point."""
    if _armed and _claimed(f"{activity or current_activity.get()}:{stage}"):
        os.kill(os.getpid(), signal.SIGKILL)


def spoils(stage: Stage, activity: str = "") -> bool:
    """Whether this is the armed point: the caller then loses, delays or doubles what it has in hand."""
    return bool(_armed) and _claimed(f"{activity or current_activity.get()}:{stage}")


def _claimed(point: str) -> bool:
    if not _armed.startswith("@"):
        return _armed == point
    armed = Path(_armed[1:])
    with suppress(FileNotFoundError):
        if armed.is_dir():
            (armed / f"{point}.seen").touch()
            (armed / point).rename(armed / f"{point}.fired")
            return True
        if armed.read_text().strip() == point:
            armed.rename(armed.with_suffix(".fired"))
            return True
    return False
