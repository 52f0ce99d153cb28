"""GitHub's whole description is imported, and called on a server that is generated of it."""

from __future__ import annotations

import asyncio
import json
import re
import time
from collections import Counter
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
import yaml

from factotum.connectors.protocols import openapi_document
from factotum.connectors.protocols.openapi_document import Described, followed
from factotum.sdk.errors import InvalidArgument, NotFound, NotPermitted, ToolError
from factotum.sdk.spec import Effect, Idempotency
from factotum.tool_executor.sources.openapi.config import ApiSettings, OpenapiConfig
from factotum.tool_executor.sources.openapi.selection import names
from factotum.tool_executor.sources.openapi.source import OpenapiSource
from tests.support.openapi_source import SURROUNDINGS, OpenapiBench, offered, openapi_bench, specs
from tests.support.prism import cut, github, prism
from tests.support.tool_calls import closed_port

PAGE = Path(__file__).parents[4] / "docs/openapi.md"
REPO = {"owner": "octocat", "repo": "Hello-World"}
CALLS: list[tuple[str, dict[str, Any], int]] = [
    ("git/get-ref", {**REPO, "ref": "heads/main"}, 200),
    ("issues/list-comments", {**REPO, "issue_number": 1}, 200),
    ("meta/get-octocat", {}, 200),
    ("issues/create", {**REPO, "body": {"title": "Found a bug", "labels": ["bug"]}}, 201),
    ("issues/update", {**REPO, "issue_number": 1, "body": {"state": "closed"}}, 200),
    ("issues/add-labels", {**REPO, "issue_number": 1, "body": {"labels": ["bug"]}}, 200),
    ("gists/create", {"body": {"files": {"a.txt": {"content": "Hello"}}, "public": False}}, 201),
    ("activity/star-repo-for-authenticated-user", REPO, 204),
    ("markdown/render-raw", {"body": "Hello **world**"}, 200),
]
# Whose example in the description is not as its schema.
WRONG: list[tuple[str, dict[str, Any]]] = [
    ("issues/get", {**REPO, "issue_number": 1}),
    ("pulls/create", {**REPO, "body": {"title": "Amazing", "head": "octocat:new", "base": "main"}}),
]
OPERATIONS = [*(name for name, _, _ in CALLS), *(name for name, _ in WRONG)]


@pytest.fixture(scope="module")
def document() -> dict[str, Any]:
    made: dict[str, Any] = json.loads(github())
    return made


@pytest_asyncio.fixture(scope="module")
async def bench(document: dict[str, Any], tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[OpenapiBench]:
    folder = tmp_path_factory.mktemp("github")
    part = cut(document, OPERATIONS)
    async with prism(part, folder) as url, openapi_bench(offered(part, "github", base_url=url), folder) as made:
        yield made


def test_the_whole_is_imported_in_seconds(capsys: pytest.CaptureFixture[str]) -> None:
    text, source = github(), OpenapiSource()
    config = OpenapiConfig(
        operations=["**"], base_url="https://api.github.com", allow=["https://uploads.github.com"], redirects=True
    )
    # Of this process alone: what else runs on the machine is no fault of the reader's.
    before, begun = resident_megabytes(), time.process_time()
    offer = source.offer("github", config, asyncio.run(source.read(config, text, SURROUNDINGS)))
    seconds, tools = time.process_time() - begun, specs(offer)
    with capsys.disabled():
        grown = resident_megabytes() - before
        print(
            f"\n{len(tools)} operations of GitHub's {len(text) / 1e6:.1f} MB in {seconds:.1f} s of CPU, "
            f"{grown:.0f} MB more"
        )
    assert len(tools) > 1000 and seconds < 15
    create, delete = tools["issues_create"], tools["repos_delete"]
    assert (create.effect, create.idempotency) == (Effect.CREATE, Idempotency.NONE)
    assert (delete.effect, delete.idempotency) == (Effect.DELETE, Idempotency.NATIVE)
    assert tools["issues_get"].effect is Effect.NONE and "title" in str(create.input_schema)
    assert create.output_schema["$defs"]["issue"] is tools["issues_get"].output_schema["$defs"]["issue"]


def test_the_example_of_the_documentation(document: dict[str, Any]) -> None:
    """Its configuration makes of GitHub's description what the text says."""
    (text,) = re.findall(r"^```yaml\n(.*?)^```$", PAGE.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL)
    tools = specs(offered(document, "github", **yaml.safe_load(text)))
    assert {name.partition("_")[0] for name in tools} == {"issues", "pulls", "gists"}
    assert not [name for name in tools if name.startswith("issues_remove")]
    create, listed = tools["issues_create"], tools["issues_list_for_repo"]
    assert (create.effect, create.idempotency) == (Effect.CREATE, Idempotency.RECONCILE)
    assert tools["issues_create_label"].effect is Effect.UPDATE
    assert "complete" in listed.output_schema["required"] and "per_page" in listed.input_schema["properties"]


@pytest.mark.parametrize(("operation", "arguments", "status"), CALLS, ids=[name for name, _, _ in CALLS])
async def test_a_call(bench: OpenapiBench, operation: str, arguments: dict[str, Any], status: int) -> None:
    output = await bench.output(operation.replace("/", "_").replace("-", "_"), **arguments)
    assert output["status"] == status and ("body" in output) is (status != 204)


@pytest.mark.parametrize(
    ("tool", "arguments", "words"),
    [
        ("issues_get", REPO, "needs"),
        ("issues_get", {**REPO, "issue_number": "one"}, "/issue_number: must be integer"),
        ("issues_update", {**REPO, "issue_number": 1, "body": {"state": "sleeping"}}, "/body/state: must be one of"),
        ("issues_create", {**REPO, "body": {"body": "no title"}}, "/body: needs title"),
        ("pulls_create", {**REPO, "body": {"head": 1, "base": "main"}}, "/body/head: must be string"),
        ("git_get_ref", {**REPO, "ref": "main", "branch": "main"}, "has a field that is not known"),
    ],
)
async def test_wrong_arguments_are_refused_before_they_are_sent(
    document: dict[str, Any], tmp_path: Path, tool: str, arguments: dict[str, Any], words: str
) -> None:
    nowhere = f"http://127.0.0.1:{closed_port()}"
    part = cut(document, OPERATIONS)
    async with openapi_bench(offered(part, "github", base_url=nowhere), tmp_path) as bench:
        error = await bench.error(tool, **arguments)
    assert isinstance(error, InvalidArgument) and words in error.message


@pytest.mark.parametrize(("operation", "arguments"), WRONG, ids=[name for name, _ in WRONG])
async def test_a_wrong_answer_is_caught(bench: OpenapiBench, operation: str, arguments: dict[str, Any]) -> None:
    answer = await bench.call(operation.replace("/", "_").replace("-", "_"), **arguments)
    assert answer.error is not None and "not as its document describes it: " in answer.error.message
    assert "lacks" in answer.error.message
    assert answer.effect_possible is (operation == "pulls/create")


@pytest.mark.parametrize(("code", "kind"), [(404, NotFound), (403, NotPermitted), (422, InvalidArgument)])
async def test_what_it_refuses_is_typed(
    document: dict[str, Any], bench: OpenapiBench, tmp_path: Path, code: int, kind: type[ToolError]
) -> None:
    # So prism is asked for an answer that its description has.
    headers = {"Prefer": f"code={code}"}
    offer = offered(cut(document, ["issues/create"]), "github", base_url=origins(bench)[0], headers=headers)
    async with openapi_bench(offer, tmp_path) as strict:
        answer = await strict.call("issues_create", **REPO, body={"title": "x"})
    assert type(answer.error) is kind and not answer.effect_possible


@pytest.mark.slow
@pytest.mark.timeout(900)
async def test_every_third_operation_is_called(
    document: dict[str, Any], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    operations = list(openapi_document.described(document, address="github"))
    called = names(operations)
    outcomes: Counter[str] = Counter()
    async with prism(document, tmp_path, seconds=300) as url:
        offer = offered(document, "github", base_url=url, allow=["https://uploads.github.com"])
        async with openapi_bench(offer, tmp_path) as bench:
            for one in operations[::3]:
                answer = await bench.call(called[one.method, one.path], **sample(one, document))
                outcomes[outcome(answer.error)] += 1
    with capsys.disabled():
        print(f"\n{outcomes.total()} operations of GitHub's called on prism: {dict(outcomes)}")
    assert outcomes["answered"] > 0.7 * outcomes.total()
    # Examples that are not as their schemas are GitHub's; what prism refuses or fails at is its own.
    assert set(outcomes) <= {"answered", "wrong answer", "refused by prism", "refused here", "other host"}
    assert outcomes["refused here"] <= 5


def origins(bench: OpenapiBench) -> list[str]:
    settings = bench.offer.settings
    assert isinstance(settings, ApiSettings)
    return settings.allow


def outcome(error: ToolError | None) -> str:
    if error is None:
        return "answered"
    if "not as its document describes it" in error.message:
        return "wrong answer"
    if "uploads.github.com" in error.message:
        return "other host"
    if "answered" in error.message:
        return "refused by prism"
    return "refused here" if isinstance(error, InvalidArgument) else f"{error.kind}: {error.message}"


def sample(one: Described, document: dict[str, Any]) -> dict[str, Any]:
    """Arguments as the description gives examples of them."""
    made: dict[str, Any] = {}
    for given in (*one.item.get("parameters", ()), *one.found.get("parameters", ())):
        parameter = followed(document, given)
        if parameter.get("required"):
            made[parameter["name"]] = parameter.get("example") or value(parameter["schema"], document)
    if "requestBody" in one.found:
        body = followed(document, one.found["requestBody"])
        media = next(iter(body["content"].values()))
        examples = [followed(document, example) for example in media.get("examples", {}).values()]
        if examples:
            made["body"] = examples[0].get("value", examples[0])
        elif body.get("required") or media["schema"].get("required"):
            made["body"] = media["schema"].get("example") or value(media["schema"], document)
    return made


def value(schema: dict[str, Any], document: dict[str, Any]) -> Any:
    """Something that the schema takes, where it is a simple one."""
    schema = followed(document, schema)
    for keyword in ("example", "default"):
        if keyword in schema:
            return schema[keyword]
    if schema.get("enum"):
        return schema["enum"][0]
    for keyword in ("oneOf", "anyOf", "allOf"):
        if keyword in schema and "properties" not in schema:
            return value(schema[keyword][0], document)
    match schema.get("type"):
        case "integer" | "number":
            return schema.get("minimum", 1)
        case "boolean":
            return True
        case "array":
            return [value(schema.get("items", {}), document)] * schema.get("minItems", 1)
        case "string":
            return "2026-01-01T00:00:00Z" if schema.get("format") == "date-time" else "x" * schema.get("minLength", 1)
    required = schema.get("required", ())
    return {name: value(part, document) for name, part in schema.get("properties", {}).items() if name in required}


def resident_megabytes() -> float:
    return int(Path("/proc/self/statm").read_text().split()[1]) * 4096 / 1e6
