"""What every kind of source is: something to read from afar, and tools that are made of what was read.

What was read is kept, so that a source that is away at a start has its tools all the same, and so that its tools
change only when somebody asks for that.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any, ClassVar, Protocol, TypeVar

from pydantic import BaseModel

from factotum.tool_executor.registry import AnyConnector

# Of one source. A kind that makes many looks before it makes them.
MOST_TOOLS = 5000

C = TypeVar("C", bound=BaseModel)


class SourceInvalid(Exception):
    """The configuration or what was read makes no tools; the message says where and what to change."""


class SourceUnavailable(Exception):
    """The source could not be read now."""


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What reading a source is given beside its configuration.

    Attributes:
        secret: the value behind `secret://name`, of the tenant; raises `NotPermitted`.
        seconds: how long reading may take.
    """

    tenant: str
    system: str
    secret: Callable[[str], Awaitable[str]]
    seconds: float


@dataclass(frozen=True, slots=True, weakref_slot=True)
class Offer:
    """Tools of one system, and the settings that each call of them is given."""

    connector: AnyConnector
    settings: BaseModel


class Source(Protocol[C]):
    """A kind of source. `config` is closed: a field that is not known is refused."""

    kind: ClassVar[str]
    config: type[C]

    async def read(self, config: C, document: bytes, surroundings: Surroundings) -> bytes:
        """What the tools are made of, in a form of the kind's own; `document` is what was given with the
        configuration, empty if nothing was. Raises `SourceInvalid`, `SourceUnavailable`."""

    def offer(self, system: str, config: C, read: bytes) -> Offer:
        """The tools, made of what was read. Pure: the same bytes make the same tools. Raises `SourceInvalid`."""


AnySource = Source[Any]
