"""A stack that has to run before something else can be shown."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from factotum.cli.errors import BadInput, CommandError, StackNotRunning
from factotum.dev import control, state
from factotum.dev.main import FolderUnusable
from factotum.dev.state import NoStack, StackState

POLL_SECONDS = 0.25


def ensure_stack(data: Path, *, timeout: float, say: Callable[[str], None]) -> None:
    """Returns once the stack of `data` is ready; starts it, detached, where none runs.

    Raises `BadInput` for a folder that cannot be used. Raises `CommandError` if it does not become ready; a stack
    that was started here is then gone again.
    """
    try:
        if control.runs(data):
            control.wait_ready(data, timeout)
            return
        say(f"starting the local stack in {data}")
        with _progress(data, say):
            control.start(data, "embedded", timeout)
        say("ready")
    except NoStack as error:
        raise StackNotRunning(str(error)) from error
    except FolderUnusable as error:
        raise BadInput(str(error)) from error
    except control.StartFailed as error:
        raise CommandError(f"{error}\nlook into {data}/logs, or try another folder with --data") from error


@contextmanager
def _progress(data: Path, say: Callable[[str], None]) -> Iterator[None]:
    """Says of every part when it answers, from a thread, because starting waits in the main one for Ctrl-C."""
    before = _supervisor(data)
    over = threading.Event()
    told: set[str] = set()

    def tell() -> None:
        try:
            stack = state.read(data)
        except NoStack:
            return
        if stack.supervisor.pid != before:
            for line in news(stack, told):
                say(line)

    def watch() -> None:
        while not over.wait(POLL_SECONDS):
            tell()

    thread = threading.Thread(target=watch, daemon=True)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()
    tell()


def _supervisor(data: Path) -> int | None:
    try:
        return state.read(data).supervisor.pid
    except NoStack:
        return None


def news(stack: StackState, told: set[str]) -> list[str]:
    """A line for each part that answers and was not told of; `told` is filled."""
    lines = []
    for name, part in stack.parts.items():
        if part.health == "healthy" and name not in told:
            told.add(name)
            lines.append(f"  {name:<17} {next(iter(part.addresses.values()), '')}")
    return lines
