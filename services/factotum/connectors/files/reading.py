"""Looking at files and folders. Raises `OSError` and `ToolError`."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Literal

from factotum.connectors.files import beneath
from factotum.connectors.files.arguments import Entry
from factotum.sdk.errors import InvalidArgument, Unavailable


def data(start: int, path: str, limit: int) -> tuple[bytes, os.stat_result]:
    """A file's bytes as they were at one time. Raises `InvalidArgument` where there are more than `limit`."""
    parts = beneath.names(path)
    with beneath.folder(start, parts[:-1]) as inside, beneath.regular(inside, parts[-1]) as (opened, found):
        if found.st_size > limit:
            raise InvalidArgument(f"{path} has {found.st_size} bytes; {limit} are allowed")
        with os.fdopen(os.dup(opened), "rb") as file:
            content = file.read(limit + 1)
        if beneath.version(os.fstat(opened)) != beneath.version(found) or len(content) != found.st_size:
            raise Unavailable(f"{path} changed while it was read", effect_possible=False)
    return content, found


def walk(inside: int, parts: list[str], *, recursive: bool) -> Iterator[tuple[str, os.stat_result]]:
    """What is in an open folder, by its path from the root; names that are no text are left out,
    and so is what no path may name (`DEEPEST`)."""
    for name in sorted(os.listdir(inside)):
        if (not parts and name == beneath.WORKSHOP) or not name.isprintable():
            continue
        found = beneath.look(inside, name)
        if found is None:
            continue
        yield "/".join([*parts, name]), found
        if recursive and stat.S_ISDIR(found.st_mode) and len(parts) + 1 < beneath.DEEPEST:
            with beneath.folder(inside, [name]) as below:
                yield from walk(below, [*parts, name], recursive=True)


def entry(path: str, found: os.stat_result) -> Entry:
    kind: Literal["file", "folder", "other"] = "other"
    if stat.S_ISREG(found.st_mode):
        kind = "file"
    elif stat.S_ISDIR(found.st_mode):
        kind = "folder"
    modified = datetime.fromtimestamp(found.st_mtime, UTC)
    return Entry(path=path, kind=kind, size=found.st_size, modified=modified, version=beneath.version(found))
