"""Documents of the Open Workflow DSL 1.0.x as typed, closed models.

Source: the DSL reference of the CNCF Serverless Workflow specification 1.0.3. A task is recognised by
the one property that names its kind (`call`, `set`, …). To add a kind of task: a model here, an entry
in `TASKS`, and a method of `workflows.interpreter.Interpreter`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Annotated, Any, ClassVar, Literal

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    PlainSerializer,
    SerializeAsAny,
    field_validator,
    model_validator,
)
from pydantic_core import PydanticCustomError

from factotum.procedures.duration import Duration
from factotum.procedures.items import single_items

NAME = r"^[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?$"
SEMVER = r"^(0|[1-9]\d*)\.(0|[1-9]\d*)\.(0|[1-9]\d*)(?:-[0-9A-Za-z.-]+)?(?:\+[0-9A-Za-z.-]+)?$"

Json = Any


class Closed(BaseModel):
    """Immutable; an unknown property is an error."""

    model_config = ConfigDict(frozen=True, extra="forbid", populate_by_name=True)


class Schema(Closed):
    """A JSON Schema, inline."""

    format: Literal["json"] = "json"
    document: dict[str, Json]


class Input(Closed):
    schema_: Schema | None = Field(default=None, alias="schema")
    from_: Json = Field(default=None, alias="from")


class Output(Closed):
    schema_: Schema | None = Field(default=None, alias="schema")
    as_: Json = Field(default=None, alias="as")


class Export(Output):
    """`export.as` gives the new `$context`."""


class Compensate(Closed):
    """The call that undoes a step; its arguments are evaluated on the step's output."""

    call: str
    with_: dict[str, Json] = Field(default={}, alias="with")


class Task(Closed):
    """What every task may have."""

    kind: ClassVar[str]

    if_: str | None = Field(default=None, alias="if")
    input: Input = Input()
    output: Output = Output()
    export: Export = Export()
    then: str = "continue"
    metadata: dict[str, Json] = {}

    @property
    def summary(self) -> str:
        """One line for people: the task's `metadata.summary`; may hold expressions."""
        return str(self.metadata.get("summary", ""))

    @property
    def compensate(self) -> Compensate | None:
        """How the task is undone: its `metadata.compensate`."""
        found = self.metadata.get("compensate")
        return None if found is None else Compensate.model_validate(found)

    @field_validator("metadata")
    @classmethod
    def _compensate_is_well_formed(cls, value: dict[str, Json]) -> dict[str, Json]:
        if "compensate" in value:
            Compensate.model_validate(value["compensate"])
        return value


class NamedTask(Closed):
    name: str
    task: SerializeAsAny[Task]


def _named_tasks(value: object) -> object:
    return tuple(
        single_items(value, "- name: {call: …}", lambda name, body: NamedTask(name=name, task=task_of(body)), NamedTask)
    )


def _as_list(tasks: tuple[NamedTask, ...]) -> list[dict[str, Json]]:
    return [{named.name: named.task.model_dump(by_alias=True, exclude_defaults=True)} for named in tasks]


Tasks = Annotated[tuple[NamedTask, ...], BeforeValidator(_named_tasks), PlainSerializer(_as_list)]


class CallTask(Task):
    """Calls a tool of the catalog."""

    kind = "call"
    call: str
    with_: dict[str, Json] = Field(default={}, alias="with")


class DoTask(Task):
    kind = "do"
    do: Tasks


class SetTask(Task):
    kind = "set"
    set: dict[str, Json] | str


class ForLoop(Closed):
    each: str = "item"
    in_: str = Field(alias="in")
    at: str = "index"


class ForTask(Task):
    kind = "for"
    for_: ForLoop = Field(alias="for")
    while_: str | None = Field(default=None, alias="while")
    do: Tasks


class Fork(Closed):
    branches: Tasks
    compete: Literal[False] = False


class ForkTask(Task):
    kind = "fork"
    fork: Fork


class Case(Closed):
    when: str | None = None
    then: str


class NamedCase(Closed):
    name: str
    case: Case


def _named_cases(value: object) -> object:
    found = single_items(
        value,
        "- name: {when: …, then: …}",
        lambda name, body: NamedCase(name=name, case=Case.model_validate(body)),
        NamedCase,
    )
    if not found:
        raise PydanticCustomError("items", "must have at least one case")
    if sum(named.case.when is None for named in found) > 1:
        raise PydanticCustomError("items", "only one case may have no `when`: it is the default")
    return tuple(found)


class SwitchTask(Task):
    kind = "switch"
    switch: Annotated[
        tuple[NamedCase, ...],
        BeforeValidator(_named_cases),
        PlainSerializer(lambda cases: [{c.name: c.case.model_dump(exclude_defaults=True)} for c in cases]),
    ]


class ErrorFilter(Closed):
    """An error matches if it has every property named here."""

    with_: dict[str, Json] = Field(default={}, alias="with")


class Backoff(Closed):
    """Exactly one of the three; none: constant."""

    constant: dict[str, Json] | None = None
    linear: dict[str, Json] | None = None
    exponential: dict[str, Json] | None = None

    @model_validator(mode="after")
    def _one(self) -> Backoff:
        if sum(x is not None for x in (self.constant, self.linear, self.exponential)) > 1:
            raise PydanticCustomError("backoff", "name one of constant, linear and exponential")
        return self


class AttemptLimit(Closed):
    count: int | None = Field(default=None, ge=1)


class RetryLimit(Closed):
    attempt: AttemptLimit = AttemptLimit()


class Retry(Closed):
    when: str | None = None
    except_when: str | None = Field(default=None, alias="exceptWhen")
    delay: Duration = Duration()
    backoff: Backoff = Backoff()
    limit: RetryLimit = RetryLimit()


class Catch(Closed):
    errors: ErrorFilter = ErrorFilter()
    as_: str = Field(default="error", alias="as")
    when: str | None = None
    except_when: str | None = Field(default=None, alias="exceptWhen")
    retry: Retry | None = None
    do: Tasks = ()


class TryTask(Task):
    kind = "try"
    try_: Tasks = Field(alias="try")
    catch: Catch


class ErrorDefinition(Closed):
    """An RFC 9457 problem; `title` and `detail` may be expressions."""

    type: str
    status: int = Field(ge=100, le=599)
    title: str | None = None
    detail: str | None = None


class Raise(Closed):
    error: ErrorDefinition


class RaiseTask(Task):
    kind = "raise"
    raise_: Raise = Field(alias="raise")


class WaitTask(Task):
    kind = "wait"
    wait: Duration


# In the order in which a task's kind is recognised: `for` has a `do` of its own.
TASKS: dict[str, type[Task]] = {
    model.kind: model
    for model in (CallTask, ForTask, ForkTask, SetTask, SwitchTask, TryTask, RaiseTask, WaitTask, DoTask)
}
# Kinds of the language that this version does not carry out; they are refused, not passed over.
UNSUPPORTED = ("emit", "listen", "run")


def task_of(body: object) -> Task:
    """The typed task of a mapping. Raises a pydantic error that names the property at fault."""
    if isinstance(body, Task):
        return body
    if not isinstance(body, Mapping):
        raise PydanticCustomError("task", "a task must be a mapping")
    for kind, model in TASKS.items():
        if kind in body:
            return model.model_validate(body)
    for kind in UNSUPPORTED:
        if kind in body:
            raise PydanticCustomError("task", "`{kind}` tasks are not carried out by this version", {"kind": kind})
    raise PydanticCustomError("task", "a task must have one of: {kinds}", {"kinds": ", ".join(TASKS)})


class EventFilter(Closed):
    """Which events are meant: attribute by attribute, a constant, a regular expression or an expression."""

    with_: dict[str, Json] = Field(alias="with", min_length=1)


class EventConsumption(Closed):
    """Exactly one of `one` and `any`."""

    one: EventFilter | None = None
    any: tuple[EventFilter, ...] | None = None

    @model_validator(mode="after")
    def _exactly_one(self) -> EventConsumption:
        if (self.one is None) == (self.any is None):
            raise PydanticCustomError("consumption", "name exactly one of `one` and `any`")
        return self

    @property
    def filters(self) -> tuple[EventFilter, ...]:
        return (self.one,) if self.one is not None else (self.any or ())


class Schedule(Closed):
    on: EventConsumption


class DocumentHeader(Closed):
    dsl: str = Field(pattern=r"^1\.0\.\d+(?:-.+)?$")
    namespace: str = Field(pattern=NAME)
    name: str = Field(pattern=NAME)
    version: str = Field(pattern=SEMVER)
    title: str = ""
    summary: str = ""
    tags: dict[str, str] = {}
    metadata: dict[str, Json] = {}


class Document(Closed):
    """A procedure, or a plan: the same thing."""

    document: DocumentHeader
    schedule: Schedule | None = None
    input: Input = Input()
    output: Output = Output()
    do: Tasks = Field(min_length=1)

    @property
    def full_name(self) -> str:
        """namespace/name."""
        return f"{self.document.namespace}/{self.document.name}"


def children(task: Task) -> Iterator[tuple[str, tuple[NamedTask, ...]]]:
    """The lists of tasks inside a task, each with its pointer relative to the task."""
    match task:
        case ForTask() | DoTask():
            yield "/do", task.do
        case ForkTask():
            yield "/fork/branches", task.fork.branches
        case TryTask():
            yield "/try", task.try_
            yield "/catch/do", task.catch.do
        case _:
            return


def walk(tasks: tuple[NamedTask, ...], pointer: str = "/do") -> Iterator[tuple[str, NamedTask]]:
    """Every task below a list, outer before inner, with its JSON pointer (`/do/0/createAccount`)."""
    for index, named in enumerate(tasks):
        here = f"{pointer}/{index}/{named.name}"
        yield here, named
        for relative, inner in children(named.task):
            yield from walk(inner, here + relative)
