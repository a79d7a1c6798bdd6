"""Become another program that ends with its parent, without privileges where asked.

Run as a script with an isolated interpreter, not imported: between fork and exec of a process that
has threads, nothing may run safely, so the work is done after an exec. The pid stays the same.
"""

import ctypes
import os
import sys

PR_SET_PDEATHSIG, PR_SET_KEEPCAPS, PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE = 1, 8, 47, 2
CAPABILITY_VERSION_3 = 0x20080522
CAP_DAC_OVERRIDE, CAP_DAC_READ_SEARCH = 1, 2


def drop(libc: ctypes.CDLL, uid: int, gid: int, keep: int) -> None:
    """Become ``uid``; ``keep`` is a capability that stays (capabilities(7)), or -1 for none."""
    if keep >= 0:
        libc.prctl(PR_SET_KEEPCAPS, 1, 0, 0, 0)
    os.setgroups([])
    os.setresgid(gid, gid, gid)
    os.setresuid(uid, uid, uid)
    if keep >= 0:
        header = (ctypes.c_uint32 * 2)(CAPABILITY_VERSION_3, 0)
        sets = (ctypes.c_uint32 * 6)(*([1 << keep] * 3), 0, 0, 0)
        held = libc.capset(header, sets) == 0
        if not held or libc.prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, keep, 0, 0) != 0:
            sys.exit("cannot keep the right to enter folders closed to others")


def main() -> None:
    """``launch.py PARENT SIGNAL UID GID CAPABILITY PROGRAM …``; -1 leaves a value as it is."""
    parent, signal, uid, gid, keep = (int(value) for value in sys.argv[1:6])
    program = sys.argv[6:]
    libc = ctypes.CDLL(None, use_errno=True)
    if uid >= 0:
        drop(libc, uid, gid, keep)
    if sys.platform == "linux":
        # After the change of user: that change would clear it (prctl(2)).
        libc.prctl(PR_SET_PDEATHSIG, signal, 0, 0, 0)
    if os.getppid() != parent:
        sys.exit("the supervisor ended before its child began")
    os.execv(program[0], program)  # noqa: S606


main()
