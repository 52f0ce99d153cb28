"""What is checked before a document runs: everything that can be known without running it.

Structure is checked by `parse`; here come the references (tools, flow targets), the expressions and,
as far as they are constants, the arguments against the tools' schemas.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from jsonschema import Draft202012Validator
from jsonschema.exceptions import SchemaError, ValidationError

from factotum.procedures import expressions
from factotum.procedures.fault import Fault
from factotum.procedures.model import (
    CallTask,
    Document,
    ForTask,
    NamedTask,
    RaiseTask,
    Schema,
    SetTask,
    SwitchTask,
    Task,
    TryTask,
    children,
    walk,
)
from factotum.procedures.parse import Source
from factotum.sdk.spec import Effect, ToolSpec

Catalog = Mapping[str, ToolSpec]

DIRECTIVES = ("continue", "exit", "end")


def check(source: Source, catalog: Catalog | None) -> list[Fault]:
    """Every fault of a document, in its own order; none if it may run.

    Args:
        catalog: the tools there are, by name; None leaves out what needs them.
    """
    document = source.document
    faults = [*_flow(document.do, "/do"), *_document_expressions(document), *_schemas(document)]
    for pointer, named in walk(document.do):
        faults += _task(pointer, named.task, catalog)
        for relative, inner in children(named.task):
            faults += _flow(inner, pointer + relative)
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


def _task(pointer: str, task: Task, catalog: Catalog | None) -> Iterator[Fault]:
    yield from _task_expressions(pointer, task)
    if isinstance(task, CallTask):
        yield from _call(pointer, task.call, task.with_, catalog)
    undo = task.compensate
    if undo is None:
        return
    if not isinstance(task, CallTask):
        yield Fault(f"{pointer}/metadata/compensate", "only a `call` can name its compensation")
        return
    yield from _call(f"{pointer}/metadata/compensate", undo.call, undo.with_, catalog)
    if catalog and undo.call in catalog and catalog[undo.call].effect is Effect.NONE:
        yield Fault(f"{pointer}/metadata/compensate/call", f"`{undo.call}` has no effect, so it undoes nothing")


def _call(pointer: str, tool: str, arguments: Mapping[str, Any], catalog: Catalog | None) -> Iterator[Fault]:
    for relative, program in _programs(arguments, f"{pointer}/with"):
        yield from _expression(relative, program)
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
    """`then` must name a directive or a task of the same list."""
    names = [named.name for named in tasks]
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
    yield from _natural(document.input.from_, "/input/from")
    yield from _natural(document.output.as_, "/output/as")
    if document.schedule is not None:
        yield from (
            fault
            for relative, program in _programs(document.schedule.model_dump(by_alias=True), "/schedule")
            for fault in _expression(relative, program)
        )


def _task_expressions(pointer: str, task: Task) -> Iterator[Fault]:
    natural: dict[str, Any] = {
        "/if": task.if_,
        "/input/from": task.input.from_,
        "/output/as": task.output.as_,
        "/export/as": task.export.as_,
    }
    templates: dict[str, Any] = {"/metadata/summary": task.metadata.get("summary")}
    match task:
        case ForTask():
            natural |= {"/for/in": task.for_.in_, "/while": task.while_}
        case SwitchTask():
            natural |= {f"/switch/{i}/{c.name}/when": c.case.when for i, c in enumerate(task.switch)}
        case TryTask():
            natural |= {"/catch/when": task.catch.when, "/catch/exceptWhen": task.catch.except_when}
            if task.catch.retry is not None:
                natural |= {
                    "/catch/retry/when": task.catch.retry.when,
                    "/catch/retry/exceptWhen": task.catch.retry.except_when,
                }
        case SetTask():
            templates["/set"] = task.set
        case RaiseTask():
            templates["/raise/error"] = task.raise_.error.model_dump()
    for relative, expression in natural.items():
        yield from _natural(expression, pointer + relative)
    for relative, template in templates.items():
        for where, program in _programs(template, pointer + relative):
            yield from _expression(where, program)


def _programs(template: Any, pointer: str) -> Iterator[tuple[str, str]]:
    try:
        for relative, program in expressions.programs_in(template):
            yield pointer + relative, program
    except expressions.ExpressionError:
        # An open `${` makes an unparsable program, which is then reported where it stands.
        yield pointer, "${"


def _natural(expression: Any, pointer: str) -> Iterator[Fault]:
    if isinstance(expression, str):
        try:
            yield from _expression(pointer, expressions.program_of(expression))
        except expressions.ExpressionError as error:
            yield Fault(pointer, str(error))
    elif expression is not None:
        for where, program in _programs(expression, pointer):
            yield from _expression(where, program)


def _expression(pointer: str, program: str) -> Iterator[Fault]:
    try:
        expressions.compile_program(program)
    except expressions.ExpressionError as error:
        yield Fault(pointer, str(error), "Expressions are jq, pure and bounded")


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
        if schema is None:
            continue
        try:
            Draft202012Validator.check_schema(schema.document)
        except SchemaError as error:
            yield Fault(f"{pointer}/document", f"not a JSON Schema: {error.message}")
