"""A program that speaks the Model Context Protocol over stdio, of the standard library alone; it does as it is told."""

from __future__ import annotations

import json
import os
import socket
import sys
import time
from pathlib import Path
from typing import Any

TOOLS = {
    "pid": {},
    "read": {"path": {"type": "string"}},
    "reach": {"port": {"type": "integer"}},
    "variable": {"name": {"type": "string"}},
    "hold": {"mib": {"type": "integer"}},
    "flood": {"size": {"type": "integer"}},
    "die": {},
}


def use(name: str, given: dict[str, Any]) -> str:
    match name:
        case "read":
            return Path(given["path"]).read_text()
        case "reach":
            socket.create_connection(("127.0.0.1", given["port"]), 1).close()
        case "variable":
            return os.environ.get(given["name"], "")
        case "hold":
            held = b"x" * (given["mib"] << 20)
            time.sleep(20)
            return str(len(held))
        case "flood":
            return "x" * given["size"]
        case "die":
            print("out of order", file=sys.stderr, flush=True)
            os._exit(3)
    return str(os.getpid())


def answer(message: dict[str, Any]) -> dict[str, Any]:
    params = message.get("params", {})
    match message["method"]:
        case "initialize":
            info = {"name": "program", "version": "0.3.1-rc"}
            return {"protocolVersion": "2025-06-18", "capabilities": {"tools": {}}, "serverInfo": info}
        case "tools/list":
            # Two a page.
            start = int(params.get("cursor", "0"))
            listed = [
                {"name": name, "inputSchema": {"type": "object", "properties": properties, "required": [*properties]}}
                for name, properties in TOOLS.items()
            ][start : start + 2]
            return {"tools": listed, **({"nextCursor": str(start + 2)} if start + 2 < len(TOOLS) else {})}
        case "tools/call":
            try:
                text, failed = use(params["name"], params["arguments"]), False
            except OSError as error:
                text, failed = str(error), True
            return {"content": [{"type": "text", "text": text}], "isError": failed}
    return {}


if __name__ == "__main__":
    print("Welcome!", flush=True)
    for line in sys.stdin:
        asked = json.loads(line)
        if "id" in asked:
            print(json.dumps({"jsonrpc": "2.0", "id": asked["id"], "result": answer(asked)}), flush=True)
