"""A server of the Model Context Protocol that others wrote works whole, over both transports."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio
import yaml
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from factotum.sdk.errors import Cancelled, InvalidArgument, NotPermitted
from factotum.sdk.spec import Effect, Idempotency
from factotum.tool_executor.sources.mcp import sessions
from factotum.tool_executor.wrappers import observed
from tests.support.everything_server import FOLDER, EverythingServer, command, everything_server
from tests.support.machine import needs
from tests.support.mcp_source import McpBench, mcp_bench
from tests.unit.test_docs import ROOT, blocks

READS = ["echo", "get-sum", "trigger-long-running-operation"]
LONG = "trigger_long_running_operation"
TAKEN = {
    "tools": "*",
    "reads": READS,
    "terms": {"gzip-file-as-resource": {"failed_means_undone": True}},
    "resources": ["demo://resource/*"],
    "prompts": "*",
}


@pytest_asyncio.fixture(scope="module")
async def server() -> AsyncIterator[EverythingServer]:
    async with everything_server() as made:
        yield made


@pytest_asyncio.fixture(scope="module", params=["stdio", "http"])
async def bench(
    request: pytest.FixtureRequest, server: EverythingServer, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[McpBench]:
    way = (
        {"http": {"url": server.url}}
        if request.param == "http"
        else {"stdio": {"command": [*command(), "stdio"], "folders": [FOLDER]}}
    )
    needs("bwrap", "setpriv", "prlimit", what="the sandbox")
    async with mcp_bench(tmp_path_factory.mktemp("mcp"), "everything") as made:
        names = await made.add(**way, **TAKEN)
        assert len(names) == 13 + 4 and "get_structured_content" in names
        yield made


async def test_a_tool_is_called(bench: McpBench) -> None:
    text = {"type": "text", "text": "Echo: hello"}
    assert await bench.output("echo", message="hello") == {"text": "Echo: hello", "content": [text]}
    assert (await bench.output("get_sum", a=2, b=3))["text"] == "The sum of 2 and 3 is 5."


async def test_the_terms_are_the_operators(bench: McpBench) -> None:
    specs = {tool.spec.name: tool.spec for tool in bench.catalog.tools("acme")}
    echo, env = specs["everything.echo"], specs["everything.get_env"]
    assert (echo.effect, echo.version, echo.description) == (Effect.NONE, "2.0.0", "Echoes back the input string")
    assert echo.input_schema["required"] == ["message"]
    assert (env.effect, env.idempotency) == (Effect.EXECUTE, Idempotency.NONE), "though it calls itself read-only"


async def test_structured_content_has_the_declared_form(bench: McpBench) -> None:
    weather = await bench.output("get_structured_content", location="Chicago")
    assert weather == {"temperature": 36, "conditions": "Light rain / drizzle", "humidity": 82}


async def test_arguments_are_held_to_the_schema(bench: McpBench) -> None:
    assert isinstance(await bench.error("get_structured_content", location="Oslo"), InvalidArgument)
    assert isinstance(await bench.error("echo"), InvalidArgument)


async def test_images_resources_and_links_are_a_typed_list(bench: McpBench) -> None:
    image = (await bench.output("get_tiny_image"))["content"][1]
    assert (image["type"], image["mimeType"]) == ("image", "image/png") and image["data"].startswith("iVBOR")
    embedded = (await bench.output("get_resource_reference", resourceType="Text", resourceId=1))["content"][1]
    assert embedded["type"] == "resource" and embedded["resource"]["uri"] == "demo://resource/dynamic/text/1"
    link = (await bench.output("get_resource_links", count=1))["content"][1]
    assert link["type"] == "resource_link"
    (read,) = (await bench.output("read_resource", uri=link["uri"]))["contents"]
    assert read["uri"] == link["uri"] and read["blob"]


async def test_a_tools_own_error_is_its_words(bench: McpBench) -> None:
    error = await bench.error("gzip_file_as_resource", data="ftp://example.com/x")
    assert "ftp" in error.message and error.message.startswith("everything gzip-file-as-resource:")
    assert error.kind == "failed"


async def test_resources_and_prompts(bench: McpBench) -> None:
    listed = await bench.output("list_resources")
    assert any(one["name"] == "architecture.md" for one in listed["resources"])
    assert {one["uriTemplate"] for one in listed["templates"]} >= {"demo://resource/dynamic/text/{resourceId}"}
    assert isinstance(await bench.error("read_resource", uri="file:///etc/passwd"), NotPermitted)
    assert isinstance(await bench.error("read_resource", uri="demo://resource/nope"), InvalidArgument)
    prompts = {one["name"] for one in (await bench.output("list_prompts"))["prompts"]}
    assert {"simple-prompt", "args-prompt"} <= prompts
    prompt = await bench.output("get_prompt", name="args-prompt", arguments={"city": "Rome"})
    assert "Rome" in prompt["messages"][0]["content"]["text"]


async def test_progress_is_seen_in_the_trace(bench: McpBench, monkeypatch: pytest.MonkeyPatch) -> None:
    spans, provider = InMemorySpanExporter(), TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(spans))
    monkeypatch.setattr(observed, "tracer", provider.get_tracer("test"))
    assert "completed" in (await bench.output(LONG, duration=0.9, steps=3))["text"]
    (span,) = [one for one in spans.get_finished_spans() if one.name.startswith("execute_tool")]
    told = [dict(event.attributes or {}) for event in span.events]
    assert [one["factotum.progress.text"] for one in told] == ["1 of 3", "2 of 3", "3 of 3"]
    assert told[-1]["factotum.progress.fraction"] == 1.0


@pytest.mark.slow
async def test_a_tool_that_is_a_task_is_asked_for_until_it_ends(bench: McpBench) -> None:
    report = await bench.output("simulate_research_query", topic="owls")
    assert report["text"].startswith("# Research Report: owls")


async def test_a_cancelled_call_ends_soon_and_the_session_serves_on(bench: McpBench) -> None:
    loop = asyncio.get_running_loop()
    call = asyncio.ensure_future(bench.call(LONG, key="run:/do/long", duration=20, steps=2))
    await asyncio.sleep(0.3)
    began = loop.time()
    assert bench.executor.cancel("acme", "run:/do/long")
    assert isinstance((await call).error, Cancelled) and loop.time() - began < 2
    assert (await bench.output("echo", message="still here"))["text"] == "Echo: still here"
    assert bench.source.sessions.open <= 2


async def test_calls_at_a_time_have_sessions_of_their_own(bench: McpBench) -> None:
    texts = await asyncio.gather(*(bench.output("echo", message=str(n)) for n in range(6)))
    assert [one["text"] for one in texts] == [f"Echo: {n}" for n in range(6)]
    assert bench.source.sessions.open == 2


async def test_a_server_that_was_started_anew_is_greeted_anew(
    server: EverythingServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # As though it had answered a moment ago, so that nobody asks it first.
    monkeypatch.setattr(sessions, "_FRESH", 3600.0)
    async with mcp_bench(tmp_path, "everything") as bench:
        await bench.add(http={"url": server.url}, tools=["echo", "get-env"], reads=["echo"])
        await bench.output("echo", message="before")
        await server.stop()
        await server.start()
        # Of a call with an effect too: what is refused for its session was not carried out.
        assert "PATH" in (await bench.output("get_env"))["text"]


async def test_the_documents_example(tmp_path: Path) -> None:
    text = "".join(block for block in blocks(ROOT / "docs" / "mcp.md", "yaml") if "everything.yaml" in block)
    here = text.replace("/opt/mcp/node_modules", FOLDER).replace("[node,", f"[{command()[0]},")
    async with mcp_bench(tmp_path, "everything") as bench:
        names = await bench.add(**yaml.safe_load(here))
        assert {"compress", "long", "get_sum", "read_resource", "get_prompt"} < set(names)
        assert (await bench.output("get_sum", a=2, b=3))["text"] == "The sum of 2 and 3 is 5."
        spec = bench.catalog.tool("acme", "everything.long").spec
        assert (spec.idempotency, spec.timeout_seconds) == (Idempotency.NATIVE, 600)
        zipped = await bench.output("compress", data="data:text/plain,hello", outputType="resource")
        assert zipped["content"][0]["resource"]["mimeType"] == "application/gzip"
        # It may reach nobody.
        assert "fetch failed" in (await bench.error("compress", data="http://127.0.0.1:1/x")).message
