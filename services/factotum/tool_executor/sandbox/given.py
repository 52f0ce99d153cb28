"""What a sandbox is given: descriptors of files that have a place in no file system."""

from __future__ import annotations

import os
from collections.abc import Mapping
from contextlib import ExitStack
from pathlib import PurePosixPath

from factotum.sdk.errors import InvalidArgument
from factotum.sdk.sandbox import MIB

# Each is a descriptor of the sandbox while that is made.
_MOST_FILES = 100


def given(opened: ExitStack, files: Mapping[str, str | bytes], *, at_most: int | None = None) -> dict[str, int]:
    """Descriptors of what the files hold. Raises `InvalidArgument`."""
    contents = {inner(name): text.encode() if isinstance(text, str) else text for name, text in files.items()}
    if len(contents) > _MOST_FILES:
        raise InvalidArgument(f"a command is given at most {_MOST_FILES} files")
    if at_most is not None and sum(map(len, contents.values())) > at_most:
        raise InvalidArgument(f"the files that the command is given have more than {at_most // MIB} MiB together")
    return {name: in_memory(opened, content) for name, content in contents.items()}


def inner(name: str) -> str:
    """The name of a file below a folder. Raises `InvalidArgument`."""
    path = PurePosixPath(name)
    if not name or "\0" in name or path.is_absolute() or ".." in path.parts or str(path) != name:
        raise InvalidArgument(f"{name!r} is not the name of a file in the command's folder")
    return name


def in_memory(opened: ExitStack, content: bytes) -> int:
    descriptor = os.memfd_create("factotum", os.MFD_CLOEXEC)
    opened.callback(os.close, descriptor)
    view = memoryview(content)
    while view:
        view = view[os.write(descriptor, view) :]
    os.lseek(descriptor, 0, os.SEEK_SET)
    return descriptor
