"""What servers that are started here may be given of this machine.

A source's configuration is a tenant's, and on the machine lie other tenants' secrets: the deployment says what of it
a configuration may ask for, and by itself that is nothing.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from factotum.sdk.errors import NotPermitted
from factotum.tool_executor.sources.mcp.config import Program

# What every sandbox shows.
_SHOWN = ("/usr", "/bin", "/lib", "/lib64", "/sbin", "/dev", "/proc")


class Machine:
    """Args:
    folders: those that, with all that is in them, may be read by a server in its sandbox.
    unsandboxed: tenants whose servers may run without one.
    """

    def __init__(self, folders: Iterable[Path] = (), unsandboxed: Iterable[str] = ()) -> None:
        self._folders = tuple(folders)
        self._unsandboxed = frozenset(unsandboxed)

    def check(self, program: Program) -> None:
        """Raises `NotPermitted` for what no tenant may have. Looks at nothing of the machine."""
        if program.unsandboxed and not self._unsandboxed:
            raise _unsandboxed("no tenant's")
        for folder in program.folders:
            if not any(Path(folder).is_relative_to(one) for one in self._folders):
                raise self._elsewhere(folder)

    def check_start(self, program: Program, tenant: str) -> None:
        """Raises `NotPermitted` for what this tenant may not have, and for a folder that leads elsewhere by a link."""
        self.check(program)
        if program.unsandboxed and tenant not in self._unsandboxed:
            raise _unsandboxed(f"not the tenant {tenant}'s")
        for folder in program.folders:
            if not any(Path(folder).resolve().is_relative_to(one.resolve()) for one in self._folders):
                raise self._elsewhere(folder)

    def unseen(self, program: Program) -> str:
        """What to do about a path of the command line that is there and that its sandbox does not show; else empty."""
        shown = [*map(Path, program.folders), *map(Path, _SHOWN)]
        for word in program.command:
            path = Path(word)
            if path.is_absolute() and path.exists() and not any(path.is_relative_to(one) for one in shown):
                return (
                    f"its sandbox does not show {word}: name its folder under stdio.folders, and where the tenant adds "
                    "the source also in FACTOTUM_SANDBOX__FOLDERS of the tool executor"
                )
        return ""

    def _elsewhere(self, folder: str) -> NotPermitted:
        there_are = ", ".join(map(str, self._folders)) or "none"
        return NotPermitted(
            f"stdio.folders: {folder} may not be given to a server; folders that may are {there_are} "
            "(FACTOTUM_SANDBOX__FOLDERS of the tool executor)"
        )


def _unsandboxed(whose: str) -> NotPermitted:
    return NotPermitted(
        f"stdio.unsandboxed: {whose} servers may run without a sandbox (FACTOTUM_SANDBOX__UNSANDBOXED of the tool "
        "executor names the tenants whose may)"
    )
