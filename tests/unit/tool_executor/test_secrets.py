"""A call is given the secrets that its settings, its tool and its document name: those, only those, and in time."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from factotum.runtime import clock
from factotum.runtime.secrets.errors import SecretsUnavailable
from factotum.runtime.secrets.mask import Known, Mask
from factotum.sdk.errors import Conflict, Failed, NotPermitted, Unavailable
from factotum.tool_executor.calls import Approval, SecretMarks
from factotum.tool_executor.contexts import Contexts
from factotum.tool_executor.ledger import State
from tests.support import ledgers
from tests.support.composition import catalog_of, permits_of
from tests.support.secret_stores import HeldStore
from tests.support.vaulted import OF_SETTINGS, TIMEOUT_SECONDS, VALUES, House, VaultedSettings, connector, given


@pytest.fixture
async def house(tmp_path: Path) -> AsyncIterator[House]:
    given.clear()
    async with ledgers.sqlite(tmp_path, ambiguous_retry_seconds=3.0)() as ledger:
        made = House(tmp_path, ledger, HeldStore(dict(VALUES)))
        yield made
        await made.executor.drained()


async def test_only_what_is_named_is_resolved_and_only_that_can_be_used(house: House) -> None:
    answer = await house.call("vaulted.send", use=["of-settings", "in-a-map"])
    assert given == ["value-of-settings", "value-in-a-map"]
    assert json.loads(answer.output_json or "") == {"values": ["<***>", "<***>"]}
    assert house.asked == OF_SETTINGS  # not what a sentence names
    for number, name in enumerate(["other", "of-tool", "in-a-sentence"]):
        answer = await house.call("vaulted.send", key=f"k{number}", use=[name])
        assert isinstance(answer.error, NotPermitted)
        assert f"secret://{name} is not for this call" in answer.error.message
    assert house.asked == OF_SETTINGS


async def test_a_call_without_secrets_asks_for_none_and_gets_none(house: House) -> None:
    assert (await house.call("plain.read")).error is None
    answer = await house.call("plain.read", use=["other"])
    assert isinstance(answer.error, NotPermitted)
    assert house.asked == set()


async def test_a_tools_own_secrets_and_those_of_the_person(house: House) -> None:
    answer = await house.call("vaulted.act_as", user="ada", use=["of-tool", "of-person", "of-settings"])
    assert given == ["value-of-tool", "value-of-ada", "value-of-settings"]
    assert json.loads(answer.output_json or "") == {"values": ["<***>"] * 3}
    assert ("acme", "of-person", "") not in house.asked


async def test_nobodys_secret_is_refused_and_a_missing_one_is_never_the_tenants(house: House) -> None:
    answer = await house.call("vaulted.act_as")
    assert isinstance(answer.error, NotPermitted)
    assert "made for nobody" in answer.error.message
    answer = await house.call("vaulted.act_as", user="grace", use=["of-person"])
    assert isinstance(answer.error, NotPermitted)
    assert "grace of tenant acme has no secret 'of-person': put its value into the shelf" in answer.error.message
    assert ("acme", "of-person", "") not in house.asked
    assert given == []


async def test_a_tools_own_secret_that_is_missing_refuses_the_call_before_the_tool_runs(house: House) -> None:
    del house.store.values["acme", "of-tool", ""]
    answer = await house.call("vaulted.act_as", user="ada", use=["of-person"])
    assert isinstance(answer.error, NotPermitted)
    assert "'of-tool'" in answer.error.message
    assert given == []


async def test_a_missing_secret_of_the_settings_hurts_only_who_asks_for_it(house: House) -> None:
    del house.store.values["acme", "in-a-map", ""]
    assert (await house.call("vaulted.send", key="a", use=["of-settings"])).error is None
    answer = await house.call("vaulted.send", key="b", use=["in-a-map"])
    assert isinstance(answer.error, NotPermitted)
    assert "put its value into the shelf" in answer.error.message


async def test_a_document_uses_what_it_declares_and_its_arguments_name(house: House) -> None:
    assert (await house.call("plain.read", declared="declared")).error is None
    assert given == ["value-declared"]
    assert house.asked == {("acme", "declared", "")}  # not the other that it declares
    for name, why in {"other": "use.secrets", "of-document": "has no secret"}.items():
        answer = await house.call("plain.read", declared=name)
        assert isinstance(answer.error, NotPermitted)
        assert why in answer.error.message
    answer = await house.call("plain.read", use=["declared"])  # by reference it is not the document's
    assert isinstance(answer.error, NotPermitted)


async def test_a_call_that_is_refused_or_was_made_touches_no_secret(house: House) -> None:
    await house.call("vaulted.send", use=[3])
    await house.call("vaulted.send", approval=Approval("0" * 64, ("eve",)))
    house.made(permits=permits_of('@id("reads") permit(principal, action == Action::"read", resource);'))
    for denied in (await house.call("vaulted.send"), await house.call("vaulted.narrow", then="execute")):
        assert isinstance(denied.error, NotPermitted)
    assert house.asked == set()
    house.made()
    assert (await house.call("vaulted.send")).error is None
    house.store.asked.clear()
    assert (await house.call("vaulted.send")).replayed
    assert house.asked == set()


@pytest.mark.parametrize("name", ["of-settings", "of-tool", "declared"])
async def test_a_store_that_is_away_leaves_nothing_begun_and_nothing_in_doubt(house: House, name: str) -> None:
    house.store.values["acme", name, ""] = SecretsUnavailable("Vault answers 503: Vault is sealed")
    tool = {"of-settings": "vaulted.send", "of-tool": "vaulted.act_as", "declared": "plain.read"}[name]
    answer = await house.call(tool, user="ada", declared="declared" if name == "declared" else "")
    assert isinstance(answer.error, Unavailable)
    assert (answer.error.retryable, answer.effect_possible, given) == (True, False, [])
    assert f"secret://{name} is not to be had now: Vault answers 503" in answer.error.message
    if tool == "vaulted.send":
        entry = await house.ledger.entry("acme", "k")
        assert entry is not None
        assert (entry.state, entry.doubt) == (State.FAILED, False)
    house.store.values = dict(VALUES)
    assert (await house.call(tool, user="ada")).error is None


async def test_waiting_for_the_store_is_not_the_tools_time_and_all_secrets_are_asked_for_at_once(house: House) -> None:
    house.store.free.clear()
    calling = asyncio.create_task(house.call("vaulted.send", use=["of-settings"]))
    await asyncio.sleep(TIMEOUT_SECONDS * 1.5)
    assert house.asked == OF_SETTINGS
    house.store.free.set()
    answer = await calling
    assert (answer.error, given) == (None, ["value-of-settings"])


async def test_a_call_that_was_cancelled_while_it_waited_for_a_secret_has_not_begun(house: House) -> None:
    house.store.free.clear()
    calling = asyncio.create_task(house.call("vaulted.send", use=["of-settings"]))
    while not house.asked:
        await asyncio.sleep(0.01)
    assert house.executor.cancel("acme", "k")
    house.store.free.set()
    answer = await calling
    assert answer.error is not None and answer.error.kind == "cancelled"
    assert (answer.effect_possible, given) == (False, [])


async def test_what_an_error_carries_is_without_values_and_without_its_cause(house: House) -> None:
    error = (await house.call("vaulted.send", use=["of-settings"], then="conflict")).error
    assert isinstance(error, Conflict)
    assert (error.message, str(error), error.__notes__) == ("taken: ['***']", "taken: ['***']", ["with ['***']"])
    assert error.__cause__ is None and error.__context__ is None


async def test_a_fault_of_a_tool_carries_nothing_of_what_was_raised(house: House) -> None:
    error = (await house.call("vaulted.act_as", user="ada", use=["of-tool"], then="raise")).error
    assert isinstance(error, Failed)
    assert error.__cause__ is None and error.__suppress_context__


async def test_what_a_tool_tells_of_its_progress_is_without_values(house: House) -> None:
    with capture_logs() as lines:
        await house.call("vaulted.send", use=["of-settings"], then="report")
    assert [line["text"] for line in lines if line["event"] == "progress"] == ["at ['***']"]


async def test_a_tool_that_would_end_the_process_has_failed(house: House) -> None:
    error = (await house.call("vaulted.send", use=["of-settings"], then="exit")).error
    assert error is not None and error.kind == "ambiguous"  # of a mail nobody knows
    assert "SystemExit" in error.message and "value-of-settings" not in error.message


async def test_what_a_tool_makes_of_a_secret_is_kept_back_as_well(house: House) -> None:
    for tool in ("vaulted.send", "plain.read"):
        answer = await house.call(tool, key=tool, then="make")
        assert answer.output_json == '{"values":["***"]}'


def test_what_a_tool_conceals_is_kept_out_of_the_logs_as_well() -> None:
    mask, known = Mask(), Known()
    catalog = catalog_of(connector, settings={("acme", "vaulted"): VaultedSettings()})
    context = Contexts(catalog=catalog, known=known, now=clock.now).context(
        tenant="acme", system="vaulted", key="k", run_id="", started_at=clock.now(), user="", mask=mask
    )
    context.conceal("made-of-a-secret")
    assert (mask.text("<made-of-a-secret>"), known.text("<made-of-a-secret>")) == ("<***>", "<***>")


async def test_what_a_call_does_is_told_without_secrets_where_it_can_be(house: House) -> None:
    house.made(permits=permits_of('@id("none") permit(principal, action == Action::"send", resource);'))
    await house.call("vaulted.narrow", key="")
    assert house.asked == set()
    await house.call("vaulted.narrow", key="", declared="declared")
    assert house.asked == {("acme", "declared", ""), *OF_SETTINGS}


RESERVED = SecretMarks("n0nce", frozenset({"of-settings", "of-tool", "declared"}))
ALL = '@id("all") permit(principal, action, resource);'


@pytest.mark.parametrize("name", ["of-settings", "of-tool"])
@pytest.mark.parametrize("written", ["{}", "Bearer \u27e6n0nce:{}\u27e7", "\u27e6n0nce:{}/key\u27e7"])
async def test_a_document_is_not_given_what_settings_or_tools_refer_to(house: House, name: str, written: str) -> None:
    said = written.format(name)
    for tool, arguments in {
        "plain.read": {"declared": said},
        "vaulted.narrow": {"declared": said, "then": "x"},
    }.items():
        answer = await house.call(tool, key="", secrets=RESERVED, **arguments)
        assert isinstance(answer.error, NotPermitted)
        assert f"with the secret {name}, which settings of acme refer to" in answer.error.message
        settled = await house.call(tool, key="never", secrets=RESERVED, settle=True, **arguments)
        assert settled.error is not None and settled.error.kind == "not_done"
    assert (given, house.asked) == ([], set())


async def test_a_policy_that_names_it_gives_it_to_a_document(house: House) -> None:
    refused = await house.call("plain.read", secrets=RESERVED, declared="of-settings")
    assert refused.error is not None
    # The very line that the refusal gives.
    line = "@id(" + refused.error.message.partition("@id(")[2]
    assert 'context.secrets.containsAll(["of-settings"])' in line
    house.made(permits=permits_of(ALL + line))
    assert (await house.call("plain.read", secrets=RESERVED, declared="of-settings")).error is None
    assert given == ["value-of-settings"]
    for other in ("of-tool", "declared"):
        found = await house.call("plain.read", secrets=RESERVED, declared=other)
        assert (found.error is None) == (other == "declared")
    forbidden = (
        f'{ALL}{line} @id("f") forbid(principal, action, resource) when {{ context.secrets.contains("declared") }};'
    )
    house.made(permits=permits_of(forbidden))
    answer = await house.call(
        "plain.read", secrets=RESERVED, use=["\u27e6n0nce:declared\u27e7"], declared="of-settings"
    )
    assert answer.error is not None and "f (test.cedar:1) forbids it" in answer.error.message


@pytest.mark.parametrize(
    ("condition", "declared", "permitted"),
    [
        ('when { context.secrets.contains("declared") }', "declared", True),
        ('when { context.secrets.contains("declared") }', "", False),
        ("when { context.secrets.isEmpty() }", "declared", False),
        ("when { context.secrets.isEmpty() }", "", True),
        # What excepts others names none of them.
        ('unless { context.secrets.contains("other") }', "of-settings", False),
        ('unless { context.secrets.contains("of-settings") }', "of-settings", False),
        ('when { ["of-settings"].containsAll(context.secrets) }', "of-settings", True),
        ('when { context.secrets == ["of-settings"] }', "of-settings", True),
    ],
)
async def test_policies_judge_by_the_names_of_the_documents_secrets(
    house: House, condition: str, declared: str, permitted: bool
) -> None:
    house.made(permits=permits_of(f'@id("p") permit(principal, action, resource) {condition};'))
    answer = await house.call("plain.read", secrets=RESERVED, declared=declared)
    assert (answer.error is None) == permitted
