"""A library for a test, in a file of its own."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path

from factotum.planner import procedure_rows
from factotum.planner.library import Library
from factotum.planner.shelf import Filed
from factotum.planner.store_file import StoreFile
from factotum.procedures.parse import parse

NOW = datetime(2026, 11, 24, 9, 0, tzinfo=UTC)


def filed(*texts: str) -> list[Filed]:
    """The texts as files of a folder."""
    return [Filed(Path(f"/folder/{number}.yaml"), text, parse(text)) for number, text in enumerate(texts)]


@asynccontextmanager
async def open_library(path: Path, texts: Iterable[str] = ()) -> AsyncIterator[Library]:
    """A library with these on its shelf."""
    async with StoreFile(path, {"procedures": procedure_rows.SCHEMA}) as file:
        library = Library(file)
        await library.shelve(filed(*texts), NOW)
        yield library
