"""What of the machine a tenant's server is given is the deployment's word, not the tenant's."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest

from factotum.sdk.errors import NotPermitted
from factotum.tool_executor.sources.mcp.config import McpConfig
from factotum.tool_executor.sources.mcp.machine import Machine
from factotum.tool_executor.sources.mcp.source import McpSource
from factotum.tool_executor.sources.source import SourceInvalid
from tests.support.mcp_source import mcp_bench

READ = json.dumps(
    {
        "server": {"name": "x"},
        "protocol_version": "2025-11-25",
        "tools": [{"name": "a", "inputSchema": {"type": "object"}}],
    }
).encode()


def stdio(**given: Any) -> dict[str, Any]:
    return {"stdio": {"command": ["/usr/bin/false"], **given}, "tools": "*"}


@pytest.mark.parametrize(
    ("given", "folders", "tenants", "words"),
    [
        ({"folders": ["/srv/secrets"]}, [], [], "/srv/secrets may not be given .* may are none"),
        ({"folders": ["/srv/secrets"]}, ["/srv/mcp"], ["acme"], "/srv/secrets may not be given .* may are /srv/mcp"),
        ({"folders": ["/srv"]}, ["/srv/mcp"], [], "/srv may not"),
        ({"folders": ["/srv/mcp2"]}, ["/srv/mcp"], [], "/srv/mcp2 may not"),
        ({"unsandboxed": True}, ["/srv/mcp"], [], "no tenant's servers may run without"),
    ],
)
async def test_what_nobody_may_have_is_refused(
    tmp_path: Path, given: dict[str, Any], folders: Iterable[str], tenants: Iterable[str], words: str
) -> None:
    machine = Machine(map(Path, folders), tenants)
    async with mcp_bench(tmp_path, machine=machine) as bench:
        with pytest.raises(SourceInvalid, match=words):
            await bench.add(**stdio(**given))
    with pytest.raises(SourceInvalid, match=words):
        McpSource(machine=machine).offer("m", McpConfig.model_validate(stdio(**given)), READ)


async def test_one_tenant_is_not_another(tmp_path: Path) -> None:
    async with mcp_bench(tmp_path, machine=Machine(unsandboxed=["globex"])) as bench:
        with pytest.raises(SourceInvalid, match="not the tenant acme's servers"):
            await bench.add(**stdio(unsandboxed=True))


async def test_a_link_leads_nowhere_else(tmp_path: Path) -> None:
    allowed, elsewhere = tmp_path / "mcp", tmp_path / "elsewhere"
    for folder in (allowed, elsewhere, allowed / "inside"):
        folder.mkdir()
    (allowed / "link").symlink_to(elsewhere)
    config = McpConfig.model_validate(stdio(folders=["/srv/mcp"])).stdio
    assert config is not None
    machine = Machine([allowed])
    machine.check_start(config.model_copy(update={"folders": [str(allowed / "inside")]}), "acme")
    with pytest.raises(NotPermitted, match="link may not be given"):
        machine.check_start(config.model_copy(update={"folders": [str(allowed / "link")]}), "acme")


async def test_a_setting_that_is_taken_back_holds_for_sources_of_before() -> None:
    config = McpConfig.model_validate(stdio(unsandboxed=True))
    assert McpSource(machine=Machine(unsandboxed=["acme"])).offer("m", config, READ).connector.tools
    with pytest.raises(SourceInvalid):
        McpSource().offer("m", config, READ)


def test_a_program_that_its_sandbox_does_not_show_is_named(tmp_path: Path) -> None:
    there = tmp_path / "server.js"
    there.touch()
    machine = Machine()
    for command, folders, named in (
        (["node", str(there)], [], True),
        (["node", str(there)], [str(tmp_path)], False),
        (["/usr/bin/env", str(tmp_path / "gone.js")], [], False),
    ):
        config = McpConfig.model_validate(stdio(command=command, folders=folders))
        assert config.stdio is not None
        said = machine.unseen(config.stdio)
        assert (str(there) in said and "FACTOTUM_SANDBOX__FOLDERS" in said) is named, command
