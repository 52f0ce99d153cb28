"""Sources over the wire: added, used, kept over a restart while they are away, and removed."""

from __future__ import annotations

import asyncio
import json
import re
from contextlib import suppress
from pathlib import Path
from typing import Any

import grpc
import pytest

from factotum.api.tools.v1 import tools_pb2 as pb
from tests.support.executor_process import ExecutorProcess
from tests.support.grpc_library import NAME, compiled, library
from tests.support.tool_calls import closed_port

[DICE] = re.findall(
    r"^```python\n# tools/dice.py\n(.*?)^```$",
    (Path(__file__).parents[3] / "docs" / "tools.md").read_text(),
    re.MULTILINE | re.DOTALL,
)


async def refusal(call: Any) -> tuple[grpc.StatusCode, str]:
    with pytest.raises(grpc.aio.AioRpcError) as refused:
        await call
    return refused.value.code(), refused.value.details() or ""


def adding(address: str, *, system: str = "library", kind: str = "grpc", tenant: str = "acme") -> pb.AddSourceRequest:
    config = {"address": address, "methods": {f"{NAME}/FindBook": {"effect": "none"}, f"{NAME}/LendBook": {}}}
    return pb.AddSourceRequest(tenant=tenant, system=system, kind=kind, config_json=json.dumps(config))


async def listed(executor: ExecutorProcess, tenant: str = "acme") -> list[pb.Source]:
    """Without those of Python."""
    answer = await executor.stub.ListSources(pb.ListSourcesRequest(tenant=tenant))
    return [source for source in answer.sources if source.kind != "python"]


async def names(executor: ExecutorProcess, tenant: str = "acme", **given: Any) -> list[str]:
    answer = await executor.stub.ListTools(pb.ListToolsRequest(tenant=tenant, **given))
    return [tool.name for tool in answer.tools if not tool.name.startswith("fake.")]


def beside(folder: Path, descriptors: bytes) -> dict[str, str]:
    """The settings of a deployment with a file of sources and a folder of tools."""
    (folder / "tools").mkdir(parents=True)
    (folder / "tools" / "dice.py").write_text(DICE)
    (folder / "library.pb").write_bytes(descriptors)
    config = {"address": "grpc://127.0.0.1:1", "methods": {f"{NAME}/FindBook": {"effect": "none"}}}
    entry = {"kind": "grpc", "document": "library.pb", "config": config}
    (folder / "sources.yaml").write_text(json.dumps({"tenants": {"acme": {"described": entry}}}))
    return {
        "FACTOTUM_TOOLS_FOLDER": str(folder / "tools"),
        "FACTOTUM_TOOL_SOURCES_FILE": str(folder / "sources.yaml"),
    }


async def find(executor: ExecutorProcess, reader: str = "Ada") -> pb.Observation:
    request = pb.ExecuteRequest(
        tenant="acme", tool="library.find_book", arguments_json=json.dumps({"readerName": reader})
    )
    response = await executor.stub.Execute(request, timeout=20)
    assert isinstance(response, pb.ExecuteResponse)
    return response.observation


async def refused(executor: ExecutorProcess) -> None:
    """What cannot be added, with its status."""
    away = f"grpc://127.0.0.1:{closed_port()}"
    invalid = grpc.StatusCode.INVALID_ARGUMENT
    for request, code, words in (
        (adding(away), grpc.StatusCode.UNAVAILABLE, "library: no connection"),
        (adding("http://x"), invalid, "library: the configuration: all of it: Value error, address is"),
        (adding(away, kind="soap"), invalid, "these are"),
        (adding(away, system="Library"), invalid, "system must match"),
        (adding(away, tenant="../etc"), invalid, "tenant must match"),
        (pb.AddSourceRequest(tenant="acme", system="a", kind="python", document=b"x"), invalid, "a: code is not taken"),
        (adding(away, system="fake"), grpc.StatusCode.ALREADY_EXISTS, "installed connector"),
        (pb.AddSourceRequest(tenant="acme", system="a", kind="grpc", config_json="["), invalid, "not JSON"),
        (pb.AddSourceRequest(tenant="acme", system="a", kind="grpc", config_json="[]"), invalid, "JSON object"),
    ):
        found = await refusal(executor.stub.AddSource(request))
        assert found[0] is code and words in found[1], found
    not_found = grpc.StatusCode.NOT_FOUND
    for call in (
        executor.stub.RemoveSource(pb.RemoveSourceRequest(tenant="acme", system="library")),
        executor.stub.RefreshSource(pb.RefreshSourceRequest(tenant="acme", system="library")),
        executor.stub.TestTool(pb.TestToolRequest(tenant="acme", tool="library.find_book")),
    ):
        assert (await refusal(call))[0] is not_found
    assert not await listed(executor)


async def test_a_source_from_its_adding_to_its_removal(executor: ExecutorProcess, tmp_path: Path) -> None:
    await refused(executor)
    stub = executor.stub
    descriptors = compiled(tmp_path / "protos")
    async with library(descriptors) as served:
        added = await stub.AddSource(adding(served.address))
        assert list(added.tools) == ["library.find_book", "library.lend_book"]
        assert (added.source.system, added.source.kind, added.source.tools) == ("library", "grpc", 2)
        assert await names(executor) == list(added.tools) and await names(executor, "globex") == []
        assert await names(executor, names=["library.lend_book", "no.such"]) == ["library.lend_book"]
        bare = await stub.ListTools(pb.ListToolsRequest(tenant="acme", without_schemas=True))
        [lend] = [tool for tool in bare.tools if tool.name == "library.lend_book"]
        assert (lend.source, lend.input_schema_json, lend.output_schema_json) == ("grpc", "", "")
        assert {tool.source for tool in bare.tools if tool.name.startswith("fake.")} == {"installed"}
        assert json.loads((await find(executor)).output_json)["readerName"] == "Ada"
        assert (await find(executor, "NOT_FOUND")).error.kind == pb.ERROR_KIND_NOT_FOUND
        checks = (await stub.TestTool(pb.TestToolRequest(tenant="acme", tool="library.find_book"))).checks
        assert {check.name: check.passed for check in checks}["source"] and all(check.passed for check in checks)
        unchanged = await stub.RefreshSource(pb.RefreshSourceRequest(tenant="acme", system="library"))
        assert not (unchanged.added or unchanged.removed or unchanged.changed)
        narrower = adding(served.address)
        narrower.config_json = json.dumps(
            {"address": served.address, "methods": {f"{NAME}/FindBook": {"effect": "none"}}}
        )
        await stub.AddSource(narrower)
        assert await names(executor) == ["library.find_book"]

    # The library is away: its tools are not, before and after a restart.
    assert (await find(executor)).error.kind == pb.ERROR_KIND_UNAVAILABLE
    code, words = await refusal(stub.RefreshSource(pb.RefreshSourceRequest(tenant="acme", system="library")))
    assert code is grpc.StatusCode.UNAVAILABLE and words.startswith("library: no connection")
    await executor.stop()
    executor.environment = beside(tmp_path / "deployment", descriptors)
    await executor.start()
    async with asyncio.timeout(10):
        while "described.find_book" not in await names(executor):
            await asyncio.sleep(0.05)
    assert await names(executor) == ["described.find_book", "dice.throw", "library.find_book"]
    _, kept = await listed(executor)
    assert (kept.system, kept.tools, kept.fault) == ("library", 1, "") and kept.HasField("read_at")
    assert not await listed(executor, "globex")
    await stub.RemoveSource(pb.RemoveSourceRequest(tenant="acme", system="library"))
    assert await names(executor) == ["described.find_book", "dice.throw"]


async def test_it_listens_before_its_tools_are_there_and_is_ready_when_they_had_their_time(
    executor: ExecutorProcess, tmp_path: Path
) -> None:
    await executor.stop()
    (tmp_path / "tools").mkdir()
    gate = tmp_path / "gate"
    waiting = f"import pathlib, time\nwhile not pathlib.Path({str(gate)!r}).exists():\n    time.sleep(0.02)\n"
    (tmp_path / "tools" / "dice.py").write_text(f"{waiting}{DICE}")
    executor.environment["FACTOTUM_TOOLS_FOLDER"] = str(tmp_path / "tools")
    # Longer than a channel may take to try again whether somebody listens.
    executor.environment["FACTOTUM_SOURCES_START_SECONDS"] = "4"
    await executor.start(ready=False)
    stub, dice = executor.stub, pb.DescribeToolRequest(tenant="acme", tool="dice.throw")
    assert not await executor.is_ready()
    for call in (
        stub.Execute(pb.ExecuteRequest(tenant="acme", tool="dice.throw", arguments_json="{}")),
        stub.DescribeTool(dice),
        stub.ListTools(pb.ListToolsRequest(tenant="acme")),
        stub.ListSources(pb.ListSourcesRequest(tenant="acme")),
        stub.AddSource(adding("grpc://127.0.0.1:1")),
    ):
        code, words = await refusal(call)
        assert code is grpc.StatusCode.UNAVAILABLE and "ask again in a moment" in words
    async with asyncio.timeout(20):
        while not await executor.is_ready():
            await asyncio.sleep(0.05)
        assert (await refusal(stub.DescribeTool(dice)))[0] is grpc.StatusCode.UNAVAILABLE
        gate.touch()
        found = None
        while found is None:
            with suppress(grpc.aio.AioRpcError):
                found = await stub.DescribeTool(dice)
            await asyncio.sleep(0.05)
    assert found.tool.source == "folder"
