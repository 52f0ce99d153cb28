"""The examples of the specification: all are read, linted and written again; what needs no server of others runs.

They are not part of this repository: see `test_kit`.
"""

from __future__ import annotations

import asyncio

import pytest

from factotum.procedures.check import Catalog, check
from factotum.procedures.parse import parse, parse_raw
from factotum.tool_executor import registry
from tests.conformance import plays, specification
from tests.conformance.stand_ins import stood_in
from tests.support.scenario import Scenario, judge
from tests.support.scenario_stages import Stages

EXAMPLES = {name.removesuffix(".yaml"): text for name, text in specification.texts("examples", ".yaml")}
RUNS = {**plays.ALONE, **plays.PET_STORE}


@pytest.fixture(scope="module")
def catalog() -> Catalog:
    return {tool.spec.name: tool.spec for tool in registry.load(None).tools}


@pytest.mark.parametrize("name", specification.parameters([(name, name) for name in EXAMPLES]))
def test_an_example_is_faultless_and_survives_a_round_trip(catalog: Catalog, name: str) -> None:
    source = parse(EXAMPLES[name])
    assert [str(fault) for fault in check(source, catalog)] == []
    written = source.document.model_dump(mode="json", by_alias=True, exclude_defaults=True)
    assert parse_raw(written).document == source.document


@pytest.mark.parametrize("name", specification.parameters([(name, name) for name in RUNS]))
async def test_an_example_runs(stages: Stages, name: str) -> None:
    document = parse(stood_in(EXAMPLES[name], stages.store)).raw

    async def run(play: plays.Play) -> None:
        scenario = Scenario(
            scenario=name,
            document=document,
            input=play.input,
            events=play.events,
            documents=play.documents,
            functions=play.functions,
        )
        judge(play.expect, await stages.temporal.play(scenario))

    await asyncio.gather(*map(run, RUNS[name]))


@pytest.mark.parametrize("_", specification.parameters([("all of them", None)]))
def test_every_example_is_run_or_known_to_need_others(_: None) -> None:
    assert set(EXAMPLES) == RUNS.keys() | plays.OUTSIDE
