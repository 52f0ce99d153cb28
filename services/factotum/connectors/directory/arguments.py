"""What the tools of `directory` take and answer."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from factotum.connectors.directory.filters import AttributeName, Condition, Value

Dn = Annotated[
    str,
    Field(
        min_length=1,
        max_length=1024,
        description="A distinguished name, as another tool gave it.",
        examples=["uid=ada,ou=people,dc=acme,dc=example"],
    ),
]
Uuid = Annotated[
    str, Field(min_length=1, max_length=64, description="The entry's uuid, as another tool gave it: it and no other.")
]
Relative = Annotated[
    dict[AttributeName, Annotated[str, Field(min_length=1, max_length=256)]],
    Field(
        min_length=1, max_length=4, description="What names the entry among its siblings.", examples=[{"uid": "ada"}]
    ),
]
Attributes = dict[AttributeName, list[Value]]


class Given(BaseModel):
    model_config = ConfigDict(extra="forbid")


class Search(Given):
    conditions: list[Condition] = Field(default=[], max_length=20)
    match: Literal["all", "any"] = "all"
    under: Dn | None = Field(default=None, description="The whole subtree of the tenant where absent.")
    scope: Literal["entry", "children", "subtree"] = "subtree"
    attributes: list[AttributeName] = Field(default=[], max_length=100, description="All where none is named.")
    limit: int = Field(default=100, gt=0, le=10_000)


class Entry(BaseModel):
    dn: str
    uuid: str | None = Field(description="The entry's own id, which it keeps when it moves.")
    attributes: dict[str, list[str]]
    binary: dict[str, list[str]] = Field(default={}, description="Attributes whose values are no text, in base64.")


class Found(BaseModel):
    entries: list[Entry]
    truncated: bool


class NewEntry(Given):
    under: Dn | None = Field(default=None, description="The entry above it; the tenant's base where absent.")
    name: Relative
    object_classes: list[AttributeName] = Field(min_length=1, max_length=20, examples=[["inetOrgPerson"]])
    attributes: Attributes = Field(description="Beside what names it.")


class EntryRef(BaseModel):
    dn: str
    uuid: str | None


class Modification(Given):
    dn: Dn
    replace: Attributes = Field(min_length=1, description="The values that an attribute has afterwards; [] for none.")


class Modified(BaseModel):
    dn: str
    replaced: list[str]


class Deletion(Given):
    dn: Dn
    uuid: Uuid | None = Field(default=None, description="Only if it is still the entry with this uuid.")


class Deleted(BaseModel):
    dn: str


class Membership(Given):
    group: Dn
    member: Dn


class Password(Given):
    dn: Dn
    secret: str = Field(
        pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,127}$",
        description="Name of the secret that holds the password; the calling document declares it under use.secrets.",
    )


class PasswordSet(BaseModel):
    dn: str


class Move(Given):
    dn: Dn
    uuid: Uuid
    name: Relative | None = Field(default=None, description="Its new name; as it is where absent.")
    under: Dn | None = Field(default=None, description="The entry that will be above it; the same where absent.")


class Moved(BaseModel):
    dn: str
    uuid: str
    previous_name: dict[str, str]
    previous_under: str
