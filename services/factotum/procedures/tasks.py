"""The tasks of the Open Workflow DSL 1.0.x as typed, closed models.

Source: the DSL reference of the CNCF Serverless Workflow specification 1.0.3. A task is recognised by
the one property that names its kind (`call`, `set`, …). To add a kind of task: a model here, an entry
in `TASKS`, and a handler in `workflows.interpreter`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Annotated, Any, ClassVar, Literal

from pydantic import (
    BeforeValidator,
    Field,
    PlainSerializer,
    SerializeAsAny,
    ValidationError,
    field_validator,
    model_validator,
)
from pydantic_core import InitErrorDetails, PydanticCustomError

from factotum.procedures.consumption import EventConsumption
from factotum.procedures.duration import Lapse
from factotum.procedures.items import moved, single_items
from factotum.procedures.metadata import Approval, Compensate
from factotum.procedures.retries import Retry
from factotum.procedures.shapes import Closed, Export, Input, Output, TimeoutOrName, text_or

NAME = r"^[a-zA-Z0-9](?:[a-zA-Z0-9-]{0,61}[a-zA-Z0-9])?$"

Json = Any


class Task(Closed):
    """What every task may have."""

    kind: ClassVar[str]

    if_: str | None = Field(default=None, alias="if")
    input: Input = Input()
    output: Output = Output()
    export: Export = Export()
    timeout: TimeoutOrName | None = None
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

    @property
    def approval(self) -> Approval | None:
        """Who must agree before the task is carried out: its `metadata.approval`."""
        found = self.metadata.get("approval")
        return None if found is None else Approval.model_validate(found)

    @field_validator("metadata")
    @classmethod
    def _ours_is_well_formed(cls, value: dict[str, Json]) -> dict[str, Json]:
        faults: list[InitErrorDetails] = []
        for name, model in (("compensate", Compensate), ("approval", Approval)):
            if name in value:
                try:
                    model.model_validate(value[name])
                except ValidationError as error:
                    faults += [moved(dict(fault), (name,)) for fault in error.errors()]
        if faults:
            raise ValidationError.from_exception_data("metadata", faults)
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


class ForeachEvent(Closed):
    """What is done with each event or message before the next one is taken."""

    item: str = "item"
    at: str = "index"
    do: Tasks = ()
    output: Output = Output()
    export: Export = Export()


class Consume(Closed):
    """How long a subscription lasts: exactly one of `amount`, `while` and `until`, for at most `for`."""

    for_: Lapse | None = Field(default=None, alias="for")
    amount: int | None = Field(default=None, ge=1)
    while_: str | None = Field(default=None, alias="while")
    until: str | None = None

    @model_validator(mode="after")
    def _one(self) -> Consume:
        if sum(x is not None for x in (self.amount, self.while_, self.until)) != 1:
            raise PydanticCustomError("consume", "name exactly one of `amount`, `while` and `until`")
        return self


class Subscription(Closed):
    filter: str | None = None
    consume: Consume
    foreach: ForeachEvent | None = None


class CallTask(Task):
    """Calls a protocol (`http`, …), a tool of the catalog, or a function."""

    kind = "call"
    call: str = Field(min_length=1)
    with_: dict[str, Json] = Field(default={}, alias="with")

    @property
    def subscription(self) -> Subscription | None:
        """What an AsyncAPI call listens to."""
        found = self.with_.get("subscription") if self.call == "asyncapi" else None
        return None if found is None else Subscription.model_validate(found)

    @model_validator(mode="after")
    def _subscription_is_well_formed(self) -> CallTask:
        try:
            _ = self.subscription
        except ValidationError as error:
            faults = [moved(dict(fault), ("with", "subscription")) for fault in error.errors()]
            raise ValidationError.from_exception_data("call", faults) from error
        return self


class DoTask(Task):
    kind = "do"
    do: Tasks


def _set(value: object) -> object:
    if not isinstance(value, Mapping | str):
        raise PydanticCustomError("set", "must be a mapping, or an expression that gives one")
    return dict(value) if isinstance(value, Mapping) else value


class SetTask(Task):
    kind = "set"
    set: Annotated[dict[str, Json] | str, BeforeValidator(_set)]


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
    compete: bool = False


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


class Catch(Closed):
    errors: ErrorFilter = ErrorFilter()
    as_: str = Field(default="error", alias="as")
    when: str | None = None
    except_when: str | None = Field(default=None, alias="exceptWhen")
    retry: Annotated[str | Retry, text_or(Retry, "a policy, or a name under `use.retries`")] | None = None
    do: Tasks = ()


class TryTask(Task):
    kind = "try"
    try_: Tasks = Field(alias="try")
    catch: Catch


class ErrorDefinition(Closed):
    """An RFC 9457 problem; the texts may be expressions."""

    type: str
    status: int = Field(ge=100, le=599)
    title: str | None = None
    detail: str | None = None
    # The reference has it ignored: the step that raises is the instance.
    instance: str | None = None


class Raise(Closed):
    error: Annotated[str | ErrorDefinition, text_or(ErrorDefinition, "an error, or a name under `use.errors`")]


class RaiseTask(Task):
    kind = "raise"
    raise_: Raise = Field(alias="raise")


class WaitTask(Task):
    kind = "wait"
    wait: Lapse


class EmittedEvent(Closed):
    with_: dict[str, Json] = Field(alias="with")

    @field_validator("with_")
    @classmethod
    def _named(cls, value: dict[str, Json]) -> dict[str, Json]:
        missing = [name for name in ("source", "type") if name not in value]
        if missing:
            raise PydanticCustomError("event", "an event that is emitted needs `{name}`", {"name": missing[0]})
        return value


class Emit(Closed):
    event: EmittedEvent


class EmitTask(Task):
    kind = "emit"
    emit: Emit


class Listen(Closed):
    to: EventConsumption
    read: Literal["data", "envelope", "raw"] = "data"


class ListenTask(Task):
    kind = "listen"
    listen: Listen
    foreach: ForeachEvent | None = None


class RunWorkflow(Closed):
    namespace: str = Field(pattern=NAME)
    name: str = Field(pattern=NAME)
    version: str = "latest"
    input: Json = None

    @property
    def reference(self) -> str:
        """namespace/name:version."""
        return f"{self.namespace}/{self.name}:{self.version}"


class Process(Closed):
    """Exactly one of the four; what `container`, `script` and `shell` hold, their tools check."""

    container: dict[str, Json] | None = None
    script: dict[str, Json] | None = None
    shell: dict[str, Json] | None = None
    workflow: RunWorkflow | None = None
    await_: bool = Field(default=True, alias="await")
    return_: Literal["stdout", "stderr", "code", "all", "none"] = Field(default="stdout", alias="return")

    @model_validator(mode="after")
    def _one(self) -> Process:
        if sum(x is not None for x in (self.container, self.script, self.shell, self.workflow)) != 1:
            raise PydanticCustomError("run", "name exactly one of `container`, `script`, `shell` and `workflow`")
        return self


class RunTask(Task):
    kind = "run"
    run: Process


# In the order in which a task's kind is recognised: `for` has a `do` of its own.
TASKS: dict[str, type[Task]] = {
    model.kind: model
    for model in (
        CallTask,
        ForTask,
        ForkTask,
        SetTask,
        SwitchTask,
        TryTask,
        RaiseTask,
        WaitTask,
        EmitTask,
        ListenTask,
        RunTask,
        DoTask,
    )
}


def task_of(body: object) -> Task:
    """The typed task of a mapping. Raises a pydantic error that names the property at fault."""
    if isinstance(body, Task):
        return body
    if not isinstance(body, Mapping):
        raise PydanticCustomError("task", "a task must be a mapping")
    for kind, model in TASKS.items():
        if kind in body:
            return model.model_validate(body)
    raise PydanticCustomError("task", "a task must have one of: {kinds}", {"kinds": ", ".join(TASKS)})


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
        case ListenTask(foreach=ForeachEvent() as each):
            yield "/foreach/do", each.do
        case CallTask(subscription=Subscription(foreach=ForeachEvent() as each)):
            yield "/with/subscription/foreach/do", each.do
        case _:
            return


def walk(tasks: tuple[NamedTask, ...], pointer: str = "/do") -> Iterator[tuple[str, NamedTask]]:
    """Every task below a list, outer before inner, with its JSON pointer (`/do/0/createAccount`)."""
    for index, named in enumerate(tasks):
        here = f"{pointer}/{index}/{named.name}"
        yield here, named
        for relative, inner in children(named.task):
            yield from walk(inner, here + relative)
