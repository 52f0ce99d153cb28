"""`Execute` of a tool that does nothing, beside a bare grpc.aio server whose `Execute` does nothing.

The tool executor is the real process with all that a call passes: its policy, its limits, its ledger, which is
written through to the disk. Every server runs in a process of its own and is asked by this one, in turns, with so
many calls under way at a time; requests are made beforehand and answers are not read, so that what is measured is
the server. CPU is that of the server's process, and of PostgreSQL's where it keeps the ledger.

    python -m benchmarks.execute [--calls 3000] [--write FILE]
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from uuid import uuid4

import grpc
import psutil
from rich.console import Console
from rich.table import Table

from benchmarks import page
from factotum.api.tools.v1 import tools_pb2 as pb
from factotum.runtime import clock
from tests.support.kafka import embedded_kafka
from tests.support.postgres import Cluster, postgres
from tests.support.tool_calls import closed_port

ROOT = Path(__file__).parents[1]
EXECUTE = "/factotum.api.tools.v1.ToolExecutorService/Execute"
AT_ONCE, ROUNDS = 100, 15
COLUMNS = ("", "calls/s", "p50 ms", "p99 ms", "CPU µs/call", "ratio calls/s", "ratio CPU")


@dataclass
class Side:
    """A row: what it is called, the server, the tool; and what was measured."""

    title: str
    address: str
    tool: str
    cpu_seconds: Callable[[], float]
    whole: float = 0.0
    cpu: float = 0.0
    calls: list[float] = field(default_factory=list)
    # Of each turn: calls a second, and seconds of CPU a call.
    turns: list[tuple[float, float]] = field(default_factory=list)

    @property
    def rate(self) -> float:
        return len(self.calls) / self.whole

    @property
    def cpu_each(self) -> float:
        return self.cpu / len(self.calls)

    def row(self, bare: Side) -> list[str]:
        times = sorted(self.calls)
        return [
            *(self.title, f"{self.rate:.0f}", f"{1000 * times[len(times) // 2]:.1f}"),
            *(f"{1000 * times[len(times) * 99 // 100]:.1f}", f"{1e6 * self.cpu_each:.0f}"),
            *(f"**{self.ratio(bare, 0):.2f}**", f"{1 / self.ratio(bare, 1):.2f}"),
        ]

    def ratio(self, bare: Side, which: int) -> float:
        """The median over the rounds, of which one may have met with other work on the machine."""
        pairs = zip(self.turns, bare.turns, strict=True)
        return statistics.median(own[which] / other[which] for own, other in pairs)


async def measure(side: Side, calls: int) -> None:
    requests = iter([request(side.tool) for _ in range(calls)])
    async with grpc.aio.insecure_channel(side.address) as channel:
        execute = channel.unary_unary(EXECUTE)  # bytes in, bytes out

        async def caller() -> None:
            for one in requests:
                began = time.perf_counter()
                answers.append(await execute(one))
                side.calls.append(time.perf_counter() - began)

        answers: list[bytes] = []
        await execute(request(side.tool))  # connects
        began, cpu = time.perf_counter(), side.cpu_seconds()
        await asyncio.gather(*(caller() for _ in range(AT_ONCE)))
        whole, used = time.perf_counter() - began, side.cpu_seconds() - cpu
    side.whole += whole
    side.cpu += used
    side.turns.append((calls / whole, used / calls))
    for answer in (answers[0], answers[-1]):
        observation = pb.ExecuteResponse.FromString(answer).observation
        if not observation.output_json:
            raise RuntimeError(f"{side.title}: {observation.error.message}")


def request(tool: str) -> bytes:
    run = uuid4().hex
    message = pb.ExecuteRequest(
        tenant="acme",
        tool=tool,
        arguments_json='{"name":"Ada Lovelace","mail":"ada@example.com"}',
        idempotency_key=f"{run}:/do/0/create:0",
        origin=pb.Origin(run_id=run, step="/do/0/create", procedure="hr/onboarding", event_source="/hr", event_id="1"),
    )
    return message.SerializeToString()


@contextmanager
def process(module: str, *arguments: str, port: int, **environment: str) -> Iterator[psutil.Process]:
    """A server, once it answers on its port."""
    with tempfile.TemporaryFile() as log:
        running = subprocess.Popen(
            [sys.executable, "-m", module, *arguments],
            env={"PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT), **environment},
            cwd=ROOT,
            stderr=log,
        )
        try:
            with grpc.insecure_channel(f"127.0.0.1:{port}") as channel:
                try:
                    grpc.channel_ready_future(channel).result(timeout=30)
                except grpc.FutureTimeoutError:
                    log.seek(0)
                    raise RuntimeError(f"{module} did not start: {log.read().decode()}") from None
            yield psutil.Process(running.pid)
        finally:
            running.terminate()
            running.wait()


@contextmanager
def executor(folder: Path, kafka: str, *, ledger_url: str = "") -> Iterator[tuple[str, psutil.Process]]:
    folder.mkdir()
    port = closed_port()
    (folder / "connectors.yaml").write_text(json.dumps({"tenants": {"acme": {"noop": {}}}}))
    environment = {
        "FACTOTUM_GRPC__PORT": str(port),
        "FACTOTUM_KAFKA__BOOTSTRAP_SERVERS": kafka,
        "FACTOTUM_CONNECTORS": '["benchmarks.noop"]',
        "FACTOTUM_CONNECTORS_FILE": str(folder / "connectors.yaml"),
        "FACTOTUM_LEDGER_PATH": str(folder / "ledger.sqlite"),
        "FACTOTUM_SECRETS__DIRECTORY": str(folder / "secrets"),
    }
    if ledger_url:
        environment["FACTOTUM_LEDGER_URL"] = ledger_url
    with process("factotum.tool_executor.main", port=port, **environment) as running:
        yield f"127.0.0.1:{port}", running


@contextmanager
def sides(folder: Path) -> Iterator[list[Side]]:
    with ExitStack() as stack:
        port = closed_port()
        bare = stack.enter_context(process("benchmarks.bare_server", str(port), port=port))
        away = f"127.0.0.1:{closed_port()}"
        quiet, quiet_process = stack.enter_context(executor(folder / "quiet", away))
        kafka = stack.enter_context(embedded_kafka())
        loud, loud_process = stack.enter_context(executor(folder / "loud", kafka))
        cluster = stack.enter_context(postgres(durable=True))
        shared, shared_process = stack.enter_context(executor(folder / "shared", away, ledger_url=cluster.url()))
        yield [
            Side("bare server", f"127.0.0.1:{port}", "noop.read", cpu_of(bare)),
            Side("read", quiet, "noop.read", cpu_of(quiet_process)),
            Side("write", quiet, "noop.write", cpu_of(quiet_process)),
            Side("read, ledger in PostgreSQL", shared, "noop.read", cpu_of(shared_process, cluster)),
            Side("write, ledger in PostgreSQL", shared, "noop.write", cpu_of(shared_process, cluster)),
            Side("read, and its observation to Kafka", loud, "noop.read", cpu_of(loud_process)),
            Side("write, and its observation to Kafka", loud, "noop.write", cpu_of(loud_process)),
        ]


def cpu_of(server: psutil.Process, cluster: Cluster | None = None) -> Callable[[], float]:
    """Seconds of CPU that these have taken so far."""

    def seconds() -> float:
        processes = [server]
        if cluster is not None:
            main = psutil.Process(cluster.pid)
            processes += [main, *main.children()]
        return sum(sum(one.cpu_times()[:2]) for one in processes)

    return seconds


async def compared(calls: int) -> list[Side]:
    with tempfile.TemporaryDirectory() as folder, sides(Path(folder)) as found:
        for side in found:
            warm = Side(side.title, side.address, side.tool, side.cpu_seconds)
            await measure(warm, 200)
        for number in range(ROUNDS):
            # Each goes first once in a while: the machine is nobody's alone.
            for side in found if number % 2 else reversed(found):
                await measure(side, calls // ROUNDS)
        return found


def write(path: Path, rows: list[list[str]], *, calls: int) -> None:
    page.put(
        path,
        "Execute, beside a bare gRPC server",
        [
            "A tool that does nothing, called through the real tool executor, and a bare grpc.aio server whose",
            "`Execute` does nothing, each in a process of its own, asked in turns. A read is validated, authorised,",
            "limited, traced, and its observation kept; a write is entered into the ledger before and after, written",
            "through to the disk. CPU is that of the server's process, with PostgreSQL's where it keeps the ledger.",
            "Observations go to Kafka only where the row says so: that is done by the same process, beside the calls.",
            "Decision 26 says where the time goes.",
            "",
            f"{calls} calls in each row, {AT_ONCE} at once; {os.cpu_count()} cores; {clock.now():%Y-%m-%d}.",
            "",
            *page.table(COLUMNS, rows),
            "",
            "Ratio: to the bare server in the same round, the median over the rounds; 1.00 would cost nothing.",
        ],
    )


def main() -> None:
    parser = argparse.ArgumentParser(description="Execute beside a bare gRPC server")
    parser.add_argument("--calls", type=int, default=5000, help="in each row")
    parser.add_argument("--write", type=Path, metavar="FILE", help="keep the table as Markdown")
    arguments = parser.parse_args()
    found = asyncio.run(compared(arguments.calls))
    rows = [side.row(found[0]) for side in found]
    shown = Table(*COLUMNS)
    for row in rows:
        shown.add_row(*(cell.strip("*") for cell in row))
    Console(width=120).print(shown)
    if arguments.write:
        write(arguments.write, rows, calls=arguments.calls)


if __name__ == "__main__":
    main()
