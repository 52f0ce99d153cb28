"""mcp.call against a server made with the protocol's own library, over HTTP and as a process."""

from __future__ import annotations

import re
import sys
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from typing import Any, get_args
from urllib.parse import urlsplit

import pytest
import pytest_asyncio
import yaml
from mcp_types.version import HANDSHAKE_PROTOCOL_VERSIONS

from factotum.connectors.protocols.mcp import McpCall, McpSettings, call
from factotum.sdk.errors import Ambiguous, Failed, NotPermitted, ToolError, Unavailable
from factotum.sdk.sandbox import Limits, Undeclared
from factotum.sdk.spec import Effect, Idempotency
from factotum.tool_executor.sandbox.bubblewrap import Bubblewrap
from tests.support import mcp_program
from tests.support.machine import needs
from tests.support.mcp_server import mcp_server
from tests.support.scripted_http import Answer, scripted_http
from tests.support.served_app import served_app
from tests.support.tool_calls import closed_port, tool_context

FOLDER = Path(mcp_program.__file__).parent
PROGRAM: dict[str, Any] = {"command": "python3", "arguments": [str(FOLDER / "mcp_program.py")]}


@pytest_asyncio.fixture(scope="module")
async def url() -> AsyncIterator[str]:
    async with served_app(lambda _: mcp_server().streamable_http_app()) as address:
        yield f"{address}/mcp"


async def ask(transport: dict[str, Any], method: str, limits: dict[str, Any] | None = None, **given: Any) -> Any:
    settings = McpSettings(**{"allow": ["http://127.0.0.1:*"], "timeout": 5, **(limits or {})})
    asked = McpCall.model_validate({"method": method, "transport": transport, **given})
    return (await call.function(asked, tool_context(settings, key="key-1"))).root


def http(url: str, **given: Any) -> dict[str, Any]:
    return {"http": {"endpoint": url, **given}}


async def use(url: str, tool: str, limits: dict[str, Any] | None = None, **given: Any) -> Any:
    arguments = given.pop("arguments", {})
    return await ask(http(url), "tools/call", limits, parameters={"name": tool, "arguments": arguments}, **given)


async def test_a_tool_is_called(url: str) -> None:
    result = await use(url, "forecast", arguments={"city": "Oslo"})
    assert result["content"][0] == {"type": "text", "text": "rain in Oslo"}


async def test_what_there_is_is_listed_and_read(url: str) -> None:
    tools = {tool["name"] for tool in (await ask(http(url), "tools/list"))["tools"]}
    assert {"forecast", "broken"} <= tools
    assert [one["name"] for one in (await ask(http(url), "prompts/list"))["prompts"]] == ["ask"]
    prompt = await ask(http(url), "prompts/get", parameters={"name": "ask", "arguments": {"city": "Rome"}})
    assert prompt["messages"][0]["content"]["text"] == "What is the weather in Rome?"
    assert [one["uri"] for one in (await ask(http(url), "resources/list"))["resources"]] == ["weather://cities"]
    read = await ask(http(url), "resources/read", parameters={"uri": "weather://Oslo/now"})
    assert read["contents"][0]["text"] == "fog in Oslo"
    templates = (await ask(http(url), "resources/templates/list"))["resourceTemplates"]
    assert [one["uriTemplate"] for one in templates] == ["weather://{city}/now"]


async def test_headers_credentials_key_and_client_are_sent(url: str) -> None:
    endpoint = {"uri": url, "authentication": {"bearer": {"token": "t0ken"}}}
    result = await ask(
        http(endpoint, headers={"X-Team": "hr"}),  # type: ignore[arg-type]
        "tools/call",
        parameters={"name": "told", "arguments": {}},
        protocolVersion="2025-03-26",
    )
    told = result["structuredContent"]
    assert told["headers"]["authorization"] == "Bearer t0ken" and told["headers"]["x-team"] == "hr"
    assert told["headers"]["mcp-protocol-version"] == "2025-03-26"
    assert told["meta"]["factotum/idempotencyKey"] == "key-1"


@pytest.mark.parametrize(
    ("tool", "words", "possible"),
    [
        ("broken", "tools/call broken failed", True),
        ("refused", "no such place", False),
        ("confused", "out of order", True),
    ],
)
async def test_what_a_failure_says_of_the_effect(url: str, tool: str, words: str, possible: bool) -> None:
    with pytest.raises(Failed, match=words) as caught:
        await use(url, tool)
    assert caught.value.effect_possible is possible


async def test_a_call_has_a_deadline(url: str) -> None:
    with pytest.raises(Unavailable) as caught:
        await use(url, "slow", timeout={"milliseconds": 300})
    assert caught.value.effect_possible
    with pytest.raises(Unavailable):
        await use(url, "slow", timeout="PT0.3S")


async def test_an_answer_is_bounded(url: str) -> None:
    with pytest.raises(Failed, match="20000 bytes"):
        await use(url, "long", {"max_bytes": 20000}, arguments={"count": 30000})
    assert await use(url, "long", {"max_bytes": 20000}, arguments={"count": 3000})


async def test_nothing_is_reached_that_is_not_allowed(url: str) -> None:
    with pytest.raises(NotPermitted, match=r"tenants\.acme\.mcp\.allow") as caught:
        await use(url, "forecast", {"allow": []}, arguments={"city": "Oslo"})
    assert not caught.value.effect_possible


async def test_a_server_that_is_not_there() -> None:
    with pytest.raises(Unavailable) as caught:
        await use(f"http://127.0.0.1:{closed_port()}/mcp", "forecast")
    assert not caught.value.effect_possible


@pytest.mark.parametrize(
    ("answer", "kind"),
    [
        (Answer(401, b"who are you"), NotPermitted),
        (Answer(503, b"later"), Unavailable),
        (Answer(302, headers={"Location": "http://127.0.0.1:1/"}), Failed),
        (Answer(200, b"hello", {"Content-Type": "text/plain"}), Failed),
        (Answer(200, b"{", {"Content-Type": "application/json"}), Failed),
        (Answer(drop=True), Unavailable),
    ],
)
async def test_what_is_no_mcp_server(answer: Answer, kind: type[ToolError]) -> None:
    async with scripted_http(answer) as script:
        with pytest.raises(kind) as caught:
            await use(script.url, "forecast")
    assert not caught.value.effect_possible, "the session was not opened"


async def use_program(tool: str, allowed: dict[str, Any] | None = None, **arguments: Any) -> Any:
    """What a server that is started here answers."""
    stdio = {"stdio": {**PROGRAM, "environment": {"UNIT": "kelvin"}}}
    one = {**PROGRAM, "environment": ["UNIT"], "folders": [str(FOLDER)], **(allowed or {})}
    parameters = {"name": tool, "arguments": arguments}
    asked = await ask(stdio, "tools/call", {"commands": [one], "timeout": 20}, parameters=parameters)
    return asked["content"][0]["text"]


async def test_a_process_is_a_server_too_and_has_its_variables_alone() -> None:
    needs("bwrap", "setpriv", what="an MCP server that is started here")
    assert await use_program("variable", name="UNIT") == "kelvin"
    assert await use_program("variable", name="PYTHONPATH") == ""
    assert await use_program("read", path=str(FOLDER / "mcp_program.py")) == (FOLDER / "mcp_program.py").read_text()


async def test_a_process_reads_and_reaches_nothing_else(tmp_path: Path, url: str) -> None:
    needs("bwrap", "setpriv", what="an MCP server that is started here")
    secret = Path(__file__).with_name("test_mcp.py")
    with pytest.raises(Failed, match="No such file"):
        await use_program("read", path=str(secret))
    with pytest.raises(Failed, match=r"refused|unreachable"):
        await use_program("reach", port=urlsplit(url).port)


async def test_a_process_is_stopped_when_it_passes_a_limit() -> None:
    needs("bwrap", "setpriv", what="an MCP server that is started here")
    with pytest.raises(Failed, match="it held more than 40 MiB"):
        await use_program("hold", {"limits": {"memory_mib": 40}}, mib=200)


async def test_without_a_sandbox_no_process_is_started(tmp_path: Path) -> None:
    settings = McpSettings.model_validate({"commands": [{**PROGRAM, "folders": [str(FOLDER)]}]})
    asked = McpCall.model_validate({"method": "tools/list", "transport": {"stdio": PROGRAM}})
    (tmp_path / "python3").symlink_to(sys.executable)
    for sandbox, words in (
        (Bubblewrap(search=str(tmp_path)), "bwrap.* is missing: install bubblewrap"),
        (Undeclared(), "declare it"),
    ):
        with pytest.raises(ToolError, match=words) as caught:
            await call.function(asked, replace(tool_context(settings), sandbox=sandbox))
        assert not caught.value.effect_possible
    assert call.spec.sandbox


async def test_only_allowed_commands_are_started() -> None:
    for commands in (
        [],
        [{**PROGRAM, "arguments": ["-m", "http.server"]}],
        [{"command": "python", "arguments": PROGRAM["arguments"]}],
        [{**PROGRAM, "environment": ["LANG"]}],
    ):
        with pytest.raises(NotPermitted, match=r"tenants\.acme\.mcp\.commands"):
            stdio = {**PROGRAM, "environment": {"LD_PRELOAD": "/tmp/x.so"}}  # noqa: S108 - not read
            await ask({"stdio": stdio}, "tools/list", {"commands": commands})


def test_the_settings_of_the_page_are_settings() -> None:
    text = (FOLDER.parents[1] / "docs" / "mcp.md").read_text()
    [written] = re.findall(r"^```yaml\n(tenants:.*?)^```$", text, re.MULTILINE | re.DOTALL)
    [allowed] = McpSettings.model_validate(yaml.safe_load(written)["tenants"]["acme"]["mcp"]).commands
    assert allowed.hosts == ["api.example.com"] and allowed.limits == Limits(memory_mib=512, cpu_seconds=600)


async def test_a_command_that_is_not_there() -> None:
    with pytest.raises(Failed, match=r"/no/such is not on .*: install it") as caught:
        await ask({"stdio": {"command": "/no/such"}}, "tools/list", {"commands": [{"command": "/no/such"}]})
    assert not caught.value.effect_possible


async def test_reads_are_said_by_the_method_or_by_the_tenant(url: str) -> None:
    async def narrowed(method: str, *reads: str) -> Any:
        assert call.narrower is not None
        parameters = {"name": "forecast"}
        asked = McpCall.model_validate({"method": method, "transport": http(url), "parameters": parameters})
        return await call.narrower(asked, tool_context(McpSettings(reads=list(reads))))

    assert await narrowed("tools/list") == (Effect.NONE, Idempotency.NATIVE)
    assert await narrowed("tools/call") == (Effect.EXECUTE, Idempotency.RECONCILE), "a server's hint permits nothing"
    assert await narrowed("tools/call", "forecast") == (Effect.NONE, Idempotency.NATIVE)


def test_the_versions_that_are_taken_are_those_that_are_spoken() -> None:
    assert get_args(McpCall.model_fields["protocolVersion"].annotation) == HANDSHAKE_PROTOCOL_VERSIONS


async def test_nobody_can_be_asked_what_became_of_a_call(url: str) -> None:
    asked = McpCall.model_validate({"method": "tools/call", "transport": http(url)})
    assert call.reconciler is not None
    with pytest.raises(Ambiguous):
        await call.reconciler(asked, tool_context(McpSettings()))


def test_a_duration_is_a_text_or_a_mapping() -> None:
    schema = call.spec.input_schema["properties"]["timeout"]["anyOf"]
    assert {"type": "string"} in schema and {"type": "object"} in schema
    with pytest.raises(ValueError, match="no duration"):
        McpCall.model_validate({"method": "tools/list", "transport": http("http://x"), "timeout": {"moons": 1}})
