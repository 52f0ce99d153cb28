"""docs/tools.md and the pages of the kinds: their commands are taken, their files are what the kinds want."""

from __future__ import annotations

import re
import shlex
from collections.abc import AsyncIterator, Mapping
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
import yaml
from typer.testing import CliRunner

from factotum.api.tools.v1 import tools_pb2 as pb
from factotum.cli.main import app
from factotum.sdk.spec import Effect
from factotum.tool_executor import registry
from factotum.tool_executor.sandbox.bubblewrap import Bubblewrap
from factotum.tool_executor.sources.file import load
from factotum.tool_executor.sources.kinds import opened
from factotum.tool_executor.sources.mcp.machine import Machine
from factotum.tool_executor.sources.source import AnySource
from tests.support.stubs import Stubs
from tests.support.tool_calls import tool_context

DOCS = Path(__file__).parents[3] / "docs"
PAGES = ["tools.md", "openapi.md", "mcp.md", "commands.md"]

_FENCE = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_COMMAND = re.compile(r"`(factotum tools add [^`]*)`")
_NAMED = re.compile(r"# ([\w/.-]+\.(?:yaml|py))\b")


@pytest_asyncio.fixture
async def kinds() -> AsyncIterator[Mapping[str, AnySource]]:
    async with opened(Machine(), Bubblewrap()) as found:
        yield found


def blocks(page: str, language: str) -> list[str]:
    return [body for found, body in _FENCE.findall((DOCS / page).read_text()) if found == language]


def commands(page: str) -> list[list[str]]:
    """Every `factotum tools …` of a page, in its blocks and in its lines."""
    text = (DOCS / page).read_text()
    lines = [line for block in blocks(page, "sh") for line in block.splitlines()]
    lines += [found.group(1) for found in _COMMAND.finditer(text) if "NAME" not in found.group(1)]
    return [shlex.split(line, comments=True)[1:] for line in lines if line.startswith("factotum tools ")]


def files(folder: Path) -> None:
    """The files of the pages that say what they are called, and documents that these only name."""
    for text in (text for page in PAGES for text in blocks(page, "yaml")):
        if named := _NAMED.match(text):
            (folder / named.group(1)).write_text(text)
    for name in ("github.json", "api.github.com.json", "library.pb"):
        (folder / name).write_text("{}")


@pytest.mark.parametrize("page", PAGES)
def test_every_command_is_taken_and_every_configuration_is_the_kinds(
    page: str,
    runner: CliRunner,
    parts: Stubs,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    kinds: Mapping[str, AnySource],
) -> None:
    files(tmp_path)
    monkeypatch.chdir(tmp_path)
    tool = pb.Tool(name="github.issues_create", version="1.0.0", effect=pb.EFFECT_NONE, timeout_seconds=1)
    tool.idempotency = pb.IDEMPOTENCY_NATIVE
    parts.tools.answers = {
        "AddSource": pb.AddSourceResponse(tools=["a.b"]),
        "ListTools": pb.ListToolsResponse(tools=[tool]),
        "ListSources": pb.ListSourcesResponse(),
        "DescribeTool": pb.DescribeToolResponse(tool=tool),
        "TestTool": pb.TestToolResponse(),
        "Execute": pb.ExecuteResponse(observation=pb.Observation(output_json="{}")),
        "RefreshSource": pb.RefreshSourceResponse(),
        "RemoveSource": pb.RemoveSourceResponse(),
    }
    found = commands(page)
    assert found
    for words in found:
        result = runner.invoke(app, words)
        assert result.exit_code == 0, (words, result.stderr)
    for request in parts.tools.requests:
        if isinstance(request, pb.AddSourceRequest) and request.kind != "python":
            kinds[request.kind].config.model_validate_json(request.config_json)


def test_the_page_adds_every_kind(runner: CliRunner, kinds: Mapping[str, AnySource]) -> None:
    added = {words[2] for words in commands("tools.md") if words[1] == "add"}
    assert added == {*kinds, "python"}


def test_the_file_of_sources_is_one(tmp_path: Path, kinds: Mapping[str, AnySource]) -> None:
    [text] = [text for text in blocks("tools.md", "yaml") if text.startswith("# tool-sources.yaml")]
    (tmp_path / "tool-sources.yaml").write_text(text)
    (tmp_path / "github.json").write_text("{}")
    wanted = load(tmp_path / "tool-sources.yaml")
    assert [it.definition.system for it in wanted] == ["github", "library"] and not any(it.fault for it in wanted)
    for it in wanted:
        kinds[it.definition.kind].config.model_validate_json(it.definition.config_json)


def test_every_yaml_is_yaml() -> None:
    assert all(yaml.safe_load(text) for text in blocks("tools.md", "yaml"))


async def test_the_module_of_the_folder_is_a_tool(tmp_path: Path) -> None:
    [text] = blocks("tools.md", "python")
    (tmp_path / "dice.py").write_text(text)
    loaded = registry.load([], tmp_path)
    tool: Any = loaded.tool("dice.throw")
    assert tool.spec.effect is Effect.NONE and loaded.origin("dice") == "folder"
    [example] = tool.spec.examples
    thrown = await tool.function(
        tool.arguments(**example.arguments), tool_context(loaded.connectors["dice"].settings())
    )
    assert len(thrown.eyes) == 2 and all(1 <= eye <= 6 for eye in thrown.eyes)
