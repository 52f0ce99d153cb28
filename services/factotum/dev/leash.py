"""Runs a command that the kernel ends together with the process that started it, even if that one is killed.

`python -I -S leash.py PARENT_PID COMMAND…`. It becomes the command: same process id. Run by its
path, so that it costs an interpreter and nothing else. Where there is no prctl (other systems than
Linux) the command runs without a leash, and `factotum dev down` ends what a killed supervisor left.
"""

import ctypes
import os
import signal
import sys

PR_SET_PDEATHSIG = 1
NOT_FOUND = 127


def main(parent: int, command: list[str]) -> None:
    """Does not return."""
    if sys.platform == "linux":
        ctypes.CDLL(None, use_errno=True).prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
        if os.getppid() != parent:
            sys.exit(NOT_FOUND)  # it died before it could be watched
    try:
        os.execvp(command[0], command)  # noqa: S606
    except OSError as error:
        print(f"{command[0]} cannot be started: {error.strerror}", file=sys.stderr)
        sys.exit(NOT_FOUND)


if __name__ == "__main__":
    main(int(sys.argv[1]), sys.argv[2:])
