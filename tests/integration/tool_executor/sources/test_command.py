"""Declared commands as tools: through an executor, in a real sandbox."""

from __future__ import annotations

import base64
import json
from collections.abc import AsyncIterator
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
import yaml

from factotum.sdk.errors import (
    Ambiguous,
    Failed,
    InvalidArgument,
    NotFound,
    NotPermitted,
    RateLimited,
    Unavailable,
)
from factotum.sdk.spec import Effect
from factotum.sdk.testing import World, check_tool
from factotum.tool_executor.calls import Answer, Origin
from factotum.tool_executor.catalog import Catalog
from factotum.tool_executor.execution import Executor
from factotum.tool_executor.ledger_sqlite import SqliteLedger
from factotum.tool_executor.policy.folders import STARTER, texts
from factotum.tool_executor.sandbox.bubblewrap import Bubblewrap
from factotum.tool_executor.sources.adding import Sources
from factotum.tool_executor.sources.command.source import CommandSource
from factotum.tool_executor.sources.command.tools import NoSettings
from factotum.tool_executor.sources.source import SourceInvalid
from factotum.tool_executor.sources.store import Definition
from tests.support.composition import catalog_of, executor_of, permits_of, sources_of
from tests.support.machine import needs
from tests.support.scripted_http import Answer as HttpAnswer
from tests.support.scripted_http import scripted_http
from tests.support.tool_calls import closed_port
from tests.unit.test_docs import ROOT, blocks

SECRET = "hunter2-of-the-report"


@pytest.fixture(scope="module", autouse=True)
def _sandbox() -> None:
    needs("bwrap", "prlimit", "setpriv", what="running a command in a sandbox")


@dataclass(slots=True)
class Bench:
    executor: Executor
    ledger: SqliteLedger
    sources: Sources
    catalog: Catalog
    keys: count[int]

    async def declare(self, *, document: str = "", **commands: Any) -> None:
        config = json.dumps({"commands": commands}) if commands else "{}"
        await self.sources.add(Definition("acme", "cmd", "command", config, document.encode()))

    async def call(self, command: str, *, user: str = "", **arguments: Any) -> Answer:
        return await self.executor.execute(
            tenant="acme",
            tool=f"cmd.{command}",
            arguments_json=json.dumps(arguments),
            key=f"key-{next(self.keys)}",
            origin=Origin(user=user),
        )

    async def run(self, command: str, **arguments: Any) -> Any:
        answer = await self.call(command, **arguments)
        assert answer.output_json is not None, answer.error
        return json.loads(answer.output_json)


@pytest_asyncio.fixture(scope="module")
async def bench(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Bench]:
    folder = tmp_path_factory.mktemp("commands")
    (folder / "secrets" / "acme").mkdir(parents=True)
    (folder / "secrets" / "acme" / "token").write_text(SECRET)
    catalog = catalog_of()
    async with (
        SqliteLedger(folder / "ledger.sqlite", ambiguous_retry_seconds=1) as ledger,
        sources_of(catalog, folder, kinds={"command": CommandSource()}) as sources,
    ):
        executor = executor_of(catalog, ledger, secrets=folder / "secrets")
        yield Bench(executor, ledger, sources, catalog, count())
        await executor.drained()


def sh(script: str, **more: Any) -> dict[str, Any]:
    """A command that is a script of the shell; the slots' values are its arguments, not its text."""
    return {
        "description": "x",
        "argv": ["sh", "/run/factotum/x.sh", *more.pop("argv", [])],
        "scripts": {"x.sh": script},
    } | more


async def test_the_documents_example_is_so(bench: Bench) -> None:
    [text] = [one for one in blocks(ROOT / "docs" / "commands.md", "yaml") if "commands:" in one]
    await bench.declare(document=text)
    for name, one in yaml.safe_load(text)["commands"].items():
        for example in one.get("examples", []):
            assert await bench.run(name, **example["arguments"]) == example["output"]
    assert await bench.run("count_words", text="a -b a", words=["-b"]) == {"words": [["-b", 1]]}
    error = (await bench.call("count_words", text="")).error
    assert isinstance(error, InvalidArgument) and "there are no words" in error.message
    picture = base64.b64encode(bytes(range(256))).decode()
    assert (await bench.run("thumbnail", picture=picture, name="large.png"))["files"] == {"small.png": picture}
    publish = bench.catalog.tool("acme", "cmd.publish").spec
    assert (publish.effect, publish.idempotency, publish.sandbox) == (Effect.SEND, "none", True)
    assert [need.name for need in publish.secrets] == ["reports-token"]


async def test_a_command_passes_the_conformance_suite(bench: Bench) -> None:
    [text] = [one for one in blocks(ROOT / "docs" / "commands.md", "yaml") if "commands:" in one]
    await bench.declare(document=text)
    world = World(
        settings=NoSettings(),
        arguments=lambda number: {"text": f"a{number} b a{number}"},
        surroundings={"sandbox": Bubblewrap()},
    )
    report = await check_tool(bench.catalog.tool("acme", "cmd.count_words"), world)
    report.assert_passed()


async def test_what_a_value_holds_is_never_more_than_an_argument(bench: Bench) -> None:
    await bench.declare(
        show=sh('printf "%s|" "$#" "$@"', argv=[{"slot": "a"}, "--", {"slot": "b"}], slots={"a": {}, "b": {}})
    )
    for value in ("$(id)", "'; touch /tmp/x; '", "a\nb", "", "* ?", '{"slot": "b"}'):
        assert await bench.run("show", a=value, b="-x") == {"text": f"3|{value}|--|-x|"}
    error = (await bench.call("show", a="-x", b="")).error
    assert isinstance(error, InvalidArgument) and "begins with a dash" in error.message
    for refused in ({"a": "x"}, {"a": "x", "b": "y", "c": "z"}):
        assert isinstance((await bench.call("show", **refused)).error, InvalidArgument)


async def test_what_comes_back(bench: Bench) -> None:
    await bench.declare(
        text=sh("cat", slots={"x": {}}, stdin={"slot": "x"}),
        lines=sh("cat", slots={"x": {}}, stdin={"slot": "x"}, stdout="lines"),
        json=sh("cat", slots={"x": {}}, stdin={"slot": "x"}, stdout="json", output={"type": "object"}),
        nothing=sh("cat", slots={"x": {}}, stdin={"slot": "x"}, stdout="none"),
    )
    assert await bench.run("text", x="a\nb\n") == {"text": "a\nb\n"}
    assert await bench.run("lines", x="a\nb\n") == {"lines": ["a", "b"]}
    assert await bench.run("json", x={"a": [1, None]}) == {"a": [1, None]}
    assert await bench.run("nothing", x="a") == {}
    for given, words in (("{", "no JSON"), ("[1]", "not as declared")):
        error = (await bench.call("json", x=given)).error
        assert isinstance(error, Failed) and words in error.message and not error.effect_possible


async def test_files_come_and_go(bench: Bench) -> None:
    await bench.declare(
        sort=sh(
            'sort in/words.txt > sorted.txt; for n in 1 2; do echo "page $n" > "page-$n.txt"; done; '
            "cat raw > copy.bin; ln -s /etc/passwd page-3.txt; mkdir page-4.txt; echo kept > not-asked-for.txt",
            slots={"words": {"type": "string"}, "raw": {"type": "string"}},
            files_in={"in/words.txt": {"slot": "words"}, "raw": {"slot": "raw", "as": "base64"}},
            files_out={"sorted.txt": "text", "page-*.txt": "text", "copy.bin": "base64"},
            optional=["raw"],
        )
    )
    raw = base64.b64encode(b"\xff\x00\xfe").decode()
    assert (await bench.run("sort", words="b\na\n", raw=raw))["files"] == {
        "sorted.txt": "a\nb\n",
        "page-1.txt": "page 1\n",
        "page-2.txt": "page 2\n",
        "copy.bin": raw,
    }
    assert (await bench.run("sort", words="b"))["files"]["copy.bin"] == ""
    assert isinstance((await bench.call("sort", words="b", raw="%")).error, InvalidArgument)
    await bench.declare(
        none=sh("true", files_out={"x.txt": "text"}), bytes=sh("printf '\\377' > x.txt", files_out={"x.txt": "text"})
    )
    for name, words in (("none", "left no file x.txt"), ("bytes", "declare it as base64")):
        error = (await bench.call(name)).error
        assert isinstance(error, Failed) and words in error.message


async def test_codes_mean_what_is_declared(bench: Bench) -> None:
    codes = {1: "ok", 2: "invalid_argument", 4: "not_found", 29: "rate_limited", 75: "unavailable"}
    await bench.declare(
        end=sh('echo "it says why" >&2; exit $1', argv=[{"slot": "code"}], slots={"code": {}}, exit_codes=codes),
        reach=sh(
            "exit $1", argv=[{"slot": "code"}], slots={"code": {}}, exit_codes=codes, hosts=["a.example"], effect="send"
        ),
    )
    assert await bench.run("end", code=0) == await bench.run("end", code=1) == {"text": ""}
    for code, kind in ((2, InvalidArgument), (4, NotFound), (29, RateLimited), (75, Unavailable), (9, Failed)):
        error = (await bench.call("end", code=code)).error
        assert type(error) is kind and not error.effect_possible, code
        assert error.message == f"cmd.end ended with code {code}: it says why"
    # Nobody knows of one that reaches somebody how far it came.
    assert isinstance((await bench.call("reach", code=9)).error, Ambiguous)
    assert isinstance((await bench.call("reach", code=2)).error, InvalidArgument)
    assert "unavailable" in bench.catalog.tool("acme", "cmd.end").spec.errors


async def test_secrets_are_variables_and_are_told_to_nobody(bench: Bench) -> None:
    await bench.declare(
        tell=sh(
            'echo "$TOKEN $PLAIN $FACTOTUM_IDEMPOTENCY_KEY"', environment={"TOKEN": "secret://token", "PLAIN": "p"}
        ),
        fail=sh('echo "$TOKEN" >&2; exit 1', environment={"TOKEN": "secret://token"}),
        own=sh("true", environment={"TOKEN": {"secret": "secret://token", "delegated": True}}),
        gone=sh("true", environment={"TOKEN": "secret://gone"}),
    )
    text = (await bench.run("tell"))["text"]
    assert text.startswith("*** p key-") and SECRET not in text
    error = (await bench.call("fail")).error
    assert error is not None and "***" in error.message and SECRET not in error.message
    assert isinstance((await bench.call("own")).error, NotPermitted)
    assert isinstance((await bench.call("gone")).error, NotPermitted)


async def test_hosts_are_reached_and_no_others(bench: Bench) -> None:
    async with scripted_http(HttpAnswer(body=b"hello")) as server:
        host = server.url.removeprefix("http://")
        fetch = "import sys, urllib.request; print(urllib.request.urlopen(sys.argv[1]).read().decode())"
        argv = ["python3", "-I", "/run/factotum/fetch.py", {"slot": "url"}]
        common = {
            "description": "x",
            "argv": argv,
            "scripts": {"fetch.py": fetch},
            "slots": {"url": {"type": "string"}},
        }
        await bench.declare(reach={**common, "hosts": [host], "effect": "none"}, sealed=common)
        assert await bench.run("reach", url=server.url) == {"text": "hello\n"}
        error = (await bench.call("reach", url=f"http://127.0.0.1:{closed_port()}")).error
        assert isinstance(error, Failed) and "which is not among its hosts" in error.message
        assert isinstance((await bench.call("sealed", url=server.url)).error, Failed)
        assert len(server.requests) == 1


async def test_limits_hold(bench: Bench) -> None:
    await bench.declare(
        slow=sh("sleep 9", limits={"seconds": 0.3}),
        loud=sh("head -c 3000 /dev/zero", limits={"output_kib": 1}),
        remote=sh("sleep 9", limits={"seconds": 0.3}, hosts=["a.example"], effect="none"),
    )
    for name, kind, words in (
        ("slow", Failed, "did not end within 0.3 s"),
        ("loud", Failed, "wrote more than it may"),
        ("remote", Unavailable, "did not end within 0.3 s"),
    ):
        error = (await bench.call(name)).error
        assert type(error) is kind and words in error.message and not error.effect_possible


@pytest.mark.parametrize(
    ("document", "words"),
    [
        ("commands: {a: {description: x, argv: [no-such-program]}}", "no-such-program is not on"),
        ("commands: {a: {description: x, argv: [sh], slots: {b: {type: 3}}, stdin: {slot: b}}}", "commands.a"),
        ("commands: {a: {description: x, argv: sh}}", "commands.a.argv"),
        ("commands: {A: {description: x, argv: [sh]}}", "commands.A"),
        ("{", "no YAML"),
        ("commands: {}", "it has no tools"),
    ],
)
async def test_what_makes_no_tools(bench: Bench, document: str, words: str) -> None:
    with pytest.raises(SourceInvalid, match=words.replace(".", r"\.")):
        await bench.declare(document=document)


async def test_not_twice_declared(bench: Bench, tmp_path: Path) -> None:
    with pytest.raises(SourceInvalid, match="not both"):
        await bench.declare(document="commands: {}", a=sh("true"))


async def test_a_command_that_says_nothing_of_its_effect_is_permitted_by_name_and_done_once(bench: Bench) -> None:
    await bench.declare(slow=sh('printf "$FACTOTUM_IDEMPOTENCY_KEY"'), known=sh("true", effect="none"))
    permits = permits_of("\n".join(texts([STARTER]).values()))
    bound = executor_of(bench.catalog, bench.ledger, secrets=Path("/none"), permits=permits)
    refused = (await bound.execute(tenant="acme", tool="cmd.slow", arguments_json="{}", key="s", origin=Origin())).error
    assert isinstance(refused, NotPermitted)
    assert "effect: none" in refused.message and 'Tool::"cmd.slow"' in refused.message
    assert (
        await bound.execute(tenant="acme", tool="cmd.known", arguments_json="{}", key="k", origin=Origin())
    ).error is None
    await bound.drained()
    twice = [
        await bench.executor.execute(tenant="acme", tool="cmd.slow", arguments_json="{}", key="one", origin=Origin())
        for _ in range(2)
    ]
    assert [answer.replayed for answer in twice] == [False, True]
