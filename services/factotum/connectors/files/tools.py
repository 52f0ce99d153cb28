"""The tools `files.roots`, `list`, `stat`, `read`, `create`, `write`, `move` and `delete`.

Files are beneath folders that an operator names, never elsewhere (`beneath`), and are there whole or not at all
(`writing`). To append, read and write with `if_version`: adding to a file in place could not be done once.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import os
from collections.abc import Callable
from contextlib import suppress
from typing import TypeVar

from factotum.connectors.files import beneath, reading, receipts, writing
from factotum.connectors.files.arguments import (
    Contents,
    Deletion,
    Entries,
    Entry,
    KnownRoot,
    Listing,
    Move,
    Moved,
    NewFile,
    Nothing,
    Placed,
    ReadRef,
    Ref,
    Roots,
    Written,
)
from factotum.connectors.files.settings import FilesSettings, Root
from factotum.connectors.threads import in_thread
from factotum.sdk.context import ToolContext
from factotum.sdk.errors import (
    Ambiguous,
    Conflict,
    Failed,
    InvalidArgument,
    NotFound,
    NotPermitted,
    ToolError,
    Unavailable,
)
from factotum.sdk.spec import Compensation, Effect, Example, Idempotency
from factotum.sdk.tool import Connector

T = TypeVar("T")

_READ_ERRORS = (InvalidArgument, NotPermitted, NotFound, Unavailable, Failed)
_ERRORS = (*_READ_ERRORS, Conflict)


connector = Connector("files", settings=FilesSettings)


@connector.tool(
    effect=Effect.NONE, permissions=("files.read",), examples=[Example(title="Which there are", arguments={})]
)
async def roots(arguments: Nothing, context: ToolContext[FilesSettings]) -> Roots:
    """List the folders that files may be in, by the names that calls use."""
    found = sorted(context.settings.roots.items())
    return Roots(
        roots=[KnownRoot(name=name, description=one.description, writable=one.writable) for name, one in found]
    )


@connector.tool(
    effect=Effect.NONE,
    permissions=("files.read",),
    errors=_READ_ERRORS,
    examples=[Example(title="All files", arguments={"root": "reports", "recursive": True})],
)
async def list(arguments: Listing, context: ToolContext[FilesSettings]) -> Entries:
    """List what is in a folder, or in it and all below it; of folders deeper than any path may name, only that there
    is more."""

    def work(start: int) -> Entries:
        parts = beneath.names(arguments.path) if arguments.path else []
        found: dict[str, Entry] = {}
        with beneath.folder(start, parts) as inside:
            for path, one in reading.walk(inside, parts, recursive=arguments.recursive):
                if len(found) == arguments.limit:
                    return Entries(entries=[found[path] for path in sorted(found)], truncated=True)
                found[path] = reading.entry(path, one)
        too_deep = arguments.recursive and any(
            entry.kind == "folder" and path.count("/") == beneath.DEEPEST - 1 for path, entry in found.items()
        )
        return Entries(entries=[found[path] for path in sorted(found)], truncated=too_deep)

    return await _in(arguments.root, arguments.path or ".", context, work)


@connector.tool(
    effect=Effect.NONE,
    permissions=("files.read",),
    errors=_READ_ERRORS,
    examples=[Example(title="Whether it is there", arguments={"root": "reports", "path": "2026/may.csv"})],
)
async def stat(arguments: Ref, context: ToolContext[FilesSettings]) -> Entry:
    """Tell what is at a path: its kind, size and version."""

    def work(start: int) -> Entry:
        parts = beneath.names(arguments.path)
        with beneath.folder(start, parts[:-1]) as inside:
            return reading.entry(arguments.path, os.stat(parts[-1], dir_fd=inside, follow_symlinks=False))

    return await _in(arguments.root, arguments.path, context, work)


@connector.tool(
    effect=Effect.NONE,
    permissions=("files.read",),
    errors=_READ_ERRORS,
    examples=[Example(title="A table", arguments={"root": "reports", "path": "2026/may.csv"})],
)
async def read(arguments: ReadRef, context: ToolContext[FilesSettings]) -> Contents:
    """Read a file whole, as text or as base64."""
    limit = _root(arguments.root, context).max_bytes

    def work(start: int) -> Contents:
        data, found = reading.data(start, arguments.path, limit)
        return Contents(
            content=_encoded(data, arguments),
            encoding=arguments.encoding,
            size=len(data),
            sha256=hashlib.sha256(data).hexdigest(),
            version=beneath.version(found),
        )

    return await _in(arguments.root, arguments.path, context, work)


@connector.tool(
    effect=Effect.CREATE,
    idempotency=Idempotency.RECONCILE,
    permissions=("files.write",),
    errors=_ERRORS,
    compensation=Compensation(
        call="files.delete", arguments={"root": "${ .root }", "path": "${ .path }", "version": "${ .version }"}
    ),
    examples=[Example(title="A note", arguments={"root": "reports", "path": "2026/note.txt", "content": "Hello"})],
)
async def create(arguments: NewFile, context: ToolContext[FilesSettings]) -> Placed:
    """Make a file, and the folders on the way to it; whatever is there already stays."""
    settings, data = _writable(arguments, context)
    content = writing.Content.of(data, context.tenant, context.idempotency_key)

    def work(start: int) -> Placed:
        parts = beneath.names(arguments.path)
        return _placed(arguments, data, writing.create(start, settings, parts, content, now=context.now()))

    return await _in(arguments.root, arguments.path, context, work)


@connector.tool(
    effect=Effect.UPDATE,
    idempotency=Idempotency.RECONCILE,
    permissions=("files.write",),
    errors=_ERRORS,
    examples=[Example(title="A new text", arguments={"root": "reports", "path": "2026/note.txt", "content": "Bye"})],
)
async def write(arguments: Written, context: ToolContext[FilesSettings]) -> Placed:
    """Write a file in the place of what was there; with if_version only of that version."""
    settings, data = _writable(arguments, context)
    content = writing.Content.of(data, context.tenant, context.idempotency_key)

    def work(start: int) -> Placed:
        parts = beneath.names(arguments.path)
        placed = writing.write(start, settings, parts, content, if_version=arguments.if_version, now=context.now())
        return _placed(arguments, data, placed)

    return await _in(arguments.root, arguments.path, context, work)


@create.reconcile
async def find_created(arguments: NewFile, context: ToolContext[FilesSettings]) -> Placed | None:
    """The file as this call has put it there, whatever has become of it since."""
    return await _found(arguments, context, linked=True)


@write.reconcile
async def find_written(arguments: Written, context: ToolContext[FilesSettings]) -> Placed | None:
    """The file as this call has put it there, whatever has become of it since."""
    return await _found(arguments, context, linked=False)


@connector.tool(
    effect=Effect.UPDATE,
    permissions=("files.write",),
    errors=_ERRORS,
    compensation=Compensation(
        call="files.move",
        arguments={
            "root": "${ .root }",
            "path": "${ .path }",
            "to": "${ .moved_from }",
            "version": "${ .version }",
        },
    ),
    examples=[
        Example(
            title="Into another folder",
            arguments={"root": "reports", "path": "new/may.csv", "to": "2026/may.csv", "version": "1f-18c2a-2c"},
        )
    ],
)
async def move(arguments: Move, context: ToolContext[FilesSettings]) -> Moved:
    """Move a file of a known version to a path where nothing is."""
    _writable_root(arguments.root, context)

    def work(start: int) -> Moved:
        parts, to = beneath.names(arguments.path), beneath.names(arguments.to)
        if parts == to:
            raise InvalidArgument("the file is to be moved to where it is")
        moved = writing.move(start, parts, to, arguments.version)
        return Moved(root=arguments.root, path=arguments.to, moved_from=arguments.path, version=beneath.version(moved))

    return await _in(arguments.root, arguments.path, context, work)


@connector.tool(
    effect=Effect.DELETE,
    permissions=("files.delete",),
    errors=_ERRORS,
    examples=[
        Example(
            title="What nobody needs",
            arguments={"root": "reports", "path": "2026/note.txt", "version": "1f-18c2a-2c"},
        )
    ],
)
async def delete(arguments: Deletion, context: ToolContext[FilesSettings]) -> Ref:
    """Delete a file of a known version; one that is gone already is deleted."""
    _writable_root(arguments.root, context)

    def work(start: int) -> Ref:
        # The folder that it was in may be gone as well.
        with suppress(FileNotFoundError):
            writing.delete(start, beneath.names(arguments.path), arguments.version)
        return Ref(root=arguments.root, path=arguments.path)

    return await _in(arguments.root, arguments.path, context, work)


async def _found(arguments: NewFile, context: ToolContext[FilesSettings], *, linked: bool) -> Placed | None:
    _, data = _writable(arguments, context)
    content = writing.Content.of(data, context.tenant, context.idempotency_key)

    def work(start: int) -> Placed | None:
        made = writing.earlier(start, content.owner, linked=linked)
        if made is None and context.started_at < context.now() - receipts.KEPT:
            raise Ambiguous("the call was begun so long ago that its receipt would not be kept any more")
        return None if made is None else _placed(arguments, data, made)

    try:
        return await _in(arguments.root, arguments.path, context, work)
    except NotFound:
        return None
    except Ambiguous:
        raise
    except ToolError as error:
        raise Unavailable(f"it cannot be seen now: {error.message}", effect_possible=True) from error


async def _in(name: str, path: str, context: ToolContext[FilesSettings], work: Callable[[int], T]) -> T:
    settings = _root(name, context)

    def opened() -> T:
        with beneath.root(settings.path) as start, beneath.explained(path):
            return work(start)

    return await in_thread(opened, lane=f"files/{context.tenant}")


def _root(name: str, context: ToolContext[FilesSettings]) -> Root:
    try:
        return context.settings.roots[name]
    except KeyError:
        known = ", ".join(sorted(context.settings.roots)) or "none"
        raise NotFound(f"there is no root {name!r}; these are: {known}") from None


def _writable_root(name: str, context: ToolContext[FilesSettings]) -> Root:
    settings = _root(name, context)
    if not settings.writable:
        raise NotPermitted(f"nothing in {name} is to be changed: its settings lack writable: true")
    return settings


def _writable(arguments: NewFile, context: ToolContext[FilesSettings]) -> tuple[Root, bytes]:
    settings = _writable_root(arguments.root, context)
    try:
        if arguments.encoding == "base64":
            data = base64.b64decode(arguments.content, validate=True)
        else:
            data = arguments.content.encode()
    except (binascii.Error, ValueError) as error:
        raise InvalidArgument(f"content is no {arguments.encoding}: {error}") from error
    if len(data) > settings.max_bytes:
        raise InvalidArgument(f"content has {len(data)} bytes; {settings.max_bytes} are allowed")
    return settings, data


def _encoded(data: bytes, arguments: ReadRef) -> str:
    if arguments.encoding == "base64":
        return base64.b64encode(data).decode()
    try:
        return data.decode()
    except UnicodeDecodeError as error:
        raise InvalidArgument(f"{arguments.path} is no text in UTF-8: ask for encoding base64") from error


def _placed(arguments: NewFile, data: bytes, version: str) -> Placed:
    return Placed(
        root=arguments.root,
        path=arguments.path,
        size=len(data),
        sha256=hashlib.sha256(data).hexdigest(),
        version=version,
    )
