"""The input of a scenario's run, as the planner would make it."""

from __future__ import annotations

from factotum.procedures.parse import parse_raw
from factotum.workflows.contract import RunInput
from tests.support.scenario import Json, Scenario, headed
from tests.support.scenario_tools import TENANT


def run_input(scenario: Scenario) -> RunInput:
    """Raises `FaultyDocument`."""
    return RunInput(
        tenant=TENANT,
        document=parse_raw(headed(scenario.document)).raw,
        input=scenario.input,
        documents={reference(document): document for document in map(headed, scenario.documents)},
        functions=scenario.functions,
    )


def reference(document: dict[str, Json]) -> str:
    """namespace/name:version."""
    head = document["document"]
    return f"{head['namespace']}/{head['name']}:{head['version']}"
