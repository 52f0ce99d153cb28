"""What tools answer in a simulation: faults that were asked for, recorded observations, or made-up outputs."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from jsonschema import Draft202012Validator
from pydantic import Field, model_validator
from pydantic_core import PydanticCustomError

from factotum.procedures import schemas
from factotum.procedures.check import Catalog
from factotum.procedures.duration import Duration
from factotum.procedures.protocols import PROCESSES
from factotum.procedures.shapes import Closed
from factotum.sdk import errors as sdk_errors
from factotum.sdk.errors import ToolError
from factotum.simulation.examples import Examples
from factotum.workflows.step import Step

Json = Any

# The kinds of error that a tool may answer, and what is known of each.
KINDS: dict[str, type[ToolError]] = {
    kind.kind: kind
    for kind in vars(sdk_errors).values()
    if isinstance(kind, type) and issubclass(kind, ToolError) and kind is not ToolError
}
DEFAULT_KIND = "conflict"
# What a value breaks by what it is made of, not by what stands in it.
OF_TYPES = frozenset(("type", "required", "additionalProperties"))
UNDO = "/metadata/compensate"
_FAULT = re.compile(r"(?P<pointer>/[^@=]+)(?:@(?P<attempt>[1-9]\d*))?(?:=(?P<kind>[a-z_]+)(?::(?P<status>\d{3}))?)?")


class ToolFault(Closed):
    """The error that a tool answers with."""

    kind: str = DEFAULT_KIND
    message: str = "made to fail in the simulation"
    status: int | None = Field(default=None, ge=100, le=599)

    @model_validator(mode="after")
    def _known(self) -> ToolFault:
        if self.kind not in KINDS:
            kinds = ", ".join(KINDS)
            raise PydanticCustomError("kind", "{kind} is none of {kinds}", {"kind": self.kind, "kinds": kinds})
        return self

    @property
    def retryable(self) -> bool:
        return KINDS[self.kind].retryable

    @property
    def effect_possible(self) -> bool:
        return KINDS[self.kind].effect_possible


class Observation(Closed):
    """What a tool answered once.

    `step` and `iteration` say of which call; without them it is of any call of the tool. `takes` is how
    long the call takes. Each is used once, in the order of the file, those that name a step first; when
    none is left the last one is used again.
    """

    tool: str
    step: str | None = None
    iteration: str | None = None
    output: Json = None
    error: ToolFault | None = None
    takes: Duration | None = None

    def is_of(self, step: Step) -> bool:
        where = f"{step.pointer}{UNDO}" if step.compensation else step.pointer
        return (
            self.tool == step.tool
            and self.step in (None, where)
            and self.iteration in (None, step.iteration.partition("#")[0])
        )


@dataclass(frozen=True, slots=True)
class Injected:
    """A fault that was asked for: of every call at or below a task, or of the one that is tried so often.

    A call that undoes is meant only by a pointer that names it: `/do/0/x/metadata/compensate`.
    """

    pointer: str
    fault: ToolFault
    attempt: int | None = None

    def is_of(self, around: Sequence[str], step: Step, attempt: int) -> bool:
        if self.attempt not in (None, attempt):
            return False
        if step.compensation:
            return self.pointer == f"{step.pointer}{UNDO}"
        return self.pointer in around


def injected(text: str) -> Injected:
    """From `POINTER[@ATTEMPT][=KIND[:STATUS]]`. Raises `ValueError`."""
    found = _FAULT.fullmatch(text)
    if found is None:
        raise ValueError(f"{text!r} is not POINTER[@ATTEMPT][=KIND[:STATUS]], such as /do/1/pay=unavailable:503")
    kind = found["kind"] or DEFAULT_KIND
    if kind not in KINDS:
        raise ValueError(f"{kind!r} is no kind of error: {', '.join(KINDS)}")
    status = int(found["status"]) if found["status"] else None
    attempt = int(found["attempt"]) if found["attempt"] else None
    return Injected(found["pointer"], ToolFault(kind=kind, status=status), attempt)


@dataclass(frozen=True, slots=True)
class Answer:
    """`lasting`: the next attempt is answered in the same way. `open`: the value is one of any."""

    output: Json = None
    fault: ToolFault | None = None
    seconds: float = 0.0
    lasting: bool = False
    open: bool = False


class Answers:
    """Answers calls: an injected fault before an observation, an observation before an example.

    Attributes:
        refused: by step, the rule of its tool's schema that the arguments broke last.
    """

    def __init__(
        self,
        catalog: Catalog,
        examples: Examples,
        observations: Iterable[Observation] = (),
        faults: Iterable[Injected] = (),
    ) -> None:
        self._catalog = catalog
        self._examples = examples
        self._observations = sorted(observations, key=_generality)
        self._used = Counter[int]()
        self._faults = list(faults)
        self.refused: dict[str, str] = {}

    def to(self, step: Step, around: Sequence[str], attempt: int) -> Answer:
        """The answer to one attempt of a call.

        Args:
            around: the pointers of the call's task and of the tasks that it is in.
            attempt: the how-manieth it is, from 1.

        Raises `NoExample`.
        """
        for injection in self._faults:
            if injection.is_of(around, step, attempt):
                return Answer(fault=injection.fault, lasting=injection.attempt is None)
        if (refusal := self._refusal(step)) is not None:
            return Answer(fault=refusal, lasting=True)
        fitting = [at for at, observation in enumerate(self._observations) if observation.is_of(step)]
        if fitting:
            at = next((at for at in fitting if not self._used[at]), fitting[-1])
            self._used[at] += 1
            found = self._observations[at]
            lasting = all(self._used[each] for each in fitting)
            seconds = 0.0 if found.takes is None else found.takes.total_seconds
            return Answer(found.output, found.error, seconds, lasting)
        return self._example(step)

    def _refusal(self, step: Step) -> ToolFault | None:
        """What a tool says of arguments that its schema does not take; marks of secrets are not the values."""
        spec = self._catalog.get(step.tool)
        if spec is None or step.secrets is not None:
            return None
        validator = Draft202012Validator(spec.input_schema, registry=schemas.NOTHING_REMOTE)
        errors = sorted(validator.iter_errors(step.arguments), key=lambda error: error.validator not in OF_TYPES)
        if not errors:
            return None
        error = errors[0]
        self.refused[step.pointer] = str(error.validator)
        where = "".join(f"/{token}" for token in error.absolute_path) or "the arguments"
        return ToolFault(kind="invalid_argument", message=f"{step.tool}: {where}: {error.message}")

    def _example(self, step: Step) -> Answer:
        spec = self._catalog.get(step.tool)
        if spec is None:
            return Answer({}, open=True)
        self._examples.open = False
        schema = _narrowed(spec.output_schema, step)
        output = self._examples.of(schema, step.tool.partition(".")[2])
        if isinstance(output, dict):
            output = _echoed(output, step.arguments, schema)
        return Answer(output, open=self._examples.open)


def _generality(observation: Observation) -> tuple[bool, bool]:
    return observation.step is None, observation.iteration is None


def _narrowed(schema: Mapping[str, Json], step: Step) -> Mapping[str, Json]:
    """A process gives what `return` asked for, which its schema cannot say."""
    if step.tool not in PROCESSES.values():
        return schema
    kinds = {"stdout": "string", "stderr": "string", "code": "integer", "none": "null", "all": "object"}
    kind = kinds.get(str(step.arguments.get("return", "stdout")), "string")
    if kind == "object":
        text = {"type": "string"}
        return {
            "type": "object",
            "properties": {"code": {"const": 0}, "stdout": text, "stderr": text},
            "required": ["code", "stdout", "stderr"],
        }
    return {"const": 0} if kind == "integer" else {"type": kind}


def _echoed(output: dict[str, Json], arguments: Mapping[str, Json], schema: Mapping[str, Json]) -> dict[str, Json]:
    """The output with what tools usually give back as they were given it, where the schema takes it."""
    validator = Draft202012Validator(dict(schema), registry=schemas.NOTHING_REMOTE)
    for name in output.keys() & arguments.keys():
        echoed = {**output, name: arguments[name]}
        if validator.is_valid(echoed):
            output = echoed
    return output
