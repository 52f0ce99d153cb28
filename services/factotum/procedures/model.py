"""Documents of the Open Workflow DSL 1.0.x as typed, closed models.

Source: the DSL reference of the CNCF Serverless Workflow specification 1.0.3. The kinds of task are in `tasks`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, PlainSerializer, SerializeAsAny, ValidationError, model_validator
from pydantic_core import InitErrorDetails, PydanticCustomError

from factotum.procedures.consumption import EventConsumption
from factotum.procedures.duration import Lapse
from factotum.procedures.expressions import escape
from factotum.procedures.items import moved, single_items
from factotum.procedures.retries import Retry
from factotum.procedures.shapes import (
    Addressed,
    Authentication,
    Closed,
    Evaluate,
    ExternalResource,
    Input,
    Output,
    Timeout,
    TimeoutOrName,
)
from factotum.procedures.tasks import NAME, ErrorDefinition, NamedTask, Task, Tasks, children, task_of, walk

SEMVER = r"^(0|[1-9]\d*)\.(0|[1-9]\d*)\.(0|[1-9]\d*)(?:-[0-9A-Za-z.-]+)?(?:\+[0-9A-Za-z.-]+)?$"

Json = Any


class Schedule(Closed):
    """Exactly one of the four."""

    every: Lapse | None = None
    cron: str | None = None
    after: Lapse | None = None
    on: EventConsumption | None = None

    @model_validator(mode="after")
    def _one(self) -> Schedule:
        if sum(x is not None for x in (self.every, self.cron, self.after, self.on)) != 1:
            raise PydanticCustomError("schedule", "name exactly one of `every`, `cron`, `after` and `on`")
        return self


class Extension(Closed):
    """Tasks before and after every task of a kind; `exit` in `before` passes the extended task over."""

    extend: Literal["call", "composite", "emit", "for", "listen", "raise", "run", "set", "switch", "try", "wait", "all"]
    when: str | None = None
    before: Tasks = ()
    after: Tasks = ()


class NamedExtension(Closed):
    name: str
    extension: Extension


def _named_extensions(value: object) -> object:
    return tuple(
        single_items(
            value,
            "- name: {extend: …}",
            lambda name, body: NamedExtension(name=name, extension=Extension.model_validate(body)),
            NamedExtension,
        )
    )


def _functions(value: object) -> object:
    if not isinstance(value, Mapping):
        raise PydanticCustomError("functions", "must be a mapping, each entry `name: {call: …}`")
    found: dict[str, Task] = {}
    faults: list[InitErrorDetails] = []
    for name, body in value.items():
        try:
            found[str(name)] = task_of(body)
        except ValidationError as error:
            faults += [moved(dict(fault), (str(name),)) for fault in error.errors()]
        except PydanticCustomError as error:
            faults.append(InitErrorDetails(type=error, loc=(str(name),), input=body))
    if faults:
        raise ValidationError.from_exception_data("functions", faults)
    return found


Functions = Annotated[dict[str, SerializeAsAny[Task]], BeforeValidator(_functions)]


class Catalog(Closed):
    endpoint: Addressed

    @property
    def resource(self) -> ExternalResource:
        return ExternalResource(endpoint=self.endpoint)


class Use(Closed):
    """What tasks refer to by name."""

    authentications: dict[str, Authentication] = {}
    catalogs: dict[str, Catalog] = {}
    errors: dict[str, ErrorDefinition] = {}
    extensions: Annotated[
        tuple[NamedExtension, ...],
        BeforeValidator(_named_extensions),
        PlainSerializer(
            lambda all_: [{e.name: e.extension.model_dump(by_alias=True, exclude_defaults=True)} for e in all_]
        ),
    ] = ()
    functions: Functions = {}
    retries: dict[str, Retry] = {}
    secrets: tuple[str, ...] = ()
    timeouts: dict[str, Timeout] = {}


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
    use: Use = Use()
    evaluate: Evaluate = Evaluate()
    timeout: TimeoutOrName | None = None
    do: Tasks = Field(min_length=1)

    @property
    def full_name(self) -> str:
        """namespace/name."""
        return f"{self.document.namespace}/{self.document.name}"


def walk_document(document: Document) -> Iterator[tuple[str, NamedTask]]:
    """Every task of a document, those of its functions and extensions included, with its JSON pointer."""
    yield from walk(document.do)
    for name, task in document.use.functions.items():
        pointer = f"/use/functions/{escape(name)}"
        yield pointer, NamedTask(name=name, task=task)
        for relative, inner in children(task):
            yield from walk(inner, pointer + relative)
    for index, named in enumerate(document.use.extensions):
        pointer = f"/use/extensions/{index}/{escape(named.name)}"
        yield from walk(named.extension.before, f"{pointer}/before")
        yield from walk(named.extension.after, f"{pointer}/after")
