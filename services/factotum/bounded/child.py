"""The process that evaluates expressions: reads requests from its input, answers on its output, ends with its input.

A message is four bytes, big-endian, that say how long it is, and JSON in UTF-8. A request is
`{program, value, arguments}`; an answer is one of `{result}`, `{error}` and `{large: true}`.
"""

from __future__ import annotations

import json
import resource
import sys
from collections.abc import Mapping
from typing import Any, BinaryIO

from factotum.procedures.program import ExpressionError, run_unbounded

HEADER_BYTES = 4


def main() -> None:
    seconds, memory_bytes, output_bytes = float(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3])
    _confine(memory_bytes)
    source, sink = sys.stdin.buffer, sys.stdout.buffer
    _send(sink, b'{"ready":true}')
    while (request := _receive(source)) is not None:
        _allow_cpu(seconds)
        _send(sink, _answer(json.loads(request), output_bytes))


def _confine(memory_bytes: int) -> None:
    """No files, no core dumps, no further processes, and no more memory than this."""
    for what, most in (
        (resource.RLIMIT_AS, memory_bytes),
        (resource.RLIMIT_CORE, 0),
        (resource.RLIMIT_FSIZE, 0),
        (resource.RLIMIT_NPROC, 0),
    ):
        resource.setrlimit(what, (most, most))


def _allow_cpu(seconds: float) -> None:
    """This much more processor time: what ends the process should its parent be gone."""
    used = resource.getrusage(resource.RUSAGE_SELF)
    allowed = int(used.ru_utime + used.ru_stime + seconds) + 2
    resource.setrlimit(resource.RLIMIT_CPU, (allowed, resource.RLIM_INFINITY))


def _answer(request: Mapping[str, Any], output_bytes: int) -> bytes:
    try:
        result = run_unbounded(request["program"], request["value"], request["arguments"])
        answer = json.dumps({"result": result}).encode()
    except ExpressionError as error:
        answer = json.dumps({"error": str(error)}).encode()
    except (MemoryError, RecursionError):
        return b'{"large":true}'
    return answer if len(answer) <= output_bytes else b'{"large":true}'


def _receive(source: BinaryIO) -> bytes | None:
    header = source.read(HEADER_BYTES)
    if len(header) < HEADER_BYTES:
        return None
    return source.read(int.from_bytes(header, "big"))


def _send(sink: BinaryIO, message: bytes) -> None:
    sink.write(len(message).to_bytes(HEADER_BYTES, "big") + message)
    sink.flush()


if __name__ == "__main__":
    main()
