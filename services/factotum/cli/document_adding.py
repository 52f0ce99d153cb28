"""Brings the memory to where documents are now: what stands is left, what has changed replaced."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Protocol

from factotum.api.memory.v1 import memory_pb2 as pb
from factotum.api.memory.v1 import memory_pb2_grpc
from factotum.cli.document_files import Folder
from factotum.documents.bounded import BoundedReader, Content
from factotum.documents.errors import NotADocument, Unreadable
from factotum.documents.naming import chunk_ids, version_of
from factotum.documents.reading import ReadDocument

# Records of one request, and its bytes: a hundred are embedded in about a second.
MOST_RECORDS = 100
MOST_BYTES = 4 * 1024 * 1024
# Of its URI, which is the sequence that the chunks' places are in.
MOST_URI_CHARACTERS = 512
# Seconds that a request may take.
REMEMBER_SECONDS = 300.0
# Reasons of the memory's filter that follow from the text alone: the same text is refused again.
EMPTY = "empty"
LASTING = frozenset({"too_short", EMPTY, "noise"})


class Source(Protocol):
    """Where a document comes from. `asked`: it was named by itself."""

    @property
    def uri(self) -> str: ...

    @property
    def asked(self) -> bool: ...

    async def content(self) -> Content:
        """Raises `Unreadable`."""


@dataclass(slots=True)
class Report:
    """What was done, by URI; `refused` and `remarks` have a sentence each, `skipped` the reasons for which nothing was
    kept: those of the memory's filter, and `empty` for a file of a folder in which there is nothing.

    `passed_over` are files of a folder that are of no sort that is read, `vanished` documents whose files are gone and
    that were not removed; `left_out` counts chunks that the memory's filter did not keep, by reason.
    """

    added: list[str] = field(default_factory=list)
    changed: list[str] = field(default_factory=list)
    unchanged: list[str] = field(default_factory=list)
    removed: list[str] = field(default_factory=list)
    vanished: list[str] = field(default_factory=list)
    passed_over: list[str] = field(default_factory=list)
    skipped: dict[str, str] = field(default_factory=dict)
    refused: dict[str, str] = field(default_factory=dict)
    remarks: dict[str, str] = field(default_factory=dict)
    chunks: int = 0
    left_out: dict[str, int] = field(default_factory=dict)


@dataclass(slots=True)
class _Coming:
    """A document of which chunks are on their way. `waiting` are not yet kept; `left_out` says why others are not."""

    uri: str
    version: str
    stood: bool
    waiting: int
    kept: int = 0
    left_out: set[str] = field(default_factory=set)


class Adding:
    """Adds documents one after the other, their chunks some at a time.

    A run that is killed leaves each document as it was, as it is, or unfinished, and an unfinished one is taken for
    changed by the next run.

    Args:
        again: unchanged documents too, e.g. because subjects are given that were not given before.
        at: when the documents are said to be of.
        done: called with each document's URI when it is dealt with: kept, or known not to be.
        kept: called with the number of all chunks that are kept, when it grows.
    """

    def __init__(
        self,
        memory: memory_pb2_grpc.MemoryServiceAsyncStub,
        reader: BoundedReader,
        *,
        tenant: str,
        kind: pb.Kind.ValueType,
        subjects: Sequence[str],
        again: bool,
        at: datetime,
        done: Callable[[str], None],
        kept: Callable[[int], None],
    ) -> None:
        self._memory = memory
        self._reader = reader
        self._tenant = tenant
        self._kind = kind
        self._subjects = subjects
        self._again = again
        self._at = at
        self._done = done
        self._kept = kept
        self._waiting: list[tuple[_Coming, pb.Record]] = []
        self._bytes = 0
        self.report = Report()

    async def add(self, sources: Iterable[Source], standing: Mapping[str, pb.Document]) -> None:
        """Adds the documents; `standing` has those that the memory knows."""
        for source in sources:
            try:
                if await self._add(source, standing.get(source.uri)):
                    continue
            except NotADocument as error:
                if source.asked:
                    self.report.refused[source.uri] = str(error)
                else:
                    self.report.passed_over.append(source.uri)
            except Unreadable as error:
                self.report.refused[source.uri] = str(error)
            self._done(source.uri)
        await self._flush()

    async def prune(self, folders: Sequence[Folder], standing: Iterable[str], *, really: bool) -> None:
        """Removes the documents of these folders whose files are gone, or that are documents no more; or tells them."""
        for uri in standing:
            if uri in self.report.passed_over or any(folder.has_lost(uri) for folder in folders):
                if really:
                    await self._settle(uri, "")
                    self.report.removed.append(uri)
                else:
                    self.report.vanished.append(uri)

    async def _add(self, source: Source, standing: pb.Document | None) -> bool:
        """Whether chunks of it are on their way."""
        if len(source.uri) > MOST_URI_CHARACTERS:
            raise Unreadable(f"its address is longer than {MOST_URI_CHARACTERS} characters")
        content = await source.content()
        version = version_of(content.content)
        if standing is not None and standing.version == version and not self._again:
            if standing.skipped:
                self.report.skipped[source.uri] = standing.skipped
            else:
                self.report.unchanged.append(source.uri)
            return False
        if not content.content.strip() and not source.asked:
            # What stood of it is no longer in it.
            await self._settle(source.uri, version, EMPTY)
            self.report.skipped[source.uri] = EMPTY
            return False
        document = await self._reader.read(content)
        if document.remarks:
            self.report.remarks[source.uri] = "; ".join(document.remarks)
        coming = _Coming(source.uri, version, standing is not None, len(document.chunks))
        for record in self._records(coming, document):
            size = record.ByteSize()
            if len(self._waiting) == MOST_RECORDS or self._bytes + size > MOST_BYTES:
                await self._flush()
            self._waiting.append((coming, record))
            self._bytes += size
        return True

    def _records(self, coming: _Coming, document: ReadDocument) -> Iterable[pb.Record]:
        ids = chunk_ids(self._tenant, coming.uri, document.chunks)
        for position, (identity, chunk) in enumerate(zip(ids, document.chunks, strict=True)):
            attributes: dict[str, Any] = {"chunks": len(document.chunks), "title": document.title[:200]}
            record = pb.Record(
                id=identity,
                kind=self._kind,
                text=chunk.text,
                attributes_json=json.dumps({**attributes, "page": chunk.page} if chunk.page else attributes),
                subjects=self._subjects,
                provenance=pb.Provenance(document=coming.uri, document_version=coming.version, section=chunk.section),
                trust=pb.TRUST_SYSTEM,
                place=pb.Place(sequence=coming.uri, position=position),
            )
            record.created_at.FromDatetime(self._at)
            yield record

    async def _flush(self) -> None:
        """Sends what waits, and settles the documents that are whole with it."""
        sent, self._waiting, self._bytes = self._waiting, [], 0
        if not sent:
            return
        request = pb.RememberRequest(tenant=self._tenant, records=[record for _, record in sent])
        answer = await self._memory.Remember(request, timeout=REMEMBER_SECONDS)
        for (coming, _), kept in zip(sent, answer.kept, strict=True):
            coming.waiting -= 1
            if kept.result == pb.Kept.RESULT_REFUSED:
                coming.left_out.add(kept.reason)
                self.report.left_out[kept.reason] = self.report.left_out.get(kept.reason, 0) + 1
            else:
                coming.kept += 1
                self.report.chunks += 1
        self._kept(self.report.chunks)
        for coming in {id(coming): coming for coming, _ in sent}.values():
            if coming.waiting == 0:
                await self._end(coming)
                self._done(coming.uri)

    async def _end(self, coming: _Coming) -> None:
        if not coming.kept:
            reasons = ", ".join(sorted(coming.left_out))
            self.report.skipped[coming.uri] = reasons
            lasting = coming.left_out <= LASTING
            if coming.stood or lasting:
                await self._settle(coming.uri, coming.version, reasons if lasting else "")
            return
        # What is new and whole says so by itself.
        if coming.stood or coming.left_out:
            await self._settle(coming.uri, coming.version)
        (self.report.changed if coming.stood else self.report.added).append(coming.uri)

    async def _settle(self, uri: str, version: str, skipped: str = "") -> None:
        request = pb.SettleDocumentRequest(tenant=self._tenant, document=uri, version=version, skipped=skipped)
        await self._memory.SettleDocument(request, timeout=REMEMBER_SECONDS)
