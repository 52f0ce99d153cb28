"""The conformance kit of the specification, every scenario on a real Temporal server.

The kit is not part of this repository, verbatim or otherwise: it is read from a copy of the specification
that the user has, `make conformance SPECIFICATION=<clone>`. Without one these tests are skipped, also where
CI is set: nothing is lost, since `tests/workflow/test_conformance.py` states the same behaviours in our own
words and always runs. The pet store and the echo server that the kit calls are stood in for on loopback.
"""

from __future__ import annotations

import functools

import pytest
from gherkin.pickles.compiler import Pickle

from tests.conformance import gherkin_steps, specification
from tests.conformance.stand_ins import stood_in
from tests.support.scenario_stages import Stages

FOLDER = "ctk/features"

KIT = [
    (f"{name.removesuffix('.feature')}: {pickle['name']}", pickle)
    for name, text in specification.texts(FOLDER, ".feature")
    for pickle in gherkin_steps.scenarios(text)
]


@pytest.mark.parametrize("pickle", specification.parameters(KIT))
async def test_a_scenario_of_the_kit_holds(stages: Stages, pickle: Pickle) -> None:
    scenario = gherkin_steps.read(pickle, functools.partial(stood_in, store=stages.store))
    played = await stages.temporal.play(scenario.played())
    for check in scenario.checks:
        check(played)
