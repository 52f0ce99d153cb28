"""Commands in a sandbox made by bubblewrap: no network, nothing of the machine but its programs, read-only, an
empty folder in memory to work in, no environment, no other process in sight, and bounds on what it may use.

There is no way around it: where it cannot be made, nothing runs.
"""

from __future__ import annotations

import asyncio
import json
import os
import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from factotum.connectors.process.memory import resident_bytes
from factotum.connectors.process.running import Ended, run
from factotum.connectors.process.settings import MIB, Limits
from factotum.sdk.errors import Failed, InvalidArgument

SEARCH = "/usr/local/bin:/usr/bin:/bin"
FOLDER = "/run/factotum"
_NOBODY = 65534
# execve(2): of one argument or variable, in bytes; the sandbox's own words come off it
_LONGEST = 128 * 1024 - 64
# Programs and libraries; what else there is, homes and configuration with secrets, is not there inside.
_PROGRAMS = ("bin", "sbin", "lib", "lib32", "lib64", "libx32")
_LINKS = ("/etc/alternatives", "/etc/ld.so.cache")
_ADVICE = "install bubblewrap and util-linux where the tool-executor runs, and allow user namespaces there"


@dataclass(frozen=True, slots=True)
class Command:
    """What runs inside. `files` are texts found by name under `FOLDER`.

    `bound_address_space` is off for programs that reserve far more than they use.
    """

    argv: Sequence[str]
    stdin: str | None = None
    environment: Mapping[str, str] | None = None
    files: Mapping[str, str] | None = None
    bound_address_space: bool = True


def program(*names: str) -> str:
    """Where the first of these is that is found inside. Raises `Failed`."""
    for name in names:
        if found := shutil.which(name, path=SEARCH):
            return found
    raise Failed(f"{' or '.join(names)} is not on {SEARCH} of the tool-executor: install it", effect_possible=False)


async def execute(command: Command, limits: Limits) -> Ended:
    """Runs the command in a sandbox. Raises `Failed`, without effect, where none can be made."""
    with ExitStack() as opened:
        files = {name: _in_memory(opened, text.encode()) for name, text in (command.files or {}).items()}
        options = list(_options(command, limits, files))
        if any("\0" in option for option in options):
            # It separates options: what follows one would be bubblewrap's to obey.
            raise InvalidArgument("the environment holds a NUL character, which no variable can")
        if any(len(text.encode("utf-8", "replace")) >= _LONGEST for text in (*options, *command.argv)):
            raise InvalidArgument(f"an argument or a variable has {_LONGEST} bytes or more: give it as stdin")
        told, tell = os.pipe()
        opened.callback(os.close, told)
        opened.callback(os.close, tell)
        given = _in_memory(opened, "\0".join(["--json-status-fd", str(tell), *options]).encode("utf-8", "replace"))
        try:
            ended = await run(
                [*_around(command, limits), "--args", str(given), "--", *_inside(limits), *command.argv],
                environment={},
                stdin=None if command.stdin is None else command.stdin.encode("utf-8", "replace"),
                seconds=limits.seconds,
                output_bytes=limits.output_kib * 1024,
                files=(given, tell, *files.values()),
                look=lambda pid: _too_much(pid, limits),
            )
        finally:
            status = _status(told)
            await _emptied(status.get("child-pid"))
        if not ended.stopped and "exit-code" not in status:
            why = ended.stderr.last_lines or f"code {ended.code}"
            raise Failed(f"no sandbox could be made: {why}; {_ADVICE}", effect_possible=False)
        return ended


def _around(command: Command, limits: Limits) -> list[str]:
    """What the sandbox is started by. Root becomes nobody: of root's processes the kernel bounds no number."""
    tools = {name: shutil.which(name, path=SEARCH) for name in ("bwrap", "prlimit", "setpriv")}
    if missing := [name for name, path in tools.items() if path is None]:
        raise Failed(
            f"commands run only in a sandbox and {' and '.join(missing)} is missing: {_ADVICE}", effect_possible=False
        )
    as_nobody = [f"--reuid={_NOBODY}", f"--regid={_NOBODY}", "--clear-groups", "--"]
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


def _inside(limits: Limits) -> list[str]:
    # Counted by the kernel for each user namespace, so it is set in the sandbox's own: no other one counts.
    return [program("prlimit"), f"--nproc={limits.processes}", "--"]


def _options(command: Command, limits: Limits, files: Mapping[str, int]) -> Iterator[str]:
    """bubblewrap's options, given in a file: the command line of a process is for everyone to read."""
    yield from ("--unshare-all", "--unshare-user", "--disable-userns", "--die-with-parent", "--new-session")
    yield from ("--uid", str(_NOBODY), "--gid", str(_NOBODY), "--hostname", "sandbox", "--clearenv")
    yield from ("--ro-bind", "/usr", "/usr")
    for name in _PROGRAMS:
        path = Path("/") / name
        if path.is_symlink():
            yield from ("--symlink", str(path.readlink()), str(path))
        elif path.is_dir():
            yield from ("--ro-bind", str(path), str(path))
    for link in _LINKS:
        yield from ("--ro-bind-try", link, link)
    yield from ("--proc", "/proc", "--dev", "/dev")
    for name, descriptor in files.items():
        yield from ("--ro-bind-data", str(descriptor), f"{FOLDER}/{name}")
    yield from ("--size", str(2 * limits.file_mib * MIB), "--tmpfs", "/tmp")  # noqa: S108  the sandbox's own
    # These two are in memory as well, without a bound.
    yield from ("--remount-ro", "/dev", "--remount-ro", "/", "--chdir", "/tmp")  # noqa: S108
    basic = {"PATH": SEARCH, "HOME": "/tmp", "LANG": "C.UTF-8"}  # noqa: S108
    for name, value in {**basic, **(command.environment or {})}.items():
        yield from ("--setenv", name, value)


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
