"""Servers of the Model Context Protocol that change, break off, ask back or do not do as they should."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import signal
import socket
from collections.abc import AsyncIterator
from contextlib import AbstractContextManager, asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from factotum.sdk.errors import Cancelled, Failed, NotFound, NotPermitted, Unavailable
from factotum.sdk.sandbox import Limits
from factotum.sdk.spec import Effect, Idempotency
from factotum.sdk.testing import World, check_tool
from factotum.tool_executor.sandbox.bubblewrap import Bubblewrap
from factotum.tool_executor.sandbox.groups import Group, Groups
from factotum.tool_executor.sources import kinds
from factotum.tool_executor.sources.mcp.config import McpConfig
from factotum.tool_executor.sources.mcp.machine import Machine
from factotum.tool_executor.sources.source import SourceInvalid, SourceUnavailable
from factotum.tool_executor.sources.store import Definition
from tests.support import mcp_program
from tests.support.composition import catalog_of, sources_of
from tests.support.kill_points import House, KillPoint, killed_and_called_again
from tests.support.machine import needs
from tests.support.mcp_desk import Desk
from tests.support.mcp_source import McpBench, mcp_bench
from tests.support.served_app import served_app
from tests.support.tool_calls import closed_port

KEYED = {
    "open_case": {
        "effect": "create",
        "idempotency": "reconcile",
        "key_argument": "reference",
        "reconcile": {"tool": "find_case", "argument": "reference", "at": "/case"},
    }
}
READS = ["find_case", "wait", "ask_back", "answer", "reload"]


@asynccontextmanager
async def desk_bench(folder: Path, **config: Any) -> AsyncIterator[tuple[Desk, McpBench]]:
    desk = Desk()
    async with (
        served_app(lambda _: desk.server.streamable_http_app()) as address,
        mcp_bench(folder, "desk", token="t0ken-of-acme") as bench,
    ):
        http = {"url": f"{address}/mcp", "headers": {"X-Team": "hr", "X-Key": "secret://token"}}
        await bench.add(**{"http": http, "tools": "*", "reads": READS, "terms": KEYED, **config})
        yield desk, bench


@pytest.fixture
async def desk(tmp_path: Path) -> AsyncIterator[tuple[Desk, McpBench]]:
    async with desk_bench(tmp_path) as made:
        yield made


async def test_credentials_and_key_are_sent(tmp_path: Path) -> None:
    desk = Desk()
    async with (
        served_app(lambda _: desk.server.streamable_http_app()) as address,
        mcp_bench(tmp_path, "desk", token="t0ken-of-acme", whole='{"token": "another-t0ken"}') as bench,
    ):
        for authentication, sent in (
            ({"bearer": {"token": "secret://token"}}, "Bearer t0ken-of-acme"),
            ({"bearer": {"use": "secret://whole"}}, "Bearer another-t0ken"),
        ):
            http = {"url": f"{address}/mcp", "headers": {"X-Key": "secret://token"}, "authentication": authentication}
            await bench.add(http=http, tools=["open_case"])
            await bench.output("open_case", key=f"key of {sent}", title="x", reference="y")
            heard = desk.heard[-1]
            assert (heard["headers"]["authorization"], heard["headers"]["x-key"]) == (sent, "t0ken-of-acme")
            assert heard["meta"]["factotum/idempotencyKey"] == f"key of {sent}"
        (tmp_path / "secrets" / "acme" / "whole").write_text("a-third-t0ken")
        await bench.output("open_case", title="x", reference="y")
        sent = desk.heard[-1]["headers"]["authorization"]
        assert sent == "Bearer a-third-t0ken", "a session of other credentials is another one"


async def test_the_key_is_an_argument_of_its_own(desk: tuple[Desk, McpBench]) -> None:
    server, bench = desk
    spec = bench.catalog.tool("acme", "desk.open_case").spec
    assert (spec.effect, spec.idempotency, spec.version) == (Effect.CREATE, Idempotency.RECONCILE, "3.1.4")
    assert "reference" not in spec.input_schema["properties"] and spec.input_schema["required"] == ["title"]
    case = await bench.output("open_case", title="broken lamp")
    assert case == server.cases[0].model_dump() and len(case["reference"]) == 40


@pytest.mark.parametrize("point", KillPoint)
async def test_a_killed_executor_acts_once(desk: tuple[Desk, McpBench], point: KillPoint, tmp_path: Path) -> None:
    server, bench = desk
    connector = bench.catalog.connector("acme", "desk")
    assert connector is not None
    settings = bench.catalog.settings("acme", "desk")
    house = House(connector, settings, tmp_path / "house", {"token": "t0ken-of-acme"})
    answer = await killed_and_called_again(house, "desk.open_case", {"title": "broken lamp"}, point)
    assert answer.error is None, answer.error
    assert len(server.cases) == 1 and server.cases[0].model_dump_json() == answer.output_json


async def test_conformance(desk: tuple[Desk, McpBench]) -> None:
    server, bench = desk
    settings = bench.catalog.settings("acme", "desk")
    assert isinstance(settings, McpConfig) and settings.http is not None
    away = settings.http.model_copy(update={"url": f"http://127.0.0.1:{closed_port()}/mcp"})

    async def standing(given: Any) -> int:
        return sum(case.title == given["title"] for case in server.cases)

    world = World(
        settings=settings,
        arguments=lambda number: {"title": f"case {number}"},
        standing=standing,
        secrets={"token": "t0ken-of-acme"},
        away=settings.model_copy(update={"http": away}),
    )
    (await check_tool(bench.catalog.tool("acme", "desk.open_case"), world)).assert_passed()


async def test_a_tool_that_changed_is_not_called_until_somebody_looked(desk: tuple[Desk, McpBench]) -> None:
    server, bench = desk
    assert (await bench.output("answer"))["result"] == "yes"
    server.turn()
    # The session that is open was not told; another one looks.
    await bench.source.sessions.aclose()
    error = await bench.error("answer")
    assert isinstance(error, NotPermitted) and "tools refresh desk" in error.message
    assert await bench.output("find_case", reference="x") == {"case": None}, "others are as they were"
    _, changes = await bench.sources.refresh("acme", "desk")
    assert (changes.changed, changes.added, changes.removed) == (("desk.answer",), (), ())
    assert (await bench.output("answer"))["result"] == "yes"


async def test_a_session_that_is_open_hears_of_a_change(desk: tuple[Desk, McpBench]) -> None:
    server, bench = desk
    await bench.output("answer")
    await bench.output("reload")
    for _ in range(100):
        answer = await bench.call("answer")
        if answer.error is not None:
            break
        await asyncio.sleep(0.02)
    assert isinstance(answer.error, NotPermitted)
    assert bench.source.sessions.open == 1
    server.server.remove_tool("answer")
    await bench.source.sessions.aclose()
    assert isinstance(await bench.error("answer"), NotFound)


async def test_a_cancelled_call_is_cancelled_there_too(desk: tuple[Desk, McpBench]) -> None:
    server, bench = desk
    call = asyncio.ensure_future(bench.call("wait", key="run:/do/wait"))
    await asyncio.sleep(0.3)
    assert bench.executor.cancel("acme", "run:/do/wait")
    assert isinstance((await call).error, Cancelled)
    async with asyncio.timeout(3):
        while server.cancelled == 0:
            await asyncio.sleep(0.01)
    await bench.output("answer")
    assert bench.source.sessions.open == 1, "the session was not given up"


@pytest.mark.filterwarnings("ignore:The roots capability is deprecated")
async def test_what_a_server_asks_for_is_refused(desk: tuple[Desk, McpBench]) -> None:
    _, bench = desk
    assert (await bench.output("ask_back"))["result"].startswith("refused: ")


async def test_a_call_has_its_time(tmp_path: Path) -> None:
    async with desk_bench(tmp_path, seconds=1.5) as (server, bench):
        assert isinstance(await bench.error("wait"), Unavailable)
        await bench.output("answer")
        assert server.cancelled == 1


async def test_what_was_not_sent_has_no_effect(tmp_path: Path) -> None:
    terms = {"open_case": {"seconds": 0.3}}
    async with desk_bench(tmp_path, sessions=1, terms=terms) as (server, bench):
        waiting = asyncio.ensure_future(bench.call("wait", key="run:/do/wait"))
        await asyncio.sleep(0.2)
        answer = await bench.call("open_case", title="x", reference="y")
        assert isinstance(answer.error, Unavailable) and not answer.effect_possible, "no session was free"
        assert bench.executor.cancel("acme", "run:/do/wait")
        await waiting
        assert server.cases == []


async def test_a_session_that_nobody_uses_is_closed(tmp_path: Path) -> None:
    async with desk_bench(tmp_path, idle_seconds=0.1) as (_, bench):
        await bench.output("answer")
        assert bench.source.sessions.open == 1
        async with asyncio.timeout(3):
            while bench.source.sessions.open:
                await asyncio.sleep(0.02)
        await bench.output("answer")


@pytest.mark.parametrize(
    ("config", "words"),
    [
        ({"tools": ["nope"]}, "no tool 'nope' of tools; it has answer, ask_back"),
        ({"tools": ["answer"], "reads": ["nope"]}, "'nope' of reads"),
        ({"tools": ["answer"], "terms": {"answer": {"key_argument": "id"}}}, "no argument 'id'"),
        ({"tools": "*", "terms": {"answer": {"name": "wait"}}}, "two tools would be desk.wait"),
        ({"tools": []}, "has no tools"),
    ],
)
async def test_what_makes_no_tools(desk: tuple[Desk, McpBench], config: dict[str, Any], words: str) -> None:
    _, bench = desk
    url = bench.catalog.settings("acme", "desk").http.url  # type: ignore[attr-defined]
    with pytest.raises(SourceInvalid, match=words):
        await bench.add(http={"url": url}, **config)


async def test_a_server_that_is_away(tmp_path: Path) -> None:
    async with mcp_bench(tmp_path) as bench:
        with pytest.raises(SourceUnavailable):
            await bench.add(http={"url": f"http://127.0.0.1:{closed_port()}/mcp"}, tools="*")


# Programs


def program(**more: Any) -> dict[str, Any]:
    needs("bwrap", "setpriv", "prlimit", what="the sandbox")
    python = shutil.which("python3", path="/usr/bin:/bin")
    source = Path(mcp_program.__file__)
    return {"command": [python, str(source)], "folders": [str(source.parent)], **more}


@pytest.fixture
async def bench(tmp_path: Path) -> AsyncIterator[McpBench]:
    async with mcp_bench(tmp_path, "program", token="t0ken") as made:
        yield made


TAKEN: dict[str, Any] = {"tools": "*", "reads": list(mcp_program.TOOLS)}


async def test_all_pages_are_listed_and_the_process_stays(bench: McpBench) -> None:
    assert set(await bench.add(stdio=program(), **TAKEN)) == set(mcp_program.TOOLS)
    pids = [(await bench.output("pid"))["text"] for _ in range(3)]
    assert len(set(pids)) == 1
    assert bench.catalog.tool("acme", "program.pid").spec.version == "0.3.1"


async def test_a_program_is_in_a_sandbox(bench: McpBench) -> None:
    stdio = program(environment={"TOKEN": "secret://token"}, limits={"memory_mib": 64})
    await bench.add(stdio=stdio, **TAKEN)
    assert (await bench.output("variable", name="TOKEN"))["text"] == "***", "it is told, and its answer is not"
    assert (await bench.output("variable", name="USER"))["text"] == ""
    for path in ("/etc/shadow", "/etc/hostname", "/root/.profile", str(Path(__file__))):
        assert isinstance(await bench.error("read", path=path), Failed)
    assert (await bench.output("read", path=stdio["command"][1]))["text"].startswith('"""A program')
    with socket.create_server(("127.0.0.1", 0)) as listening:
        assert isinstance(await bench.error("reach", port=listening.getsockname()[1]), Failed)
    error = await bench.error("hold", mib=200)
    assert "held more than 64 MiB" in error.message
    await bench.output("pid")


class Counted(Groups):
    """Groups that bound nothing and know whom they were asked for."""

    def __init__(self) -> None:
        super().__init__()
        self.asked: list[Limits] = []

    def made(self, limits: Limits) -> AbstractContextManager[Group]:
        self.asked.append(limits)
        return super().made(limits)


async def test_a_program_has_a_control_group(tmp_path: Path) -> None:
    needs("bwrap", "setpriv", "prlimit", what="the sandbox")
    groups = Counted()
    config = {"stdio": {"command": ["sh", "-c", "echo not today >&2"], "limits": {"memory_mib": 65}}, "tools": "*"}
    definition = Definition(tenant="acme", system="program", kind="mcp", config_json=json.dumps(config), document=b"")
    async with (
        kinds.opened(Machine(), Bubblewrap(groups=groups)) as found,
        sources_of(catalog_of(), tmp_path, kinds=found) as sources,
    ):
        with pytest.raises(SourceUnavailable, match="not today"):
            await sources.add(definition)
    assert [limits.memory_mib for limits in groups.asked] == [65]


async def test_out_of_the_sandbox_only_by_the_operators_word(bench: McpBench) -> None:
    stdio = program(unsandboxed=True)
    del stdio["folders"]
    await bench.add(stdio=stdio, **TAKEN)
    assert (await bench.output("read", path=__file__))["text"]
    assert (await bench.output("variable", name="USER"))["text"] == ""
    pid = int((await bench.output("pid"))["text"])
    os.kill(pid, signal.SIGKILL)
    await asyncio.sleep(0.1)
    assert int((await bench.output("pid"))["text"]) != pid, "one that ended unasked is started anew"
    pid = int((await bench.output("pid"))["text"])
    await bench.source.aclose()
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)


async def test_a_program_that_ends_within_a_call(bench: McpBench) -> None:
    await bench.add(stdio=program(), **TAKEN)
    error = await bench.error("die")
    assert isinstance(error, Unavailable) and "out of order" in error.message
    await bench.output("pid")


@pytest.mark.parametrize(("undone", "kind"), [(False, "ambiguous"), (True, "failed")])
async def test_what_a_tools_failure_says_of_its_effect(bench: McpBench, undone: bool, kind: str) -> None:
    terms = {"read": {"failed_means_undone": undone}}
    await bench.add(stdio=program(), tools=["read"], terms=terms)
    assert (await bench.error("read", path="/no/such/file")).kind == kind


async def test_an_answer_is_bounded(bench: McpBench) -> None:
    await bench.add(stdio=program(), max_bytes=100_000, **TAKEN)
    error = await bench.error("flood", size=200_000)
    assert isinstance(error, Failed) and "100000 bytes" in error.message
    assert len((await bench.output("flood", size=50_000))["text"]) == 50_000


@pytest.mark.parametrize(
    ("command", "kind", "words"),
    [
        (["/no/such/program"], SourceInvalid, "is not on"),
        (["sh", "-c", "echo not today >&2"], SourceUnavailable, "has ended: not today"),
        (["cat"], SourceInvalid, "error"),
        (["sh", "-c", "echo not by $TOKEN >&2"], SourceUnavailable, r"has ended: not by \*\*\*$"),
    ],
)
async def test_what_is_no_server(bench: McpBench, command: list[str], kind: type[Exception], words: str) -> None:
    needs("bwrap", what="the sandbox")
    with pytest.raises(kind, match=words):
        await bench.add(stdio={"command": command, "environment": {"TOKEN": "secret://token"}}, tools="*", timeout=3)
