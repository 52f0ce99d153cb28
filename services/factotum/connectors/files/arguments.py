"""What the tools of `files` take and answer."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from factotum.connectors.files.settings import RootName

FilePath = Annotated[
    str, Field(min_length=1, max_length=4096, description="Names joined by /, from the root on.", examples=["a/b.txt"])
]
Version = Annotated[str, Field(min_length=1, max_length=100, description="As another tool gave it for the file.")]
Encoding = Annotated[
    Literal["text", "base64"], Field(description="Whether `content` is the text, in UTF-8, or the bytes in base64.")
]


class Given(BaseModel):
    model_config = ConfigDict(extra="forbid")


class Nothing(Given):
    pass


class KnownRoot(BaseModel):
    name: str
    description: str
    writable: bool


class Roots(BaseModel):
    roots: list[KnownRoot]


class Ref(Given):
    root: RootName
    path: FilePath


class Listing(Given):
    root: RootName
    path: str = Field(default="", max_length=4096, description="The root itself where empty.")
    recursive: bool = False
    limit: int = Field(default=1000, gt=0, le=10_000)


class Entry(BaseModel):
    path: str
    kind: Literal["file", "folder", "other"] = Field(description="A link is other, and not followed.")
    size: int
    modified: datetime
    version: str


class Entries(BaseModel):
    entries: list[Entry]
    truncated: bool


class ReadRef(Ref):
    encoding: Encoding = "text"


class Contents(BaseModel):
    content: str
    encoding: Encoding
    size: int
    sha256: str
    version: str


class NewFile(Ref):
    content: str
    encoding: Encoding = "text"


class Written(NewFile):
    if_version: Version | None = Field(
        default=None, description="Only in the place of this version; whatever is there where absent."
    )


class Placed(BaseModel):
    root: str
    path: str
    size: int
    sha256: str
    version: str


class Move(Ref):
    to: FilePath
    version: Version


class Moved(BaseModel):
    root: str
    path: str
    moved_from: str
    version: str


class Deletion(Ref):
    version: Version
