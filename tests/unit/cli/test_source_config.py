"""From the options of `factotum tools add` to the configuration of a source."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from factotum.cli import source_config
from factotum.cli.errors import BadInput
from factotum.tool_executor.sandbox.bubblewrap import Bubblewrap
from factotum.tool_executor.sources.kinds import opened
from factotum.tool_executor.sources.mcp.machine import Machine
from factotum.tool_executor.sources.source import AnySource

OPENAPI: dict[str, Any] = {
    "document": "",
    "base_url": "",
    "reach": [],
    "allow": [],
    "without": [],
    "auth": [],
    "bearer": "",
}
MCP: dict[str, Any] = {
    "url": "",
    "command": "",
    "environment": [],
    "unsandboxed": False,
    "allow": [],
    "reads": [],
    "bearer": "",
}
GRPC: dict[str, Any] = {
    "address": "",
    "allow": [],
    "reads": [],
    "metadata": [],
    "bearer": "",
    "ca_file": "",
    "descriptors": "",
}


def test_openapi(tmp_path: Path) -> None:
    file = tmp_path / "github.json"
    file.write_text("{}")
    options = OPENAPI | {
        "document": str(file),
        "allow": ["issues/*"],
        "without": ["issues/lock"],
        "auth": ["basicAuth=ada:secret://word", "token=secret://github-token"],
        "bearer": "secret://other",
        "base_url": "https://api.example",
        "reach": ["https://uploads.example"],
    }
    config, document = source_config.openapi({"operations": ["tag:repos"], "lenient": True}, **options)
    assert document == b"{}"
    assert config == {
        "operations": ["tag:repos", "issues/*"],
        "without": ["issues/lock"],
        "lenient": True,
        "base_url": "https://api.example",
        "allow": ["https://uploads.example"],
        "auth": {
            "basicAuth": {"username": "ada", "password": "secret://word"},
            "token": {"token": "secret://github-token"},
            "bearer": {"kind": "bearer", "token": "secret://other"},
        },
    }
    by_address = OPENAPI | {"document": "https://api.example/openapi.json", "allow": ["*"]}
    assert source_config.openapi({}, **by_address)[0]["document"] == "https://api.example/openapi.json"


def test_mcp() -> None:
    remote = source_config.mcp({}, **MCP | {"url": "https://a.example/mcp", "allow": ["*"], "bearer": "secret://t"})
    assert remote == {
        "http": {"url": "https://a.example/mcp", "authentication": {"bearer": {"token": "secret://t"}}},
        "tools": "*",
    }
    local = source_config.mcp(
        {}, **MCP | {"command": "npx 'a server'", "environment": ["KEY=secret://k"], "allow": ["b"], "reads": ["a"]}
    )
    assert local == {
        "stdio": {"command": ["npx", "a server"], "environment": {"KEY": "secret://k"}},
        "tools": ["b", "a"],
        "reads": ["a"],
    }


def test_grpc(tmp_path: Path) -> None:
    (tmp_path / "ca.pem").write_text("PEM")
    (tmp_path / "library.pb").write_bytes(b"set")
    config, document = source_config.grpc(
        {"methods": {"a.B/C": {"effect": "create"}}},
        **GRPC
        | {"address": "grpc://h:1", "allow": ["a.B/D"], "reads": ["a.B/F*"], "metadata": ["x-team=it"]}
        | {"ca_file": str(tmp_path / "ca.pem"), "descriptors": str(tmp_path / "library.pb")},
    )
    assert document == b"set"
    assert config == {
        "address": "grpc://h:1",
        "certificates": "PEM",
        "methods": {"a.B/C": {"effect": "create"}, "a.B/D": {}, "a.B/F*": {"effect": "none"}},
        "metadata": {"x-team": "it"},
    }


@pytest_asyncio.fixture
async def kinds() -> AsyncIterator[Mapping[str, AnySource]]:
    async with opened(Machine(), Bubblewrap()) as found:
        yield found


def test_what_is_made_is_what_the_kinds_take(kinds: Mapping[str, AnySource]) -> None:
    made = {
        "openapi": source_config.openapi({}, **OPENAPI | {"document": "https://a.example/x", "allow": ["*"]})[0],
        "mcp": source_config.mcp({}, **MCP | {"url": "https://a.example", "allow": ["*"], "bearer": "secret://t"}),
        "grpc": source_config.grpc(
            {}, **GRPC | {"address": "grpc://h:1", "reads": ["*"], "metadata": ["a=b"], "bearer": "secret://t"}
        )[0],
    }
    for kind, config in made.items():
        kinds[kind].config.model_validate_json(source_config.text_of(config))


@pytest.mark.parametrize(
    ("make", "options", "words"),
    [
        ("openapi", OPENAPI | {"allow": ["*"]}, "give --document"),
        ("openapi", OPENAPI | {"document": "/no/such.json", "allow": ["*"]}, "cannot be read"),
        ("openapi", OPENAPI | {"document": "https://a.example"}, "--allow"),
        (
            "openapi",
            OPENAPI | {"document": "https://a", "allow": ["*"], "auth": ["token=hunter2"]},
            "is not given here",
        ),
        ("openapi", OPENAPI | {"document": "https://a", "allow": ["*"], "auth": ["hunter2"]}, "NAME=VALUE"),
        ("openapi", OPENAPI | {"document": "https://a", "allow": ["*"], "bearer": "hunter2"}, "is not given here"),
        ("mcp", MCP | {"allow": ["*"]}, "--url"),
        ("mcp", MCP | {"url": "https://a", "command": "b"}, "either"),
        ("mcp", MCP | {"command": "'"}, "--command"),
        ("mcp", MCP | {"command": "a", "bearer": "secret://t"}, "--bearer goes with"),
        ("mcp", MCP | {"url": "https://a", "environment": ["A=b"]}, "--env"),
        ("mcp", MCP | {"url": "https://a"}, "--allow"),
        ("grpc", GRPC, "--address"),
        ("grpc", GRPC | {"address": "grpc://h:1"}, "--reads"),
    ],
)
def test_what_is_missing_is_said(make: str, options: dict[str, Any], words: str) -> None:
    with pytest.raises(BadInput, match=words) as refused:
        getattr(source_config, make)({}, **options)
    assert "hunter2" not in str(refused.value)


def test_a_configuration_is_json_or_yaml_or_in_a_file(tmp_path: Path) -> None:
    file = tmp_path / "config.yaml"
    file.write_text("operations: [a]\n")
    assert source_config.given(f"@{file}", "--config") == source_config.given('{"operations": ["a"]}', "--config")
    assert source_config.given("", "--config") == {}
    for wrong in ("[", "[1]", "@/no/such/file"):
        with pytest.raises(BadInput, match="--config"):
            source_config.given(wrong, "--config")
    with pytest.raises(BadInput, match="in quotes"):
        source_config.text_of(source_config.given("day: 2026-11-24", "--config"))
