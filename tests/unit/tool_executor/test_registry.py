"""Which connectors are there, and which of them a tenant has."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from types import ModuleType

import pytest
from pydantic import BaseModel

from factotum.sdk.context import ToolContext
from factotum.sdk.errors import NotPermitted
from factotum.sdk.spec import Effect, Idempotency
from factotum.sdk.tool import Connector
from factotum.tool_executor import registry, tenants
from factotum.tool_executor.errors import ConnectorsInvalid, UnknownTool
from tests.support import tools

FAKE = "tests.support.tools"


class Nothing(BaseModel):
    pass


def module(monkeypatch: pytest.MonkeyPatch, name: str, connector: object) -> str:
    made = ModuleType(name)
    made.connector = connector  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, name, made)
    return name


def test_the_entry_points_are_the_built_in_connectors() -> None:
    names = {tool.spec.name for tool in registry.load(None).tools}
    assert {"hr.get_employee", "identity.create_user", "mail.send", "calendar.schedule"} <= names


def test_a_connector_that_cannot_be_used_is_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    half = Connector("half", settings=Nothing)

    @half.tool(effect=Effect.CREATE, idempotency=Idempotency.RECONCILE)
    async def make(arguments: Nothing, context: ToolContext[Nothing]) -> Nothing:
        return arguments

    loaded = registry.load(
        [
            "no.such.module",
            "json",
            module(monkeypatch, "half_connector", half),
            module(monkeypatch, "not_a_connector", object()),
            FAKE,
            module(monkeypatch, "second_fake", Connector("fake", settings=Nothing)),
        ]
    )
    assert list(loaded.connectors) == ["fake"]
    assert loaded.connectors["fake"] is tools.connector
    assert loaded.tool("fake.create").spec.description == "Create a thing."
    with pytest.raises(UnknownTool, match=r"half\.make"):
        loaded.tool("half.make")


def test_each_tenant_has_its_own_settings(tmp_path: Path) -> None:
    file = tmp_path / "connectors.yaml"
    file.write_text(
        """
        tenants:
          acme: {fake: {world: /acme}, unheard-of: {}}
          globex: {fake: {world: /globex, tokn: hunter2, token: secret://of-fake}, gone: {to: [secret://of-gone]}}
        """
    )
    known = tenants.load(file, registry.load([FAKE]))
    assert known.settings("acme", "fake") == tools.FakeSettings(world=Path("/acme"))
    with pytest.raises(NotPermitted, match="tokn") as refused:
        known.settings("globex", "fake")
    assert "hunter2" not in str(refused.value)
    # They stay secrets of settings, whatever is wrong with these.
    assert (known.secrets("globex"), known.secrets("acme")) == ({"of-fake", "of-gone"}, {"fake-token"})
    with pytest.raises(NotPermitted, match=r"add them as tenants\.initech\.fake"):
        known.settings("initech", "fake")


@pytest.mark.parametrize("text", ["tenants: [", "tenants: [1]", "tenant: {}", "tenants: {Acme!: {}}", "\x00"])
def test_a_file_of_another_shape(tmp_path: Path, text: str) -> None:
    file = tmp_path / "connectors.yaml"
    file.write_text(text)
    with pytest.raises(ConnectorsInvalid):
        tenants.load(file, registry.load([FAKE]))


def test_a_missing_file_says_what_to_set(tmp_path: Path) -> None:
    with pytest.raises(ConnectorsInvalid, match="FACTOTUM_CONNECTORS_FILE"):
        tenants.load(tmp_path / "none.yaml", registry.load([FAKE]))


FOLDER_TOOL = """
from __future__ import annotations
from pydantic import BaseModel
from factotum.sdk.context import ToolContext
from factotum.sdk.spec import Effect
from factotum.sdk.tool import Connector

class Nothing(BaseModel):
    pass

connector = Connector("SYSTEM", settings=Nothing)

@connector.tool(effect=Effect.NONE)
async def look(arguments: Nothing, context: ToolContext[Nothing]) -> Nothing:
    \"\"\"Look.\"\"\"
    return arguments
"""


def test_every_module_of_the_folder_is_loaded_under_a_name_of_its_own(tmp_path: Path) -> None:
    modules = {
        "desk": FOLDER_TOOL.replace("SYSTEM", "desk"),
        "json": FOLDER_TOOL.replace("SYSTEM", "own_json"),
        "second": FOLDER_TOOL.replace("SYSTEM", "desk"),
        "taken": FOLDER_TOOL.replace("SYSTEM", "fake"),
        "broken": "raise SystemError('no')",
        "script": "import sys; sys.exit()",
        "nothing": "x = 1",
        "_shared": FOLDER_TOOL.replace("SYSTEM", "shared"),
    }
    for name, text in modules.items():
        (tmp_path / f"{name}.py").write_text(text)
    loaded = registry.load([FAKE], tmp_path)
    assert sorted(loaded.connectors) == ["desk", "fake", "own_json"]
    assert loaded.connectors["fake"] is tools.connector
    assert (loaded.origin("desk"), loaded.origin("fake")) == ("folder", "installed")
    assert loaded.tool("desk.look").spec.description == "Look."
    assert sys.modules["json"] is json and "factotum_tools_folder.broken" not in sys.modules


def test_a_folder_that_is_not_there_leaves_the_others(tmp_path: Path) -> None:
    assert list(registry.load([FAKE], tmp_path / "none").connectors) == ["fake"]
