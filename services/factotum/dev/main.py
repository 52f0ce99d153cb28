"""Composition root of the local stack's supervisor."""

from __future__ import annotations

import argparse
import asyncio
import fcntl
import os
import secrets
import shutil
import signal
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from random import SystemRandom

from rich.console import Console

from factotum.dev import cache, configuration, credentials, parts, ports, state, table
from factotum.dev.part import Part, fill, port_values
from factotum.dev.restarts import WELL_SECONDS
from factotum.dev.state import Kafka, NoStack, PartState, ProcessId, StackState
from factotum.dev.supervisor import Stack
from factotum.runtime.secrets.files import SecretFiles

LOCK_FILE = "lock"
_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class AlreadyRuns(RuntimeError):
    """Another supervisor has this directory."""


class FolderUnusable(OSError):
    """The directory cannot be made or written. The message says which one to give instead."""


@contextmanager
def lock(directory: Path) -> Iterator[None]:
    """Held while a stack runs on the directory, however its supervisor ends. Raises `AlreadyRuns`, `FolderUnusable`."""
    try:
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        opened = (directory / LOCK_FILE).open("w")
    except OSError as error:
        raise FolderUnusable(
            f"{directory} cannot keep a stack's state ({error.strerror}): name a folder of yours with --data"
        ) from error
    with opened as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise AlreadyRuns(f"a stack runs in {directory} already: see `factotum dev status`") from None
        yield


def run_factotum(
    directory: Path, kafka: Kafka, environment: Mapping[str, str], well_seconds: float = WELL_SECONDS
) -> int:
    """Runs Factotum's local stack in the foreground; returns the exit status.

    Raises `AlreadyRuns`, `FolderUnusable`, `ConfigurationInvalid`, `NoFreePort`.
    """

    def prepare(chosen: ports.Ports) -> None:
        for folder in ("sandbox", "temporal", "kafka", "memory", "tool-executor", "planner", "tools"):
            (directory / folder).mkdir(exist_ok=True)
        names = SecretFiles(directory / "secrets")
        credentials.provide(directory / "secrets", credentials.TENANTS, secrets.token_bytes)
        configuration.write(directory, names, credentials.TENANTS, chosen)

    directory = directory.resolve()
    with lock(directory):
        declared = parts.stack(kafka)
        chosen = _ports(directory, declared)
        prepare(chosen)
        return run(declared, directory, kafka, chosen, environment, credentials.TENANTS, well_seconds)


def run(
    declared: Sequence[Part],
    directory: Path,
    kafka: Kafka,
    chosen: ports.Ports,
    environment: Mapping[str, str],
    tenants: Sequence[str] = (),
    well_seconds: float = WELL_SECONDS,
) -> int:
    """Runs any parts in the foreground, until a signal; 0 if none of them was given up on."""
    for folder in ("logs", "run"):
        (directory / folder).mkdir(exist_ok=True)
    values = {
        **port_values(chosen),
        "data": str(directory),
        "cache": str(cache.directory(environment)),
        "python": sys.executable,
        "temporal": shutil.which("temporal") or str(Path(sys.executable).parent / "temporal"),
        "kafka.embedded": "true" if kafka == "embedded" else "false",
    }
    initial = StackState(
        supervisor=ProcessId.of(os.getpid()),
        kafka=kafka,
        directory=directory,
        secrets=directory / "secrets",
        tenants=list(tenants),
        parts={part.name: _initial(part, directory, values, chosen) for part in declared},
    )
    console = Console(highlight=False, soft_wrap=True)

    def say(text: str) -> None:
        console.print(text, markup=False)

    def settled(now: StackState) -> None:
        console.print(table.make(now), soft_wrap=False)
        say("ready" if now.health == "ready" else "degraded: `factotum dev status` tells which part and why")

    stack = Stack(declared, initial, values=values, environment=environment, say=say, well_seconds=well_seconds)
    stack.save()
    asyncio.run(_until_signal(stack, settled))
    return 1 if any(part.health == "given-up" for part in stack.state.parts.values()) else 0


def remembered_ports(directory: Path) -> ports.Ports:
    """The ports that the stack in this directory had last."""
    try:
        return {name: part.ports for name, part in state.read(directory).parts.items()}
    except NoStack:
        return {}


def _ports(directory: Path, declared: Sequence[Part]) -> ports.Ports:
    # They stay reserved until this process ends.
    take = ports.Reservations(ports.shared_directory()).take
    usual = {part.name: part.ports for part in declared}
    return ports.choose(usual, remembered_ports(directory), take, SystemRandom())


def _initial(part: Part, directory: Path, values: Mapping[str, str], chosen: ports.Ports) -> PartState:
    told_later = bool(part.publishes)
    return PartState(
        addresses={} if told_later else {purpose: fill(text, values) for purpose, text in part.addresses.items()},
        probe="" if told_later else fill(part.probe, values),
        ports=dict(chosen.get(part.name, {})),
        note=part.note,
        log=directory / "logs" / f"{part.name}.log",
    )


async def _until_signal(stack: Stack, settled: Callable[[StackState], None]) -> None:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()

    def end() -> None:
        if stop.is_set():
            stack.kill()  # who asks twice does not want to wait
        stop.set()

    for number in _SIGNALS:
        loop.add_signal_handler(number, end)
    await stack.run(stop, settled)


def main() -> None:
    parser = argparse.ArgumentParser(description="The supervisor of a local stack; people use `factotum dev`.")
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--kafka", choices=["embedded", "apache"], required=True)
    parser.add_argument("--well-after", type=float, default=WELL_SECONDS)
    arguments = parser.parse_args()
    try:
        status = run_factotum(arguments.data, arguments.kafka, os.environ, arguments.well_after)
    except (AlreadyRuns, FolderUnusable, configuration.ConfigurationInvalid, ports.NoFreePort) as error:
        print(error, file=sys.stderr)
        status = 1
    sys.exit(status)


if __name__ == "__main__":
    main()
