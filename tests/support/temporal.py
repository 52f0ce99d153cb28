"""A real Temporal server for a test: the dev server, on a free port of loopback."""

from __future__ import annotations

import shutil
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from temporalio.contrib.pydantic import pydantic_data_converter
from temporalio.testing import WorkflowEnvironment

from factotum.runs import attributes


def server_path() -> str:
    """The `temporal` on PATH, else the one installed beside this Python."""
    found = shutil.which("temporal") or str(Path(sys.executable).parent / "temporal")
    if not Path(found).exists():
        raise RuntimeError("no temporal binary: run `make setup`")
    return found


@asynccontextmanager
async def temporal_server() -> AsyncIterator[WorkflowEnvironment]:
    """A server with our search attributes, in memory, ended with the context."""
    async with await WorkflowEnvironment.start_local(
        dev_server_existing_path=server_path(),
        data_converter=pydantic_data_converter,
        search_attributes=list(attributes.ALL),
        dev_server_log_level="error",
    ) as environment:
        yield environment
