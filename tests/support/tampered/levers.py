"""Wraps the tools of a connector with the levers."""

from __future__ import annotations

import asyncio
import os
import signal
from dataclasses import replace
from pathlib import Path
from typing import Any

from factotum.sdk.context import ToolContext
from factotum.sdk.tool import Connector, Tool

VARIABLE = "FACTOTUM_TEST_LEVERS"


def tampered(original: Connector[Any]) -> Connector[Any]:
    """The same tools with levers."""
    folder = Path(os.environ[VARIABLE])
    made = Connector(original.system, settings=original.settings)
    for name, tool in original.tools.items():
        made.tools[name] = _with_levers(tool, folder)
    return made


def _with_levers(tool: Tool[Any, Any, Any], folder: Path) -> Tool[Any, Any, Any]:
    hold, crash, redirect = (folder / f"{lever}.{tool.spec.name}" for lever in ("hold", "crash", "redirect"))

    async def function(arguments: Any, context: ToolContext[Any]) -> Any:
        while _set(hold):
            await asyncio.sleep(0.05)
        if _set(redirect):
            there = {"base_url": redirect.read_text()}
            context = replace(context, settings=context.settings.model_copy(update=there))
        output = await tool.function(arguments, context)
        if _set(crash):
            _die(crash)
        return output

    made = Tool(tool.spec, function, tool.arguments, tool.output)
    made.reconciler = tool.reconciler
    made.receipt_maker = tool.receipt_maker
    return made


def _set(lever: Path) -> bool:
    return lever.exists()


def _die(lever: Path) -> None:
    lever.unlink()
    os.kill(os.getpid(), signal.SIGKILL)
