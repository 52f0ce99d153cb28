"""What a sandbox is started by, and what it tells of itself."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Sequence
from contextlib import ExitStack, suppress
from dataclasses import dataclass

from factotum.tool_executor.sandbox.groups import Group
from factotum.tool_executor.sandbox.usage import kill_first


class Status:
    """What bubblewrap tells: `child-pid`, the first process of the sandbox, and, only if the command came to run and
    ended, its `exit-code`."""

    def __init__(self, told: int) -> None:
        os.set_blocking(told, False)
        self._told = told
        self._text = b""

    def read(self) -> dict[str, int]:
        with suppress(BlockingIOError):
            while part := os.read(self._told, 65_536):
                self._text += part
        lines = self._text[: self._text.rfind(b"\n") + 1].splitlines()
        return {name: value for line in lines for name, value in json.loads(line).items() if isinstance(value, int)}


@dataclass(frozen=True, slots=True)
class Started:
    """What a sandbox is started by, outside, with no variables.

    Attributes:
        files: the descriptors that it inherits.
        look: told the process id of what was started, says why to stop it; empty: let it run.
        status: what became of it.
        group: the control group that it is in.
    """

    argv: Sequence[str]
    files: Sequence[int]
    look: Callable[[int], str]
    status: Status
    group: Group

    def kill(self) -> None:
        """Ends all that runs inside, at any moment. bubblewrap's own end does that only when both of its processes have
        come so far: the first one inside leaves the group before it asks to be ended with its starter. It does neither
        before its number was told."""
        if (first := self.status.read().get("child-pid")) is not None:
            kill_first(first)


def status(opened: ExitStack) -> tuple[Status, int]:
    """A pipe's end to read, and the descriptor of the one that bubblewrap writes to."""
    told, tell = os.pipe()
    opened.callback(os.close, told)
    opened.callback(os.close, tell)
    return Status(told), tell
