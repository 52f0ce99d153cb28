"""Procedures in files, with what they need from other files."""

from __future__ import annotations

from collections.abc import Iterable
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
        self._folders = list(dict.fromkeys(folders))

    async def procedure(self, name: str, version: str) -> Source:
        found = [source for source in self._sources() if source.document.full_name == name]
        fitting = [source for source in found if version in ("", source.document.document.version)]
        if not fitting:
            where = ", ".join(map(str, self._folders))
            raise Unreachable(f"there is no procedure {name}{f' {version}' if version else ''} in {where}")
        return max(fitting, key=lambda source: precedence(source.document.document.version))

    async def document(self, uri: str, authentication: Json) -> Json:
        raise Unreachable(f"{uri}: nothing is fetched for a simulation")

    def _sources(self) -> Iterable[Source]:
        """What in the folders is a document: other files may stand beside them."""
        for folder in self._folders:
            for path in sorted(folder.iterdir()) if folder.is_dir() else ():
                if path.suffix not in _SUFFIXES:
                    continue
                try:
                    yield parse(path.read_text(encoding="utf-8"))
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
