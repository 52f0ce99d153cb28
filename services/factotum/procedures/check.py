"""What is checked before a document runs: everything that can be known without running it.

Structure is checked by `parse`; here come the references (tools, flow targets), the expressions and,
as far as they are constants, the arguments against the tools' schemas.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from jsonschema import Draft202012Validator
from jsonschema.exceptions import ValidationError

from factotum.procedures import expressions, lengths, schemas
from factotum.procedures.fault import Fault
from factotum.procedures.model import Document
from factotum.procedures.parse import Source
from factotum.procedures.retries import Retry
from factotum.procedures.shapes import Schema
from factotum.procedures.tasks import (
    CallTask,
    ErrorDefinition,
    ForTask,
    NamedTask,
    RaiseTask,
    SetTask,
    SwitchTask,
    Task,
    TryTask,
    children,
    walk,
)
from factotum.sdk.spec import Effect, ToolSpec

Catalog = Mapping[str, ToolSpec]

DIRECTIVES = ("continue", "exit", "end")
ADVICE = "Expressions are jq, pure and bounded"

# What an expression is given, by where it stands. Source: DSL 1.0.3, "Runtime expression arguments".
Names = frozenset[str]
CONSTANT: Names = frozenset(("workflow", "runtime"))
BEFORE_TASK: Names = CONSTANT | {"context", "task"}
IN_TASK: Names = BEFORE_TASK | {"input"}
RESERVED: Names = IN_TASK | {"output", "secrets", "authorization"}
ERROR_PROPERTIES: Names = frozenset(("type", "status", "title", "detail", "instance"))


def check(source: Source, catalog: Catalog | None) -> list[Fault]:
    """Every fault of a document, in its own order; none if it may run.

    Args:
        catalog: the tools there are, by name; None leaves out what needs them.
    """
    document = source.document
    faults = [
        *lengths.faults(document),
        *_document_expressions(document),
        *_schemas(document),
        *_tasks(document.do, "/do", frozenset(), catalog),
    ]
    return [source.locate(fault) for fault in faults]


def called_tools(document: Document) -> set[str]:
    """The names of all tools that a document may call, compensations included."""
    names = set[str]()
    for _, named in walk(document.do):
        if isinstance(named.task, CallTask):
            names.add(named.task.call)
        if (undo := named.task.compensate) is not None:
            names.add(undo.call)
    return names


def _tasks(tasks: tuple[NamedTask, ...], pointer: str, bound: Names, catalog: Catalog | None) -> Iterator[Fault]:
    """The faults of a list of tasks. `bound`: what the loops and catches around it have bound."""
    yield from _flow(tasks, pointer)
    for index, named in enumerate(tasks):
        here = f"{pointer}/{index}/{named.name}"
        yield from _task(here, named.task, bound, catalog)
        for relative, inner in children(named.task):
            yield from _tasks(inner, here + relative, bound | _binds(named.task, relative), catalog)


def _binds(task: Task, relative: str) -> Names:
    """The variables that a task binds for one of its lists."""
    if isinstance(task, ForTask):
        return frozenset((task.for_.each, task.for_.at))
    if isinstance(task, TryTask) and relative == "/catch/do":
        return frozenset((task.catch.as_,))
    return frozenset()


def _task(pointer: str, task: Task, bound: Names, catalog: Catalog | None) -> Iterator[Fault]:
    yield from _task_expressions(pointer, task, bound)
    for relative, _ in children(task):
        for name in sorted(_binds(task, relative) & RESERVED):
            yield Fault(pointer, f"`{name}` is the name of an argument of every expression", "Bind another name")
    if isinstance(task, CallTask):
        yield from _call(pointer, task.call, task.with_, bound, catalog)
    if isinstance(task, TryTask):
        for name in sorted(task.catch.errors.with_.keys() - ERROR_PROPERTIES):
            known = ", ".join(sorted(ERROR_PROPERTIES))
            yield Fault(f"{pointer}/catch/errors/with/{name}", f"an error has no `{name}`", f"It has {known}")
    undo = task.compensate
    if undo is None:
        return
    if not isinstance(task, CallTask):
        yield Fault(f"{pointer}/metadata/compensate", "only a `call` can name its compensation")
        return
    yield from _call(f"{pointer}/metadata/compensate", undo.call, undo.with_, bound, catalog)
    if catalog and undo.call in catalog and catalog[undo.call].effect is Effect.NONE:
        yield Fault(f"{pointer}/metadata/compensate/call", f"`{undo.call}` has no effect, so it undoes nothing")


def _call(
    pointer: str, tool: str, arguments: Mapping[str, Any], bound: Names, catalog: Catalog | None
) -> Iterator[Fault]:
    yield from _template(arguments, f"{pointer}/with", IN_TASK | bound)
    if catalog is None:
        return
    spec = catalog.get(tool)
    if spec is None:
        nearest = sorted(name for name in catalog if name.partition(".")[0] == tool.partition(".")[0])
        advice = f"There are {', '.join(nearest)}" if nearest else "`factotum tools list` shows what there is"
        yield Fault(f"{pointer}/call", f"there is no tool `{tool}`", advice)
        return
    yield from _arguments(f"{pointer}/with", dict(arguments), spec)


def _arguments(pointer: str, arguments: dict[str, Any], spec: ToolSpec) -> Iterator[Fault]:
    """What a schema says against arguments of which the expressions are still unknown."""
    try:
        unknown = {path for path, _ in expressions.programs_in(arguments)}
    except expressions.ExpressionError:
        return  # reported as an expression
    for error in Draft202012Validator(spec.input_schema).iter_errors(arguments):
        at = "".join(f"/{expressions.escape(str(token))}" for token in error.absolute_path)
        if error.validator in ("required", "additionalProperties") or not _touches(at, unknown):
            where = pointer + at
            yield Fault(where, f"`{spec.name}`: {error.message}", _wanted(error, spec))


def _touches(pointer: str, unknown: set[str]) -> bool:
    return any(path == pointer or path.startswith(f"{pointer}/") for path in unknown)


def _wanted(error: ValidationError, spec: ToolSpec) -> str:
    if error.validator == "additionalProperties" and not error.absolute_path:
        return f"It takes {', '.join(spec.input_schema.get('properties', {}))}"
    return ""


def _flow(tasks: tuple[NamedTask, ...], pointer: str) -> Iterator[Fault]:
    """`then` must name a directive or a task of the same list; the branches of a fork have no order."""
    names = [] if pointer.endswith("/fork/branches") else [named.name for named in tasks]
    for index, named in enumerate(tasks):
        here = f"{pointer}/{index}/{named.name}"
        targets = [(f"{here}/then", named.task.then)]
        if isinstance(named.task, SwitchTask):
            targets += [
                (f"{here}/switch/{position}/{entry.name}/then", entry.case.then)
                for position, entry in enumerate(named.task.switch)
            ]
        for where, target in targets:
            if target not in DIRECTIVES and target not in names:
                yield Fault(where, f"`then: {target}` leads nowhere", f"Here are {', '.join((*DIRECTIVES, *names))}")


def _document_expressions(document: Document) -> Iterator[Fault]:
    yield from _natural(document.input.from_, "/input/from", CONSTANT)
    yield from _natural(document.output.as_, "/output/as", CONSTANT | {"context"})
    if document.schedule is not None:
        yield from _template(document.schedule.model_dump(by_alias=True), "/schedule", frozenset())


def _task_expressions(pointer: str, task: Task, bound: Names) -> Iterator[Fault]:
    before, inside = BEFORE_TASK | bound, IN_TASK | bound
    natural: list[tuple[str, Any, Names]] = [
        ("/if", task.if_, before),
        ("/input/from", task.input.from_, before),
        ("/output/as", task.output.as_, inside),
        ("/export/as", task.export.as_, inside | {"output"}),
    ]
    templates: dict[str, Any] = {"/metadata/summary": task.metadata.get("summary")}
    match task:
        case ForTask():
            loop = inside | {task.for_.each, task.for_.at}
            natural += [("/for/in", task.for_.in_, inside), ("/while", task.while_, loop)]
        case SwitchTask():
            natural += [(f"/switch/{i}/{c.name}/when", c.case.when, inside) for i, c in enumerate(task.switch)]
        case TryTask():
            caught = inside | {task.catch.as_}
            natural += [("/catch/when", task.catch.when, caught), ("/catch/exceptWhen", task.catch.except_when, caught)]
            if isinstance(retry := task.catch.retry, Retry):
                natural += [
                    ("/catch/retry/when", retry.when, caught),
                    ("/catch/retry/exceptWhen", retry.except_when, caught),
                ]
        case SetTask():
            templates["/set"] = task.set
        case RaiseTask() if isinstance(task.raise_.error, ErrorDefinition):
            templates["/raise/error"] = task.raise_.error.model_dump()
    for relative, expression, known in natural:
        yield from _natural(expression, pointer + relative, known)
    for relative, template in templates.items():
        yield from _template(template, pointer + relative, inside)


def _template(template: Any, pointer: str, known: Names) -> Iterator[Fault]:
    """The faults of every `${ … }` in a value."""
    try:
        for relative, program in expressions.programs_in(template):
            yield from _program(pointer + relative, program, known)
    except expressions.ExpressionError as error:
        yield Fault(pointer, str(error), ADVICE)


def _natural(expression: Any, pointer: str, known: Names) -> Iterator[Fault]:
    """The faults of a property that is an expression with or without `${ }`."""
    if not isinstance(expression, str):
        yield from _template(expression, pointer, known)
        return
    try:
        yield from _program(pointer, expressions.program_of(expression), known)
    except expressions.ExpressionError as error:
        yield Fault(pointer, str(error), ADVICE)


def _program(pointer: str, program: str, known: Names) -> Iterator[Fault]:
    try:
        _, wanted = expressions.compile_program(program)
    except expressions.ExpressionError as error:
        yield Fault(pointer, str(error), ADVICE)
        return
    for name in sorted(wanted - known):
        there = f"Here are {', '.join(f'${each}' for each in sorted(known))}" if known else "Here is only the value"
        yield Fault(pointer, f"`${name}` is not available here", there)


def _schemas(document: Document) -> Iterator[Fault]:
    found: list[tuple[str, Schema | None]] = [
        ("/input/schema", document.input.schema_),
        ("/output/schema", document.output.schema_),
    ]
    for pointer, named in walk(document.do):
        task = named.task
        found += [
            (f"{pointer}/input/schema", task.input.schema_),
            (f"{pointer}/output/schema", task.output.schema_),
            (f"{pointer}/export/schema", task.export.schema_),
        ]
    for pointer, schema in found:
        if (
            schema is not None
            and schema.document is not None
            and (fault := schemas.fault_of(schema.document)) is not None
        ):
            yield Fault(f"{pointer}/document", fault)
