"""The process that evaluates expressions: reads requests from its input, answers on its output, ends with its input.

Messages are JSON (`sdk.confined.child`). A request is `{program, value, arguments}`; an answer is one of `{result}`,
`{error}` and `{large: true}`.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from typing import Any

from factotum.procedures.program import ExpressionError, run_unbounded
from factotum.sdk.confined.child import allow_cpu, confine, receive, send


def main() -> None:
    seconds, memory_bytes, output_bytes = float(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3])
    confine(memory_bytes)
    source, sink = sys.stdin.buffer, sys.stdout.buffer
    send(sink, b'{"ready":true}')
    while (request := receive(source)) is not None:
        allow_cpu(seconds)
        send(sink, _answer(json.loads(request), output_bytes))


def _answer(request: Mapping[str, Any], output_bytes: int) -> bytes:
    try:
        result = run_unbounded(request["program"], request["value"], request["arguments"])
        answer = json.dumps({"result": result}).encode()
    except ExpressionError as error:
        answer = json.dumps({"error": str(error)}).encode()
    except (MemoryError, RecursionError):
        return b'{"large":true}'
    return answer if len(answer) <= output_bytes else b'{"large":true}'


if __name__ == "__main__":
    main()
