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
from datetime import datetime, timedelta

from factotum.connectors.files import receipts
from factotum.connectors.files.beneath import DEEPEST, WORKSHOP, folder, look, version
from factotum.connectors.files.settings import Root
from factotum.sdk.errors import Ambiguous, Conflict, Failed, NotFound, ToolError, Unavailable

# What an interrupted write leaves in the workshop is taken away by one this much later.
_LEFT = timedelta(hours=1)
# What a folder takes where one is made of one block.
_FOLDER_BYTES = 4096


@dataclass(frozen=True, slots=True)
class Content:
    data: bytes
    owner: str
    """Whose the file in the workshop is: of the tenant and the key, in a form that is a name."""

    @classmethod
    def of(cls, data: bytes, tenant: str, key: str) -> Content:
        return cls(data, hashlib.sha256(f"{tenant}\0{key}".encode()).hexdigest()[:32])


def create(start: int, settings: Root, parts: list[str], content: Content, *, now: datetime) -> str:
    """The version of a file where nothing was, put there now or by an earlier attempt. Raises `Conflict` where
    something is."""
    with _written(start, content, now) as (workshop, name, opened), _alone(start):
        if (earlier := _earlier(workshop, content.owner)) is not None:
            return earlier
        with folder(start, parts[:-1], make=True) as inside:
            _within_quota(start, settings, more=len(content.data))
            with _receipted(workshop, name, opened, content.owner, now) as (waiting, made):
                try:
                    os.link(waiting, parts[-1], src_dir_fd=workshop, dst_dir_fd=inside, follow_symlinks=False)
                except FileExistsError as error:
                    raise Conflict(f"{'/'.join(parts)} is there already") from error
            with _done(parts):
                os.fsync(inside)
                os.unlink(waiting, dir_fd=workshop)
            return made


def write(
    start: int, settings: Root, parts: list[str], content: Content, *, if_version: str | None, now: datetime
) -> str:
    """The version of a file in the place of what was there, if anything was, put there now or by an earlier attempt.
    Raises `Conflict` where that is another version than `if_version`."""
    with _written(start, content, now) as (workshop, name, opened), _alone(start):
        if (earlier := _earlier(workshop, content.owner)) is not None:
            return earlier
        with folder(start, parts[:-1], make=True) as inside:
            before = look(inside, parts[-1])
            if if_version is not None:
                _must_be(parts, before, if_version)
            if before is not None and not stat.S_ISREG(before.st_mode):
                raise Conflict(f"{'/'.join(parts)} is no file, and is not replaced by one")
            _within_quota(start, settings, more=len(content.data) - (0 if before is None else before.st_size))
            if before is not None:
                os.fchmod(opened, stat.S_IMODE(before.st_mode))
            with _receipted(workshop, name, opened, content.owner, now) as (waiting, made):
                os.rename(waiting, parts[-1], src_dir_fd=workshop, dst_dir_fd=inside)
            with _done(parts):
                os.fsync(inside)
            return made


def earlier(start: int, owner: str, *, linked: bool) -> str | None:
    """The version that this owner's call has put in its place, whatever has become of it since; None if it has not.

    Args:
        linked: by `create`, of which one moment leaves it open. Raises `Ambiguous` then.
    """
    with folder(start, [WORKSHOP]) as workshop, _alone(start):
        made = _earlier(workshop, owner)
        if made is None and linked and receipts.read(workshop, owner) is not None:
            raise Ambiguous("the call was interrupted as it put the file in its place; the file may be taken since")
        return made


def _earlier(workshop: int, owner: str) -> str | None:
    receipt = receipts.read(workshop, owner)
    if receipt is None:
        return None
    waits = look(workshop, receipts.waiting(owner))
    if waits is None:
        return receipt.version
    if waits.st_nlink > 1:
        os.unlink(receipts.waiting(owner), dir_fd=workshop)
        return receipt.version
    return None


@contextmanager
def _receipted(workshop: int, name: str, opened: int, owner: str, now: datetime) -> Iterator[tuple[str, str]]:
    """The name under which the file waits for the block to put it in its place, and its version; its receipt is
    written. Where the block raises, neither is there."""
    if (left := receipts.read(workshop, owner)) is not None:
        receipts.drop(workshop, owner, left)
    waiting = receipts.waiting(owner)
    os.rename(name, waiting, src_dir_fd=workshop, dst_dir_fd=workshop)
    os.fsync(workshop)
    made = version(os.fstat(opened))
    receipt = receipts.write(workshop, owner, made, now=now)
    try:
        yield waiting, made
    except (OSError, ToolError):
        receipts.drop(workshop, owner, receipt)
        os.unlink(waiting, dir_fd=workshop)
        raise


@contextmanager
def _done(parts: list[str]) -> Iterator[None]:
    """Around what follows the change."""
    try:
        yield
    except OSError as error:
        raise Unavailable(f"{'/'.join(parts)} is changed, and then: {error.strerror}", effect_possible=True) from error


def move(start: int, parts: list[str], to: list[str], wanted: str) -> os.stat_result:
    """The file of this version at its new name, whether it was moved now or before."""
    with _alone(start), folder(start, to[:-1], make=True) as target:
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
            with _done(to):
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
def _written(start: int, content: Content, now: datetime) -> Iterator[tuple[int, str, int]]:
    """The content in a file of the workshop, on the disk; whatever is left of it there is taken away."""
    with folder(start, [WORKSHOP], make=True) as workshop:
        receipts.sweep(workshop, now, left=_LEFT)
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
            # It waits under another name by now, or is swept away later.
            with suppress(OSError):
                os.unlink(name, dir_fd=workshop)


@contextmanager
def _alone(start: int) -> Iterator[None]:
    fcntl.flock(start, fcntl.LOCK_EX)
    try:
        yield
    finally:
        fcntl.flock(start, fcntl.LOCK_UN)


def _within_quota(start: int, settings: Root, *, more: int) -> None:
    """Raises `Failed`. What is in the workshop is not counted."""
    if settings.quota_bytes is None:
        return
    used = more + _size(start, 0)
    if used > settings.quota_bytes:
        message = f"all files together would be {used} bytes, and {settings.quota_bytes} are allowed: delete some"
        raise Failed(message, effect_possible=False)


def _size(inside: int, depth: int) -> int:
    """Of all that is in an open folder."""
    size = 0
    for name in os.listdir(inside):
        found = look(inside, name)
        if found is None or (depth == 0 and name == WORKSHOP):
            continue
        if not stat.S_ISDIR(found.st_mode):
            size += found.st_size
            continue
        if depth + 1 >= DEEPEST:
            raise Failed(f"there are folders deeper than {DEEPEST}: they are not counted", effect_possible=False)
        size += _FOLDER_BYTES
        # Taken away meanwhile, or not for us to see.
        with suppress(OSError), folder(inside, [name]) as below:
            size += _size(below, depth + 1)
    return size
