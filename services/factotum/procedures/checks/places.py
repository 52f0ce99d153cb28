"""Where expressions stand in a document, and what each may use.

Source: DSL 1.0.3, "Runtime expression arguments". Secrets are kept closer than there: see `secrets`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from factotum.procedures import protocols
from factotum.procedures.checks import references
from factotum.procedures.checks.scopes import Names, Scoped, iterator_of, tasks
from factotum.procedures.consumption import EventConsumption
from factotum.procedures.expressions import escape
from factotum.procedures.model import Document, Use
from factotum.procedures.retries import Retry
from factotum.procedures.shapes import Timeout
from factotum.procedures.tasks import (
    CallTask,
    Catch,
    EmitTask,
    ErrorDefinition,
    ForTask,
    ListenTask,
    RaiseTask,
    RunTask,
    SetTask,
    SwitchTask,
    Task,
    TryTask,
    WaitTask,
)

Json = Any

CONSTANT: Names = frozenset(("workflow", "runtime"))
BEFORE_TASK: Names = CONSTANT | {"context", "task"}
IN_TASK: Names = BEFORE_TASK | {"input"}
NOTHING: Names = frozenset()


@dataclass(frozen=True, slots=True)
class Place:
    """A value that may hold expressions.

    Attributes:
        names: the arguments that an expression is given here.
        whole: a text is an expression with or without `${ }`.
        secrets: `$secrets` may be used: the value goes to a tool and nowhere else.
    """

    pointer: str
    value: Json
    names: Names
    whole: bool = False
    secrets: bool = False


def places(document: Document) -> Iterator[Place]:
    """Every place of a document that holds anything."""
    found = [*_of_document(document), *_of_use(document)]
    for scoped in tasks(document):
        found += _of_task(scoped, document.use)
    yield from (place for place in found if place.value is not None)


def _of_document(document: Document) -> Iterator[Place]:
    yield Place("/input/from", document.input.from_, CONSTANT, whole=True)
    yield Place("/output/as", document.output.as_, CONSTANT | {"context"}, whole=True)
    yield from _timeout("/timeout", document.timeout, CONSTANT)
    if (schedule := document.schedule) is not None:
        yield Place("/schedule/every", schedule.every, NOTHING)
        yield Place("/schedule/after", schedule.after, NOTHING)
        if schedule.on is not None:
            yield from consumption_places("/schedule/on", schedule.on, NOTHING)


def _of_use(document: Document) -> Iterator[Place]:
    use = document.use
    for name, policy in use.authentications.items():
        pointer = f"/use/authentications/{escape(name)}"
        yield Place(pointer, policy.model_dump(exclude_none=True), IN_TASK, secrets=True)
    for name, catalog in use.catalogs.items():
        endpoint = catalog.endpoint if isinstance(catalog.endpoint, str) else catalog.endpoint.model_dump()
        yield Place(f"/use/catalogs/{escape(name)}/endpoint", endpoint, CONSTANT, secrets=True)
    for name, error in use.errors.items():
        yield Place(f"/use/errors/{escape(name)}", error.model_dump(), IN_TASK)
    for name, timeout in use.timeouts.items():
        yield from _timeout(f"/use/timeouts/{escape(name)}", timeout, IN_TASK)
    for name, retry in use.retries.items():
        yield from _retry(f"/use/retries/{escape(name)}", retry, IN_TASK | _bound_by_catches(document, name))
    for index, named in enumerate(use.extensions):
        pointer = f"/use/extensions/{index}/{escape(named.name)}/when"
        yield Place(pointer, named.extension.when, BEFORE_TASK, whole=True)


def _bound_by_catches(document: Document, retry: str) -> Names:
    """The error variables that every catch with this retry policy has bound, by default `error`."""
    uses = [
        frozenset((scoped.task.catch.as_,)) | scoped.bound
        for scoped in tasks(document)
        if isinstance(scoped.task, TryTask) and scoped.task.catch.retry == retry
    ]
    return frozenset.intersection(*uses) if uses else frozenset((Catch().as_,))


def _of_task(scoped: Scoped, use: Use) -> Iterator[Place]:
    pointer, task = scoped.pointer, scoped.task
    before, inside = BEFORE_TASK | scoped.bound, IN_TASK | scoped.bound
    if authenticates(task):
        inside |= {"authorization"}
    yield Place(f"{pointer}/if", task.if_, before, whole=True)
    yield Place(f"{pointer}/input/from", task.input.from_, before, whole=True, secrets=_of_a_tool(task, use))
    yield from _timeout(f"{pointer}/timeout", task.timeout, inside)
    yield from _of_kind(pointer, task, inside)
    yield Place(f"{pointer}/output/as", task.output.as_, inside, whole=True)
    yield Place(f"{pointer}/export/as", task.export.as_, inside | {"output"}, whole=True)
    yield Place(f"{pointer}/metadata/summary", task.metadata.get("summary"), inside)
    if (undo := task.compensate) is not None:
        yield Place(f"{pointer}/metadata/compensate/with", undo.with_, inside, secrets=True)
    if (approval := task.approval) is not None:
        written = approval.model_dump(include={"by", "within", "otherwise"})
        yield Place(f"{pointer}/metadata/approval", _as_lists(written), inside)


def _of_a_tool(task: Task, use: Use) -> bool:
    """Whether a tool carries out a task: the input of any other reaches the run's data, where a mark is no secret."""
    if isinstance(task, CallTask):
        return not references.function_of(task.call, use) and references.tool_of_call(task.call) is not None
    return protocols.tool_of(task) is not None


def _of_kind(pointer: str, task: Task, inside: Names) -> Iterator[Place]:
    match task:
        case CallTask():
            arguments = {
                name: value for name, value in task.with_.items() if task.subscription is None or name != "subscription"
            }
            yield Place(f"{pointer}/with", arguments, inside, secrets=True)
            yield from _subscription(f"{pointer}/with/subscription", task, inside)
        case ForTask():
            loop = inside | {task.for_.each, task.for_.at}
            yield Place(f"{pointer}/for/in", task.for_.in_, inside, whole=True)
            yield Place(f"{pointer}/while", task.while_, loop, whole=True)
        case SwitchTask():
            for index, named in enumerate(task.switch):
                where = f"{pointer}/switch/{index}/{escape(named.name)}/when"
                yield Place(where, named.case.when, inside, whole=True)
        case TryTask():
            caught = inside | {task.catch.as_}
            yield Place(f"{pointer}/catch/when", task.catch.when, caught, whole=True)
            yield Place(f"{pointer}/catch/exceptWhen", task.catch.except_when, caught, whole=True)
            if isinstance(retry := task.catch.retry, Retry):
                yield from _retry(f"{pointer}/catch/retry", retry, caught)
        case SetTask():
            yield Place(f"{pointer}/set", task.set, inside)
        case RaiseTask(raise_=raised) if isinstance(raised.error, ErrorDefinition):
            yield Place(f"{pointer}/raise/error", raised.error.model_dump(), inside)
        case WaitTask():
            yield Place(f"{pointer}/wait", task.wait, inside)
        case EmitTask():
            yield Place(f"{pointer}/emit/event/with", task.emit.event.with_, inside)
        case ListenTask():
            yield from consumption_places(f"{pointer}/listen/to", task.listen.to, inside)
            yield from _iterator(pointer, task, inside)
        case RunTask(run=process):
            for kind in ("container", "script", "shell"):
                yield Place(f"{pointer}/run/{kind}", getattr(process, kind), inside, secrets=True)
            if process.workflow is not None:
                yield Place(f"{pointer}/run/workflow/input", process.workflow.input, inside)


def consumption_places(pointer: str, consumption: EventConsumption, names: Names) -> Iterator[Place]:
    """The places of the filters of a consumption; an event's own values are what they are evaluated on."""
    for where, wanted in filters(pointer, consumption):
        yield Place(f"{where}/with", wanted.with_, names)
        for name, correlation in wanted.correlate.items():
            yield Place(f"{where}/correlate/{escape(name)}/from", correlation.from_, names, whole=True)
            yield Place(f"{where}/correlate/{escape(name)}/expect", correlation.expect, names)
    if isinstance(consumption.until, str):
        yield Place(f"{pointer}/until", consumption.until, names, whole=True)


def filters(pointer: str, consumption: EventConsumption) -> Iterator[tuple[str, Any]]:
    """The filters of a consumption, those of `until` included, with their pointers."""
    if consumption.one is not None:
        yield f"{pointer}/one", consumption.one
    for kind in ("any", "all"):
        for index, wanted in enumerate(getattr(consumption, kind) or ()):
            yield f"{pointer}/{kind}/{index}", wanted
    if isinstance(consumption.until, EventConsumption):
        yield from filters(f"{pointer}/until", consumption.until)


def _subscription(pointer: str, task: CallTask, inside: Names) -> Iterator[Place]:
    if (subscription := task.subscription) is None:
        return
    consume = subscription.consume
    yield Place(f"{pointer}/filter", subscription.filter, inside, whole=True)
    yield Place(f"{pointer}/consume/for", consume.for_, inside)
    yield Place(f"{pointer}/consume/while", consume.while_, inside, whole=True)
    yield Place(f"{pointer}/consume/until", consume.until, inside, whole=True)
    yield from _iterator(pointer.removesuffix("/with/subscription"), task, inside)


def _iterator(pointer: str, task: Task, inside: Names) -> Iterator[Place]:
    if (found := iterator_of(task)) is None:
        return
    relative, each = found
    names = inside | {each.item, each.at}
    yield Place(f"{pointer}{relative}/output/as", each.output.as_, names, whole=True)
    yield Place(f"{pointer}{relative}/export/as", each.export.as_, names | {"output"}, whole=True)


def _timeout(pointer: str, timeout: str | Timeout | None, names: Names) -> Iterator[Place]:
    if isinstance(timeout, Timeout):
        yield Place(f"{pointer}/after", timeout.after, names)


def _retry(pointer: str, retry: Retry, names: Names) -> Iterator[Place]:
    yield Place(f"{pointer}/when", retry.when, names, whole=True)
    yield Place(f"{pointer}/exceptWhen", retry.except_when, names, whole=True)
    yield Place(f"{pointer}/delay", retry.delay, names)
    yield Place(f"{pointer}/limit/duration", retry.limit.duration, names)
    yield Place(f"{pointer}/limit/attempt/duration", retry.limit.attempt.duration, names)
    if retry.jitter is not None:
        yield Place(f"{pointer}/jitter/from", retry.jitter.from_, names)
        yield Place(f"{pointer}/jitter/to", retry.jitter.to, names)


def authenticates(task: Task) -> bool:
    """Whether a task names an authentication anywhere in what it sends."""
    return isinstance(task, CallTask) and _has_authentication(task.with_)


def _has_authentication(value: Json) -> bool:
    if isinstance(value, Mapping):
        return "authentication" in value or any(_has_authentication(inner) for inner in value.values())
    return isinstance(value, list) and any(_has_authentication(inner) for inner in value)


def _as_lists(value: Json) -> Json:
    if isinstance(value, Mapping):
        return {name: _as_lists(inner) for name, inner in value.items()}
    return [_as_lists(inner) for inner in value] if isinstance(value, list | tuple) else value
