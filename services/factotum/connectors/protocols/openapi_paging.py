"""Answers that come by pages, as one. How an API pages is not in its document: the settings say it. Pure."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Literal, Self
from urllib.parse import urljoin

import httpx2
from pydantic import BaseModel, ConfigDict, Field, model_validator

from factotum.connectors.protocols.openapi_places import at, put
from factotum.sdk.errors import Failed

_LINK = re.compile(r"<([^<>]*)>((?:\s*;\s*[\w*!#$&+.^`|~-]+\s*(?:=\s*(?:\"(?:[^\"\\]|\\.)*\"|[^\s;,\"]+))?)*)")
_RELATION = re.compile(r";\s*rel\s*=\s*(?:\"([^\"]*)\"|([^\s;,]+))", re.IGNORECASE)


class Paging(BaseModel):
    """How an operation's answers go on.

    `link`: by the header Link with rel=next (RFC 8288); `page`: by a number that is counted up; `offset`: by how many
    items came before; `cursor`: by what an answer says at `next`. Places are names with dots; see `openapi_places`.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    style: Literal["link", "page", "offset", "cursor"]
    items: str = Field(default="", description="Where an answer holds the list; empty: it is the list.")
    parameter: str = Field(default="", description="The argument that asks for a page, e.g. page or body.startAt.")
    start: int | None = Field(default=None, description="Of page, 1 by default; of offset, 0.")
    next: str = Field(default="", description="Where an answer holds the next cursor, e.g. meta.next or data.-1.id.")
    more: str = Field(default="", description="Where an answer says false if it is the last.")
    size_parameter: str = Field(default="", description="The argument that says how long a page is.")
    size: int = Field(default=100, gt=0, description="Given with size_parameter, unless the call gives another.")
    pages: int = Field(default=10, gt=0, le=1000, description="At most so many are asked for.")
    most_items: int = Field(default=1000, gt=0, le=100_000)

    @model_validator(mode="after")
    def _complete(self) -> Self:
        if self.style != "link" and not self.parameter:
            raise ValueError(f"paging by {self.style} needs parameter")
        if self.style == "cursor" and not self.next:
            raise ValueError("paging by cursor needs next")
        return self

    @property
    def own(self) -> tuple[str, ...]:
        """The places of arguments that paging gives, so that a call must not."""
        return (self.parameter,) if self.parameter else ()

    def first(self, arguments: Mapping[str, Any]) -> dict[str, Any]:
        """The arguments of the first page."""
        made: dict[str, Any] = dict(arguments)
        if self.size_parameter and at(made, self.size_parameter) is None:
            made = put(made, self.size_parameter, self.size)
        match self.style:
            case "page":
                return _put(made, self.parameter, 1 if self.start is None else self.start)
            case "offset":
                return _put(made, self.parameter, self.start or 0)
            case _:
                return made

    def found(self, body: Any) -> list[Any]:
        """The items of one answer. Raises `Failed`."""
        items = at(body, self.items)
        if not isinstance(items, list):
            where = f"at {self.items}" if self.items else "in the body"
            raise Failed(f"the answer holds no list {where}, where its pages should have their items")
        return items

    def following(self, arguments: Mapping[str, Any], body: Any) -> dict[str, Any] | None:
        """The arguments of the next page after this answer, None if it was the last. Not for `link`.

        A page that is shorter than was asked for is not taken for the last one: only an empty one is.
        """
        found = self.found(body)
        if not found or (self.more and at(body, self.more) is False):
            return None
        before = at(arguments, self.parameter)
        if self.style == "page":
            return _put(arguments, self.parameter, int(before) + 1)
        if self.style == "offset":
            return _put(arguments, self.parameter, int(before) + len(found))
        cursor = at(body, self.next)
        if cursor in (None, "", False):
            return None
        if cursor == before:
            raise Failed("the answer's next cursor is the one that it was asked for by")
        return _put(arguments, self.parameter, cursor)

    def merged(self, body: Any, items: list[Any]) -> Any:
        """The last answer's body with the items of all."""
        return put(body, self.items, items) if self.items else items


def next_link(header: str, url: httpx2.URL) -> httpx2.URL | None:
    """Where rel=next points. Raises `Failed` for another origin, to which no credentials are sent."""
    for target, attributes in _LINK.findall(header):
        relations = " ".join(quoted or plain for quoted, plain in _RELATION.findall(attributes)).lower().split()
        if "next" not in relations:
            continue
        try:
            found = httpx2.URL(urljoin(str(url), target))
        except httpx2.InvalidURL as error:
            raise Failed(f"the answer's next page is at no address: {error}") from None
        if (found.scheme, found.host, found.port) != (url.scheme, url.host, url.port):
            raise Failed(f"the answer's next page is at {found.scheme}://{found.host}, which is another origin")
        return found
    return None


def _put(arguments: Mapping[str, Any], place: str, new: Any) -> dict[str, Any]:
    made: dict[str, Any] = put(arguments, place, new)
    return made
