"""Control groups (cgroups(7)) for commands: the kernel's own bound on memory of every sort and on processes.

Folders of groups are given, one of version 2 with the controllers `memory` and `pids`, or one for each of them of
version 1; each command has a group of its own below. Of the files that set a bound, those are written that there are.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

from factotum.sdk.errors import Failed
from factotum.sdk.sandbox import MIB, Limits

# What nothing bounds, or only after it was passed, where there are no groups.
UNBOUNDED = (
    "the memory of all processes of a command is looked at ten times a second, and what it takes in between is not "
    "stopped; the kernel's memory for pipes, terminals, mappings and locks is bounded by their number alone"
)
_PREFIX = "factotum-"
# Beside what the command holds: the sandbox's own processes, and pages of the programs that it reads.
_MORE_BYTES = 64 * MIB
_MORE_PROCESSES = 16
# The first process puts itself there: what it starts is there from its beginning.
_ENTER = 'while [ "$1" != -- ]; do echo 0 > "$1" || exit 1; shift; done; shift; exec "$@"'


class ControlGroupsUnusable(Exception):
    """The folders that were given bound nothing; the message says what to change."""


class Group:
    """One command's group, by its folders."""

    def __init__(self, folders: Sequence[Path]) -> None:
        self._folders = folders

    @property
    def entering(self) -> list[str]:
        """What a program is started by so that it is in the group; empty without one."""
        if not self._folders:
            return []
        return ["/bin/sh", "-c", _ENTER, "sh", *(str(folder / "cgroup.procs") for folder in self._folders), "--"]

    @property
    def bounds(self) -> set[str]:
        """The controllers that it has."""
        files = {"memory.max": "memory", "memory.limit_in_bytes": "memory", "pids.max": "pids"}
        return {name for folder in self._folders for file, name in files.items() if (folder / file).exists()}

    @property
    def killed(self) -> bool:
        """Whether the kernel ended a process because the group had no memory left."""
        for folder in self._folders:
            for name in ("memory.events", "memory.oom_control"):
                with suppress(OSError):
                    words = (folder / name).read_text().split()
                    counts = dict(zip(words[::2], words[1::2], strict=False))
                    if int(counts.get("oom_kill", "0")) > 0:
                        return True
        return False


class Groups:
    """Makes groups in the given folders; where none are given, groups that bound nothing."""

    def __init__(self, folders: Sequence[Path] = ()) -> None:
        self._folders = folders

    def check(self) -> None:
        """Raises `ControlGroupsUnusable` if no groups can be made that bound memory and processes."""
        if not self._folders:
            return
        try:
            with self.made(Limits()) as group:
                missing = {"memory", "pids"} - group.bounds
        except Failed as error:
            raise ControlGroupsUnusable(f"FACTOTUM_SANDBOX__CGROUPS: {error.message}") from error
        if missing:
            where = ", ".join(map(str, self._folders))
            raise ControlGroupsUnusable(
                f"FACTOTUM_SANDBOX__CGROUPS: groups in {where} bound no {' and no '.join(sorted(missing))}: enable the "
                "controllers for them"
            )

    @contextmanager
    def made(self, limits: Limits) -> Iterator[Group]:
        """Raises `Failed`, without effect."""
        with ExitStack() as made:
            try:
                folders = [self._one(made, folder, limits) for folder in self._folders]
            except OSError as error:
                words = f"no control group could be made: {error.filename}: {error.strerror}"
                raise Failed(words, effect_possible=False) from error
            yield Group(folders)

    def sweep(self, *, before: float) -> None:
        """Removes the groups that killed executors left before this time, of the epoch. One that is in use stays."""
        for folder in self._folders:
            for left in folder.glob(f"{_PREFIX}*"):
                with suppress(OSError):
                    if left.stat().st_mtime < before:
                        left.rmdir()

    def _one(self, made: ExitStack, folder: Path, limits: Limits) -> Path:
        group = Path(tempfile.mkdtemp(prefix=_PREFIX, dir=folder))
        made.callback(_remove, group)
        memory = str(limits.memory_mib * MIB + limits.disk_bytes + _MORE_BYTES)
        for name, value in {
            "memory.max": memory,
            "memory.swap.max": "0",
            "memory.oom.group": "1",
            "memory.limit_in_bytes": memory,
            "memory.memsw.limit_in_bytes": memory,
            "pids.max": str(limits.processes + _MORE_PROCESSES),
        }.items():
            if (group / name).exists():
                (group / name).write_text(value)
        return group


def _remove(group: Path) -> None:
    # The kernel may still be ending a process of it; then a start sweeps it away.
    with suppress(OSError):
        group.rmdir()
