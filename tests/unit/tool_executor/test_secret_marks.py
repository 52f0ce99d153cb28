"""The tool sees values; ledger, observation, answer, error and log see marks or stars."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from pydantic import BaseModel

from factotum.sdk.approval import call_sha256
from factotum.sdk.context import ToolContext
from factotum.sdk.errors import Conflict, InvalidArgument, NotPermitted, ToolError
from factotum.sdk.spec import Effect, Idempotency
from factotum.sdk.tool import Connector
from factotum.tool_executor.calls import Answer, Approval, Origin, SecretMarks
from tests.support.composition import catalog_of
from tests.support.ledgers import waiting
from tests.support.tool_executor import Bench, bench
from tests.support.tools import FakeSettings

VALUE = "hunter2-hunter2"
LOGIN = '{"username": "adalovelace", "password": "s3same-0pen"}'
MARKS = SecretMarks("n0nce", frozenset({"apiToken", "login"}))
MARK = "⟦n0nce:apiToken⟧"

connector = Connector("fake", settings=FakeSettings)
seen: list[str] = []


class Said(BaseModel):
    words: str
    use: str | None = None
    then: str = "answer"


class Heard(BaseModel):
    words: str


@connector.tool(effect=Effect.CREATE, idempotency=Idempotency.NATIVE)
async def say(arguments: Said, context: ToolContext[FakeSettings]) -> Heard:
    """Say it back."""
    words = arguments.words if arguments.use is None else context.declared_secret(arguments.use)
    seen.append(words)
    if arguments.then == "refuse":
        raise Conflict(f"the system says: {words} is taken", effect_possible=False)
    if arguments.then == "raise":
        raise RuntimeError(f"at {words}")
    return Heard(words=f"you said {words}")


@say.narrow
async def say_nature(arguments: Said, context: ToolContext[FakeSettings]) -> tuple[Effect, Idempotency]:
    if arguments.then == "fault":
        raise RuntimeError("a faulty narrowing")
    if arguments.then == "hide":
        raise NotPermitted("cannot be told now")
    return (Effect.NONE if arguments.words.startswith("read") else Effect.CREATE), Idempotency.NATIVE


@pytest_asyncio.fixture
async def b(tmp_path: Path) -> AsyncIterator[Bench]:
    folder = tmp_path / "secrets" / "acme"
    folder.mkdir(parents=True)
    for name, value in {"apiToken": VALUE, "login": LOGIN, "undeclared": VALUE}.items():
        (folder / name).write_text(value)
    seen.clear()
    async with bench(tmp_path) as made:
        settings = {("acme", "fake"): FakeSettings(world=tmp_path)}
        made.restarted(catalog_of(connector, settings=settings))
        yield made


async def call(
    b: Bench,
    *,
    secrets: SecretMarks | None = MARKS,
    approval: Approval | None = None,
    key: str = "k",
    **arguments: Any,
) -> Answer:
    return await b.executor.execute(
        tenant="acme",
        tool="fake.say",
        arguments_json=json.dumps(arguments),
        key=key,
        origin=Origin(run_id="run"),
        secrets=secrets,
        approval=approval,
    )


async def told(b: Bench, answer: Answer, log: str) -> str:
    """All that anybody but the tool gets to see."""
    entries = [repr(entry) for entry in await b.ledger.entries("acme", states=[], limit=10, run_id="")]
    published = [one.value.decode() for one in await waiting(b.ledger)]
    kept = b"".join(file.read_bytes() for file in b.folder.glob("deep/ledger.sqlite*")).decode("utf-8", "replace")
    return "\n".join([repr(answer), str(answer.error), *entries, *published, kept, log])


@pytest.mark.parametrize("then", ["answer", "refuse", "raise"])
@pytest.mark.parametrize("words", [MARK, f"⟦n0nce:login/password⟧ and {MARK}", "read ⟦n0nce:login⟧"])
async def test_only_the_tool_sees_the_value(
    b: Bench, words: str, then: str, capsys: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    answer = await call(b, words=words, then=then)
    [heard] = seen
    assert "⟦" not in heard
    assert VALUE in heard or "s3same-0pen" in heard
    everything = await told(b, answer, "".join(capsys.readouterr()) + caplog.text)
    assert "⟦n0nce" in everything  # what is kept holds the mark
    assert VALUE not in everything
    assert "s3same-0pen" not in everything
    if then == "answer":
        assert "***" in (answer.output_json or "")
    if then == "refuse":
        assert isinstance(answer.error, Conflict)
        assert "***" in answer.error.message


async def test_a_policy_that_names_a_secret_is_masked_too(b: Bench) -> None:
    answer = await call(b, words="", use="login")
    assert seen == [LOGIN]
    everything = await told(b, answer, "")
    assert "s3same-0pen" not in everything
    assert "adalovelace" not in everything


@pytest.mark.parametrize(
    ("words", "secrets"),
    [
        ("⟦other:apiToken⟧", MARKS),
        ("⟦n0nce:undeclared⟧", MARKS),
        (MARK, None),
        (MARK, SecretMarks("n0nce", frozenset())),
        (MARK, SecretMarks("", MARKS.names)),
    ],
)
async def test_what_the_run_did_not_mark_stays_text(b: Bench, words: str, secrets: SecretMarks | None) -> None:
    await call(b, words=words, secrets=secrets)
    assert seen == [words]


@pytest.mark.parametrize(
    ("secrets", "name"), [(MARKS, "undeclared"), (None, "apiToken"), (SecretMarks("n0nce", frozenset()), "apiToken")]
)
async def test_arguments_can_name_declared_secrets_only(b: Bench, secrets: SecretMarks | None, name: str) -> None:
    answer = await call(b, words="", use=name, secrets=secrets)
    assert isinstance(answer.error, NotPermitted)
    assert "use.secrets" in answer.error.message
    assert not seen


async def test_a_secret_that_is_not_there_is_a_refusal_without_effect(b: Bench) -> None:
    gone = SecretMarks("n0nce", frozenset({"gone"}))
    answer = await call(b, words="⟦n0nce:gone⟧", secrets=gone)
    assert isinstance(answer.error, NotPermitted)
    assert (answer.effect_possible, seen) == (False, [])
    answer = await call(b, words="⟦n0nce:login/nobody⟧", key="other")
    assert isinstance(answer.error, InvalidArgument)
    assert (answer.effect_possible, seen) == (False, [])


async def test_an_approval_is_of_this_very_call(b: Bench) -> None:
    arguments = {"words": MARK, "then": "answer"}
    right = call_sha256(tenant="acme", tool="fake.say", arguments=arguments)
    for wrong in (
        call_sha256(tenant="globex", tool="fake.say", arguments=arguments),
        call_sha256(tenant="acme", tool="fake.say", arguments={**arguments, "words": "x"}),
        "",
    ):
        answer = await call(b, approval=Approval(wrong, ("eve",)), **arguments)
        assert isinstance(answer.error, NotPermitted)
        assert "approv" in answer.error.message
    assert not seen
    answer = await call(b, approval=Approval(right, ("ada",)), **arguments)
    assert (answer.error, seen) == (None, [VALUE])


async def test_a_call_that_only_reads_by_its_arguments_needs_no_key_and_leaves_no_entry(b: Bench) -> None:
    assert (await call(b, words="read it", key="")).error is None
    assert not await b.ledger.entries("acme", states=[], limit=10, run_id="")
    [(_, observation)] = await b.events()
    assert observation.effect == "none"
    settled = await b.executor.execute(
        tenant="acme", tool="fake.say", arguments_json='{"words": "read"}', key="k", origin=Origin(), settle=True
    )
    assert isinstance(settled.error, ToolError)
    assert settled.error.kind == "not_done"


@pytest.mark.parametrize("then", ["fault", "hide"])
async def test_what_cannot_be_narrowed_is_what_was_declared(b: Bench, then: str) -> None:
    assert (await call(b, words="read it", then=then)).error is None
    assert len(await b.ledger.entries("acme", states=[], limit=10, run_id="")) == 1
