"""The sandbox's port: what a command is given and leaves, who may use it, and when it ends."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from factotum.sdk import processes
from factotum.sdk.context import ToolContext
from factotum.sdk.errors import Failed, InvalidArgument, NotPermitted
from factotum.sdk.sandbox import SCRIPTS, Command, Ended, Limits, Sandbox
from factotum.sdk.spec import Effect
from factotum.sdk.tool import Connector
from factotum.tool_executor.calls import Answer, Origin
from factotum.tool_executor.execution import Executor
from factotum.tool_executor.ledger_sqlite import SqliteLedger
from factotum.tool_executor.sandbox.bubblewrap import Bubblewrap
from factotum.tool_executor.sandbox.groups import Groups
from tests.support.composition import catalog_of, executor_of
from tests.support.machine import needs, running
from tests.support.sandboxed import Empty

SANDBOX = Bubblewrap()


@pytest.fixture(scope="module", autouse=True)
def _sandbox() -> None:
    needs("bwrap", "prlimit", "setpriv", what="running a command in a sandbox")


FEW_SECONDS = Limits(seconds=5)


async def sh(script: str, *, limits: Limits = FEW_SECONDS, **more: Any) -> Ended:
    return await SANDBOX.run(Command(["sh", "-c", script], **more), limits)


async def test_what_it_is_given_it_finds() -> None:
    ended = await sh(
        'cat; cat a/b.txt x "$D/s"; echo "$A"; echo more >> x && cat x; echo no >> "$D/s"',
        stdin=b"in ",
        files={"a/b.txt": "given ", "x": b"\xc3\xa9 "},
        scripts={"s": "script "},
        environment={"A": "v", "D": SCRIPTS},
    )
    assert ended.stdout.text == "in given \xe9 script v\n\xe9 more\n"
    assert ended.code != 0 and "Read-only" in ended.stderr.text


@pytest.mark.parametrize("name", ["", "/etc/x", "../x", "a/../../x", "a//b", "./a", "a/", "a\0b"])
async def test_files_are_in_its_folder(name: str) -> None:
    for given in ({"files": {name: ""}}, {"scripts": {name: ""}}, {"wanted": [name]}):
        with pytest.raises(InvalidArgument, match="is not the name of a file"):
            await sh("true", **given)


async def test_it_is_not_given_more_than_it_may_have() -> None:
    with pytest.raises(InvalidArgument, match="more than 1 MiB"):
        await sh("true", files={"x": b"x" * 2_000_000}, limits=Limits(disk_mib=1))
    with pytest.raises(InvalidArgument, match="at most 100 files"):
        await sh("true", files={str(n): "" for n in range(101)})


async def test_the_files_that_are_wanted_are_given_back() -> None:
    ended = await sh(
        "mkdir -p p q; echo 1 > p/1.txt; echo 2 > p/2.md; echo 3 > q/3.txt; ln -s p r; ln p/1.txt p/4.txt; "
        "mkfifo p/5.txt; ln -s /usr/bin/env p/6.txt; exit 7",
        wanted=["p/*.txt", "[qr]/*", "missing"],
    )
    assert ended.code == 7
    assert ended.files == {"p/1.txt": b"1\n", "p/4.txt": b"1\n", "q/3.txt": b"3\n"}


async def test_one_file_under_many_names_is_not_given_back_without_a_bound() -> None:
    script = "head -c 50000 /dev/zero > 0; for n in 1 2 3 4 5 6 7 8 9; do ln 0 $n; done"
    ended = await sh(script, wanted=["?"], limits=Limits(seconds=5, output_kib=100))
    assert ended.stopped == "left more than 100 KiB in files that are wanted" and ended.files == {}


async def test_a_file_that_is_wanted_does_not_hide_how_the_command_ended() -> None:
    ended = await sh("kill -9 $$", wanted=["x"])
    assert ended.code == 137
    with pytest.raises(Failed, match="no-such-program is not on"):
        await SANDBOX.run(Command(["no-such-program"]), Limits())


PROCESSES = """
import multiprocessing, sqlite3
from multiprocessing import shared_memory

def double(number):
    return 2 * number

if __name__ == "__main__":
    multiprocessing.set_start_method("fork")
    with multiprocessing.Pool(2) as pool:
        print(pool.map(double, range(3)))
    value, given = multiprocessing.Value("i", 1), multiprocessing.Queue()

    def work():
        with value.get_lock():
            value.value += 1
        given.put("given")

    process = multiprocessing.Process(target=work)
    process.start()
    print(given.get(), process.join(), value.value)
    ours = shared_memory.SharedMemory(create=True, size=4096)
    theirs = shared_memory.SharedMemory(ours.name)
    ours.buf[0] = 7
    print(theirs.buf[0])
    theirs.close(), ours.close(), ours.unlink()
    print(sqlite3.connect("x.db").execute("pragma journal_mode=wal").fetchone())
"""
THREADS = """
const { Worker } = require('worker_threads'), children = require('child_process')
console.log(children.execSync('echo child').toString().trim(), new SharedArrayBuffer(1 << 20).byteLength)
new Worker("require('worker_threads').parentPort.postMessage('worker')", { eval: true })
    .on('message', text => console.log(text))
"""


async def test_programs_that_share_memory_among_themselves() -> None:
    ended = await sh(f"python3 {SCRIPTS}/x.py", scripts={"x.py": PROCESSES}, limits=Limits(seconds=20))
    assert ended.stdout.text == "[0, 2, 4]\ngiven None 2\n7\n('wal',)\n", ended.stderr.text


async def test_a_program_of_node() -> None:
    needs("node", what="running JavaScript")
    ended = await sh("node x.js", files={"x.js": THREADS}, limits=Limits(seconds=20), bound_address_space=False)
    assert ended.stdout.text == "child 1048576\nworker\n", ended.stderr.text


async def test_tables_of_pages_that_were_only_read() -> None:
    """All of them are the same page, which is nobody's; the tables are the command's."""
    code = """
import mmap
memory = mmap.mmap(-1, 60 << 30, mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS, mmap.PROT_READ)
memory.madvise(mmap.MADV_NOHUGEPAGE)
for at in range(0, 60 << 30, 2 << 20): memory[at]
import time; time.sleep(9)
"""
    limits = Limits(seconds=5, memory_mib=64)
    ended = await sh(f"python3 {SCRIPTS}/x.py", scripts={"x.py": code}, limits=limits, bound_address_space=False)
    assert ended.stopped == "held more than 64 MiB", ended.stderr.text


GROUPS = Path("/sys/fs/cgroup/pids")


def names_in(group: Path) -> list[str]:
    return [Path(f"/proc/{pid}/comm").read_text().strip() for pid in (group / "cgroup.procs").read_text().split()]


async def test_a_group_holds_the_command() -> None:
    """Where the kernel lets this process make one: of version 1, of processes."""
    if not os.access(GROUPS / "cgroup.procs", os.W_OK):
        pytest.skip("this process may make no control group of processes")
    before = await asyncio.to_thread(lambda: set(GROUPS.glob("factotum-*")))
    sandbox = Bubblewrap(groups=Groups([GROUPS]))
    running = asyncio.ensure_future(sandbox.run(Command(["sleep", "0.7"]), Limits(seconds=5, processes=9)))
    await asyncio.sleep(0.35)
    [group] = await asyncio.to_thread(lambda: set(GROUPS.glob("factotum-*")) - before)
    assert {"sleep", "bwrap"} <= set(await asyncio.to_thread(names_in, group))
    assert await asyncio.to_thread((group / "pids.max").read_text) == "25\n"
    assert (await running).code == 0
    assert not await asyncio.to_thread(group.exists)


kept: list[Sandbox] = []
left: list[asyncio.Task[Any]] = []
connector = Connector("test", settings=Empty)


@connector.tool(effect=Effect.NONE)
async def undeclared(arguments: Empty, context: ToolContext[Empty]) -> Empty:
    """Run a command without having said so."""
    await context.sandbox.run(Command(["true"]), Limits())
    return Empty()


@connector.tool(effect=Effect.NONE, sandbox=True)
async def careless(arguments: Empty, context: ToolContext[Empty]) -> Empty:
    """Leave a command running, and keep the sandbox."""
    kept.append(context.sandbox)
    left.append(asyncio.create_task(context.sandbox.run(Command(["sleep", f"4713.{os.getpid()}"]), Limits())))
    while not running(f"sleep 4713.{os.getpid()}", program="sleep"):
        await asyncio.sleep(0.02)
    return Empty()


async def last(sandbox: Sandbox) -> None:
    async with sandbox.launched(Command(["sleep", f"4715.{os.getpid()}"]), Limits()) as launch:
        process = await processes.started(launch.argv, environment={}, fed=True, files=launch.files)
        await process.wait()


@connector.tool(effect=Effect.NONE, sandbox=True)
async def lasting(arguments: Empty, context: ToolContext[Empty]) -> Empty:
    """Leave a server running, and keep the sandbox."""
    kept.append(context.sandbox)
    left.append(asyncio.create_task(last(context.sandbox)))
    while not running(f"sleep 4715.{os.getpid()}", program="sleep"):
        await asyncio.sleep(0.02)
    return Empty()


@pytest_asyncio.fixture
async def executor(tmp_path: Path) -> AsyncIterator[Executor]:
    async with SqliteLedger(tmp_path / "ledger.sqlite", ambiguous_retry_seconds=1) as ledger:
        yield executor_of(catalog_of(connector, settings={("acme", "test"): Empty()}), ledger, secrets=tmp_path)


async def call(executor: Executor, tool: str) -> Answer:
    return await executor.execute(tenant="acme", tool=f"test.{tool}", arguments_json="{}", key="", origin=Origin())


async def test_a_tool_that_declares_no_sandbox_has_none(executor: Executor) -> None:
    error = (await call(executor, "undeclared")).error
    assert isinstance(error, NotPermitted) and "declare it with sandbox=True" in error.message


async def test_what_a_tool_leaves_running_ends_with_its_call(executor: Executor) -> None:
    assert (await call(executor, "careless")).error is None
    assert not running(f"sleep 4713.{os.getpid()}")
    with pytest.raises(asyncio.CancelledError):
        await left.pop()
    with pytest.raises(NotPermitted, match="has ended"):
        await kept.pop().run(Command(["true"]), Limits())


async def test_a_server_that_a_tool_leaves_ends_with_its_call(executor: Executor) -> None:
    assert (await call(executor, "lasting")).error is None
    assert not running(f"sleep 4715.{os.getpid()}")
    with pytest.raises(asyncio.CancelledError):
        await left.pop()
    with pytest.raises(NotPermitted, match="has ended"):
        await last(kept.pop())


async def test_a_command_that_is_cancelled_while_it_is_started_leaves_nothing() -> None:
    for milliseconds in range(0, 40, 2):
        command = asyncio.ensure_future(SANDBOX.run(Command(["sleep", f"4714.{os.getpid()}"]), FEW_SECONDS))
        await asyncio.sleep(milliseconds / 1000)
        command.cancel()
        with pytest.raises(asyncio.CancelledError):
            await command
    assert not running(f"sleep 4714.{os.getpid()}")
