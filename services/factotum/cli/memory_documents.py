"""`factotum memory add|documents`: documents that the memory keeps."""

from __future__ import annotations

import os
import sys
from contextlib import AbstractContextManager, nullcontext
from datetime import UTC, datetime
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from factotum.cli.errors import BadInput, CommandError, ExitStatus
from factotum.cli.memory_records import WHOLE_SECONDS, SubjectsOption
from factotum.cli.options import DEFAULT_DATA, DEFAULT_TENANT, DataOption, JsonOption, TenantOption

if TYPE_CHECKING:
    from rich.progress import Progress

    from factotum.cli.document_adding import Report
    from factotum.cli.document_files import FileSource, Folder
    from factotum.cli.document_urls import UrlSource

documents = typer.Typer(help="The documents that are kept.", rich_markup_mode=None)


class DocumentKind(StrEnum):
    DOCUMENT = "document"
    PROCEDURE = "procedure"


def add(
    places: Annotated[list[str], typer.Argument(metavar="FILE|FOLDER|URL...", help="What to take in.")],
    kind: Annotated[DocumentKind, typer.Option("--kind", help="What the chunks are kept as.")] = DocumentKind.DOCUMENT,
    subjects: SubjectsOption = None,
    include: Annotated[
        list[str] | None,
        typer.Option("--include", metavar="GLOB", help="Of folders only these files, e.g. '*.md'; may be repeated."),
    ] = None,
    prune: Annotated[bool, typer.Option("--prune", help="Remove documents whose files the folders lost.")] = False,
    again: Annotated[bool, typer.Option("--again", help="Also what is unchanged, e.g. for another --subject.")] = False,
    as_json: JsonOption = False,
    data: DataOption = DEFAULT_DATA,
    tenant: TenantOption = DEFAULT_TENANT,
) -> None:
    """Take in documents: Markdown, text, HTML, PDF, OpenAPI. What is unchanged since the last time is skipped.

    A run that was interrupted is simply run again. Exit status: 0 done; 1 a document was refused, or the memory does
    not answer; 2 bad input.

    JSON: `{added, changed, unchanged, removed, vanished, passed_over, skipped: {uri: reasons}, refused: {uri: reason},
    remarks: {uri: text}, chunks, left_out: {reason: count}}`, the first six lists of URIs.
    """
    from dataclasses import asdict

    from factotum.api.memory.v1 import memory_pb2 as pb
    from factotum.cli import output
    from factotum.cli.connection import Connection, run
    from factotum.cli.document_adding import Adding
    from factotum.documents.bounded import BoundedReader

    folders, sources = _found(places, include or [])

    async def work(bar: _Bar) -> Report:
        async with Connection(data, tenant, os.environ).memory() as memory, BoundedReader() as reader:
            asked = pb.ListDocumentsRequest(tenant=tenant)
            answer = await memory.ListDocuments(asked, timeout=WHOLE_SECONDS)
            standing = {document.uri: document for document in answer.documents}
            adding = Adding(
                memory,
                reader,
                tenant=tenant,
                kind=pb.Kind.Value(f"KIND_{kind.name}"),
                subjects=subjects or [],
                again=again,
                at=datetime.now(UTC),
                done=bar.done,
                kept=bar.kept,
            )
            await adding.add(sources, standing)
            await adding.prune(folders, standing, really=prune)
            return adding.report

    if not sources:
        looked_for = f"matches {' or '.join(include)}" if include else "has the suffix of a document"
        output.note(f"no file of {', '.join(places)} {looked_for}")
    with _progress(len(sources)) as progress:
        report = run(work(_Bar(progress)))
    if as_json:
        output.print_json(asdict(report))
    else:
        _tell(report)
    raise typer.Exit(ExitStatus.FAILED if report.refused else ExitStatus.OK)


@documents.callback(invoke_without_command=True)
def listed(
    context: typer.Context,
    as_json: JsonOption = False,
    data: DataOption = DEFAULT_DATA,
    tenant: TenantOption = DEFAULT_TENANT,
) -> None:
    """List the documents that are kept. JSON: `{documents: [Document]}`; of an unfinished one `version` is empty."""
    from factotum.api.memory.v1 import memory_pb2 as pb
    from factotum.cli import output
    from factotum.cli.connection import Connection, run

    if context.invoked_subcommand is not None:
        return

    async def ask() -> pb.ListDocumentsResponse:
        async with Connection(data, tenant, os.environ).memory() as memory:
            return await memory.ListDocuments(pb.ListDocumentsRequest(tenant=tenant), timeout=WHOLE_SECONDS)

    answer = output.to_json(run(ask()))
    if as_json:
        output.print_json(answer)
        return
    table = output.table("chunks", "version", "kept", "document", whole=("version",))
    for document in answer["documents"]:
        table.add_row(
            str(document["chunks"]),
            output.cell(f"skipped: {document['skipped']}" if document["skipped"] else document["version"][:12])
            or "unfinished",
            output.local_time(document["kept_at"]),
            output.cell(document["uri"]),
        )
    if answer["documents"]:
        output.console().print(table)
    else:
        output.note("no documents are kept: `factotum memory add FILE|FOLDER|URL` takes them in")


@documents.command()
def remove(
    places: Annotated[
        list[str], typer.Argument(metavar="URI|FILE...", help="As `memory documents` names them, or files.")
    ],
    as_json: JsonOption = False,
    data: DataOption = DEFAULT_DATA,
    tenant: TenantOption = DEFAULT_TENANT,
) -> None:
    """Remove documents, all their chunks. They may be taken in again. JSON: `{uri: chunks removed}`."""
    from factotum.api.memory.v1 import memory_pb2 as pb
    from factotum.cli import output
    from factotum.cli.connection import Connection, run
    from factotum.cli.document_urls import is_url

    uris = [place if is_url(place) else Path(place).resolve().as_uri() for place in places]

    async def ask() -> dict[str, int]:
        removed = {}
        async with Connection(data, tenant, os.environ).memory() as memory:
            for uri in uris:
                request = pb.SettleDocumentRequest(tenant=tenant, document=uri)
                removed[uri] = (await memory.SettleDocument(request, timeout=WHOLE_SECONDS)).removed
        return removed

    removed = run(ask())
    if as_json:
        output.print_json(removed)
    for uri, chunks in removed.items():
        if chunks and not as_json:
            output.say(f"removed {uri}: {output.counted(chunks, 'chunk')}")
    if missing := [uri for uri, chunks in removed.items() if not chunks]:
        raise CommandError(f"not kept: {', '.join(missing)}; `factotum memory documents` lists what is")


def _found(places: list[str], include: list[str]) -> tuple[list[Folder], list[FileSource | UrlSource]]:
    """Folders that were named, and every document to look at, each once. Raises `BadInput`."""
    from factotum.cli.document_files import folder, named_file
    from factotum.cli.document_urls import is_url, named_url

    folders, sources = list[Any](), list[Any]()
    for place in places:
        if is_url(place):
            sources.append(named_url(place))
        elif Path(place).is_dir():
            folders.append(folder(Path(place), include))
            sources.extend(folders[-1].files)
        else:
            sources.append(named_file(Path(place)))
    if include and not folders:
        raise BadInput("--include chooses among the files of a folder, and no folder is named")
    return folders, list({source.uri: source for source in sources}.values())


def _progress(total: int) -> AbstractContextManager[Progress | None]:
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

    from factotum.cli import output

    if not sys.stderr.isatty():
        return nullcontext()
    bar = Progress(
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("documents, {task.fields[chunks]} chunks kept"),
        TimeElapsedColumn(),
        TextColumn("{task.description}", markup=False),
        console=output.errors(),
        transient=True,
    )
    bar.add_task("", total=total, chunks=0)
    return bar


class _Bar:
    """What `Adding` tells, shown where there is somebody to see it."""

    def __init__(self, progress: Progress | None) -> None:
        self._progress = progress

    def done(self, uri: str) -> None:
        from factotum.cli.output import printable

        if self._progress is not None:
            name = printable(uri.rpartition("/")[2])
            self._progress.update(self._progress.task_ids[0], advance=1, description=name)

    def kept(self, chunks: int) -> None:
        if self._progress is not None:
            self._progress.update(self._progress.task_ids[0], chunks=chunks)


def _tell(report: Report) -> None:
    from factotum.cli import output

    for uri, reason in report.refused.items():
        output.note(f"refused {uri}: {reason}")
    for uri, reasons in report.skipped.items():
        output.note(f"skipped {uri}: nothing of it is kept ({reasons})")
    for uri, remark in report.remarks.items():
        output.note(f"{uri}: {remark}")
    counts = {
        "added": report.added,
        "changed": report.changed,
        "unchanged": report.unchanged,
        "removed": report.removed,
        "skipped": report.skipped,
        "refused": report.refused,
        "passed over": report.passed_over,
    }
    told = [f"{len(uris)} {name}" for name, uris in counts.items() if uris or name in ("added", "unchanged")]
    output.say(f"{', '.join(told)}; {output.counted(report.chunks, 'chunk')} kept")
    for reason, count in sorted(report.left_out.items()):
        output.note(f"left out by the memory's filter: {output.counted(count, 'chunk')} ({reason})")
    if report.vanished:
        vanished = output.counted(len(report.vanished), "document")
        output.note(f"the files of {vanished} that the memory keeps are gone: --prune removes them")
