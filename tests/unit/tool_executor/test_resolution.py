"""What a person says of an effect: checked, answered from then on, and told."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from factotum.tool_executor.errors import CallRefused
from factotum.tool_executor.ledger import Entry, State
from tests.support import tools
from tests.support.composition import catalog_of, contexts_of
from tests.support.tool_executor import Bench, bench

KEY = "run:/do/0/x:0"


@pytest.fixture
async def b(tmp_path: Path) -> AsyncIterator[Bench]:
    async with bench(tmp_path) as made:
        yield made


async def resolve(b: Bench, *, happened: bool = True, output: str = "", reason: str = "Grace: the log") -> Entry:
    return await b.resolver.resolve("acme", KEY, happened=happened, output_json=output, reason=reason)


@pytest.mark.parametrize(
    ("output", "places"),
    [("", ["/id", "/name"]), ('{"id": "1"}', ["/name"]), ('{"id": 1, "name": "ada"}', ["/id"]), ("{", ["JSON"])],
)
async def test_an_output_that_the_tool_could_never_give(b: Bench, output: str, places: list[str]) -> None:
    b.world.script("ambiguous")
    await b.call("create")
    with pytest.raises(CallRefused, match=r"fake\.create") as refused:
        await resolve(b, output=output)
    assert all(place in str(refused.value) for place in places)
    assert (await b.entry()).state is State.AMBIGUOUS and len(await b.events()) == 1


async def test_the_output_that_is_given_is_the_answer(b: Bench) -> None:
    b.world.script("lost")
    await b.call("send")
    await resolve(b, output='{"name": "ada", "id": "9"}')
    assert (await b.call("send")).output_json == '{"id":"9","name":"ada"}'


async def test_where_none_is_given_the_tool_gives_its_receipt(b: Bench) -> None:
    b.world.script("lost")
    await b.call("send", name="eve")
    await resolve(b)
    output = (await b.call("send", name="eve")).output_json
    assert json.loads(output or "") == {"id": f"receipt of acme {KEY}", "name": "eve"}


async def test_a_receipt_that_cannot_be_made_must_be_given(b: Bench) -> None:
    b.world.script("lost")
    await b.call("send")
    b.resolver._contexts = contexts_of(b.configured())
    with pytest.raises(CallRefused, match="give output_json"):
        await resolve(b)
    assert (await resolve(b, output='{"id": "9", "name": "ada"}')).state is State.DONE


async def test_an_entry_of_which_the_arguments_were_never_kept(b: Bench) -> None:
    b.world.script("lost")
    await b.call("send")
    await b.ledger._file.run(lambda db: db.execute("UPDATE effects SET arguments_json = NULL"))
    with pytest.raises(CallRefused, match="/id"):
        await resolve(b)


async def test_who_decided_what_is_told(b: Bench) -> None:
    b.world.script("lost", "lost")
    await b.call("send", name="ada", token=tools.SECRET)
    await resolve(b, happened=False)
    await b.call("send", name="ada", token=tools.SECRET)
    await resolve(b, reason="")
    (_, first), (denied, no), (_, second), (affirmed, yes) = await b.events()
    assert first.error is not None and second.error is not None
    assert no.note == "A person decided that the effect did not happen: Grace: the log."
    assert yes.note == "A person decided that the effect happened: no reason was given."
    assert no.error is not None and (no.error.kind, no.output) == ("not_done", None)
    assert yes.error is None and yes.output["name"] == "ada"
    assert no.arguments == yes.arguments == {"name": "ada"}
    assert (no.tool, no.effect, no.run_id, no.step) == ("fake.send", "send", "run", "/do/0/x")
    assert len({denied.id, affirmed.id}) == 2


async def test_a_tool_that_is_gone_can_only_have_done_nothing(b: Bench) -> None:
    b.world.script("lost")
    await b.call("send")
    b.resolver._catalog = catalog_of()
    with pytest.raises(LookupError, match="no connector"):
        await resolve(b)
    assert (await resolve(b, happened=False)).state is State.FAILED
    assert (await b.events())[1][1].effect == "unknown"
