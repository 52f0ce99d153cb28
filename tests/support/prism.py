"""GitHub's OpenAPI description (npm's @octokit/openapi), and a server that is generated of a description (prism)."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
from collections.abc import AsyncIterator, Collection
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.support.tool_calls import closed_port

_MODULES = Path(__file__).parents[1] / "servers/node_modules"
_GITHUB = _MODULES / "@octokit/openapi/generated/api.github.com.json"
_PRISM = _MODULES / "@stoplight/prism-cli/dist/index.js"
_METHODS = ("get", "put", "post", "delete", "options", "head", "patch")


def github() -> bytes:
    """The whole description. Skips where it is not there."""
    return _there(_GITHUB).read_bytes()


def cut(document: dict[str, Any], operations: Collection[str]) -> dict[str, Any]:
    """The description of these operations, with what they refer to and nothing else."""
    paths: dict[str, Any] = {}
    for path, item in document["paths"].items():
        kept = {
            key: value for key, value in item.items() if key not in _METHODS or value.get("operationId") in operations
        }
        if any(key in _METHODS for key in kept):
            paths[path] = kept
    made: dict[str, Any] = {name: document[name] for name in ("openapi", "info", "servers")}
    made |= {"paths": paths, "components": {}}
    waiting, seen = list(_references(paths)), set[str]()
    while waiting:
        reference = waiting.pop()
        if reference in seen:
            continue
        seen.add(reference)
        _, _, kind, name = reference.split("/", 3)
        part = document["components"][kind][name]
        made["components"].setdefault(kind, {})[name] = part
        waiting.extend(_references(part))
    return made


def _references(value: Any) -> list[str]:
    if isinstance(value, dict):
        own = [value["$ref"]] if isinstance(value.get("$ref"), str) else []
        return own + [one for part in value.values() for one in _references(part)]
    return [one for part in value for one in _references(part)] if isinstance(value, list) else []


@asynccontextmanager
async def prism(
    document: dict[str, Any], folder: Path, *, seconds: float = 30, dynamic: bool = False
) -> AsyncIterator[str]:
    """The address of a server that answers as the document says, and refuses what it does not describe.

    `dynamic`: its answers are made up by the schemas, not the examples.
    """
    file = folder / "document.json"
    file.write_text(json.dumps(document), encoding="utf-8")
    node = shutil.which("node", path="/usr/local/bin:/usr/bin:/bin")
    if node is None:
        _missing("node")
    port = closed_port()
    options = ["--verboseLevel", "silent", *(["--dynamic"] if dynamic else [])]
    process = await asyncio.create_subprocess_exec(
        *(str(node), str(_there(_PRISM)), "mock", "--host", "127.0.0.1", "--port", str(port), *options, str(file)),
        env={"PATH": "/usr/local/bin:/usr/bin:/bin", "HOME": str(folder)},
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.DEVNULL,
    )
    try:
        async with asyncio.timeout(seconds):
            while True:
                if process.returncode is not None:
                    raise RuntimeError(f"prism ended with {process.returncode}")
                try:
                    _, writer = await asyncio.open_connection("127.0.0.1", port)
                except OSError:
                    await asyncio.sleep(0.05)
                else:
                    writer.close()
                    break
        yield f"http://127.0.0.1:{port}"
    finally:
        if process.returncode is None:
            process.terminate()
            await process.wait()


def _there(file: Path) -> Path:
    if not file.exists():
        _missing(file.parent.name)
    return file


def _missing(what: str) -> None:
    why = f"{what} is missing: `make servers` installs it"
    if os.environ.get("CI") == "true":
        pytest.fail(why)
    pytest.skip(why)
