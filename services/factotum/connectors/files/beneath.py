"""Opening what is beneath a folder and nothing else, whatever links, `..` or races would lead out of it.

A path is walked name by name, each opened in the folder before it without following a link (openat(2) with
O_NOFOLLOW). So no link is followed, whoever makes one and whenever, and no name leads upwards.
"""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress

from factotum.sdk.errors import Conflict, Failed, InvalidArgument, NotFound, NotPermitted, ToolError, Unavailable

# Where files are written before they are put in their places; not to be seen.
WORKSHOP = ".factotum"
# Names in a path: deeper than any folder is that people keep.
DEEPEST = 64

_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_KINDS: dict[int, type[ToolError]] = {
    errno.ENOENT: NotFound,
    errno.EEXIST: Conflict,
    errno.ENOTEMPTY: Conflict,
    errno.EACCES: NotPermitted,
    errno.EPERM: NotPermitted,
    errno.EROFS: NotPermitted,
    errno.ELOOP: InvalidArgument,
    errno.ENOTDIR: InvalidArgument,
    errno.EISDIR: InvalidArgument,
    errno.EINVAL: InvalidArgument,
    errno.ENAMETOOLONG: InvalidArgument,
    errno.ENXIO: InvalidArgument,
    errno.EXDEV: Failed,
}


def names(path: str) -> list[str]:
    """The names in a path. Raises `InvalidArgument` for one that does not lead strictly downwards."""
    parts = path.split("/")
    if path.startswith("/") or any(part in ("", ".", "..") for part in parts):
        raise InvalidArgument(f"{path!r} is no path: give names joined by /, without . or .. among them")
    if len(parts) > DEEPEST:
        raise InvalidArgument(f"a path holds at most {DEEPEST} names; this one holds {len(parts)}")
    # Some file systems take no notice of case.
    if parts[0].casefold() == WORKSHOP:
        raise InvalidArgument(f"{WORKSHOP} is not to be touched")
    if any(not part.isprintable() for part in parts):
        raise InvalidArgument("a path holds no control characters")
    return parts


@contextmanager
def explained(path: str) -> Iterator[None]:
    """Turns what the operating system says of a path into a `ToolError`; the effect is not there."""
    try:
        yield
    except OSError as error:
        if error.errno in (errno.ENOTDIR, errno.ELOOP):
            message = f"{path}: a part of it is no folder (links are not followed)"
        else:
            message = f"{path}: {error.strerror}"
        kind = _KINDS.get(error.errno or 0, Unavailable)
        raise kind(message, effect_possible=False) from error
    except UnicodeError as error:
        raise InvalidArgument(f"{path!r} is no path: {error}") from error


@contextmanager
def root(path: str) -> Iterator[int]:
    """The folder that an operator named; it may be named by a link. Raises `Unavailable` where it is not there."""
    try:
        opened = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    except OSError as error:
        raise Unavailable(f"the folder is not there: {error.strerror}", effect_possible=False) from error
    try:
        yield opened
    finally:
        os.close(opened)


@contextmanager
def folder(start: int, parts: Sequence[str], *, make: bool = False) -> Iterator[int]:
    """The folder at these names beneath `start`. Raises `OSError`.

    Args:
        make: those that are missing are made, and taken away again where the block raises `OSError` or `ToolError`
            and nothing is in them.
    """
    opened = os.dup(start)
    made: list[int] = []
    try:
        for at, part in enumerate(parts):
            if make and _made(opened, part):
                made.append(at)
            below = os.open(part, _FOLDER, dir_fd=opened)
            os.close(opened)
            opened = below
        yield opened
    except (OSError, ToolError):
        for at in reversed(made):
            with suppress(OSError), folder(start, parts[:at]) as above:
                os.rmdir(parts[at], dir_fd=above)
        raise
    finally:
        os.close(opened)


def _made(opened: int, part: str) -> bool:
    """Whether it was missing. Whatever is there already, opening it says what that is."""
    try:
        os.mkdir(part, dir_fd=opened)
    except FileExistsError:
        return False
    os.fsync(opened)
    return True


@contextmanager
def regular(inside: int, name: str) -> Iterator[tuple[int, os.stat_result]]:
    """A file that is a file, no link and nothing that blocks. Raises `OSError`, `InvalidArgument`."""
    opened = os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, dir_fd=inside)
    try:
        found = os.fstat(opened)
        if not stat.S_ISREG(found.st_mode):
            raise InvalidArgument(f"{name} is no file")
        yield opened, found
    finally:
        os.close(opened)


def version(found: os.stat_result) -> str:
    """Tells a file from whatever is at its name later: every write here makes a new one. Moving keeps it."""
    return f"{found.st_ino:x}-{found.st_mtime_ns:x}-{found.st_size:x}"


def look(inside: int, name: str) -> os.stat_result | None:
    """What is at a name, a link itself; None if nothing is. Raises `OSError`."""
    try:
        return os.stat(name, dir_fd=inside, follow_symlinks=False)
    except FileNotFoundError:
        return None
