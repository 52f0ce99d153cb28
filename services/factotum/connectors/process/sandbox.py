"""Commands in a sandbox made by bubblewrap: no network, nothing of the machine but its programs, read-only, an
empty folder in memory to work in, no environment, no other process in sight, and bounds on what it may use.

There is no way around it: where it cannot be made, nothing runs.
"""

from __future__ import annotations

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
        told, tell = os.pipe()
        opened.callback(os.close, told)
        with ExitStack() as until_ended:
            until_ended.callback(os.close, tell)
            given = _in_memory(opened, "\0".join(["--json-status-fd", str(tell), *options]).encode())
            ended = await run(
                [*_around(command, limits), "--args", str(given), "--", *_inside(limits), *command.argv],
                environment={},
                stdin=None if command.stdin is None else command.stdin.encode("utf-8", "replace"),
                seconds=limits.seconds,
                output_bytes=limits.output_kib * 1024,
                files=(given, tell, *files.values()),
                look=lambda pid: _too_much(pid, limits),
            )
        if not ended.stopped and not _was_run(told):
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


def _was_run(told: int) -> bool:
    """bubblewrap tells a command's exit code only if it came to run."""
    text = b""
    while chunk := os.read(told, 4096):
        text += chunk
    return any("exit-code" in json.loads(line) for line in text.splitlines() if line.strip())
