"""Every installed tool is tried by the conformance suite, and every one with an effect is killed at every point; each
says by example how it is called, and which errors to expect."""

from __future__ import annotations

from importlib import import_module
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from factotum.sdk.errors import Ambiguous
from factotum.sdk.spec import Effect, ToolSpec
from factotum.tool_executor import registry

INSTALLED = {tool.spec.name: tool for tool in registry.load(None).tools}
TOOLS = {name: tool.spec for name, tool in INSTALLED.items()}

# Which test tries tools, by module; the systems whose tools it names without them are beside it.
TRIED = {
    "tests.integration.connectors.test_conformance:test_a_built_in_tool": "",
    "tests.integration.connectors.test_peers:test_conformance": "",
    "tests.integration.connectors.test_chat:test_conformance": "",
    "tests.integration.connectors.directory.test_once:test_conformance": "directory",
    "tests.integration.connectors.files.test_once:test_conformance": "files",
    "tests.integration.connectors.test_tickets_once:test_it_passes_the_conformance_suite": "tickets",
    "tests.integration.connectors.sql.test_changing:test_conformance": "sql",
}
KILLED = {
    "tests.integration.tool_executor.test_kill_points:test_the_effect_stands_once": "",
    "tests.integration.connectors.test_peers:test_a_killed_executor_acts_once_or_a_person_is_asked": "",
    "tests.integration.connectors.test_chat:test_a_killed_executor_acts_once": "",
    "tests.integration.connectors.directory.test_once:test_a_killed_executor_acts_once": "directory",
    "tests.integration.connectors.files.test_once:test_a_killed_executor_acts_once": "files",
    "tests.integration.connectors.test_tickets_once:test_killed_anywhere_it_happens_once": "tickets",
    "tests.integration.connectors.sql.test_changing:test_a_killed_executor_changes_once": "",
}
NOTHING_STANDS = "what a command in the sandbox did is gone with the sandbox, and the sandbox with its executor"
# They say what stands in the tenant's settings.
CANNOT_FAIL = {"files.roots", "sql.databases"}
NOT_KILLED = {"process.shell": NOTHING_STANDS, "process.script": NOTHING_STANDS}


def wanting(tools: dict[str, ToolSpec]) -> set[str]:
    """Those that do not say how they are called, or which errors they answer."""
    return {name for name, spec in tools.items() if not spec.examples or not (spec.errors or name in CANNOT_FAIL)}


def named(places: dict[str, str]) -> set[str]:
    """The tools that the parameters of these tests name."""
    found = set()
    for place, system in places.items():
        module, _, function = place.partition(":")
        for value in _values(getattr(import_module(module), function)):
            found.add(f"{system}.{value}" if system else value)
    return found


def _values(test: Any) -> list[str]:
    [values] = [
        mark.args[1] for mark in test.pytestmark if mark.name == "parametrize" and mark.args[0] in ("name", "tool")
    ]
    return [getattr(value, "values", (value,))[0] for value in values]


def test_each_is_tried() -> None:
    assert named(TRIED) == TOOLS.keys()


def test_each_with_an_effect_is_killed() -> None:
    effects = {name for name, spec in TOOLS.items() if spec.effect is not Effect.NONE}
    killed = named(KILLED)
    assert killed | NOT_KILLED.keys() == effects
    assert not killed & NOT_KILLED.keys()


def test_each_has_an_example_and_names_its_errors() -> None:
    assert wanting(TOOLS) == set()
    bare = TOOLS["http.request"].model_copy(update={"examples": ()})
    mute = TOOLS["mail.send"].model_copy(update={"errors": ()})
    assert wanting({"http.request": bare, "mail.send": mute, "sql.databases": TOOLS["sql.databases"]}) == {
        "http.request",
        "mail.send",
    }


def test_each_that_can_be_asked_and_cannot_tell_says_so() -> None:
    """Where a person may have to decide what became of a call, whoever plans it is told."""
    for name in ("a2a.call", "chat.post_message", "grpc.call", "http.request", "mcp.call", "process.container"):
        assert Ambiguous.kind in TOOLS[name].errors, name


@pytest.mark.parametrize("name", TOOLS)
def test_examples_are_what_the_tool_takes_and_answers(name: str) -> None:
    spec = TOOLS[name]
    for example in spec.examples:
        INSTALLED[name].arguments.model_validate(example.arguments)
        Draft202012Validator(spec.input_schema).validate(example.arguments)
        if example.output is not None:
            INSTALLED[name].output.model_validate(example.output)
            Draft202012Validator(spec.output_schema).validate(example.output)
