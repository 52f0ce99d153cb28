"""A folder that the files connector may use, and calls of its tools."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import count
from pathlib import Path
from typing import Any

from factotum.connectors.files.settings import FilesSettings, Root
from factotum.connectors.files.tools import connector
from tests.support.tool_calls import tool_context

_numbers = count()


@dataclass(frozen=True)
class Place:
    path: Path

    def settings(self, **more: Any) -> FilesSettings:
        return FilesSettings(roots={"docs": Root.model_validate({"path": str(self.path), "writable": True} | more)})

    async def call(self, name: str, path: str = "", *, under: Mapping[str, Any] | None = None, **arguments: Any) -> Any:
        tool = connector.tools[f"files.{name}"]
        key = arguments.pop("key", None) or f"key-{next(_numbers)}"
        context = tool_context(self.settings(**(under or {})), key=key, started_at=datetime.now(UTC))
        return await tool.function(tool.arguments.model_validate({"root": "docs", "path": path} | arguments), context)

    async def asked(self, name: str, path: str, **arguments: Any) -> Any:
        tool = connector.tools[f"files.{name}"]
        assert tool.reconciler is not None
        context = tool_context(
            self.settings(),
            key=arguments.pop("key", None) or f"key-{next(_numbers)}",
            started_at=arguments.pop("started_at", datetime.now(UTC)),
        )
        return await tool.reconciler(tool.arguments.model_validate({"root": "docs", "path": path} | arguments), context)

    def snapshot(self) -> dict[str, str]:
        return {
            str(file.relative_to(self.path)): str(file.readlink()) if file.is_symlink() else file.read_text()
            for file in sorted(self.path.rglob("*"))
            if (file.is_symlink() or file.is_file()) and ".factotum" not in file.parts
        }
