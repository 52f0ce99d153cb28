"""The process that reads documents: takes them from its input, answers on its output, ends with its input.

A message is four bytes, big-endian, that say how long it is, and JSON in UTF-8; after a request's stand as many bytes
of content as it says. A request is `{format, name, charset, size}`; an answer is one of `{title, chunks, remarks}`, a
chunk being `[text, section, page]`, and `{error, sort}`, where `sort` is the name of the error's class.
"""

from __future__ import annotations

import json
import resource
import sys
from typing import Any, BinaryIO

from factotum.documents.errors import Unreadable
from factotum.documents.formats import Format
from factotum.documents.reading import read

HEADER_BYTES = 4


def main() -> None:
    seconds, memory_bytes = int(sys.argv[1]), int(sys.argv[2])
    _confine(memory_bytes)
    source, sink = sys.stdin.buffer, sys.stdout.buffer
    _send(sink, {"ready": True})
    while header := source.read(HEADER_BYTES):
        request = json.loads(source.read(int.from_bytes(header, "big")))
        content = source.read(request["size"])
        _allow_cpu(seconds)
        _send(sink, _answer(request, content))


def _confine(memory_bytes: int) -> None:
    """No files, no core dumps, no further processes, and no more memory than this."""
    for what, most in (
        (resource.RLIMIT_AS, memory_bytes),
        (resource.RLIMIT_CORE, 0),
        (resource.RLIMIT_FSIZE, 0),
        (resource.RLIMIT_NPROC, 0),
    ):
        resource.setrlimit(what, (most, most))


def _allow_cpu(seconds: int) -> None:
    """This much more processor time: what ends the process should its parent be gone."""
    used = resource.getrusage(resource.RUSAGE_SELF)
    allowed = int(used.ru_utime + used.ru_stime) + seconds + 1
    resource.setrlimit(resource.RLIMIT_CPU, (allowed, resource.RLIM_INFINITY))


def _answer(request: dict[str, Any], content: bytes) -> dict[str, Any]:
    try:
        found = read(Format(request["format"]), content, name=request["name"], charset=request["charset"])
    except Unreadable as error:
        return {"error": str(error), "sort": type(error).__name__}
    except RecursionError:
        return {"error": "it is nested too deeply", "sort": Unreadable.__name__}
    return {
        "title": found.title,
        "chunks": [(chunk.text, chunk.section, chunk.page) for chunk in found.chunks],
        "remarks": found.remarks,
    }


def _send(sink: BinaryIO, message: dict[str, Any]) -> None:
    encoded = json.dumps(message).encode()
    sink.write(len(encoded).to_bytes(HEADER_BYTES, "big") + encoded)
    sink.flush()


if __name__ == "__main__":
    main()
