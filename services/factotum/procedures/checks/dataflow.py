"""The types of a document's data, followed from task to task, and what cannot go well with them.

Source: DSL 1.0.3, "Data Flow". `$context` begins as the transformed input, as in the interpreter.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

from factotum.procedures import expressions, protocols, schemas
from factotum.procedures.checks import calls, flow, inference
from factotum.procedures.checks.inference import Given, Slip
from factotum.procedures.checks.references import Catalog, tool_of_call
from factotum.procedures.checks.schema_types import conflict, declared, remedy, type_of
from factotum.procedures.checks.scopes import Scoped, iterator_of
from factotum.procedures.checks.types import (
    ANY,
    ARRAY,
    INTEGER,
    NEVER,
    NULL,
    STRING,
    Type,
    join,
    meet,
    object_of,
    union,
)
from factotum.procedures.duration import Lapse
from factotum.procedures.expressions import escape
from factotum.procedures.fault import Fault
from factotum.procedures.model import Document
from factotum.procedures.retries import Retry
from factotum.procedures.shapes import Schema
from factotum.procedures.tasks import (
    CallTask,
    DoTask,
    EmitTask,
    ErrorDefinition,
    ForkTask,
    ForTask,
    NamedTask,
    RaiseTask,
    RunTask,
    SetTask,
    SwitchTask,
    Task,
    TryTask,
    WaitTask,
    walk,
)

Json = Any
Variables = Mapping[str, Type]

_TEXT_OR_NONE = join(STRING, NULL)
_ERROR = object_of(
    {"type": STRING, "status": INTEGER, "title": _TEXT_OR_NONE, "detail": _TEXT_OR_NONE, "instance": _TEXT_OR_NONE},
    closed=False,
    required=("type", "status"),
)
# What an extension of `composite` extends.
_COMPOSITE = ("do", "fork", "try", "for")
_TASK = object_of({"name": STRING, "reference": STRING}, closed=False)


@dataclass(frozen=True, slots=True)
class State:
    """What a task is given, and `$context`."""

    value: Type
    context: Type


_UNKNOWN = State(ANY, ANY)


def faults(document: Document, catalog: Catalog) -> Iterator[Fault]:
    """What goes wrong in every run that comes there."""
    walked = _Walk(document, catalog)
    walked.document()
    yield from walked.faults


class _Walk:
    """One walk through a document. Loops are followed once, with what any of their rounds may be given."""

    def __init__(self, document: Document, catalog: Catalog) -> None:
        self.faults: list[Fault] = []
        self._document = document
        self._catalog = catalog
        self._loose = document.evaluate.mode == "loose"
        self._ends: list[State] = []
        self._constants: Variables = {}
        self._outputs: dict[str, Type] = {}
        extensions = [named.extension for named in document.use.extensions]
        self._extended = frozenset(extension.extend for extension in extensions)
        self._extensions_export = any(_exports(each.before + each.after) for each in extensions)

    def document(self) -> None:
        """Follows the document, its functions and its extensions."""
        document = self._document
        raw = declared(document.input.schema_)
        self._constants = {"workflow": object_of({"id": STRING, "input": raw}, closed=False)}
        value = self._whole("/input/from", document.input.from_, raw, {})
        done = self._list("/do", document.do, State(value, value), {})
        ways_out = [done, *self._ends]
        context = union(each.context for each in ways_out)
        arguments = {**self._constants, "context": ANY if self._extensions_export else context}
        output = self._whole("/output/as", document.output.as_, union(each.value for each in ways_out), arguments)
        self._held("/output/schema", document.output.schema_, output, "the output")
        for name, task in document.use.functions.items():
            self._task(f"/use/functions/{escape(name)}", task, _UNKNOWN, {})
        for index, named in enumerate(document.use.extensions):
            pointer = f"/use/extensions/{index}/{escape(named.name)}"
            self._list(f"{pointer}/before", named.extension.before, _UNKNOWN, {"task": ANY})
            self._list(f"{pointer}/after", named.extension.after, _UNKNOWN, {"task": ANY})

    def _list(self, pointer: str, tasks: tuple[NamedTask, ...], given: State, bound: Variables) -> State:
        """What a list of tasks leaves behind; nothing can be its value if it never comes to its end."""
        count = len(tasks)
        ways = flow.ways_of(tasks)
        arriving: list[State | None] = [given, *([None] * (count + 1))]
        for index, after in enumerate(ways):
            for way in after:
                if way <= index:  # reached again, with what the round has made of the data
                    arriving[way] = _UNKNOWN
        for index, named in enumerate(tasks):
            state = arriving[index]
            if state is None:
                continue
            done = self._task(f"{pointer}/{index}/{escape(named.name)}", named.task, state, bound)
            for way in ways[index]:
                # A task that is passed over goes on to the next one, whatever its `then` says.
                passed = named.task.if_ is not None and way == index + 1
                leaving = _either(done, state) if passed else done
                arriving[way] = leaving if (before := arriving[way]) is None else _either(before, leaving)
        if (ended := arriving[count + 1]) is not None:
            self._ends.append(ended)
        return arriving[count] or State(NEVER, given.context)

    def _task(self, pointer: str, task: Task, given: State, bound: Variables) -> State:
        """What a task leaves behind when it is carried out."""
        extended = bool(self._extended & {"all", task.kind, *(("composite",) if task.kind in _COMPOSITE else ())})
        if extended:
            given = State(ANY, ANY if self._extensions_export else given.context)
        raw = given.value
        arguments: dict[str, Type] = {**self._constants, "task": _TASK, **bound, "context": given.context}
        self._whole(f"{pointer}/if", task.if_, raw, arguments)
        if not pointer.startswith("/use/functions/") or pointer.count("/") > 3:
            self._held(f"{pointer}/input/schema", task.input.schema_, raw, "the input")
        raw = meet(raw, declared(task.input.schema_))
        value = self._whole(f"{pointer}/input/from", task.input.from_, raw, arguments)
        arguments["input"] = value
        self._template(f"{pointer}/metadata/summary", task.metadata.get("summary"), value, arguments)
        produced, context = self._carry_out(pointer, task, State(value, given.context), arguments, bound)
        self._compensation(pointer, task, produced, arguments)
        arguments["context"] = context
        output = self._whole(f"{pointer}/output/as", task.output.as_, produced, arguments)
        if produced.kinds:
            self._held(f"{pointer}/output/schema", task.output.schema_, output, "the output")
        output = meet(output, declared(task.output.schema_)) if output.kinds else output
        arguments["output"] = output
        if task.export.as_ is not None:
            context = self._whole(f"{pointer}/export/as", task.export.as_, output, arguments)
            self._held(f"{pointer}/export/schema", task.export.schema_, context, "what is exported")
            context = meet(context, declared(task.export.schema_))
        if extended:
            return State(ANY, ANY if self._extensions_export else context)
        return State(output, context)

    def _carry_out(
        self, pointer: str, task: Task, given: State, arguments: Variables, bound: Variables
    ) -> tuple[Type, Type]:
        """The raw output and the context after a task, by its kind."""
        value, context = given.value, given.context
        match task:
            case CallTask() | RunTask():
                return self._call(pointer, task, given, arguments, bound)
            case DoTask():
                done = self._list(f"{pointer}/do", task.do, given, bound)
                return done.value, done.context
            case SetTask():
                return self._template(f"{pointer}/set", task.set, value, arguments), context
            case ForTask():
                return self._for(pointer, task, given, arguments, bound)
            case ForkTask():
                return self._fork(pointer, task, given, bound)
            case SwitchTask():
                for index, named in enumerate(task.switch):
                    where = f"{pointer}/switch/{index}/{escape(named.name)}/when"
                    self._whole(where, named.case.when, value, arguments)
                return value, context
            case TryTask():
                return self._try(pointer, task, given, arguments, bound)
            case RaiseTask(raise_=raised):
                if isinstance(raised.error, ErrorDefinition):
                    error = raised.error.model_dump(exclude_none=True)
                    self._template(f"{pointer}/raise/error", error, value, arguments)
                return NEVER, context
            case WaitTask():
                self._lapse(f"{pointer}/wait", task.wait, value, arguments)
                return value, context
            case EmitTask():
                self._template(f"{pointer}/emit/event/with", task.emit.event.with_, value, arguments)
                return ANY, context
            case _:
                return self._iterated(pointer, task, given, bound)

    def _call(
        self, pointer: str, task: CallTask | RunTask, given: State, arguments: Variables, bound: Variables
    ) -> tuple[Type, Type]:
        self._sent(pointer, task, given.value, arguments)
        scoped = Scoped(pointer, _without_compensation(task), frozenset())
        for call in calls.arguments_of(scoped, self._document.use, self._catalog):
            self._taken(call, given.value, arguments)
        if isinstance(task, CallTask) and task.subscription is not None:
            return self._iterated(pointer, task, given, bound)
        return self._answer(task), given.context

    def _sent(self, pointer: str, task: CallTask | RunTask, value: Type, arguments: Variables) -> None:
        """The slips in what is sent to a tool or to another run."""
        tool = protocols.tool_of(task)
        if isinstance(task, CallTask):
            passed_over = {"subscription"} if task.subscription is not None else set[str]()
            written = {name: each for name, each in task.with_.items() if name not in passed_over}
            self._template(f"{pointer}/with", written, value, arguments)
        elif tool is None:
            held = task.run.workflow
            self._template(f"{pointer}/run/workflow/input", held and held.input, value, arguments)
        else:
            kind = tool.partition(".")[2]
            self._template(f"{pointer}/run/{kind}", getattr(task.run, kind), value, arguments)

    def _taken(self, call: calls.Given, value: Type, arguments: Variables) -> None:
        """The arguments of a call that its schema refuses whatever their expressions give."""
        try:
            unknown = [path for path, _ in expressions.programs_in(call.arguments)]
        except expressions.ExpressionError:
            return
        if not unknown or self._loose:
            return
        given = inference.of_template(call.arguments, Given(value, arguments), lambda pointer, slip: None)
        found = conflict(given, call.wanted)
        if found is None:
            return
        # What stands there as it is written, the schema itself has refused.
        if any(found.pointer == path or found.pointer.startswith(f"{path}/") for path in unknown) or (
            found.wanted and any(path.startswith(f"{found.pointer}/") for path in unknown)
        ):
            where = found.pointer.removeprefix("/").replace("/", ".")
            self._fault(call.pointer + found.pointer, f"`{call.by}`: `{where}` {found.message}", remedy(found))

    def _answer(self, task: CallTask | RunTask) -> Type:
        """The raw output of a call. What a protocol or a process brings is known to nobody."""
        if not isinstance(task, CallTask):
            return ANY
        if (function := self._document.use.functions.get(task.call)) is not None:
            return declared(function.output.schema_)
        tool = tool_of_call(task.call)
        if tool is None or tool != task.call or (spec := self._catalog.get(tool)) is None:
            return ANY
        if tool not in self._outputs:
            self._outputs[tool] = type_of(spec.output_schema)
        return self._outputs[tool]

    def _compensation(self, pointer: str, task: Task, produced: Type, arguments: Variables) -> None:
        if (undo := task.compensate) is None:
            return
        where = f"{pointer}/metadata/compensate"
        self._template(f"{where}/with", undo.with_, produced, arguments)
        call = CallTask(call=undo.call, with_=undo.with_)
        for given in calls.arguments_of(Scoped(where, call, frozenset()), self._document.use, self._catalog):
            self._taken(given, produced, arguments)

    def _for(
        self, pointer: str, task: ForTask, given: State, arguments: Variables, bound: Variables
    ) -> tuple[Type, Type]:
        where = f"{pointer}/for/in"
        items = self._whole(where, task.for_.in_, given.value, arguments)
        if items.kinds and "array" not in items.kinds:
            self._fault(where, f"`in` gives {items}, and must give an array", "Name what holds the items")
        item = items.item if "array" in items.kinds else ANY
        inside = {**bound, task.for_.each: item, task.for_.at: INTEGER}
        # From its second round on, a loop is given what the round before has left.
        exports = _exports(task.do)
        entry = State(ANY, ANY if exports else given.context)
        here = {**arguments, task.for_.each: item, task.for_.at: INTEGER, "context": entry.context}
        self._whole(f"{pointer}/while", task.while_, given.value, here)
        done = self._list(f"{pointer}/do", task.do, entry, inside)
        return join(given.value, done.value), ANY if exports else given.context

    def _fork(self, pointer: str, task: ForkTask, given: State, bound: Variables) -> tuple[Type, Type]:
        # What one branch exports, another one may see, at any time.
        context = ANY if _exports(task.fork.branches) else given.context
        entry = State(given.value, context)
        outputs = []
        for index, named in enumerate(task.fork.branches):
            where = f"{pointer}/fork/branches/{index}/{escape(named.name)}"
            done = self._task(where, named.task, entry, bound)
            outputs.append(_either(done, entry).value if named.task.if_ is not None else done.value)
            if named.task.then == "end":
                self._ends.append(done)
        return union(outputs) if task.fork.compete else replace(ARRAY, elements=tuple(outputs)), context

    def _try(
        self, pointer: str, task: TryTask, given: State, arguments: Variables, bound: Variables
    ) -> tuple[Type, Type]:
        exports = _exports(task.try_)
        entry = State(given.value, ANY if exports and task.catch.retry is not None else given.context)
        tried = self._list(f"{pointer}/try", task.try_, entry, bound)
        seen = ANY if exports else given.context
        caught = {**arguments, "context": seen, task.catch.as_: _ERROR}
        self._whole(f"{pointer}/catch/when", task.catch.when, ANY, caught)
        self._whole(f"{pointer}/catch/exceptWhen", task.catch.except_when, ANY, caught)
        if isinstance(retry := task.catch.retry, Retry):
            self._whole(f"{pointer}/catch/retry/when", retry.when, ANY, caught)
            self._whole(f"{pointer}/catch/retry/exceptWhen", retry.except_when, ANY, caught)
        handled = self._list(
            f"{pointer}/catch/do", task.catch.do, State(given.value, seen), {**bound, task.catch.as_: _ERROR}
        )
        done = _either(tried, handled)
        return done.value, done.context

    def _iterated(self, pointer: str, task: Task, given: State, bound: Variables) -> tuple[Type, Type]:
        """A task that waits for events or messages: an array of what nobody knows yet."""
        if (found := iterator_of(task)) is None:
            return ARRAY, given.context
        relative, each = found
        exports = _exports(each.do) or each.export.as_ is not None
        context = ANY if exports else given.context
        inside = {**bound, each.item: ANY, each.at: INTEGER}
        self._list(f"{pointer}{relative}/do", each.do, State(ANY, context), inside)
        return ARRAY, context

    def _whole(self, pointer: str, expression: Json, value: Type, arguments: Variables) -> Type:
        """What a property that is an expression by nature gives; the value itself if there is none."""
        if expression is None:
            return value
        given = Given(value, arguments, self._loose)
        return inference.of_expression(expression, given, lambda below, slip: self._slip(pointer + below, slip))

    def _template(self, pointer: str, template: Json, value: Type, arguments: Variables) -> Type:
        given = Given(value, arguments, self._loose)
        return inference.of_template(template, given, lambda below, slip: self._slip(pointer + below, slip))

    def _lapse(self, pointer: str, lapse: Lapse, value: Type, arguments: Variables) -> None:
        if not isinstance(lapse, str):
            return
        given = self._template(pointer, lapse, value, arguments)
        if given.kinds and not given.kinds & {"string", "object"}:
            self._fault(pointer, f"gives {given}, and must give a duration", 'Such as "PT15M", or {minutes: 15}')

    def _slip(self, pointer: str, slip: Slip) -> None:
        if not self._loose:
            self._fault(pointer, *slip)

    def _held(self, pointer: str, schema: Schema | None, type_: Type, what: str) -> None:
        """The fault of a value that can never keep the schema that it is held to."""
        if schema is None or schema.document is None or schemas.fault_of(schema.document) is not None or self._loose:
            return
        if (found := conflict(type_, schema.document)) is not None:
            path = found.pointer.removeprefix("/").replace("/", ".")
            self._fault(pointer, f"{f'`{path}` of {what}' if path else what} {found.message}", remedy(found))

    def _fault(self, pointer: str, message: str, advice: str) -> None:
        self.faults.append(Fault(pointer, message, advice))


def _without_compensation(task: CallTask | RunTask) -> Task:
    """A call without its compensation, which is given something else."""
    kept = {name: value for name, value in task.metadata.items() if name != "compensate"}
    return task.model_copy(update={"metadata": kept}) if "compensate" in task.metadata else task


def _either(one: State, other: State) -> State:
    return State(join(one.value, other.value), join(one.context, other.context))


def _exports(tasks: tuple[NamedTask, ...]) -> bool:
    """Whether a task of a list, or one inside it, may change `$context`."""
    for _, named in walk(tasks, ""):
        iterator = iterator_of(named.task)
        if named.task.export.as_ is not None or (iterator is not None and iterator[1].export.as_ is not None):
            return True
    return False
