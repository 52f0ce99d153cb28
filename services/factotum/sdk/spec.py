"""The contract of a tool, whatever it is made of."""

from __future__ import annotations

from enum import StrEnum
from typing import Any

from pydantic import BaseModel, ConfigDict, Field


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


class ToolSpec(BaseModel):
    """A tool as the catalog shows it. Schemas are JSON Schema 2020-12 objects."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str = Field(pattern=r"^[a-z][a-z0-9_]*\.[a-z][a-z0-9_]*$", examples=["identity.create_user"])
    version: str = Field(pattern=r"^\d+\.\d+\.\d+$")
    description: str
    effect: Effect
    idempotency: Idempotency
    input_schema: dict[str, Any]
    output_schema: dict[str, Any]
    timeout_seconds: float = Field(default=30.0, gt=0, le=3600)

    @property
    def system(self) -> str:
        """The connector that the tool belongs to: the part of the name before the dot."""
        return self.name.partition(".")[0]
