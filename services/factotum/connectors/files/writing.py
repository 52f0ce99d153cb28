"""Putting files in their places, whole or not at all. Raises `OSError` and `ToolError`.

Changes beneath one root are made one after the other, by all processes that make them here. Others who write there
are not held back: what they do is seen up to the moment of the change.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import stat
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import datetime

from factotum.connectors.files.beneath import WORKSHOP, folder, look, version
from factotum.connectors.files.settings import Root
from factotum.sdk.errors import Conflict, Failed, NotFound

# What an interrupted write leaves in the workshop is taken away by one this much later.
_LEFT_SECONDS = 3600


@dataclass(frozen=True, slots=True)
class Content:
    data: bytes
    owner: str
    """Whose the file in the workshop is: of the tenant and the key, in a form that is a name."""

    @classmethod
    def of(cls, data: bytes, tenant: str, key: str) -> Content:
        return cls(data, hashlib.sha256(f"{tenant}\0{key}".encode()).hexdigest()[:32])


def create(start: int, settings: Root, parts: list[str], content: Content, *, now: datetime) -> os.stat_result:
    """A file where nothing was. Raises `Conflict` where something is."""
    with _written(start, content, now) as (workshop, name, opened), _folder_of(start, parts) as inside, _alone(start):
        _within_quota(start, settings, freed=0)
        try:
            os.link(name, parts[-1], src_dir_fd=workshop, dst_dir_fd=inside, follow_symlinks=False)
        except FileExistsError as error:
            raise Conflict(f"{'/'.join(parts)} is there already") from error
        os.fsync(inside)
        return os.fstat(opened)


def write(
    start: int, settings: Root, parts: list[str], content: Content, *, if_version: str | None, now: datetime
) -> os.stat_result:
    """A file in the place of what was there, if anything was. Raises `Conflict` where that is another version."""
    with _written(start, content, now) as (workshop, name, opened), _folder_of(start, parts) as inside, _alone(start):
        before = look(inside, parts[-1])
        if if_version is not None:
            _must_be(parts, before, if_version)
        if before is not None and not stat.S_ISREG(before.st_mode):
            raise Conflict(f"{'/'.join(parts)} is no file, and is not replaced by one")
        _within_quota(start, settings, freed=0 if before is None else before.st_size)
        if before is not None:
            os.fchmod(opened, stat.S_IMODE(before.st_mode))
        os.rename(name, parts[-1], src_dir_fd=workshop, dst_dir_fd=inside)
        os.fsync(inside)
        return os.fstat(opened)


def move(start: int, parts: list[str], to: list[str], wanted: str) -> os.stat_result:
    """The file of this version at its new name, whether it was moved now or before."""
    with _folder_of(start, to) as target, _alone(start):
        there = look(target, to[-1])
        with folder(start, parts[:-1]) as source:
            here = look(source, parts[-1])
            if there is not None and stat.S_ISREG(there.st_mode) and version(there) == wanted:
                # Moved by an earlier attempt; one that was killed between the two names has left the first.
                if here is not None and (here.st_dev, here.st_ino) == (there.st_dev, there.st_ino):
                    os.unlink(parts[-1], dir_fd=source)
                return there
            _must_be(parts, here, wanted)
            if there is not None:
                raise Conflict(f"{'/'.join(to)} is there already")
            os.link(parts[-1], to[-1], src_dir_fd=source, dst_dir_fd=target, follow_symlinks=False)
            os.fsync(target)
            os.unlink(parts[-1], dir_fd=source)
            os.fsync(source)
        moved = look(target, to[-1])
    if moved is None:
        raise NotFound(f"{'/'.join(to)} was taken away by another")
    return moved


def delete(start: int, parts: list[str], wanted: str) -> None:
    """No file of this version is there any more; one that is gone already is what was asked for."""
    with folder(start, parts[:-1]) as inside, _alone(start):
        found = look(inside, parts[-1])
        if found is None:
            return
        _must_be(parts, found, wanted)
        os.unlink(parts[-1], dir_fd=inside)
        os.fsync(inside)


def _must_be(parts: list[str], found: os.stat_result | None, wanted: str) -> None:
    path = "/".join(parts)
    if found is None:
        raise NotFound(f"{path} is not there")
    if not stat.S_ISREG(found.st_mode):
        raise Conflict(f"{path} is no file")
    if version(found) != wanted:
        raise Conflict(f"{path} is not of version {wanted} any more but of {version(found)}")


@contextmanager
def _folder_of(start: int, parts: list[str]) -> Iterator[int]:
    with folder(start, parts[:-1], make=True) as inside:
        yield inside


@contextmanager
def _written(start: int, content: Content, now: datetime) -> Iterator[tuple[int, str, int]]:
    """The content in a file of the workshop, on the disk; whatever is left of it there is taken away."""
    with folder(start, [WORKSHOP], make=True) as workshop:
        _sweep(workshop, now)
        name = f"{content.owner}-{os.getpid():x}-{time.monotonic_ns():x}"
        flags = os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
        opened = os.open(name, flags, 0o640, dir_fd=workshop)
        try:
            left = memoryview(content.data)
            while left:
                left = left[os.write(opened, left) :]
            os.fsync(opened)
            yield workshop, name, opened
        finally:
            os.close(opened)
            with suppress(FileNotFoundError):
                os.unlink(name, dir_fd=workshop)


def _sweep(workshop: int, now: datetime) -> None:
    for name in os.listdir(workshop):
        with suppress(FileNotFoundError):
            if os.stat(name, dir_fd=workshop).st_mtime < now.timestamp() - _LEFT_SECONDS:
                os.unlink(name, dir_fd=workshop)


@contextmanager
def _alone(start: int) -> Iterator[None]:
    fcntl.flock(start, fcntl.LOCK_EX)
    try:
        yield
    finally:
        fcntl.flock(start, fcntl.LOCK_UN)


def _within_quota(start: int, settings: Root, *, freed: int) -> None:
    """Raises `Failed`. What is in the workshop is counted: the file to be put in its place is there."""
    if settings.quota_bytes is None:
        return
    used = -freed
    for _, _, files, inside in os.fwalk(dir_fd=start, follow_symlinks=False):
        used += sum(found.st_size for name in files if (found := look(inside, name)) is not None)
    if used > settings.quota_bytes:
        message = f"all files together would be {used} bytes, and {settings.quota_bytes} are allowed: delete some"
        raise Failed(message, effect_possible=False)
