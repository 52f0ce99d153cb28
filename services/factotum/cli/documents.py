"""Procedures in files, with what they need from other files."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from factotum.cli.errors import BadInput
from factotum.planner.resolution import Resolved, Unreachable, resolve
from factotum.planner.versions import precedence
from factotum.procedures.check import Catalog, check
from factotum.procedures.fault import Fault, FaultyDocument
from factotum.procedures.parse import Source, parse

Json = Any

_SUFFIXES = (".yaml", ".yml", ".json")


class Faulty(BadInput):
    """A document that may not run; the message has every fault, a line each."""

    def __init__(self, path: Path, faults: list[Fault]) -> None:
        super().__init__("\n".join(f"{path}:{fault}" for fault in faults))


def text_of(path: Path) -> str:
    """Raises `BadInput`."""
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise BadInput(f"{path} cannot be read: {getattr(error, 'strerror', None) or error}") from error


def source_of(path: Path) -> Source:
    """Raises `BadInput`."""
    try:
        return parse(text_of(path))
    except FaultyDocument as error:
        raise Faulty(path, error.faults) from error


class Folders:
    """`resolution.Fetch` among the files of some folders: nothing is fetched from elsewhere."""

    def __init__(self, folders: Iterable[Path]) -> None:
        self._folders = folders

    async def procedure(self, name: str, version: str) -> Source:
        """The newest one if the version is empty. Raises `Unreachable`."""
        return _newest(name, version, self._folders)[1]

    async def document(self, uri: str, authentication: Json) -> Json:
        raise Unreachable(f"{uri}: nothing is fetched for a simulation")


def file_of(procedure: str, base: Path, folders: Iterable[Path]) -> Path:
    """The file of a procedure that is named by a path from `base`, or by namespace/name or namespace/name:version.

    Raises `BadInput`.
    """
    if procedure.endswith(_SUFFIXES):
        return base / procedure
    name, _, version = procedure.partition(":")
    try:
        return _newest(name, version, folders)[0]
    except Unreachable as error:
        raise BadInput(str(error)) from error


def _newest(name: str, version: str, folders: Iterable[Path]) -> tuple[Path, Source]:
    """Raises `Unreachable`."""
    folders = list(dict.fromkeys(folders))
    fitting = [
        (path, source)
        for path, source in _documents(folders)
        if source.document.full_name == name and version in ("", source.document.document.version)
    ]
    if not fitting:
        where = ", ".join(map(str, folders))
        raise Unreachable(f"there is no procedure {name}{f' {version}' if version else ''} in {where}")
    return max(fitting, key=lambda found: precedence(found[1].document.document.version))


def _documents(folders: Iterable[Path]) -> Iterator[tuple[Path, Source]]:
    """What in the folders is a document: other files may stand beside them."""
    for folder in folders:
        for path in sorted(folder.iterdir()) if folder.is_dir() else ():
            if path.suffix not in _SUFFIXES:
                continue
            try:
                yield path, parse(path.read_text(encoding="utf-8"))
            except (FaultyDocument, OSError, UnicodeDecodeError):
                continue


async def resolved(path: Path, folders: Iterable[Path], catalog: Catalog) -> Resolved:
    """The document of a file, checked, with what it needs. Raises `BadInput`."""
    source = source_of(path)
    try:
        found = await resolve(source, Folders(folders))
    except FaultyDocument as error:
        raise Faulty(path, error.faults) from error
    if faults := check(found.source, catalog):
        raise Faulty(path, faults)
    return found
