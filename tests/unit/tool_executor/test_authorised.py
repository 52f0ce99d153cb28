"""Nothing is called that policy does not permit, and what is refused had no effect."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from pydantic import BaseModel, Field

from factotum.runtime import clock
from factotum.sdk.context import ToolContext
from factotum.sdk.spec import Effect, Idempotency
from factotum.sdk.tool import Connector
from factotum.tool_executor.authorising import Authorising, Planned, PlannedSecrets
from factotum.tool_executor.calls import Answer, Approval, Origin, SecretMarks
from factotum.tool_executor.errors import CallRefused
from factotum.tool_executor.ledger import State
from factotum.tool_executor.policy.asking import Principal
from factotum.tool_executor.policy.verdicts import Verdict
from tests.support.composition import catalog_of, contexts_of, permits_of
from tests.support.tool_executor import Bench, bench

NAMED = 'when { context.arguments.texts.hasTag("name") && context.arguments.texts.getTag("name") == "ada" }'


@pytest.fixture
async def a_bench(tmp_path: Path) -> AsyncIterator[Bench]:
    async with bench(tmp_path) as made:
        yield made


def why(answer: Answer) -> str:
    assert answer.error is not None and answer.error.kind == "not_permitted", answer
    return answer.error.message


@pytest.mark.parametrize("tool", ["read", "create", "send", "put", "drop"])
async def test_by_default_nothing_is_permitted_not_even_a_read(a_bench: Bench, tool: str) -> None:
    a_bench.restarted(permits=permits_of(""))
    assert "no policy permits the procedure hr/test of acme" in why(await a_bench.call(tool))
    assert a_bench.world.effects == []
    assert await a_bench.ledger.entry("acme", "run:/do/0/x:0") is None
    (_, told), *_ = await a_bench.events()
    assert told.error is not None and told.error.kind == "not_permitted"


async def test_a_tenants_policy_is_no_other_tenants(a_bench: Bench) -> None:
    a_bench.restarted(permits=permits_of('@id("acme") permit(principal in Tenant::"acme", action, resource);'))
    assert (await a_bench.call("create")).error is None
    assert "of globex" in why(await a_bench.call("create", tenant="globex"))
    assert "of globex" in why(await a_bench.call("create", tenant="globex", user="acme/ada"))


async def test_the_person_a_run_acts_for_is_who_is_asked_about(a_bench: Bench) -> None:
    text = '@id("it") permit(principal in Group::"acme/it", action, resource);'
    a_bench.restarted(permits=permits_of(text, acme={"it": ["ada"]}, globex={"it": ["eve"]}))
    assert (await a_bench.call("create", "a", user="ada")).error is None
    assert "bob of acme" in why(await a_bench.call("create", "b", user="bob"))
    assert "eve of acme" in why(await a_bench.call("create", "c", user="eve"))
    assert "the procedure hr/test" in why(await a_bench.call("create", "d"))


async def test_arguments_decide_as_the_tool_will_see_them(a_bench: Bench) -> None:
    a_bench.restarted(permits=permits_of(f'@id("ada") permit(principal, action, resource) {NAMED};'))
    assert (await a_bench.call("create", "a", name="ada")).error is None
    assert "policy ada (test.cedar:1) are not met" in why(await a_bench.call("create", "b", name="bob"))
    twice = await a_bench.executor.execute(
        tenant="acme", tool="fake.create", arguments_json='{"name": "ada", "name": "bob"}', key="c", origin=Origin()
    )
    assert "are not met" in why(twice)


async def test_an_approval_can_be_asked_for_and_is_only_one_for_this_call(a_bench: Bench) -> None:
    text = '@id("boss") permit(principal, action, resource) when { context.approved_by.contains("boss") };'
    a_bench.restarted(permits=permits_of(text))
    assert "are not met" in why(await a_bench.call("create"))
    forged = await a_bench.executor.execute(
        tenant="acme",
        tool="fake.create",
        arguments_json='{"name": "ada"}',
        key="k",
        origin=Origin(),
        approval=Approval("0" * 64, ("boss",)),
    )
    assert "what was approved is another call" in why(forged)
    assert a_bench.world.effects == []


async def test_what_became_of_an_effect_is_told_to_who_may_no_longer_make_it(a_bench: Bench) -> None:
    a_bench.world.script("lost")
    assert (await a_bench.call("create")).error is not None
    a_bench.restarted(permits=permits_of(""))
    retried = await a_bench.call("create")
    assert "no policy permits" in why(retried)
    # The refusal says nothing of the earlier attempt, and undoes nothing of it.
    assert retried.effect_possible
    settled = await a_bench.settle("create")
    assert settled.output_json is not None and len(a_bench.world.effects) == 1
    assert (await a_bench.entry()).state is State.DONE
    # Nor is there a way in by asking: what was never begun is not begun by a call to settle.
    other = await a_bench.call("put", "never", settle=True)
    assert other.error is not None and other.error.kind == "not_done"
    assert len(a_bench.world.effects) == 1


TEXTS = "context.arguments.texts."
TOKEN = f'{TEXTS}hasTag("token")'
MARKS = SecretMarks("n0nce", frozenset({"x"}))


@pytest.mark.parametrize(
    ("policies", "token", "said"),
    [
        (
            f'forbid(principal, action, resource) when {{ {TOKEN} && {TEXTS}getTag("token") == "boss" }};',
            "x",
            "forbids calls by",
        ),
        (f"forbid(principal, action, resource) unless {{ {TOKEN} }};", "x", "forbids calls by the argument 'token'"),
        (f"forbid(principal, action, resource) unless {{ {TOKEN} }};", "no mark", None),
        (f"forbid(principal, action, resource) when {{ false }} when {{ {TOKEN} }};", "x", None),
        ('forbid(principal, action, resource) when { context.arguments.texts.hasTag("cc") };', "x", None),
    ],
)
async def test_a_secret_is_no_way_past_a_policy_that_forbids(
    a_bench: Bench, policies: str, token: str, said: str | None
) -> None:
    (a_bench.secrets / "acme").mkdir(parents=True)
    (a_bench.secrets / "acme" / "x").write_text("boss")
    a_bench.restarted(permits=permits_of(f'@id("all") permit(principal, action, resource); @id("f") {policies}'))
    token = token.replace("x", "Bearer \u27e6n0nce:x\u27e7")
    answer = await marked(a_bench, name="ada", token=token)
    if said is None:
        assert answer.error is None
    else:
        assert said in why(answer) and "a secret stands" in why(answer) and a_bench.world.effects == []


async def test_what_is_permitted_by_an_argument_is_not_by_a_secret(a_bench: Bench) -> None:
    (a_bench.secrets / "acme").mkdir(parents=True)
    (a_bench.secrets / "acme" / "x").write_text("boss")
    text = f'@id("p") permit(principal, action, resource) unless {{ {TOKEN} && {TEXTS}getTag("token") == "boss" }};'
    a_bench.restarted(permits=permits_of(text))
    refused = await marked(a_bench, name="ada", token="\u27e6n0nce:x\u27e7")
    assert "p (test.cedar:1) permits it by the argument 'token', in which a secret stands" in why(refused)
    # Another policy may permit it for another reason.
    more = ' @id("q") permit(principal, action, resource) when { context.run_id == "r" };'
    a_bench.restarted(permits=permits_of(text + more))
    assert (await marked(a_bench, name="ada", token="\u27e6n0nce:x\u27e7")).error is None


async def marked(b: Bench, **arguments: str) -> Answer:
    return await b.executor.execute(
        tenant="acme",
        tool="fake.create",
        arguments_json=json.dumps(arguments, ensure_ascii=False),
        key="k",
        origin=Origin(run_id="r", procedure="hr/x"),
        secrets=MARKS,
    )


class Request(BaseModel):
    method: str
    amount: int = 10
    note: str = Field(default="", alias="Note")


class Nothing(BaseModel):
    pass


# The methods of the calls that it was asked about.
looked: list[str] = []
narrow = Connector("net", settings=Nothing)


@narrow.tool(effect=Effect.EXECUTE)
async def request(arguments: Request, context: ToolContext[Nothing]) -> Nothing:
    """Do anything."""
    return Nothing()


@request.narrow
async def _narrowed(arguments: Request, context: ToolContext[Nothing]) -> tuple[Effect, Idempotency]:
    looked.append(arguments.method)
    return (Effect.NONE if arguments.method == "get" else Effect.EXECUTE), Idempotency.NATIVE


def authorising(text: str, tmp_path: Path) -> Authorising:
    catalog = catalog_of(narrow, settings={("acme", "net"): Nothing()})
    contexts = contexts_of(catalog)
    return Authorising(catalog=catalog, contexts=contexts, permits=permits_of(text), now=clock.now)


ACME = Principal("acme")
READS = '@id("reads") permit(principal, action == Action::"read", resource);'


async def test_what_a_tool_does_by_its_arguments_decides(tmp_path: Path) -> None:
    asked = authorising(READS, tmp_path)
    assert (await asked.judge(ACME, Planned("net.request"))).verdict is Verdict.DEPENDS
    assert (await asked.judge(ACME, Planned("net.request", '{"method": "get"}'))).verdict is Verdict.ALLOWED
    assert (await asked.judge(ACME, Planned("net.request", '{"method": "put"}'))).verdict is Verdict.DENIED
    # A plan is not denied what might be permitted; what nothing permits is.
    assert asked.judge_plan(ACME, Planned("net.request", '{"method": "put"}')).verdict is Verdict.DEPENDS
    assert authorising("", tmp_path).judge_plan(ACME, Planned("net.request")).verdict is Verdict.DENIED


async def test_no_system_is_asked_what_a_call_does_that_is_denied_in_any_case(a_bench: Bench) -> None:
    catalog = catalog_of(narrow, settings={("acme", "net"): Nothing()})
    looked.clear()

    async def call(text: str) -> Answer:
        return await a_bench.restarted(catalog, permits=permits_of(text)).execute(
            tenant="acme", tool="net.request", arguments_json='{"method": "get"}', key="", origin=Origin()
        )

    assert "no policy permits tenant acme" in why(await call(""))
    asked = await authorising("", a_bench.folder).judge(ACME, Planned("net.request", '{"method": "get"}'))
    assert "no policy permits" in asked.explanation
    assert looked == []
    assert (await call(READS)).error is None
    assert looked == ["get"]


async def test_arguments_that_are_not_taken_are_told_and_fail_no_plan(tmp_path: Path) -> None:
    asked = authorising(READS, tmp_path)
    with pytest.raises(CallRefused, match="/method"):
        await asked.judge(ACME, Planned("net.request", "{}"))
    assert asked.judge_plan(ACME, Planned("net.request", "{}")).verdict is Verdict.DEPENDS
    assert asked.judge_plan(ACME, Planned("net.nothing")).verdict is Verdict.DEPENDS


FEW = """
@id("few") permit(principal, action, resource)
when { context.arguments.numbers.hasTag("amount") && context.arguments.numbers.getTag("amount") < 100 };
"""


@pytest.mark.parametrize(
    ("arguments", "unknown", "verdict"),
    [
        ('{"method": "x", "amount": 5}', (), Verdict.ALLOWED),
        ('{"method": "x", "amount": 500}', (), Verdict.DENIED),
        # The default of the tool's model is what it will see.
        ('{"method": "x"}', (), Verdict.ALLOWED),
        ('{"method": "${ .m }", "amount": 5}', ("/method",), Verdict.ALLOWED),
        ('{"method": "${ .m }", "amount": "500"}', ("/method",), Verdict.DENIED),
        ('{"method": "${ .m }", "amount": "${ .n }"}', ("/method", "/amount"), Verdict.DEPENDS),
        ('{"method": "${ .m }"}', ("/method",), Verdict.DEPENDS),
        ("", (), Verdict.DEPENDS),
    ],
)
def test_a_plan_is_judged_by_what_stands_in_it(
    tmp_path: Path, arguments: str, unknown: tuple[str, ...], verdict: Verdict
) -> None:
    made = authorising(FEW, tmp_path).judge_plan(ACME, Planned("net.request", arguments, unknown))
    assert made.verdict is verdict


@pytest.mark.parametrize(
    ("note", "unknown", "verdict"),
    [
        ("hush", (), Verdict.ALLOWED),
        ("hush", ("/method",), Verdict.ALLOWED),
        ("x", ("/method",), Verdict.DENIED),
        ("hush", ("/Note",), Verdict.DEPENDS),
        ("x", ("/Note", "/method"), Verdict.DEPENDS),
    ],
)
def test_what_is_an_expression_decides_nothing_and_names_are_those_of_the_schema(
    tmp_path: Path, note: str, unknown: tuple[str, ...], verdict: Verdict
) -> None:
    texts = "context.arguments.texts"
    condition = f'{texts}.hasTag("Note") && {texts}.getTag("Note") == "hush"'
    text = f'@id("n") permit(principal, action, resource) when {{ {condition} }};'
    arguments = json.dumps({"method": "m", "Note": note})
    made = authorising(text, tmp_path).judge_plan(ACME, Planned("net.request", arguments, unknown))
    assert made.verdict is verdict


@pytest.mark.parametrize("arguments", ["", '{"method": "put"}', '{"method": "${ $secrets.desk }"}'])
def test_a_plan_is_not_denied_for_secrets_that_its_calls_may_yet_be_given(tmp_path: Path, arguments: str) -> None:
    unknown = ("/method",) if "$" in arguments else ()
    planned = Planned("net.request", arguments, unknown)
    asked = authorising(
        '@id("d") permit(principal, action, resource) when { context.secrets.contains("desk") };', tmp_path
    )
    assert asked.judge_plan(ACME, planned).verdict is Verdict.DEPENDS


WITH_DESK = '(principal, action, resource) when { context.secrets.contains("desk") };'
DESK = f'@id("d") permit{WITH_DESK}'
BUT_DESK = f'@id("all") permit(principal, action, resource); @id("f") forbid{WITH_DESK}'
SENT, PART = '{"method": "put"}', '{"method": "put", "Note": "${ $secrets.desk }"}'


def told(*names: str, others: bool = False, hidden: tuple[str, ...] = ()) -> PlannedSecrets:
    return PlannedSecrets(frozenset(names), others, hidden)


@pytest.mark.parametrize("arguments", ["", SENT, PART])
@pytest.mark.parametrize(
    ("policies", "secrets", "verdict"),
    [
        (DESK, told("desk"), Verdict.ALLOWED),
        (DESK, told("other"), Verdict.DENIED),
        (DESK, told(), Verdict.DENIED),
        (DESK, told("other", others=True), Verdict.DEPENDS),
        (DESK, told("desk", others=True), Verdict.DEPENDS),
        (BUT_DESK, told("desk"), Verdict.DENIED),
        (BUT_DESK, told("other"), Verdict.ALLOWED),
        (BUT_DESK, told(others=True), Verdict.DEPENDS),
    ],
)
def test_what_is_known_of_the_secrets_of_a_plan_decides(
    tmp_path: Path, arguments: str, policies: str, secrets: PlannedSecrets, verdict: Verdict
) -> None:
    planned = Planned("net.request", arguments, ("/Note",) if arguments == PART else (), secrets)
    assert authorising(policies, tmp_path).judge_plan(ACME, planned).verdict is verdict


class Holding(BaseModel):
    token: str = "secret://desk"


@pytest.mark.parametrize("arguments", ["", SENT, PART])
async def test_a_plan_is_denied_the_secret_of_settings_that_no_policy_names(tmp_path: Path, arguments: str) -> None:
    holder = Connector("holder", settings=Holding)
    catalog = catalog_of(narrow, holder, settings={("acme", "net"): Nothing(), ("acme", "holder"): Holding()})

    def asked(policies: str) -> Authorising:
        return Authorising(catalog=catalog, contexts=contexts_of(catalog), permits=permits_of(policies), now=clock.now)

    anything = '@id("all") permit(principal, action, resource);'
    unknown = ("/Note",) if arguments == PART else ()
    for secrets in (told("desk"), told("desk", others=True)):
        denied = asked(anything).judge_plan(ACME, Planned("net.request", arguments, unknown, secrets))
        assert (
            denied.verdict is Verdict.DENIED
            and "the secret desk, which settings of acme refer to" in denied.explanation
        )
    for secrets in (told("other"), told(others=True), None):
        open_ = asked(anything).judge_plan(ACME, Planned("net.request", arguments, unknown, secrets))
        assert open_.verdict is Verdict.ALLOWED
    named = Planned("net.request", arguments, unknown, told("desk"))
    assert asked(DESK).judge_plan(ACME, named).verdict is Verdict.ALLOWED
    looked.clear()
    assert (await asked(anything).judge(ACME, named)).verdict is Verdict.DENIED
    assert looked == []


@pytest.mark.parametrize(
    ("hidden", "verdict"), [((), Verdict.DEPENDS), (("/Note",), Verdict.DENIED), (("/other",), Verdict.DEPENDS)]
)
def test_a_secret_in_a_plan_where_a_policy_looks_is_refused_there(
    tmp_path: Path, hidden: tuple[str, ...], verdict: Verdict
) -> None:
    text = '@id("n") permit(principal, action, resource) when { context.arguments.texts.hasTag("Note") };'
    planned = Planned("net.request", PART, ("/Note",), told("desk", hidden=hidden))
    made = authorising(text, tmp_path).judge_plan(ACME, planned)
    assert made.verdict is verdict
    assert verdict is Verdict.DEPENDS or "'Note', in which a secret stands" in made.explanation
