"""The process that reads documents: takes them from its input, answers on its output, ends with its input.

Messages are JSON (`sdk.confined.child`); after a request stand as many bytes of content as it says. A request is
`{format, name, charset, size}`; an answer is one of `{title, chunks, remarks}`, a chunk being `[text, section, page]`,
and `{error, sort}`, where `sort` is the name of the error's class.
"""

from __future__ import annotations

import json
import sys
from typing import Any

from factotum.documents.errors import Unreadable
from factotum.documents.formats import Format
from factotum.documents.reading import read
from factotum.sdk.confined.child import allow_cpu, confine, receive, send


def main() -> None:
    seconds, memory_bytes = int(sys.argv[1]), int(sys.argv[2])
    confine(memory_bytes)
    source, sink = sys.stdin.buffer, sys.stdout.buffer
    send(sink, b'{"ready":true}')
    while (message := receive(source)) is not None:
        request = json.loads(message)
        content = source.read(request["size"])
        allow_cpu(seconds)
        send(sink, json.dumps(_answer(request, content)).encode())


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


if __name__ == "__main__":
    main()
