"""What a local stack tells about itself: `DIR/stack.json`, written by its supervisor, read by everyone else.

>>> stack = state.running(Path(".factotum"))
>>> stack.planner_address, stack.gateway_url
('127.0.0.1:50051', 'http://127.0.0.1:8080')
"""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import psutil
from pydantic import BaseModel, ConfigDict, Field, ValidationError

FILE_NAME = "stack.json"
DEFAULT_DIRECTORY = Path(".factotum")

Kafka = Literal["embedded", "apache"]
# `not-answering`: its process runs, and it was healthy.
PartHealth = Literal["waiting", "starting", "healthy", "not-answering", "restarting", "given-up", "stopped"]
# `ready`: every part answers. `recovering`: one that did does not now, or is down and will be back.
# `degraded`: one was given up on.
StackHealth = Literal["starting", "ready", "recovering", "degraded", "stopping", "stopped"]


class NoStack(LookupError):
    """No stack runs on this directory. The message says how to start one."""


class _Closed(BaseModel):
    model_config = ConfigDict(extra="forbid")


class ProcessId(_Closed):
    """A process beyond doubt: numbers are used again, a number with its start is not."""

    pid: int
    created: float = Field(description="psutil's create_time: seconds since the epoch")

    @classmethod
    def of(cls, pid: int) -> ProcessId:
        """Raises `psutil.NoSuchProcess`."""
        return cls(pid=pid, created=psutil.Process(pid).create_time())

    def process(self) -> psutil.Process | None:
        """The process if it still runs. A zombie does not."""
        try:
            process = psutil.Process(self.pid)
            same = abs(process.create_time() - self.created) < 0.01
            return process if same and process.status() != psutil.STATUS_ZOMBIE else None
        except psutil.NoSuchProcess:
            return None


class PartState(_Closed):
    """One process of the stack."""

    health: PartHealth = "waiting"
    process: ProcessId | None = None
    # Where it can be reached, by purpose: `{"grpc": "127.0.0.1:7233", "ui": "http://127.0.0.1:8233"}`.
    addresses: dict[str, str] = {}
    ports: dict[str, int] = {}
    probe: str = ""
    note: str = ""
    restarts: int = 0
    reason: str = Field(default="", description="why it was restarted or given up on, with its last lines of log")
    log: Path


class StackState(_Closed):
    """The stack and its parts, in the order of the table that `factotum dev` prints."""

    health: StackHealth = "starting"
    supervisor: ProcessId
    kafka: Kafka
    directory: Path = Field(description="absolute: everything the stack keeps is under it")
    secrets: Path = Field(description="absolute: <secrets>/<tenant>/<name>, see docs/secrets.md")
    tenants: list[str]
    parts: dict[str, PartState]

    def address(self, part: str, purpose: str | None = None) -> str:
        """Where a part can be reached: `host:port`, or a URL without trailing slash where it speaks HTTP.

        Without a purpose its main address. Raises `NoStack` for what this stack does not have, or not yet.
        """
        known = self.parts[part].addresses if part in self.parts else {}
        found = known.get(purpose) if purpose else next(iter(known.values()), None)
        if found is None:
            raise NoStack(f"the stack in {self.directory} has no address {purpose or ''} of {part}")
        return found

    @property
    def gateway_url(self) -> str:
        return self.address("gateway", "http")

    @property
    def planner_address(self) -> str:
        return self.address("planner", "grpc")

    @property
    def tool_executor_address(self) -> str:
        return self.address("tool-executor", "grpc")

    @property
    def memory_address(self) -> str:
        return self.address("memory", "grpc")

    @property
    def temporal_address(self) -> str:
        return self.address("temporal", "grpc")

    @property
    def temporal_ui_url(self) -> str:
        return self.address("temporal", "ui")

    @property
    def kafka_bootstrap_servers(self) -> str:
        return self.address("kafka", "bootstrap")

    @property
    def traces_url(self) -> str:
        return self.address("traces", "http")


def read(directory: Path) -> StackState:
    """The last that was written, whether the stack still runs or not. Raises `NoStack`."""
    path = directory / FILE_NAME
    try:
        return StackState.model_validate_json(path.read_bytes())
    except FileNotFoundError:
        raise NoStack(f"no stack in {directory}: start it with `factotum dev`") from None
    except OSError as error:
        raise NoStack(f"{path} cannot be read ({error.strerror}): start the stack with `factotum dev`") from error
    except ValidationError:
        raise NoStack(f"{path} is damaged, or another version's: start the stack with `factotum dev`") from None


def running(directory: Path) -> StackState:
    """The state of a stack whose supervisor lives. Raises `NoStack`."""
    stack = read(directory)
    if stack.supervisor.process() is None:
        raise NoStack(f"the stack in {directory} does not run: start it with `factotum dev`")
    return stack


def write(stack: StackState) -> None:
    """Replaces the file as a whole: a reader sees the old state or the new one."""
    path = stack.directory / FILE_NAME
    new = path.with_suffix(".new")
    new.write_text(stack.model_dump_json(indent=2) + "\n", encoding="utf-8")
    new.replace(path)
