"""Ways out of the sandbox: each is tried in a real one, all fail, and the executor answers the next call."""

from __future__ import annotations

import asyncio
import json
import os
import re
import socket
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from factotum.sdk.errors import Cancelled, Unavailable
from tests.support.escapes import TRIES
from tests.support.machine import needs, running
from tests.support.sandboxed import Bench, python, sandboxed_bench

NAMES = re.findall(r"^@attempt\ndef (\w+)", TRIES, re.MULTILINE)


@pytest.fixture(scope="module", autouse=True)
def _sandbox() -> None:
    needs("bwrap", "prlimit", "setpriv", what="running a command in a sandbox")


@pytest_asyncio.fixture(scope="module")
async def bench(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Bench]:
    async with sandboxed_bench(tmp_path_factory.mktemp("executor")) as made:
        yield made


@pytest_asyncio.fixture(autouse=True)
async def _lives(bench: Bench, request: pytest.FixtureRequest) -> AsyncIterator[None]:
    yield
    # Those of the one sandbox that tries them all are looked after where that is run.
    if "results" not in request.fixturenames:
        await bench.lives()


def addresses_of_this_machine() -> list[str]:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(("192.0.2.1", 9))  # nothing is sent: it tells which address would be used
        except OSError:
            return ["192.0.2.1"]
        return [str(probe.getsockname()[0]), "192.0.2.1"]


class Planted:
    """What is outside, for a command to find: files, servers, a process, a variable."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        (folder / "secrets" / "acme").mkdir(parents=True)
        (folder / "secrets" / "acme" / "token").write_text("hunter2")
        (folder / "ledger.sqlite").write_text("ledger")
        for path in folder.rglob("*"):
            path.chmod(0o777)
        self.tcp = socket.create_server(("0.0.0.0", 0))  # noqa: S104  any address that could be reached
        self.udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.udp.bind(("0.0.0.0", 0))  # noqa: S104
        self.abstract = f"factotum-{os.getpid()}"
        self.unix = [socket.socket(socket.AF_UNIX) for _ in range(2)]
        # A path of a socket has at most 107 bytes.
        self.path = f"/tmp/factotum-{os.getpid()}.sock"  # noqa: S108
        for one, name in zip(self.unix, (f"\0{self.abstract}", self.path), strict=True):
            one.bind(name)
            one.listen()
        for one in (self.tcp, self.udp, *self.unix):
            one.setblocking(False)

    def given(self) -> dict[str, Any]:
        return {
            "paths": [str(path) for path in self.folder.rglob("*") if path.is_file()],
            "pids": [os.getpid(), os.getppid()],
            "hosts": addresses_of_this_machine(),
            "tcp": self.tcp.getsockname()[1],
            "udp": self.udp.getsockname()[1],
            "abstract": self.abstract,
            "unix": self.path,
        }

    def heard(self) -> list[str]:
        """Who was spoken to."""
        found = []
        for name, one in {"tcp": self.tcp, "abstract": self.unix[0], "unix": self.unix[1]}.items():
            try:
                one.accept()[0].close()
            except BlockingIOError:
                continue
            found.append(name)
        try:
            self.udp.recvfrom(100)
        except BlockingIOError:
            return found
        return [*found, "udp"]

    def close(self) -> None:
        for one in (self.tcp, self.udp, *self.unix):
            one.close()
        Path(self.path).unlink()


@pytest.fixture(scope="module")
def planted(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Planted]:
    made = Planted(tmp_path_factory.mktemp("planted"))
    yield made
    made.close()


@pytest_asyncio.fixture(scope="module")
async def results(bench: Bench, planted: Planted) -> dict[str, str]:
    """All tries in one sandbox, while another command runs in its own."""
    with pytest.MonkeyPatch.context() as patched:
        patched.setenv("FACTOTUM_PLANTED", "PLANTED")
        other = asyncio.ensure_future(bench.run("open('of-another-run', 'w').close(); print('made'); time.sleep(2)"))
        await asyncio.sleep(0.3)
        ran = await bench.run(TRIES, given=planted.given())
        assert (await other).stdout == "made\n"
    await bench.lives()
    assert ran.code == 0, ran
    found: dict[str, str] = json.loads(ran.stdout)
    return found


@pytest.mark.parametrize("name", NAMES)
def test_a_way_out_is_closed(name: str, results: dict[str, str]) -> None:
    assert results[name].startswith("refused: "), results[name]


def test_every_try_was_made_and_nobody_outside_was_spoken_to(results: dict[str, str], planted: Planted) -> None:
    assert list(results) == NAMES and len(NAMES) > 40
    assert planted.heard() == []
    assert os.environ.get("FACTOTUM_PLANTED") is None


def test_what_is_tried_can_be_had_outside(planted: Planted) -> None:
    """The same without a sandbox gets what it wants: what is refused inside is refused by the sandbox."""
    tried = f"import ctypes, json, mmap, os, signal, socket, stat, sys, time\ngiven = {planted.given()!r}\n"
    wanted = ["ledger_and_secrets", "outside_processes", "tcp", "unix_sockets"]
    tried += TRIES.replace("tries.items()", f"[(name, tries[name]) for name in {wanted}]")
    done = subprocess.run([sys.executable, "-I", "-c", tried], capture_output=True, text=True, check=True)
    assert {name for name, words in json.loads(done.stdout).items() if words.startswith("got: ")} == set(wanted)
    assert planted.heard() == ["tcp", "abstract"]


async def test_a_fork_bomb(bench: Bench) -> None:
    before = time.monotonic()
    bomb = """
while True:
    try:
        os.fork()
        os.setsid()
    except OSError:
        pass
"""
    ran = await bench.run(bomb, limits={"seconds": 1, "cpu_seconds": 30, "processes": 32})
    assert ran.stopped == "did not end within 1 s"
    assert time.monotonic() - before < 4


# Each fills what it holds and keeps it; a program that only waits afterwards is still found.
SOCKETS = """
held = []
try:
    while True:
        held += socket.socketpair()
        for one in held[-2:]:
            one.setblocking(False)
            try:
                while True: one.send(bytes(65_536))
            except BlockingIOError: pass
except OSError: time.sleep(9)
"""
CONNECTIONS = """
listening, held = socket.create_server(("127.0.0.1", 0)), []
while len(held) < 40:
    held.append(socket.create_connection(listening.getsockname()))
    held[-1].settimeout(0.02)
    try:
        while True: held[-1].send(bytes(65_536))
    except OSError: pass
time.sleep(9)
"""
# Of what was given up page by page none is resident.
SHARED = """
with open("/dev/shm/x", "wb+") as file:
    file.truncate(60 << 20)
    held = mmap.mmap(file.fileno(), 60 << 20)
os.unlink("/dev/shm/x")
for start in range(0, 60 << 20, 1 << 20):
    held[start : start + (1 << 20)] = b"x" * (1 << 20)
    held.madvise(mmap.MADV_DONTNEED, start, 1 << 20)
time.sleep(9)
"""


@pytest.mark.parametrize(
    ("code", "limits", "words"),
    [
        (
            "held = []\nwhile True: held.append(b'x' * 1_000_000); time.sleep(0.003)",
            {"memory_mib": 48},
            "held more than 48 MiB",
        ),
        (SOCKETS, {"memory_mib": 64}, "held more than 64 MiB"),
        (CONNECTIONS, {"memory_mib": 64}, "held more than 64 MiB"),
        (SHARED, {"memory_mib": 64, "file_mib": 64}, "held more than 64 MiB"),
        (
            "for _ in range(6):\n    if os.fork() == 0: held = b'x' * 20_000_000; break\ntime.sleep(9)",
            {"memory_mib": 64},
            "held more than 64 MiB",
        ),
        ("os.fork(); os.fork()\nwhile True: pass", {"cpu_seconds": 1}, "used more than 1 s of the processor"),
        ("n = 0\nwhile True: n += 1; open(str(n), 'w').close()", {"files": 500}, "made more than 500 files"),
        ("n = 0\nwhile True: n += 1; os.mkdir(str(n)); os.chdir(str(n))", {"files": 500}, "made more than 500 files"),
        ("n = 0\nwhile True: n += 1; open(f'/dev/shm/{n}', 'w').close()", {"files": 500}, "made more than 500 files"),
        ("while True: sys.stdout.write('x' * 100_000)", {"output_kib": 64}, "wrote more than it may"),
        ("while True: sys.stderr.write('x' * 100_000)", {"output_kib": 64}, "wrote more than it may"),
        ("os.kill(0, signal.SIGSTOP)", {"seconds": 0.5}, "did not end within 0.5 s"),
        (
            "for name in range(1, 32):\n    try: signal.signal(name, signal.SIG_IGN)\n    except OSError: pass\n"
            "os.close(1); os.close(2); time.sleep(9)",
            {"seconds": 0.5},
            "did not end within 0.5 s",
        ),
    ],
    ids=[
        *("memory", "sockets", "connections", "shared memory", "memory of several", "processor", "files", "folders"),
        *("shared files", "output", "errors", "stopping", "deaf"),
    ],
)
async def test_what_takes_too_much_is_stopped(bench: Bench, code: str, limits: dict[str, Any], words: str) -> None:
    before = time.monotonic()
    ran = await bench.run(code, limits={"seconds": 8, **limits})
    assert ran.stopped == words
    assert time.monotonic() - before < 6


async def test_a_full_disk(bench: Bench) -> None:
    fill = """
written = 0
try:
    for n in range(100):
        with open(str(n), 'wb', buffering=0) as file:
            written += file.write(b'x' * 1_000_000)
except OSError as error:
    print(error.strerror, written < 4_000_000)
"""
    ran = await bench.run(fill, limits={"file_mib": 2, "disk_mib": 3, "seconds": 5})
    assert ran.stdout == "No space left on device True\n"
    large = "signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\nopen('x', 'wb').write(b'x' * 3_000_000)"
    assert "File too large" in (await bench.run(large, limits={"file_mib": 2})).stderr


async def test_a_child_that_would_outlive_its_parent(bench: Bench) -> None:
    outlive = f"""
if os.fork() == 0:
    os.setsid()
    if os.fork() == 0:
        for name in (0, 1, 2): os.close(name)
        os.execv('/bin/sleep', ['sleep', '4711.{os.getpid()}'])
    os._exit(0)
os.wait()
print('left')
"""
    assert (await bench.run(outlive)).stdout == "left\n"
    assert running(f"sleep 4711.{os.getpid()}") == []


async def test_a_call_that_ends_early_leaves_nothing(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    """Cancelled, and out of time; the fork is in a session of its own."""
    hang = f"if os.fork() == 0: os.setsid()\nos.execv('/bin/sleep', ['sleep', '4712.{os.getpid()}'])"
    call = asyncio.ensure_future(bench.call(hang, key="hang"))
    while len(running(f"sleep 4712.{os.getpid()}", program="sleep")) < 2:
        await asyncio.sleep(0.02)
    assert bench.executor.cancel("acme", "hang")
    answer = await call
    assert isinstance(answer.error, Cancelled)
    assert running(f"sleep 4712.{os.getpid()}") == []
    monkeypatch.setattr(python, "spec", python.spec.model_copy(update={"timeout_seconds": 0.4}))
    assert isinstance((await bench.call(hang)).error, Unavailable)
    assert running(f"sleep 4712.{os.getpid()}") == []


async def test_killing_all_that_can_be_seen(bench: Bench) -> None:
    assert "No such process" in (await bench.run("os.kill(-1, signal.SIGKILL)")).stderr
