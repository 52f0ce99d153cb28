"""Running a command that must reach nothing but what it was given.

A tool that is declared `sandbox=True` finds a `Sandbox` in its context:

    ended = await context.sandbox.run(Command(["jq", arguments.filter], stdin=arguments.text), Limits(seconds=5))

What is behind it is for the tool executor to know. There is no way around it: where no sandbox can be made the call
fails, and nothing has run.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from typing import Protocol

from pydantic import BaseModel, ConfigDict, Field

from factotum.sdk import processes
from factotum.sdk.errors import NotPermitted

MIB = 1024 * 1024

# The folder that a command works in, its home and its temporary folder as well.
WORK = "/tmp"  # noqa: S108  the sandbox's own
# Where `Command.scripts` are.
SCRIPTS = "/run/factotum"


class Limits(BaseModel):
    """Bounds of one command. What passes one is stopped, with all that it started."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    seconds: float = Field(default=60.0, gt=0, le=3600)
    cpu_seconds: int = Field(default=60, gt=0, description="Of all its processes together.")
    memory_mib: int = Field(default=512, ge=16, description="Of all its processes together.")
    processes: int = Field(default=64, ge=4, description="And threads.")
    file_mib: int = Field(default=32, gt=0, description="Of one file.")
    disk_mib: int | None = Field(
        default=None, gt=0, description="Of all files together; where it is not set, twice that of one file."
    )
    files: int = Field(default=10_000, gt=0, description="And folders.")
    output_kib: int = Field(
        default=1024, gt=0, le=4096, description="Of standard output, of standard error, and of the files given back."
    )

    @property
    def disk_bytes(self) -> int:
        return (self.disk_mib or 2 * self.file_mib) * MIB


@dataclass(frozen=True, slots=True)
class Command:
    """What runs inside.

    Attributes:
        argv: the program, by its name or its path, and its arguments. Every user of the machine can read them while
            it runs: secrets belong into `environment`, `stdin` or `files`.
        environment: variables beside PATH, HOME and LANG.
        files: what stands in the working folder when the command begins, by name; a name may have folders. The
            command may change them.
        scripts: the same in `SCRIPTS`, where nothing can be changed.
        wanted: patterns (`report.pdf`, `pages/*.png`; a `*` is in one folder) of the files in the working folder that
            are given back; a link or a folder is not.
        hosts: `host`, `host:port` or `*.domain` of whom it may reach, by HTTP and HTTPS through the proxy that its
            environment names; without a port 443, and 80 for HTTP without TLS. Addresses that are not public are
            reached only where they, or their name, are written out.
        bound_address_space: off for programs that reserve far more than they use.
    """

    argv: Sequence[str]
    stdin: str | bytes | None = None
    environment: Mapping[str, str] = field(default_factory=dict)
    files: Mapping[str, str | bytes] = field(default_factory=dict)
    scripts: Mapping[str, str | bytes] = field(default_factory=dict)
    wanted: Sequence[str] = ()
    hosts: Sequence[str] = ()
    bound_address_space: bool = True


@dataclass(frozen=True, slots=True)
class Ended(processes.Ended):
    """How a command ended. `files` are those that were wanted and there, by name; `refused` the `host:port` that it
    asked for and was not let reach."""

    files: Mapping[str, bytes] = field(default_factory=dict)
    refused: Sequence[str] = ()


@dataclass(frozen=True, slots=True, eq=False)
class Launch:
    """What starts a command in its sandbox, as `factotum.sdk.processes.started` takes it: outside, with no variables.

    Attributes:
        files: descriptors that it inherits.
        look: told the process id of what was started, now and then, says why to stop it; empty: let it run.
        kill: ends all that runs inside.
    """

    argv: Sequence[str]
    files: Sequence[int]
    look: Callable[[int], str]
    kill: Callable[[], None]


class Sandbox(Protocol):
    """Where one call's commands run. Each has a folder of its own that is gone when it has ended."""

    def program(self, *names: str) -> str:
        """The path of the first of these that is found inside. Raises `Failed`, without effect."""

    async def run(self, command: Command, limits: Limits) -> Ended:
        """Runs the command to its end, or until it passes a limit; `Ended.stopped` says which.

        When this returns or raises, nothing of the command runs any more. Cancelling it stops the command.

        Raises `Failed`, without effect, where no sandbox can be made; `InvalidArgument` for what no command can be
        given.
        """

    def launched(
        self, command: Command, limits: Limits, *, folders: Sequence[str] = ()
    ) -> AbstractAsyncContextManager[Launch]:
        """How to start a command that lasts, such as a server that is spoken to over its pipes. Who starts it ends it
        within the block; when that is left, or at the latest when the call ends, nothing of it runs any more.

        Of the command, `stdin` and `wanted` are for who starts it to do without; of the limits, `seconds` and
        `output_kib` are for them to keep.

        Args:
            folders: of the machine, that it may read.

        Raises as `run` does.
        """


class Undeclared:
    """The sandbox of a tool that declares none."""

    def program(self, *names: str) -> str:
        raise _undeclared()

    async def run(self, command: Command, limits: Limits) -> Ended:
        raise _undeclared()

    def launched(
        self, command: Command, limits: Limits, *, folders: Sequence[str] = ()
    ) -> AbstractAsyncContextManager[Launch]:
        raise _undeclared()


def _undeclared() -> NotPermitted:
    return NotPermitted("this tool runs no commands: declare it with sandbox=True")
