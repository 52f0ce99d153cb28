"""What an operator says of a tenant's folders."""

from __future__ import annotations

from typing import Annotated

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

RootName = Annotated[
    str, Field(pattern=r"^[a-z][a-z0-9_-]{0,62}$", description="A folder's name in the tenant's settings.")
]


def _whole(path: str) -> str:
    if not path.startswith("/") or "\0" in path:
        raise ValueError("give the folder's whole path")
    return path


class Root(BaseModel):
    """A folder, all that is beneath it and nothing else. Other file systems mounted beneath it can be read.

    Attributes:
        writable: files may be made, replaced, moved and deleted.
        max_bytes: of one file that is read or written.
        quota_bytes: of all files together, with 4096 for each folder; a write that would exceed it is refused. None:
            as much as there is room.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    path: Annotated[str, AfterValidator(_whole)]
    description: str = ""
    writable: bool = False
    max_bytes: int = Field(default=1_000_000, gt=0, le=16_000_000)
    quota_bytes: int | None = Field(default=None, gt=0)


class FilesSettings(BaseModel):
    """The folders by the names that calls use."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    roots: dict[RootName, Root]
