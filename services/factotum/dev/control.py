"""What is done to a local stack from outside its supervisor: start it in the background, look at it, end it."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import psutil

from factotum.dev import main, probes, state
from factotum.dev.process import last_lines
from factotum.dev.restarts import WELL_SECONDS
from factotum.dev.state import Kafka, NoStack, StackState

POLL_SECONDS = 0.1
PROBE_TIMEOUT = 3.0
SUPERVISOR_LOG = "supervisor.log"


class StartFailed(RuntimeError):
    """The stack did not become ready. The message says why."""


def runs(directory: Path) -> bool:
    """Whether a supervisor has the directory. Raises `FolderUnusable`."""
    try:
        with main.lock(directory):
            return False
    except main.AlreadyRuns:
        return True


def start(directory: Path, kafka: Kafka, timeout: float, well_seconds: float = WELL_SECONDS) -> StackState:
    """Starts Factotum's stack in a session of its own, unless it runs, and returns once it is ready.

    Raises `StartFailed`; a stack that this call started is then gone again.
    """
    command = [sys.executable, "-m", "factotum.dev.main", "--data", str(directory), "--kafka", kafka]
    command += ["--well-after", str(well_seconds)]
    return start_command(command, directory, timeout)


def start_command(command: Sequence[str], directory: Path, timeout: float) -> StackState:
    """The same, for any supervisor's command."""
    log = directory / "logs" / SUPERVISOR_LOG
    log.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    with log.open("wb") as output:
        supervisor = subprocess.Popen(  # noqa: S603
            command, stdin=subprocess.DEVNULL, stdout=output, stderr=output, start_new_session=True
        )
    try:
        return wait_ready(directory, timeout, supervisor)
    except BaseException:
        # Also when a person pressed Ctrl-C: nothing half-started stays.
        supervisor.terminate()
        down(directory, timeout=60.0)
        supervisor.wait()
        raise


def wait_ready(directory: Path, timeout: float, supervisor: subprocess.Popen[bytes] | None = None) -> StackState:
    """The state of the directory's stack once all its parts answer. Raises `StartFailed`.

    Args:
        supervisor: the one that was just started; until it has written its state, the file tells of an earlier one.
    """
    deadline = time.monotonic() + timeout
    while time.monotonic() < deadline:
        if supervisor is not None and supervisor.poll() is not None:
            log = directory / "logs" / SUPERVISOR_LOG
            raise StartFailed(f"the stack ended with status {supervisor.returncode}:\n{last_lines(log, 15)}")
        with contextlib.suppress(NoStack):
            stack = state.running(directory)
            if supervisor is None or stack.supervisor.pid == supervisor.pid:
                if stack.health == "ready":
                    return stack
                if stack.health in ("degraded", "stopping", "stopped"):
                    raise StartFailed(_reasons(stack))
        time.sleep(POLL_SECONDS)
    with contextlib.suppress(NoStack):
        raise StartFailed(f"not ready after {timeout:.0f} s: {_reasons(state.read(directory))}")
    raise StartFailed(f"not ready after {timeout:.0f} s")


def look(directory: Path) -> StackState:
    """How the stack is now: every part that is said to answer, or not to, is asked. Raises `NoStack` if none runs."""
    stack = state.running(directory)
    asyncio.run(_ask(stack))
    return stack


def down(directory: Path, timeout: float) -> list[str] | None:
    """Ends the stack; returns when all its processes are gone, also those of a supervisor that was killed.

    Returns the names of the parts that had to be killed; None where nothing ran.
    """
    try:
        supervisor = state.read(directory).supervisor.process()
    except NoStack:
        return None
    if supervisor is not None:
        supervisor.terminate()
        try:
            supervisor.wait(timeout)
        except psutil.TimeoutExpired:
            supervisor.kill()
            supervisor.wait()
    killed = _sweep(directory)
    return killed if killed or supervisor is not None else None


def _sweep(directory: Path) -> list[str]:
    """Kills what a supervisor left behind, and writes down that nothing runs."""
    stack = state.read(directory)
    killed = []
    for name, part in stack.parts.items():
        process = part.process.process() if part.process else None
        if process is not None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()
            killed.append(name)
        part.process = None
        if part.health != "given-up":
            part.health = "stopped"
    if stack.health != "stopped" or killed:
        stack.health = "stopped"
        state.write(stack)
    return killed


async def _ask(stack: StackState) -> None:
    asked = [part for part in stack.parts.values() if part.health in ("healthy", "not-answering")]
    faults = await asyncio.gather(*(probes.fault(part.probe, PROBE_TIMEOUT) for part in asked))
    for part, fault in zip(asked, faults, strict=True):
        part.health = "healthy" if fault is None else "not-answering"
        part.reason = fault or ""
    if stack.health in ("ready", "recovering"):
        all_answer = all(part.health == "healthy" for part in stack.parts.values())
        stack.health = "ready" if all_answer else "recovering"


def _reasons(stack: StackState) -> str:
    bad = {name: part for name, part in stack.parts.items() if part.health != "healthy"}
    given_up = {name: part for name, part in bad.items() if part.health == "given-up"} or bad
    return "\n".join(f"{name} is {part.health}: {part.reason}".rstrip(": ") for name, part in given_up.items())
