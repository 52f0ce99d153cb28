"""From what a person gives on the command line or in a case to a scenario of the simulation."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import Any

from jsonschema import Draft202012Validator
from pydantic import TypeAdapter, ValidationError

from factotum.cli.documents import resolved
from factotum.cli.errors import BadInput
from factotum.procedures import schemas
from factotum.procedures.check import Catalog
from factotum.procedures.checks import nearest
from factotum.procedures.checks.scopes import tasks
from factotum.procedures.duration import Duration
from factotum.procedures.model import Document
from factotum.simulation.answers import UNDO, Injected, Observation, injected
from factotum.simulation.examples import Examples, NoExample, Style
from factotum.simulation.inputs import input_for
from factotum.simulation.people import People
from factotum.simulation.simulation import START, Arrival, Scenario

Json = Any

_OBSERVATIONS = TypeAdapter(list[Observation])


@dataclass(frozen=True, slots=True)
class Told:
    """What a person says of a simulation.

    Attributes:
        has_input: whether `input` is what the run is given; else that is made up.
    """

    has_input: bool = False
    input: Json = None
    events: Json = field(default_factory=list)
    observations: Json = field(default_factory=list)
    fail: Sequence[str] = ()
    deny: Sequence[str] = ()
    undecided: Sequence[str] = ()
    seed: int = 0


def scenario_of(file: Path, folders: Iterable[Path], catalog: Catalog, told: Told, tenant: str) -> Scenario:
    """The document of the file with all that it meets. Raises `BadInput`."""
    found = asyncio.run(resolved(file, folders, catalog))
    document = found.source.document
    style: Style = "full" if told.seed == 0 else "mixed"
    examples = Examples(Random(told.seed), style)  # noqa: S311 - made to be repeated
    steps = _steps([document, *(source.document for _, source in found.procedures)])
    try:
        given = told.input if told.has_input else input_for(document, examples, START)
    except NoExample as error:
        raise BadInput(f"{error}: give an input") from error
    return Scenario(
        raw=found.source.raw,
        input=given,
        catalog=catalog,
        documents=found.documents,
        functions=found.functions,
        observations=observations_of(told.observations, catalog),
        faults=[_fault(text, steps) for text in told.fail],
        events=events_of(told.events),
        people=People(_known(told.deny, steps, "deny"), _known(told.undecided, steps, "undecided")),
        seed=told.seed,
        style=style,
        tenant=tenant,
    )


def observations_of(value: Json, catalog: Catalog) -> list[Observation]:
    """Raises `BadInput`, also for an output that the tool's schema does not take."""
    try:
        found = _OBSERVATIONS.validate_python(value)
    except ValidationError as error:
        fault = error.errors(include_url=False)[0]
        where = "/".join(map(str, fault["loc"]))
        raise BadInput(f"the observations are not `[{{tool, output | error}}]`: {where}: {fault['msg']}") from error
    for index, observation in enumerate(found):
        spec = catalog.get(observation.tool)
        if spec is None:
            raise BadInput(f"observation {index}: there is no tool {observation.tool}")
        validator = Draft202012Validator(spec.output_schema, registry=schemas.NOTHING_REMOTE)
        wrong = next(iter(validator.iter_errors(observation.output)), None)
        if observation.error is None and wrong is not None:
            at = "/".join(map(str, wrong.absolute_path))
            raise BadInput(f"observation {index}: {observation.tool} gives no such output: {at}: {wrong.message}")
    return found


def events_of(value: Json) -> list[Arrival]:
    """Raises `BadInput`."""
    if not isinstance(value, list) or not all(isinstance(each, dict) for each in value):
        raise BadInput("events are a list of `{type, source?, data?, after?: PT5M}`")
    found = []
    for index, given in enumerate(value):
        try:
            after = Duration.model_validate(given.get("after", "PT0S")).total_seconds
        except ValidationError as error:
            raise BadInput(f"event {index}: `after` is no duration: {error.errors()[0]['msg']}") from error
        event = {name: inner for name, inner in given.items() if name != "after"}
        defaults = {"specversion": "1.0", "id": f"event-{index + 1}", "source": "/simulation"}
        found.append(Arrival(after, {**defaults, **event}))
    return found


def _steps(documents: Iterable[Document]) -> list[str]:
    return [scoped.pointer for document in documents for scoped in tasks(document)]


def _fault(text: str, steps: Sequence[str]) -> Injected:
    try:
        found = injected(text)
    except ValueError as error:
        raise BadInput(f"fail: {error}") from error
    _known([found.pointer.removesuffix(UNDO)], steps, "fail")
    return found


def _known(pointers: Sequence[str], steps: Sequence[str], where: str) -> Sequence[str]:
    for pointer in pointers:
        if pointer not in steps:
            raise BadInput(f"{where}: there is no step {pointer}. {nearest.among(pointer, steps)}")
    return pointers
