"""Commands in a sandbox made by bubblewrap; where it cannot be made, nothing runs."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
from collections.abc import Mapping
from contextlib import ExitStack
from pathlib import Path, PurePosixPath

from factotum.sdk import processes
from factotum.sdk.errors import Failed, InvalidArgument
from factotum.sdk.processes import SEARCH
from factotum.sdk.sandbox import MIB, Command, Ended, Limits
from factotum.tool_executor.sandbox.memory import resident_bytes
from factotum.tool_executor.sandbox.options import NOBODY, options

# execve(2): of one argument or variable, in bytes; the sandbox's own words come off it
_LONGEST = 128 * 1024 - 64
# Each is a descriptor of the sandbox while that is made.
_MOST_FILES = 100
_ADVICE = "install bubblewrap and util-linux where the tool-executor runs, and allow user namespaces there"


class Bubblewrap:
    """A `Sandbox` of bubblewrap, which has nothing of its own between two commands.

    Args:
        search: the folders, as in PATH, where programs are found.
    """

    def __init__(self, *, search: str = SEARCH) -> None:
        self._search = search

    def program(self, *names: str) -> str:
        for name in names:
            if found := shutil.which(name, path=self._search):
                return found
        words = f"{' or '.join(names)} is not on {self._search} of the tool-executor: install it"
        raise Failed(words, effect_possible=False)

    async def run(self, command: Command, limits: Limits) -> Ended:
        argv = [self.program(command.argv[0]), *command.argv[1:]]
        with ExitStack() as opened:
            scripts = _given(opened, command.scripts)
            files = _given(opened, command.files, at_most=limits.disk_bytes)
            words = list(
                options(
                    environment=command.environment,
                    disk_bytes=limits.disk_bytes,
                    scripts=scripts,
                    files=files,
                    filters=None,
                )
            )
            _check([*words, *argv])
            told, tell = os.pipe()
            opened.callback(os.close, told)
            opened.callback(os.close, tell)
            given = _in_memory(opened, "\0".join(["--json-status-fd", str(tell), *words]).encode("utf-8", "replace"))
            try:
                ended = await processes.run(
                    [*self._around(command, limits), "--args", str(given), "--", *self._inside(limits), *argv],
                    environment={},
                    stdin=command.stdin.encode("utf-8", "replace") if isinstance(command.stdin, str) else command.stdin,
                    seconds=limits.seconds,
                    output_bytes=limits.output_kib * 1024,
                    files=(given, tell, *scripts.values(), *files.values()),
                    look=lambda pid: _too_much(pid, limits),
                )
            finally:
                status = _status(told)
                await _emptied(status.get("child-pid"))
            if not ended.stopped and "exit-code" not in status:
                why = ended.stderr.last_lines or f"code {ended.code}"
                raise Failed(f"no sandbox could be made: {why}; {_ADVICE}", effect_possible=False)
            return Ended(ended.code, ended.stdout, ended.stderr, ended.stopped)

    def _around(self, command: Command, limits: Limits) -> list[str]:
        """What the sandbox is started by. Root becomes nobody: of root's processes the kernel bounds no number."""
        tools = {name: shutil.which(name, path=self._search) for name in ("bwrap", "prlimit", "setpriv")}
        if missing := [name for name, path in tools.items() if path is None]:
            words = f"commands run only in a sandbox and {' and '.join(missing)} is missing: {_ADVICE}"
            raise Failed(words, effect_possible=False)
        as_nobody = [f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups", "--"]
        bounds = [
            "--core=0",
            "--nofile=256",
            f"--cpu={limits.cpu_seconds}",
            f"--fsize={limits.file_mib * MIB}",
            *([f"--as={4 * limits.memory_mib * MIB}"] if command.bound_address_space else []),
        ]
        return [
            *([str(tools["setpriv"]), *as_nobody] if os.geteuid() == 0 else []),
            *(str(tools["prlimit"]), *bounds, "--", str(tools["bwrap"])),
        ]

    def _inside(self, limits: Limits) -> list[str]:
        # Counted by the kernel for each user namespace, so it is set in the sandbox's own: no other one counts.
        return [self.program("prlimit"), f"--nproc={limits.processes}", "--"]


def _given(opened: ExitStack, files: Mapping[str, str | bytes], *, at_most: int | None = None) -> dict[str, int]:
    """Descriptors of what the files hold. Raises `InvalidArgument`."""
    contents = {_inner(name): text.encode() if isinstance(text, str) else text for name, text in files.items()}
    if len(contents) > _MOST_FILES:
        raise InvalidArgument(f"a command is given at most {_MOST_FILES} files")
    if at_most is not None and sum(map(len, contents.values())) > at_most:
        raise InvalidArgument(f"the files that the command is given have more than {at_most // MIB} MiB together")
    return {name: _in_memory(opened, content) for name, content in contents.items()}


def _inner(name: str) -> str:
    """The name of a file below a folder. Raises `InvalidArgument`."""
    path = PurePosixPath(name)
    if not name or "\0" in name or path.is_absolute() or ".." in path.parts or str(path) != name:
        raise InvalidArgument(f"{name!r} is not the name of a file in the command's folder")
    return name


def _check(words: list[str]) -> None:
    """Raises `InvalidArgument`."""
    if any("\0" in word for word in words):
        # It separates options: what follows one would be bubblewrap's to obey.
        raise InvalidArgument("an argument or a variable holds a NUL character, which neither can")
    if any(len(word.encode("utf-8", "replace")) >= _LONGEST for word in words):
        raise InvalidArgument(f"an argument or a variable has {_LONGEST} bytes or more: give it as stdin or as a file")


def _in_memory(opened: ExitStack, content: bytes) -> int:
    descriptor = os.memfd_create("factotum", os.MFD_CLOEXEC)
    opened.callback(os.close, descriptor)
    view = memoryview(content)
    while view:
        view = view[os.write(descriptor, view) :]
    os.lseek(descriptor, 0, os.SEEK_SET)
    return descriptor


def _too_much(pid: int, limits: Limits) -> str:
    return f"held more than {limits.memory_mib} MiB" if resident_bytes(pid) > limits.memory_mib * MIB else ""


def _status(told: int) -> dict[str, int]:
    """What bubblewrap told by its end: `child-pid`, the first process of the sandbox, and, only if the command came to
    run, its `exit-code`."""
    os.set_blocking(told, False)
    try:
        lines = os.read(told, 65_536).splitlines()
    except BlockingIOError:
        return {}
    return {name: value for line in lines for name, value in json.loads(line).items() if isinstance(value, int)}


async def _emptied(first: int | None) -> None:
    """Returns when the kernel has ended all processes of the sandbox: its first one goes last. bubblewrap ends
    before, when the command does."""
    while first is not None:
        if not _lives(first):
            return
        await asyncio.sleep(0.002)


def _lives(pid: int) -> bool:
    try:
        # proc(5): the state follows the name, which is in parentheses.
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in "ZX"
    except OSError:
        return False
