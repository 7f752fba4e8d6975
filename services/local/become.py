"""Becomes another program that the kernel ends together with the process that started it.

A program of its own, run by `services.local.processes`: the same calls made between fork and exec
of a process with threads may deadlock. It uses the standard library only and is run by its path.
"""

import ctypes
import os
import signal
import sys

_PR_SET_PDEATHSIG = 1  # from the kernel's prctl.h


def main(arguments: list[str]) -> None:
    """Take `PARENT_PID DEATH_SIGNAL UID GID PROGRAM ARGUMENT...`; an empty UID keeps the user.

    Raises:
        OSError: the user cannot be taken on, or the program cannot be run.
    """
    parent, death_signal, uid, gid, *command = arguments
    if uid:
        os.setgroups([])
        os.setgid(int(gid))
        os.setuid(int(uid))
    # Python ignores these, and the program would inherit that.
    signal.signal(signal.SIGPIPE, signal.SIG_DFL)
    signal.signal(signal.SIGXFSZ, signal.SIG_DFL)
    if sys.platform == "linux":
        # After the change of user, which would clear it again.
        libc = ctypes.CDLL(None, use_errno=True)
        if libc.prctl(_PR_SET_PDEATHSIG, int(death_signal), 0, 0, 0) != 0:
            raise OSError(ctypes.get_errno(), "prctl(PR_SET_PDEATHSIG) failed")
        if os.getppid() != int(parent):
            return  # the parent died before the signal was set: nobody wants this program any more
    os.execv(command[0], command)  # noqa: S606 - that is what this program is for


if __name__ == "__main__":
    main(sys.argv[1:])
