"""Commands in a sandbox made by bubblewrap; where it cannot be made, nothing runs."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from contextlib import AsyncExitStack, ExitStack, asynccontextmanager, contextmanager
from dataclasses import replace
from functools import cache
from pathlib import Path

from factotum.sdk import processes
from factotum.sdk.errors import Failed, InvalidArgument
from factotum.sdk.processes import SEARCH
from factotum.sdk.sandbox import MIB, SCRIPTS, WORK, Command, Ended, Launch, Limits
from factotum.tool_executor.sandbox import inside, sockets
from factotum.tool_executor.sandbox.collected import Collected
from factotum.tool_executor.sandbox.given import given as given_files
from factotum.tool_executor.sandbox.given import in_memory, inner
from factotum.tool_executor.sandbox.groups import Groups
from factotum.tool_executor.sandbox.network import PORT, Network
from factotum.tool_executor.sandbox.options import NOBODY, SHARED, options
from factotum.tool_executor.sandbox.seccomp import filters
from factotum.tool_executor.sandbox.started import Started, status
from factotum.tool_executor.sandbox.usage import filled, lives, usage

# execve(2): of one argument or variable, in bytes; the sandbox's own words come off it
_LONGEST = 128 * 1024 - 64
_INSIDE = ".inside.py"
# Of one process beyond what all may hold: what it has written to or may, such as the stacks of threads, counts whole.
_RESERVED = 256 * MIB
# Signals that wait and timers (timer_create(2)), of all its processes.
_MOST_SIGNALS = 1024
_ADVICE = "install bubblewrap and util-linux where the tool-executor runs, and allow user namespaces there"


class Bubblewrap:
    """A `Sandbox` of bubblewrap, which has nothing of its own between two commands.

    Args:
        search: the folders, as in PATH, where programs are found.
        groups: makes a control group for each command.
    """

    def __init__(self, *, search: str = SEARCH, groups: Groups | None = None) -> None:
        self._search = search
        self._groups = groups or Groups()

    def program(self, *names: str) -> str:
        for name in names:
            if found := shutil.which(name, path=self._search):
                return found
        words = f"{' or '.join(names)} is not on {self._search} of the tool-executor: install it"
        raise Failed(words, effect_possible=False)

    async def run(self, command: Command, limits: Limits) -> Ended:
        argv = [self.program(command.argv[0]), *command.argv[1:]]
        async with AsyncExitStack() as opened:
            network = await opened.enter_async_context(Network(command.hosts)) if command.hosts else None
            collected = None
            if command.wanted:
                patterns = [inner(pattern) for pattern in command.wanted]
                collected = await opened.enter_async_context(Collected(patterns, most=limits.output_kib * 1024))
            ended, refused = await self._run(argv, command, limits, network, collected)
            files = {} if collected is None or ended.stopped else await collected.files()
            stopped = ended.stopped
            if collected is not None and collected.overflowed and not stopped:
                stopped, files = _left_too_much(limits), {}
            return Ended(ended.code, ended.stdout, ended.stderr, stopped, files, refused)

    @asynccontextmanager
    async def launched(self, command: Command, limits: Limits, *, folders: Sequence[str] = ()) -> AsyncIterator[Launch]:
        argv = [self.program(command.argv[0]), *command.argv[1:]]
        async with AsyncExitStack() as opened:
            network = await opened.enter_async_context(Network(command.hosts)) if command.hosts else None
            with self._started(argv, command, limits, network=network, folders=folders) as started:
                try:
                    yield Launch(started.argv, started.files, started.look, started.kill)
                finally:
                    started.kill()
                    await _emptied(started.status.read().get("child-pid"))

    async def _run(
        self, argv: list[str], command: Command, limits: Limits, network: Network | None, collected: Collected | None
    ) -> tuple[processes.Ended, Sequence[str]]:
        with self._started(argv, command, limits, network=network, collected=collected) as launch:
            try:
                ended = await processes.run(
                    launch.argv,
                    environment={},
                    stdin=command.stdin.encode("utf-8", "replace") if isinstance(command.stdin, str) else command.stdin,
                    seconds=limits.seconds,
                    output_bytes=limits.output_kib * 1024,
                    files=launch.files,
                    look=launch.look,
                    kill=launch.kill,
                )
            finally:
                await _emptied(launch.status.read().get("child-pid"))
            if not ended.stopped and launch.group.killed:
                ended = replace(ended, stopped=_held_too_much(limits))
            if not ended.stopped and "exit-code" not in launch.status.read():
                why = ended.stderr.last_lines or f"code {ended.code}"
                raise Failed(f"no sandbox could be made: {why}; {_ADVICE}", effect_possible=False)
            return ended, () if network is None else tuple(network.refused)

    @contextmanager
    def _started(
        self,
        argv: list[str],
        command: Command,
        limits: Limits,
        *,
        network: Network | None,
        collected: Collected | None = None,
        folders: Sequence[str] = (),
    ) -> Iterator[Started]:
        handed, inherited = _handed(command, network, collected)
        with ExitStack() as opened:
            before = self._helper(handed)
            group = opened.enter_context(self._groups.made(limits))
            words, held = _described(opened, command, limits, network, folders, helped=bool(handed))
            _check([*words, *argv])
            told, tell = status(opened)
            given = in_memory(opened, "\0".join(["--json-status-fd", str(tell), *words]).encode("utf-8", "replace"))

            def look(pid: int) -> str:
                if collected is not None and collected.overflowed:
                    return _left_too_much(limits)
                return _too_much(pid, told.read().get("child-pid"), limits)

            outside = [*group.entering, *self._around(command, limits), "--args", str(given), "--"]
            inner = [*self._bounds(limits), *before, *argv]
            yield Started([*outside, *inner], [*inherited, given, tell, *held], look, told, group)

    def _helper(self, handed: Mapping[str, object]) -> list[str]:
        """What the command is started by inside, where something is handed in or out."""
        if not handed:
            return []
        return [self.program("python3"), "-I", "-S", f"{SCRIPTS}/{_INSIDE}", json.dumps(handed)]

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
            "--msgqueue=0",
            "--memlock=65536",
            # Of one process; of all together it is looked at, which tells what happened.
            f"--cpu={limits.cpu_seconds + 1}",
            f"--fsize={limits.file_mib * MIB}",
            f"--data={limits.memory_mib * MIB + _RESERVED}",
            *([f"--as={4 * limits.memory_mib * MIB}"] if command.bound_address_space else []),
        ]
        return [
            *([str(tools["setpriv"]), *as_nobody] if os.geteuid() == 0 else []),
            *(str(tools["prlimit"]), *bounds, "--", str(tools["bwrap"])),
        ]

    def _bounds(self, limits: Limits) -> list[str]:
        # Counted by the kernel for each user namespace, so it is set in the sandbox's own: no other one counts.
        return [self.program("prlimit"), f"--nproc={limits.processes}", f"--sigpending={_MOST_SIGNALS}", "--"]


def _handed(
    command: Command, network: Network | None, collected: Collected | None
) -> tuple[dict[str, object], list[int]]:
    """What `inside` is told, and the descriptors that this names."""
    handed: dict[str, object] = {}
    inherited: list[int] = []
    if network is not None:
        handed |= {"network": network.theirs.fileno(), "port": PORT}
        inherited.append(network.theirs.fileno())
    if collected is not None:
        handed |= {"files": collected.theirs, "wanted": list(command.wanted)}
        inherited.append(collected.theirs)
    return handed, inherited


def _described(
    opened: ExitStack,
    command: Command,
    limits: Limits,
    network: Network | None,
    folders: Sequence[str],
    *,
    helped: bool,
) -> tuple[list[str], list[int]]:
    """The options of the sandbox, and the descriptors that they name. Raises `InvalidArgument`."""
    scripts = given_files(opened, {**command.scripts, **({_INSIDE: _inside()} if helped else {})})
    files = given_files(opened, command.files, at_most=limits.disk_bytes)
    filters_at = in_memory(opened, filters())
    words = options(
        environment={**command.environment, **(network.environment if network is not None else {})},
        disk_bytes=limits.disk_bytes,
        shared_bytes=limits.memory_mib * MIB,
        scripts=scripts,
        files=files,
        filters=filters_at,
        trust=network is not None,
        folders=folders,
    )
    return list(words), [filters_at, *scripts.values(), *files.values()]


def _check(words: list[str]) -> None:
    """Raises `InvalidArgument`."""
    if any("\0" in word for word in words):
        # It separates options: what follows one would be bubblewrap's to obey.
        raise InvalidArgument("an argument or a variable holds a NUL character, which neither can")
    if any(len(word.encode("utf-8", "replace")) >= _LONGEST for word in words):
        raise InvalidArgument(f"an argument or a variable has {_LONGEST} bytes or more: give it as stdin or as a file")


def _too_much(pid: int, first: int | None, limits: Limits) -> str:
    used, room = usage(pid), limits.memory_mib * MIB
    held, files = used.held_bytes, 0
    if first is not None:
        work, shared = filled(WORK, first), filled(SHARED, first)
        held, files = held + shared.size, work.files + shared.files
        held += sockets.held(first, room=room - held)
    if held > room:
        return _held_too_much(limits)
    if used.cpu_seconds > limits.cpu_seconds:
        return f"used more than {limits.cpu_seconds} s of the processor"
    if files > limits.files:
        return f"made more than {limits.files} files"
    return ""


def _left_too_much(limits: Limits) -> str:
    return f"left more than {limits.output_kib} KiB in files that are wanted"


def _held_too_much(limits: Limits) -> str:
    return f"held more than {limits.memory_mib} MiB"


@cache
def _inside() -> str:
    return Path(inside.__file__).read_text(encoding="utf-8")


async def _emptied(first: int | None) -> None:
    """Returns when the kernel has ended all processes of the sandbox: its first one goes last. bubblewrap ends
    before, when the command does."""
    while first is not None:
        if not lives(first):
            return
        await asyncio.sleep(0.002)
