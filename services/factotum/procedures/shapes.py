"""The parts that many tasks share: schemas, data flow, timeouts, endpoints. Source: DSL 1.0.3."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, model_validator
from pydantic_core import PydanticCustomError

from factotum.procedures.duration import Lapse

Json = Any


class Closed(BaseModel):
    """Immutable; an unknown property is an error."""

    model_config = ConfigDict(frozen=True, extra="forbid", populate_by_name=True)


def text_or(model: type[BaseModel], wanted: str) -> BeforeValidator:
    """Of a text and a mapping, the one that was given: only its own faults are named, at their places.

    Args:
        wanted: what else is said of anything that is neither, after "must be".
    """

    def chosen(value: object) -> object:
        if isinstance(value, Mapping):
            return model.model_validate(value)
        if not isinstance(value, str | model):
            raise PydanticCustomError("text_or", "must be {wanted}", {"wanted": wanted})
        return value

    return BeforeValidator(chosen)


class Authentication(Closed):
    """One policy, or the name of one under `use.authentications`. What a scheme holds, the tool that uses it checks."""

    use: str | None = Field(default=None, min_length=1)
    basic: dict[str, Json] | None = None
    bearer: dict[str, Json] | None = None
    certificate: dict[str, Json] | None = None
    digest: dict[str, Json] | None = None
    oauth2: dict[str, Json] | None = None
    oidc: dict[str, Json] | None = None

    @model_validator(mode="after")
    def _one(self) -> Authentication:
        if len(self.model_dump(exclude_none=True)) != 1:
            schemes = ", ".join(type(self).model_fields)
            raise PydanticCustomError("authentication", "name exactly one of {schemes}", {"schemes": schemes})
        return self


class Endpoint(Closed):
    uri: str
    authentication: Authentication | None = None


Addressed = Annotated[str | Endpoint, text_or(Endpoint, "an address, or {uri: …}")]


class ExternalResource(Closed):
    """A document that lies elsewhere."""

    name: str | None = None
    endpoint: Addressed

    @property
    def uri(self) -> str:
        return self.endpoint if isinstance(self.endpoint, str) else self.endpoint.uri


class Schema(Closed):
    """A JSON Schema, inline, or where it lies."""

    format: str = Field(default="json", pattern=r"^json(:.+)?$")
    document: dict[str, Json] | None = None
    resource: ExternalResource | None = None

    @model_validator(mode="after")
    def _one(self) -> Schema:
        if (self.document is None) == (self.resource is None):
            raise PydanticCustomError("schema", "name exactly one of `document` and `resource`")
        return self


class Input(Closed):
    schema_: Schema | None = Field(default=None, alias="schema")
    from_: Json = Field(default=None, alias="from")


class Output(Closed):
    schema_: Schema | None = Field(default=None, alias="schema")
    as_: Json = Field(default=None, alias="as")


class Export(Output):
    """`export.as` gives the new `$context`."""


class Timeout(Closed):
    after: Lapse


TimeoutOrName = Annotated[str | Timeout, text_or(Timeout, "{after: …}, or a name under `use.timeouts`")]


class Evaluate(Closed):
    """How expressions are found: in strict mode inside `${ }`; in loose mode every text that can be one is."""

    language: Literal["jq"] = "jq"
    mode: Literal["strict", "loose"] = "strict"
