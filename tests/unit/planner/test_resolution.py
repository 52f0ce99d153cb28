"""What a procedure needs from elsewhere, and what is said where it cannot be had."""

from __future__ import annotations

import base64
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from factotum.planner import catalog_addresses
from factotum.planner.errors import CatalogUnavailable
from factotum.planner.fetching import Fetching
from factotum.planner.library import Library
from factotum.planner.preparation import prepared
from factotum.planner.resolution import Resolved, Unreachable, resolve
from factotum.procedures.fault import FaultyDocument
from factotum.procedures.parse import Source, parse
from factotum.runtime.grpc_client import channel
from factotum.sdk.errors import NotPermitted
from factotum.sdk.spec import Effect, Idempotency, ToolSpec
from tests.support.executor import ScriptedExecutor, scripted_executor
from tests.support.library import open_library

CATALOG = "use: {catalogs: {shared: {endpoint: 'https://example.com/c'}}}"
MAIL = ToolSpec(
    name="mail.send",
    version="2.1.0",
    description="",
    effect=Effect.SEND,
    idempotency=Idempotency.NATIVE,
    input_schema={},
    output_schema={},
    timeout_seconds=7,
)


def text(name: str, do: str, *, version: str = "1.0.0", rest: str = "") -> str:
    return f"document: {{dsl: '1.0.3', namespace: t, name: {name}, version: '{version}'}}\n{rest}\ndo:\n{do}\n"


def runs(name: str, version: str = "latest") -> str:
    return f"  - sub: {{run: {{workflow: {{namespace: t, name: {name}, version: '{version}'}}}}}}"


class Elsewhere:
    """`Fetch` of what a test puts there; keeps what was asked for."""

    def __init__(self, *procedures: str, **documents: Any) -> None:
        found = [parse(procedure) for procedure in procedures]
        self.procedures = {(it.document.full_name, it.document.document.version): it for it in found}
        self.documents = documents
        self.asked: list[tuple[str, Any]] = []

    async def procedure(self, name: str, version: str) -> Source:
        found = [it for (known, of), it in self.procedures.items() if known == name and version in ("", of)]
        if not found:
            raise Unreachable(f"there is no {name} {version}")
        return found[-1]

    async def document(self, uri: str, authentication: Any) -> Any:
        self.asked.append((uri, authentication))
        if uri not in self.documents:
            raise Unreachable(f"{uri} answers 404")
        return self.documents[uri]


async def faults(source: str, elsewhere: Elsewhere) -> list[str]:
    with pytest.raises(FaultyDocument) as refused:
        await resolve(parse(source), elsewhere)
    return [str(fault) for fault in refused.value.faults]


async def test_procedures_come_with_those_that_they_start_and_with_their_tools() -> None:
    child = text("child", runs("leaf", "1.0.0"))
    old_leaf = text("leaf", "  - a: {call: mail.send}")
    new_leaf = text("leaf", "  - a: {set: {x: 1}}", version="1.1.0")
    elsewhere = Elsewhere(child, old_leaf, new_leaf)
    resolved = await resolve(parse(text("root", runs("child") + "\n" + runs("leaf").replace("sub", "two"))), elsewhere)
    assert {name: raw["document"]["version"] for name, raw in resolved.documents.items()} == {
        "t/child:latest": "1.0.0",
        "t/leaf:1.0.0": "1.0.0",
        "t/leaf:latest": "1.1.0",
    }
    made = prepared(resolved, {"mail.send": MAIL})
    assert {name: (pin.version, pin.timeout_seconds, pin.effect) for name, pin in made.tools.items()} == {
        "mail.send": ("2.1.0", 7, "send")
    }
    assert [source.document.full_name for source in made.uses] == ["t/root", "t/leaf", "t/child", "t/leaf"]
    run = made.run(tenant="acme", given={"a": 1})
    assert run.documents == resolved.documents and run.input == {"a": 1}


async def test_what_is_wrong_inside_is_told_where_it_is_asked_for() -> None:
    leaf = text("leaf", "  - a: {call: no.tool}")
    resolved = await resolve(parse(text("root", runs("leaf"))), Elsewhere(leaf))
    with pytest.raises(FaultyDocument) as refused:
        prepared(resolved, {})
    (fault,) = refused.value.faults
    assert (fault.pointer, fault.line) == ("/do/0/sub/run/workflow", 4)
    assert fault.message.startswith("t/leaf 1.0.0: 4:") and "there is no tool `no.tool`" in fault.message


async def test_a_circle_is_named() -> None:
    one, two = text("one", runs("two")), text("two", runs("one"))
    (fault,) = await faults(one, Elsewhere(one, two))
    assert fault.startswith("4:") and "t/one 1.0.0 → t/two 1.0.0 → t/one 1.0.0" in fault


async def test_what_is_too_deep_or_not_there_is_refused() -> None:
    chain = [text(f"p{number}", runs(f"p{number + 1}")) for number in range(40)]
    (fault,) = await faults(chain[0], Elsewhere(*chain))
    assert "nested deeper than 16" in fault
    (fault,) = await faults(text("root", runs("nobody", "2.0.0")), Elsewhere())
    assert "/do/0/sub/run/workflow: there is no t/nobody 2.0.0" in fault


async def test_functions_of_catalogs_travel_by_the_text_of_their_call() -> None:
    where = "https://example.com/c/functions/{}/1.0.0/function.yaml"
    log = {"call": "tell:1.0.0@shared", "with": {"text": "${ .text }"}}
    tell = {"call": "mail.send"}
    elsewhere = Elsewhere(**{where.format("log"): log, where.format("tell"): tell})
    document = text("root", "  - a: {call: 'log:1.0.0@shared'}\n  - b: {call: 'log:1.0.0@shared'}", rest=CATALOG)
    resolved = await resolve(parse(document), elsewhere)
    assert resolved.functions == {"log:1.0.0@shared": log, "tell:1.0.0@shared": tell}
    assert len(elsewhere.asked) == 2
    assert set(prepared(resolved, {"mail.send": MAIL}).tools) == {"mail.send"}
    with pytest.raises(FaultyDocument, match=r"/do/0/a/call: `tell:1\.0\.0@shared`: .*no tool `mail\.send`"):
        prepared(resolved, {})


async def test_a_function_that_is_none_and_one_that_calls_itself() -> None:
    where = "https://example.com/c/functions/f/1.0.0/function.yaml"
    document = text("root", "  - a: {call: 'f:1.0.0@shared'}", rest=CATALOG)
    (fault,) = await faults(document, Elsewhere(**{where: {"nothing": 1}}))
    assert f"`f:1.0.0@shared` at {where} is no function" in fault and "a task must have one of" in fault
    (fault,) = await faults(document, Elsewhere(**{where: {"call": "f:1.0.0@shared"}}))
    assert "f:1.0.0@shared → f:1.0.0@shared" in fault
    (fault,) = await faults(document, Elsewhere())
    assert "/do/0/a/call" in fault and "answers 404" in fault


async def test_the_default_catalog_is_the_tools() -> None:
    resolved = await resolve(parse(text("root", "  - a: {call: 'mail.send:2.1.0@default'}")), Elsewhere())
    assert resolved.functions == {}
    (fault,) = await faults(text("root", "  - a: {call: 'log:2.1.0@default'}"), Elsewhere())
    assert "no function but the tools `log:2.1.0@default`" in fault


async def test_one_text_cannot_mean_two_functions() -> None:
    child = text("child", "  - a: {call: 'f:1.0.0@shared'}", rest=CATALOG.replace("/c", "/other"))
    root = text("root", "  - a: {call: 'f:1.0.0@shared'}\n" + runs("child"), rest=CATALOG)
    where = "https://example.com/{}/functions/f/1.0.0/function.yaml"
    body = {"set": {"x": 1}}
    (fault,) = await faults(root, Elsewhere(child, **{where.format("c"): body, where.format("other"): body}))
    assert "means https://example.com/other/functions" in fault and "Rename one catalog" in fault


async def test_policies_go_along_but_none_that_only_a_run_could_evaluate() -> None:
    rest = (
        "use:\n  authentications: {me: {bearer: {token: secret}}}\n"
        "  catalogs: {shared: {endpoint: {uri: 'https://example.com/c', authentication: {use: me}}}}"
    )
    where = "https://example.com/c/functions/f/1.0.0/function.yaml"
    elsewhere = Elsewhere(**{where: {"set": {"x": 1}}})
    document = text("root", "  - a: {call: 'f:1.0.0@shared'}", rest=rest)
    await resolve(parse(document), elsewhere)
    assert elsewhere.asked == [(where, {"bearer": {"token": "secret"}})]
    (fault,) = await faults(document.replace("token: secret", "token: '${ $secrets.x }'"), elsewhere)
    assert "no expression can be evaluated" in fault


async def test_schemas_are_put_in_place() -> None:
    external = "{schema: {resource: {endpoint: 'https://example.com/s.json'}}}"
    do = f"  - a/b: {{do: [{{c: {{set: {{x: 1}}, output: {external}}}}}]}}"
    source = parse(text("root", do, rest=f"input: {external}"))
    schema = {"type": "object", "required": ["id"]}
    resolved = await resolve(source, Elsewhere(**{"https://example.com/s.json": schema}))
    document = resolved.source.document
    assert document.input.schema_ is not None and document.input.schema_.document == schema
    inner = resolved.source.raw["do"][0]["a/b"]["do"][0]["c"]["output"]["schema"]
    assert inner == {"format": "json", "document": schema}
    assert "document" not in source.raw["input"]["schema"]
    found = await faults(text("root", do, rest=f"input: {external}"), Elsewhere(**{"https://example.com/s.json": [1]}))
    assert len(found) == 2 and all("cannot be used: it must be an object" in fault for fault in found)
    assert found[0].startswith("2:")


@pytest.mark.parametrize(
    ("call", "address"),
    [
        ("https://example.com/f/function.yaml", "https://example.com/f/function.yaml"),
        ("https://example.com/f", "https://example.com/f/function.yaml"),
        (
            "https://github.com/o/r/blob/main/f/function.yaml",
            "https://raw.githubusercontent.com/o/r/main/f/function.yaml",
        ),
        ("https://github.com/o/r/f@v1.0.0", "https://raw.githubusercontent.com/o/r/v1.0.0/f/function.yaml"),
        ("https://github.com/o/r/f", "https://raw.githubusercontent.com/o/r/HEAD/f/function.yaml"),
        ("https://gitlab.com/g/s/p/-/blob/main/f.yaml", "https://gitlab.com/g/s/p/-/raw/main/f.yaml"),
    ],
)
def test_addresses_of_calls(call: str, address: str) -> None:
    assert catalog_addresses.of_url(call) == address


@pytest.mark.parametrize(
    ("endpoint", "address"),
    [
        ("https://example.com/c/", "https://example.com/c/functions/log/1.0.0/function.yaml"),
        ("file:///srv/c", "file:///srv/c/functions/log/1.0.0/function.yaml"),
        ("https://github.com/o/r", "https://raw.githubusercontent.com/o/r/HEAD/functions/log/1.0.0/function.yaml"),
        (
            "https://github.com/o/r/tree/main/sub",
            "https://raw.githubusercontent.com/o/r/main/sub/functions/log/1.0.0/function.yaml",
        ),
        ("https://gitlab.com/g/p", "https://gitlab.com/g/p/-/raw/HEAD/functions/log/1.0.0/function.yaml"),
        (
            "https://git.example.com/g/p/-/tree/main",
            "https://git.example.com/g/p/-/raw/main/functions/log/1.0.0/function.yaml",
        ),
    ],
)
def test_addresses_of_catalogs(endpoint: str, address: str) -> None:
    assert catalog_addresses.of_function(endpoint, "log", "1.0.0") == address


@pytest.fixture
async def executor() -> AsyncIterator[ScriptedExecutor]:
    async with scripted_executor() as found:
        yield found


async def fetched(uri: str, executor: ScriptedExecutor, folder: Path, authentication: Any = None) -> Any:
    async with channel(executor.address) as connection, open_library(folder / "store") as library:
        keys = iter(("key-1", "key-2"))
        fetching = Fetching(library=library, channel=connection, roots=[folder / "c"], new_key=lambda: next(keys))
        return await fetching.of("acme").document(uri, authentication)


async def test_the_web_is_the_tenants_tool_to_reach(executor: ScriptedExecutor, tmp_path: Path) -> None:
    executor.answers["http.request"] = lambda _: base64.b64encode(b"set: {when: 2026-01-01}").decode()
    uri = "https://example.com/f.yaml"
    assert await fetched(uri, executor, tmp_path, {"bearer": {"token": "t"}}) == {"set": {"when": "2026-01-01"}}
    (request,) = executor.requests
    assert (request.tenant, request.idempotency_key) == ("acme", "key-1")
    assert executor.calls[0][1]["endpoint"] == {"uri": uri, "authentication": {"bearer": {"token": "t"}}}

    def refuse(_: Any) -> Any:
        raise NotPermitted("no way to example.com")

    executor.answers["http.request"] = refuse
    with pytest.raises(Unreachable, match="cannot be fetched: no way to example"):
        await fetched(uri, executor, tmp_path)
    executor.address = "127.0.0.1:1"
    with pytest.raises(CatalogUnavailable):
        await fetched(uri, executor, tmp_path)


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"a: [", "neither YAML nor JSON"),
        (b"\xff", "no text in UTF-8"),
        (b"x" * 1_100_000, "is larger than"),
        (b"a: &a [1]\nb: [*a, *a]", "has YAML aliases"),
        (b"a: .nan", "neither YAML nor JSON"),
    ],
)
async def test_what_is_no_document(executor: ScriptedExecutor, tmp_path: Path, content: bytes, reason: str) -> None:
    executor.answers["http.request"] = lambda _: base64.b64encode(content).decode()
    with pytest.raises(Unreachable, match=reason):
        await fetched("https://example.com/f.yaml", executor, tmp_path)


async def test_files_are_read_in_the_folders_that_are_allowed(executor: ScriptedExecutor, tmp_path: Path) -> None:
    folder = tmp_path / "c"
    folder.mkdir()
    (folder / "f.yaml").write_text("set: {x: 1}")
    (tmp_path / "secret.yaml").write_text("a: 1")
    (folder / "link.yaml").symlink_to(tmp_path / "secret.yaml")
    assert await fetched((folder / "f.yaml").as_uri(), executor, tmp_path) == {"set": {"x": 1}}
    for uri in (f"file://{folder}/../secret.yaml", f"file://{folder}/link.yaml", f"file://{folder}/%2e%2e/secret.yaml"):
        with pytest.raises(Unreachable, match="lies in no folder"):
            await fetched(uri, executor, tmp_path)
    for uri, reason in (
        (f"file://{folder}/none.yaml", "No such file"),
        ("ftp://example.com/f.yaml", "`ftp:` is not known"),
        ("https://example.com/{name}.yaml", "nothing can be put in"),
    ):
        with pytest.raises(Unreachable, match=reason):
            await fetched(uri, executor, tmp_path)


async def test_a_tenants_procedures_are_those_of_the_library(executor: ScriptedExecutor, tmp_path: Path) -> None:
    async with channel(executor.address) as connection, open_library(tmp_path / "s", [text("a", runs("b"))]) as found:
        library: Library = found
        fetch = Fetching(library=library, channel=connection, roots=[], new_key=str).of("acme")
        assert (await fetch.procedure("t/a", "")).document.document.version == "1.0.0"
        with pytest.raises(Unreachable, match=r"tenant acme has no procedure t/a 2\.0\.0"):
            await fetch.procedure("t/a", "2.0.0")


def test_nothing_needed_is_nothing_added() -> None:
    source = parse(text("root", "  - a: {set: {x: 1}}"))
    made = prepared(Resolved(source), {})
    assert (made.documents, made.functions, made.uses) == ({}, {}, (source,))
