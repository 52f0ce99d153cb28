"""Reads documents of strangers in a process of its own, which is stopped when one takes too long or too much."""

from __future__ import annotations

import asyncio
import json
from asyncio.subprocess import Process
from dataclasses import dataclass
from pathlib import PurePosixPath
from types import TracebackType
from typing import Any, Self

from factotum.documents.chunks import Chunk
from factotum.documents.errors import NotADocument, Unreadable
from factotum.documents.formats import MOST_BYTES, format_of
from factotum.documents.reading import ReadDocument
from factotum.sdk.confined.child import framed
from factotum.sdk.confined.parent import end, received, started

MEBIBYTE = 1024 * 1024


@dataclass(frozen=True, slots=True)
class Content:
    """The bytes of a document, as they were found.

    Args:
        path: of the file or of the URL: its last part names the document, its suffix the format.
        media_type: as a server says it, with or without a charset; empty: nobody said.
        charset: as a server says it.
    """

    path: str
    content: bytes
    media_type: str = ""
    charset: str = ""


class BoundedReader:
    """Reads any document; hurts nobody whatever it holds.

    One takes at most `seconds`, and at most `memory_bytes` of address space in a process without environment. The
    process starts with the first document, and is replaced when it had to be stopped. One document at a time.
    """

    def __init__(self, *, seconds: int = 60, memory_bytes: int = 1024 * MEBIBYTE) -> None:
        self._seconds = seconds
        self._memory_bytes = memory_bytes
        self._process: Process | None = None

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._end()

    async def read(self, given: Content) -> ReadDocument:
        """Raises `Unreadable`, and of it `NotADocument` for what there is no reader for."""
        form = format_of(given.path, given.content[:1024], given.media_type)
        if len(given.content) > MOST_BYTES[form]:
            raise Unreadable(
                f"it has {len(given.content)} bytes, and at most {MOST_BYTES[form]} of {form} are read: split it"
            )
        name = PurePosixPath(given.path).stem
        request = {"format": form, "name": name, "charset": given.charset, "size": len(given.content)}
        try:
            answer = await self._asked(request, given.content)
        except (asyncio.IncompleteReadError, ConnectionError):
            raise Unreadable(
                f"reading it took more than {self._memory_bytes // MEBIBYTE} MiB, or broke the reader of {form}, and "
                "was stopped"
            ) from None
        except TimeoutError:
            raise Unreadable(f"reading it took more than {self._seconds} s and was stopped: split it") from None
        if "error" in answer:
            sort = NotADocument if answer["sort"] == NotADocument.__name__ else Unreadable
            raise sort(answer["error"])
        found = tuple(Chunk(text, section, page) for text, section, page in answer["chunks"])
        return ReadDocument(answer["title"], found, tuple(answer["remarks"]))

    async def _asked(self, request: dict[str, Any], content: bytes) -> dict[str, Any]:
        process = self._process or await self._start()
        answered = False
        try:
            async with asyncio.timeout(self._seconds):
                assert process.stdin is not None
                process.stdin.write(framed(json.dumps(request).encode()))
                process.stdin.write(content)
                await process.stdin.drain()
                answer = await received(process)
            answered = True
            return answer
        finally:
            # Also after a cancellation: what it would answer next belongs to this request.
            if not answered:
                await self._end()

    async def _start(self) -> Process:
        self._process = await started("factotum.documents.child", str(self._seconds), str(self._memory_bytes))
        return self._process

    async def _end(self) -> None:
        process, self._process = self._process, None
        if process is not None:
            await end(process)
