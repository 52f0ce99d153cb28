"""The contract of a tool, whatever it is made of."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, Any, Self

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, model_validator

from factotum.sdk.errors import KINDS

NAME_PATTERN = r"^[a-z][a-z0-9_]*\.[a-z][a-z0-9_]*$"
SYSTEM_PATTERN = r"^[a-z][a-z0-9_]*$"


class Effect(StrEnum):
    """What a call does to the world. NONE is a pure read: it may be repeated at will."""

    NONE = "none"
    CREATE = "create"
    UPDATE = "update"
    DELETE = "delete"
    SEND = "send"
    EXECUTE = "execute"


class Idempotency(StrEnum):
    """How an effect is kept from happening twice.

    NATIVE: the system takes the key itself, or doing it again changes nothing.
    RECONCILE: the tool can ask the system whether the effect happened.
    NONE: nothing can be asked; an interrupted call stops as ambiguous.
    """

    NATIVE = "native"
    RECONCILE = "reconcile"
    NONE = "none"


class Part(BaseModel):
    """Base of what a spec is made of."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class Compensation(Part):
    """The call that takes the effect back, in the form of a step's `metadata.compensate`.

    Attributes:
        call: a tool's name.
        arguments: expressions over the output of the call that is taken back, as `with` of a step has them.
    """

    call: str = Field(pattern=NAME_PATTERN)
    arguments: dict[str, Any] = {}


class SecretNeed(Part):
    """A secret that the tool asks for by name, beside those that its settings refer to.

    Attributes:
        delegated: it belongs to the person the run acts for, who must have one of this name; the tenant's is
            not taken in its place.
    """

    name: str = Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,127}$")
    description: str = ""
    delegated: bool = False


class RateLimit(Part):
    """So many calls in so many seconds, for each tenant in each executor: several allow as many times more. All of
    them may come at once."""

    calls: int = Field(gt=0)
    seconds: float = Field(gt=0)


class Example(Part):
    """A call as a person would make it; `output` is what such a call answers."""

    title: str
    arguments: dict[str, Any]
    output: dict[str, Any] | None = None


def _known_kind(kind: str) -> str:
    if kind not in KINDS:
        raise ValueError(f"{kind!r} is no kind of error; these are: {', '.join(KINDS)}")
    return kind


class ToolSpec(BaseModel):
    """A tool as the catalog shows it. Schemas are JSON Schema 2020-12 objects.

    Attributes:
        permissions: what a policy must grant to who calls; see `needed_permissions`.
        errors: the kinds of error that it may answer, where its author says so; whether a retry can help is a
            property of the kind (`factotum.sdk.errors`). Every tool may answer what the executor itself raises.
        rate_limit, concurrency: bounds for each tenant, kept by each executor for itself.
        sandbox: it runs commands, in a sandbox that its context has.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str = Field(pattern=NAME_PATTERN, examples=["identity.create_user"])
    version: str = Field(pattern=r"^\d+\.\d+\.\d+$")
    description: str
    effect: Effect
    idempotency: Idempotency
    input_schema: dict[str, Any]
    output_schema: dict[str, Any]
    timeout_seconds: float = Field(default=30.0, gt=0, le=3600)
    permissions: tuple[str, ...] = ()
    secrets: tuple[SecretNeed, ...] = ()
    compensation: Compensation | None = None
    errors: tuple[Annotated[str, AfterValidator(_known_kind)], ...] = ()
    rate_limit: RateLimit | None = None
    concurrency: int | None = Field(default=None, gt=0)
    sandbox: bool = False
    examples: tuple[Example, ...] = ()

    @model_validator(mode="after")
    def _a_read_has_nothing_to_take_back(self) -> Self:
        if self.effect is Effect.NONE and self.compensation is not None:
            raise ValueError(f"{self.name} reads: there is nothing that {self.compensation.call} could take back")
        return self

    @property
    def system(self) -> str:
        """The connector that the tool belongs to: the part of the name before the dot."""
        return self.name.partition(".")[0]

    @property
    def needed_permissions(self) -> tuple[str, ...]:
        """The declared permissions, or else `system.read` or `system.<effect>`, e.g. `mail.send`."""
        verb = "read" if self.effect is Effect.NONE else self.effect.value
        return self.permissions or (f"{self.system}.{verb}",)
