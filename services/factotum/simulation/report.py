"""A simulation as JSON: what programs read."""

from __future__ import annotations

from typing import Any

from factotum.sdk.spec import Effect
from factotum.simulation.effects import EMIT
from factotum.simulation.record import Effected
from factotum.simulation.simulation import Scenario, Simulated

Json = Any


def done(simulated: Simulated) -> list[Effected]:
    """The calls that changed something and the events, in their order; those that undo are left out."""
    return [
        each
        for each in simulated.record.effects
        if each.error is None and not each.compensation and each.effect != Effect.NONE.value
    ]


def what(effected: Effected) -> str:
    """In one word: the tool, or `emit TYPE` for an event."""
    return effected.tool or f"{EMIT} {effected.arguments.get('type', '')}"


def as_json(scenario: Scenario, simulated: Simulated) -> Json:
    header = scenario.raw["document"]
    ending = simulated.ending
    return {
        "procedure": f"{header['namespace']}/{header['name']}",
        "version": header["version"],
        "status": simulated.status,
        "input": scenario.input,
        "output": simulated.output,
        "error": simulated.error,
        "started_at": scenario.start.isoformat(),
        "duration_seconds": simulated.duration,
        "effects": [each.as_json() for each in simulated.record.effects],
        "emitted": simulated.emitted,
        "undone": [] if ending is None else ending.compensated,
        "tasks": [] if ending is None else [task.model_dump(mode="json") for task in ending.tasks],
        "waits": [{"step": node.pointer, "for": reason} for node, reason in simulated.waits],
        "coverage": {name: found.as_json() for name, found in sorted(simulated.coverage.items())},
        "tree": [each.as_json() for each in simulated.record.root.inside],
        "undoing": [each.as_json() for each in simulated.record.undoing.inside],
    }
