"""Every construct of the language, on a real Temporal server and in memory, with the same expectation.

The scenarios are our own: they cover what the conformance kit of the specification covers, and what its
examples use. The kit itself is not redistributed; `make conformance` runs it from a copy that the user has.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest
import pytest_asyncio

from factotum.procedures.check import Catalog, check
from factotum.procedures.parse import parse_raw
from factotum.sdk.spec import Effect, Idempotency, ToolSpec
from factotum.tool_executor import registry
from tests.support.machine import needs
from tests.support.scenario import Performance, Scenario, headed, judge, scenarios
from tests.support.scenario_stages import Stages, scenario_stages

SCENARIOS = [pytest.param(scenario, id=name) for name, scenario in scenarios(Path(__file__).with_name("conformance"))]
# Most of a scenario's time is a timer's or the server's: they wait together.
AT_ONE_TIME = 8

Played = Callable[[Scenario], asyncio.Future[Performance]]


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def stages(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Stages]:
    async with scenario_stages(tmp_path_factory.mktemp("scenarios")) as made:
        yield made


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def on_temporal(stages: Stages, request: pytest.FixtureRequest) -> AsyncIterator[Played]:
    """How a scenario of the chosen tests ends on Temporal; all begin with the first."""
    turn = asyncio.Semaphore(AT_ONE_TIME)

    async def play(scenario: Scenario) -> Performance:
        async with turn:
            return await stages.play("temporal", scenario)

    chosen: list[Scenario] = [
        item.callspec.params["scenario"]
        for item in request.session.items
        if isinstance(item, pytest.Function) and item.function is test_a_scenario_ends_as_expected_on_temporal
    ]
    played = {scenario.scenario: asyncio.ensure_future(play(scenario)) for scenario in chosen}
    yield lambda scenario: played[scenario.scenario]
    for task in played.values():
        task.cancel()
    await asyncio.gather(*played.values(), return_exceptions=True)


@pytest.mark.parametrize("scenario", SCENARIOS)
async def test_a_scenario_ends_as_expected_on_temporal(on_temporal: Played, scenario: Scenario) -> None:
    _has_what_it_needs(scenario)
    judge(scenario.expect, await on_temporal(scenario))


@pytest.mark.parametrize("scenario", SCENARIOS)
async def test_a_scenario_ends_as_expected_in_memory(stages: Stages, scenario: Scenario) -> None:
    _has_what_it_needs(scenario)
    judge(scenario.expect, await stages.play("memory", scenario))


@pytest.fixture(scope="module")
def installed() -> Catalog:
    return {tool.spec.name: tool.spec for tool in registry.load(None).tools}


def _has_what_it_needs(scenario: Scenario) -> None:
    if scenario.sandbox:
        needs("bwrap", "prlimit", "setpriv", what="running a command in a sandbox")


def _anything(name: str) -> ToolSpec:
    return ToolSpec(
        name=name,
        version="1.0.0",
        description="Scripted.",
        effect=Effect.CREATE,
        idempotency=Idempotency.NATIVE,
        input_schema={"type": "object"},
        output_schema={},
        timeout_seconds=10.0,
    )


@pytest.mark.parametrize("scenario", SCENARIOS)
def test_a_check_finds_what_is_wrong_and_nothing_else(installed: Catalog, scenario: Scenario) -> None:
    scripted = {name: _anything(name) for name in scenario.tools}
    faults = [str(fault) for fault in check(parse_raw(headed(scenario.document)), {**scripted, **installed})]
    assert len(faults) == bool(scenario.lint)
    assert all(scenario.lint in fault for fault in faults)


@pytest.mark.parametrize("scenario", SCENARIOS)
def test_a_document_survives_a_round_trip(scenario: Scenario) -> None:
    document = parse_raw(headed(scenario.document)).document
    written = document.model_dump(mode="json", by_alias=True, exclude_defaults=True)
    assert parse_raw(written).document == document
