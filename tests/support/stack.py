"""The local stack for a test, driven by the command that people use."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import yaml

from factotum.dev import state
from factotum.dev.state import StackState

POLL_SECONDS = 0.1
# Tests kill a part more often than any part may die; one that answered this long starts with a clean record.
WELL_AFTER_SECONDS = "0.5"


class Stack:
    """A stack on one directory. Whoever calls `up` calls `down`.

    >>> stack = Stack(tmp_path)
    >>> stack.up(kafka="embedded", env={})
    >>> stack.address("planner")
    '127.0.0.1:50051'
    """

    def __init__(self, directory: Path) -> None:
        self.directory = directory

    def up(self, *, kafka: str = "embedded", env: Mapping[str, str] | None = None, timeout: float = 300.0) -> None:
        """Starts it and returns once it is ready. `env` is added to the environment of all parts."""
        started = self.cli(
            "--detach", "--kafka", kafka, "--well-after", WELL_AFTER_SECONDS, "--timeout", str(timeout), env=env
        )
        assert started.returncode == 0, started.stdout + started.stderr

    def down(self) -> None:
        """Ends it; returns when all its processes are gone."""
        ended = self.cli("down")
        assert ended.returncode == 0, ended.stdout + ended.stderr

    def cli(self, *arguments: str, env: Mapping[str, str] | None = None) -> subprocess.CompletedProcess[str]:
        """Runs `factotum dev` with these arguments on the directory."""
        command = [sys.executable, "-m", "factotum.cli.main", "dev", "--data", str(self.directory), *arguments]
        return subprocess.run(command, env={**os.environ, **(env or {})}, capture_output=True, text=True, check=False)

    def state(self) -> StackState:
        """What the stack says of itself now."""
        return state.running(self.directory)

    def address(self, part: str, purpose: str | None = None) -> str:
        return self.state().address(part, purpose)

    def wait_ready(self, timeout: float = 120.0) -> None:
        """Returns once every part answers."""
        deadline = time.monotonic() + timeout
        while True:
            if self.state().health == "ready":
                asked = self.cli("status")
                if asked.returncode == 0:
                    return
            if time.monotonic() > deadline:
                raise AssertionError(self.cli("status").stdout)
            time.sleep(POLL_SECONDS)

    def kill(self, part: str) -> None:
        """Ends a part without asking (SIGKILL); returns once the stack has noticed. It starts it again."""
        victim = self.state().parts[part].process
        assert victim is not None, f"{part} does not run"
        os.kill(victim.pid, signal.SIGKILL)
        while self.state().parts[part].process == victim:
            time.sleep(0.01)

    @contextmanager
    def held_down(self, part: str) -> Iterator[None]:
        """The part is gone (SIGKILL) and its ports refuse, until the block ends.

        The supervisor, which would start it again and give it up in the end, stands still meanwhile.
        """
        before = self.state()
        victim = before.parts[part].process
        assert victim is not None, f"{part} does not run"
        os.kill(before.supervisor.pid, signal.SIGSTOP)
        try:
            os.kill(victim.pid, signal.SIGKILL)
            while victim.process() is not None:
                time.sleep(0.01)
            yield
        finally:
            os.kill(before.supervisor.pid, signal.SIGCONT)

    @contextmanager
    def without_mail_archive(self) -> Iterator[None]:
        """The tool executor's settings without any mail archive; it reads them when it starts."""
        path = self.directory / "config" / "connectors.yaml"
        before = path.read_text(encoding="utf-8")
        settings = yaml.safe_load(before)
        for systems in settings["tenants"].values():
            del systems["mail"]["archive_url"], systems["mail"]["archive_token"]
        path.write_text(yaml.safe_dump(settings), encoding="utf-8")
        try:
            yield
        finally:
            path.write_text(before, encoding="utf-8")
