"""Documents in files and folders."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from pathlib import Path, PurePosixPath
from urllib.parse import unquote

from factotum.cli.errors import BadInput
from factotum.documents.bounded import Content
from factotum.documents.errors import Unreadable
from factotum.documents.formats import MOST_BYTES, SUFFIXES

# Beside what is hidden: folders of version control and of tools, which hold no documents of their owner's.
_LEFT_OUT = frozenset({"CVS", "RCS", "SCCS", "_darcs", "node_modules", "__pycache__"})
_MOST_BYTES = max(MOST_BYTES.values())


@dataclass(frozen=True, slots=True)
class FileSource:
    """A file. `asked` says that it was named by itself, or by a pattern: it is refused where there is no reader for it,
    and not passed over."""

    path: Path
    uri: str
    asked: bool

    async def content(self) -> Content:
        """Raises `Unreadable`."""
        try:
            size = self.path.stat().st_size
            if size > _MOST_BYTES:
                raise Unreadable(f"it has {size} bytes, and at most {_MOST_BYTES} are read: split it")
            return Content(self.path.name, self.path.read_bytes())
        except OSError as error:
            raise Unreadable(f"it cannot be read: {error.strerror or error}") from error


@dataclass(frozen=True, slots=True)
class Folder:
    """A folder and what was found in it.

    Args:
        root: resolved.
        include: patterns of which a file must match one; none: every file whose suffix is that of a document.
        closed: folders beneath it that could not be read.
    """

    root: Path
    include: tuple[str, ...]
    files: tuple[FileSource, ...] = ()
    closed: tuple[str, ...] = field(default=())

    def has_lost(self, uri: str) -> bool:
        """Whether the document is a file of this folder, as it would be looked for now, that is no longer there."""
        prefix = f"{self.root.as_uri().rstrip('/')}/"
        if not uri.startswith(prefix):
            return False
        relative = PurePosixPath(unquote(uri[len(prefix) :]))
        if any(relative.is_relative_to(folder) for folder in self.closed):
            return False
        return _wanted(relative, self.include) and not os.path.lexists(self.root / relative)


def named_file(path: Path) -> FileSource:
    """A file that was named by itself; of a link, what it leads to. Raises `BadInput`."""
    if not path.is_file():
        raise BadInput(f"{path} is neither a file nor a folder nor a URL")
    absolute = path.resolve()
    return FileSource(absolute, absolute.as_uri(), asked=True)


def folder(path: Path, include: Sequence[str]) -> Folder:
    """Its documents and those of the folders in it, in the order of their paths.

    Left out are hidden files and folders, those of version control, and links. Raises `BadInput`.
    """
    root, closed = path.resolve(), list[str]()
    if not os.access(root, os.R_OK | os.X_OK):
        raise BadInput(f"{path} cannot be read")
    found = tuple(sorted(_walk(root, tuple(include), closed), key=lambda source: source.path))
    return Folder(root, tuple(include), found, tuple(closed))


def _walk(root: Path, include: tuple[str, ...], closed: list[str]) -> Iterator[FileSource]:
    def failed(error: OSError) -> None:
        closed.append(Path(error.filename).relative_to(root).as_posix())

    for directory, folders, files in os.walk(root, onerror=failed, followlinks=False):
        folders[:] = sorted(name for name in folders if not _left_out(name))
        for name in files:
            path = Path(directory) / name
            if _wanted(PurePosixPath(path.relative_to(root)), include) and path.is_file() and not path.is_symlink():
                yield FileSource(path, path.as_uri(), asked=bool(include))


def _wanted(relative: PurePosixPath, include: tuple[str, ...]) -> bool:
    """A pattern without a slash is one of names, another of paths from the folder on; `*` stands for any characters."""
    if any(map(_left_out, relative.parts)):
        return False
    if not include:
        return relative.suffix.lower() in SUFFIXES
    return any(fnmatchcase(str(relative) if "/" in pattern else relative.name, pattern) for pattern in include)


def _left_out(name: str) -> bool:
    return name.startswith(".") or name in _LEFT_OUT
