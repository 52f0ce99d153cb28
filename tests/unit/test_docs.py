"""What the documents say is so: their links lead somewhere, their examples run, their commands are there."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import typer
import yaml
from typer.main import get_command

from factotum.cli import case_tests, catalog
from factotum.cli.main import app
from factotum.procedures.check import check
from factotum.procedures.model import walk_document
from factotum.procedures.parse import parse
from factotum.procedures.tasks import TASKS
from factotum.sdk.context import ToolContext
from factotum.sdk.spec import Effect, Idempotency
from factotum.simulation.coverage import Coverage
from factotum.tool_executor import registry, tenants
from tests.support.scripted_http import Answer, scripted_http

ROOT = Path(__file__).parents[2]
DOCUMENTS = sorted(
    path
    for pattern in ("*.md", "docs/**/*.md", "services/**/*.md", "procedures/**/*.md", "benchmarks/**/*.md")
    for path in ROOT.glob(pattern)
)
README = ROOT / "README.md"
PROCEDURES = ROOT / "docs" / "procedures.md"
# What a document calls by `call: openapi` and its like: one tool each, whatever it is named.
GENERIC = {"openapi", "asyncapi", "grpc", "mcp", "a2a", "process"}
_HEAD = "document: {dsl: '1.0.3', namespace: docs, name: fragment, version: '1.0.0'}\n"

_FENCE = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_LINK = re.compile(r"(?<!!)\[[^\]]*\]\(([^)\s]+)\)")
_CODE = re.compile(r"`([^`\n]+)`")
_COMMAND = re.compile(r"(?:^|[\s/])factotum((?: [a-z][a-z-]*)+)")
_TARGET = re.compile(r"(?:^|\s)make ([a-z-]+)")


def blocks(path: Path, language: str) -> list[str]:
    return [body for found, body in _FENCE.findall(path.read_text(encoding="utf-8")) if found == language]


def code(path: Path) -> str:
    """All that is written as code, in a block or in a line."""
    text = path.read_text(encoding="utf-8")
    fenced = [body for language, body in _FENCE.findall(text) if language != "python"]
    return "\n".join([*fenced, *_CODE.findall(_FENCE.sub("", text))])


def anchors(path: Path) -> set[str]:
    """Of a document's headings, as its readers' viewers make them."""
    text = _FENCE.sub("", path.read_text(encoding="utf-8"))
    headings = re.findall(r"^#+ (.+)$", text, re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def links(path: Path) -> Iterator[str]:
    text = _FENCE.sub("", path.read_text(encoding="utf-8"))
    yield from (link for link in _LINK.findall(text) if "://" not in link and not link.startswith("mailto:"))


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_every_relative_link_leads_somewhere(path: Path) -> None:
    for link in links(path):
        name, _, anchor = link.partition("#")
        target = (path.parent / name).resolve() if name else path
        assert target.exists(), link
        assert not anchor or anchor in anchors(target), link


def test_every_document_in_the_readme_passes_its_check() -> None:
    documents = [text for text in blocks(README, "yaml") if "document:" in text]
    assert documents
    for text in documents:
        assert check(parse(text), catalog.installed()) == []


def whole(text: str) -> str:
    """A document for what is a part of one: the rest of a document, or some of its tasks."""
    if text.startswith("document:"):
        return text
    return _HEAD + (f"do:\n{text}" if text.startswith("- ") else text)


LANGUAGE = [text for text in blocks(PROCEDURES, "yaml") if not text.startswith("procedure:")]


@pytest.mark.parametrize("text", LANGUAGE, ids=lambda text: text.partition("\n")[0][:40])
def test_every_document_and_every_part_of_one_in_the_procedures_passes_its_check(text: str) -> None:
    assert [str(fault) for fault in check(parse(whole(text)), catalog.installed())] == []


def test_the_procedures_show_every_kind_of_task() -> None:
    documents = [parse(whole(text)).document for text in LANGUAGE]
    assert {named.task.kind for document in documents for _, named in walk_document(document)} == set(TASKS)


def test_the_case_in_the_procedures_is_one_of_the_first_document(tmp_path: Path) -> None:
    [case] = [text for text in blocks(PROCEDURES, "yaml") if text not in LANGUAGE]
    (tmp_path / "greet.yaml").write_text(LANGUAGE[0], encoding="utf-8")
    (tmp_path / "cases").mkdir()
    (tmp_path / "cases" / "greets.yaml").write_text(case, encoding="utf-8")
    coverage: dict[str, Coverage] = {}
    [tested] = case_tests.run_all(tmp_path / "cases", [], catalog.installed(), "acme", coverage)
    assert tested.differences == []
    assert coverage["hr/greet"].percent == 100


def test_every_other_yaml_in_the_readme_is_yaml() -> None:
    for text in blocks(README, "yaml"):
        assert yaml.safe_load(text)


@pytest.mark.parametrize("path", [README, ROOT / "services" / "README.md"], ids=lambda path: path.parent.name)
def test_every_python_block_runs(path: Path) -> None:
    for number, text in enumerate(blocks(path, "python")):
        exec(compile(text, f"{path.name}, block {number}", "exec"), {"__name__": f"block_{number}"})  # noqa: S102 - ours


async def test_the_tool_of_the_readme_opens_a_ticket_and_finds_it_again() -> None:
    [text] = blocks(README, "python")
    names: dict[str, Any] = {"__name__": "helpdesk"}
    exec(compile(text, "README.md", "exec"), names)  # noqa: S102 - ours
    tool = names["connector"].tools["helpdesk.open_ticket"]
    assert (tool.spec.effect, tool.spec.idempotency) == (Effect.CREATE, Idempotency.RECONCILE)
    assert tool.spec.description == "Open a ticket."
    answers = [Answer(body=json.dumps(body).encode()) for body in ({"number": 7}, [{"number": 7}], [])]
    async with scripted_http(*answers) as system:
        now = datetime(2026, 11, 24, tzinfo=UTC)
        context = ToolContext(
            tenant="acme",
            idempotency_key="key",
            run_id="",
            started_at=now,
            settings=names["HelpdeskSettings"](base_url=system.url, token="secret://tickets-token"),
            secret=lambda reference: f"value of {reference}",
            now=lambda: now,
        )
        arguments = tool.arguments(title="A badge for Ada")
        assert (await tool.function(arguments, context)).number == 7
        assert (await tool.reconciler(arguments, context)).number == 7
        assert await tool.reconciler(arguments, context) is None
    (posted, *asked) = system.requests
    assert json.loads(posted[3]) == {"title": "A badge for Ada", "reference": "key"}
    assert [request[1] for request in asked] == ["/tickets?reference=key"] * 2
    assert posted[2]["authorization"] == "Bearer value of secret://tickets-token"


def exists(words: list[str]) -> bool:
    """Whether the words begin with a command: groups as far down as they go."""
    found: Any = get_command(app)
    for word in words:
        if not isinstance(found, typer.core.TyperGroup):
            return True  # an argument
        if word not in found.commands:
            return False
        found = found.commands[word]
    return not isinstance(found, typer.core.TyperGroup) or bool(found.invoke_without_command)


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_every_command_that_is_named_is_there(path: Path) -> None:
    for words in _COMMAND.findall(code(path)):
        assert exists(words.split()), words


def test_the_readme_names_commands() -> None:
    named = {words.split()[0] for words in _COMMAND.findall(code(README))}
    assert {"runs", "show", "trace", "memory", "effects", "procedures", "dev"} <= named
    assert not exists(["walk"]) and not exists(["effects"]) and not exists(["effects", "forget"])


@pytest.mark.parametrize(
    "words",
    [
        "runs",
        "show",
        "watch",
        "trace",
        "tools list",
        "tools describe",
        "effects list",
        "procedures list",
        "procedures lint",
        "memory search",
        "dead-letter list",
        "dev status",
        "dev logs",
    ],
)
def test_every_reading_command_has_json(words: str) -> None:
    found: Any = get_command(app)
    for word in words.split():
        found = found.commands[word]
    assert "--json" in [option for parameter in found.params for option in parameter.opts]


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_every_target_that_is_named_is_in_the_makefile(path: Path) -> None:
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE))
    assert set(_TARGET.findall(code(path))) <= targets


def test_the_settings_in_the_connectors_are_taken(tmp_path: Path) -> None:
    [text] = blocks(ROOT / "docs" / "connectors.md", "yaml")
    (tmp_path / "connectors.yaml").write_text(text, encoding="utf-8")
    known = tenants.load(tmp_path / "connectors.yaml", registry.load(None))
    for system in yaml.safe_load(text)["tenants"]["acme"]:
        assert known.settings("acme", system)


def test_every_installed_tool_stands_in_the_connectors() -> None:
    text = (ROOT / "docs" / "connectors.md").read_text(encoding="utf-8")
    for tool in registry.load(None).tools:
        system, _, name = tool.spec.name.partition(".")
        assert f"`{system}`" in text
        assert system in GENERIC or f"`{name}`" in text, tool.spec.name
