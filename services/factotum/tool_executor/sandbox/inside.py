"""Runs inside, before and after the command, by the machine's own python3: uses the standard library alone.

    python3 -I inside.py DESCRIPTORS ARGV...

DESCRIPTORS is JSON: `network` and `port`, a socket to send a listening one through, which the command's proxy is then
at; `files` and `wanted`, a pipe to write files to when the command has ended, and the patterns of those.
"""

from __future__ import annotations

import fnmatch
import json
import os
import socket
import struct
import sys

TYPE_CHECKING = False
if TYPE_CHECKING:  # slow to import
    from typing import BinaryIO


def main() -> int:
    given, argv = json.loads(sys.argv[1]), sys.argv[2:]
    if (network := given.get("network")) is not None:
        _listen(network, given["port"])
    if (files := given.get("files")) is None:
        return _execute(argv)
    os.set_inheritable(files, False)
    child = os.fork()
    if child == 0:
        os._exit(_execute(argv))
    _, status = os.waitpid(child, 0)
    with os.fdopen(files, "wb") as pipe:
        for name in _found(given["wanted"]):
            _write(pipe, name)
    code = os.waitstatus_to_exitcode(status)
    return code if code >= 0 else 128 - code


def _execute(argv: list[str]) -> int:
    try:
        os.execv(argv[0], argv)  # noqa: S606  a command that came this far is in its sandbox
    except OSError as error:
        print(f"{argv[0]}: {error.strerror}", file=sys.stderr, flush=True)
        return 127


def _listen(descriptor: int, port: int) -> None:
    """A socket stays in the network in which it was made, whoever has it: this one's is the sandbox's."""
    with socket.socket(fileno=descriptor) as channel, socket.create_server(("127.0.0.1", port)) as listening:
        socket.send_fds(channel, [b"."], [listening.fileno()])


def _found(wanted: list[str]) -> list[str]:
    """Regular files that match, part by part; links are not followed."""
    found: list[str] = []
    for pattern in wanted:
        *folders, last = pattern.split("/")
        places = [""]
        for part in folders:
            places = [name for place in places for name in _matching(place, part, folders=True)]
        found += [name for place in places for name in _matching(place, last, folders=False)]
    return sorted(set(found))


def _matching(place: str, pattern: str, *, folders: bool) -> list[str]:
    try:
        with os.scandir(place or ".") as entries:
            return [
                f"{place}/{entry.name}" if place else entry.name
                for entry in entries
                if fnmatch.fnmatchcase(entry.name, pattern)
                and (entry.is_dir(follow_symlinks=False) if folders else entry.is_file(follow_symlinks=False))
            ]
    except OSError:
        return []


def _write(pipe: BinaryIO, name: str) -> None:
    """The lengths of the name and of the content, then both."""
    try:
        with os.fdopen(os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK), "rb") as file:
            content = file.read()
    except OSError:
        return
    encoded = os.fsencode(name)
    pipe.write(struct.pack(">IQ", len(encoded), len(content)) + encoded + content)


if __name__ == "__main__":
    sys.exit(main())
