"""`factotum memory export|forget|receipts|consolidate|reindex|status`: what is kept, and whether it stays."""

from __future__ import annotations

import os
import sys
from contextlib import AbstractContextManager, nullcontext
from typing import TYPE_CHECKING, Annotated, Any

import typer

from factotum.cli.errors import BadInput, CommandError
from factotum.cli.memory_records import EXCERPT, WHOLE_SECONDS, SubjectsOption
from factotum.cli.options import DEFAULT_DATA, DEFAULT_TENANT, DataOption, JsonOption, TenantOption

if TYPE_CHECKING:
    from rich.progress import Progress

    from factotum.api.memory.v1 import memory_pb2 as pb

SHOWN_FOLDINGS = 20


def export(
    subjects: SubjectsOption = None,
    data: DataOption = DEFAULT_DATA,
    tenant: TenantOption = DEFAULT_TENANT,
) -> None:
    """Print everything that is kept about a person, one JSON record a line: what `forget` would remove."""
    from factotum.api.memory.v1 import memory_pb2 as pb
    from factotum.cli import output
    from factotum.cli.connection import Connection, run

    request = pb.ExportRequest(tenant=tenant, subjects=_named(subjects))

    async def ask() -> int:
        count = 0
        async with Connection(data, tenant, os.environ).memory() as memory:
            async for answer in memory.Export(request, timeout=WHOLE_SECONDS):
                output.print_json_line(output.to_json(answer.record))
                count += 1
        return count

    output.note(output.counted(run(ask()), "record"))


def forget(
    subjects: SubjectsOption = None,
    ids: Annotated[list[str] | None, typer.Option("--id", metavar="ID", help="A record; may be repeated.")] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say what would go.")] = False,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
    as_json: JsonOption = False,
    data: DataOption = DEFAULT_DATA,
    tenant: TenantOption = DEFAULT_TENANT,
) -> None:
    """Remove every record of a person, and what was made from them, from every index; it cannot be undone.

    It is searched for again afterwards, and a receipt without personal data stays. Exit status 1 while events that
    may tell of the person are still to be read. JSON: Receipt, and `behind`.
    """
    from factotum.api.memory.v1 import memory_pb2 as pb
    from factotum.cli import output
    from factotum.cli.connection import Connection, run

    if bool(subjects) == bool(ids):
        raise BadInput("say whom with --subject, or which records with --id, and not both")

    async def ask(dry: bool) -> pb.ForgetResponse:
        request = pb.ForgetRequest(tenant=tenant, subjects=subjects or [], ids=ids or [], dry_run=dry)
        async with Connection(data, tenant, os.environ).memory() as memory:
            with output.waiting("looking through everything that is kept"):
                return await memory.Forget(request, timeout=WHOLE_SECONDS)

    if not (dry_run or yes):
        found = output.to_json(run(ask(True)).receipt)
        output.note(f"to be forgotten: {_counted(found['removed'])}; `--dry-run` and `memory export` show more")
        typer.confirm("Forget them for good?", abort=True, err=True)
    answer = run(ask(dry_run))
    receipt = output.to_json(answer.receipt)
    if as_json:
        output.print_json({**receipt, "behind": answer.behind})
    elif dry_run:
        output.say(f"would be forgotten: {_removed(receipt)}")
    elif not receipt["id"]:
        output.say("no record with such an id is kept; should one come, it will be refused")
    else:
        searches = output.counted(receipt["searches"], "search", "searches")
        output.say(f"forgotten: {_removed(receipt)}")
        output.say(f"{searches} afterwards found nothing; receipt {receipt['id']}")
    if subjects and not dry_run and answer.behind:
        what = f"{answer.behind} messages were" if answer.behind > 0 else "nobody knows how many messages were"
        raise CommandError(
            f"{what} not read yet, and may tell of them: forget again when `factotum memory status` says that"
            " nothing is behind Kafka"
        )


def receipts(
    as_json: JsonOption = False, data: DataOption = DEFAULT_DATA, tenant: TenantOption = DEFAULT_TENANT
) -> None:
    """List the receipts of what was forgotten, newest first. JSON: `{receipts: [Receipt]}`."""
    from factotum.api.memory.v1 import memory_pb2 as pb
    from factotum.cli import output
    from factotum.cli.connection import REQUEST_SECONDS, Connection, run

    async def ask() -> pb.ListReceiptsResponse:
        async with Connection(data, tenant, os.environ).memory() as memory:
            return await memory.ListReceipts(pb.ListReceiptsRequest(tenant=tenant), timeout=REQUEST_SECONDS)

    answer = output.to_json(run(ask()))
    if as_json:
        output.print_json(answer)
        return
    table = output.table("receipt", "when", "records", "made from others", "searches", whole=("receipt",))
    for receipt in answer["receipts"]:
        table.add_row(
            output.cell(receipt["id"]),
            output.local_time(receipt["forgotten_at"]),
            _counted(receipt["removed"]),
            str(receipt["derived"]),
            str(receipt["searches"]),
        )
    if answer["receipts"]:
        output.console().print(table)
    else:
        output.note("nothing was forgotten yet")


def consolidate(
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say what would be done.")] = False,
    as_json: JsonOption = False,
    data: DataOption = DEFAULT_DATA,
    tenant: TenantOption = DEFAULT_TENANT,
) -> None:
    """Fold observations that repeat themselves, let the expired go. JSON: ConsolidateResponse.

    A Temporal schedule, `factotum-consolidation`, does it for all tenants.
    """
    from factotum.api.memory.v1 import memory_pb2 as pb
    from factotum.cli import output
    from factotum.cli.connection import Connection, run

    async def ask() -> pb.ConsolidateResponse:
        request = pb.ConsolidateRequest(tenant=tenant, dry_run=dry_run)
        async with Connection(data, tenant, os.environ).memory() as memory:
            with output.waiting("looking for what repeats itself"):
                return await memory.Consolidate(request, timeout=WHOLE_SECONDS)

    answer = output.to_json(run(ask()))
    if as_json:
        output.print_json(answer)
        return
    table = output.table("rule", "from", "becomes")
    for folding in answer["foldings"][:SHOWN_FOLDINGS]:
        into = folding["into"]
        what = f"{into['kind']}: {output.excerpt(into['text'], EXCERPT)}"
        table.add_row(folding["rule"], str(len(into["provenance"]["folded_from"])), output.cell(what))
    if answer["foldings"]:
        output.console().print(table)
    going = output.table("why", "kind", "id", whole=("id",))
    for gone in answer["let_go"][:SHOWN_FOLDINGS]:
        going.add_row(gone["why"], gone["kind"], output.cell(gone["id"]))
    if answer["let_go"]:
        output.console().print(going)
    if max(len(answer["foldings"]), len(answer["let_go"])) > SHOWN_FOLDINGS:
        output.note(f"these are the first {SHOWN_FOLDINGS}: --json tells more")
    would = "would be " if dry_run else ""
    told = [f"{output.counted(answer['folded'], 'record')} {would}folded", f"{answer['expired']} expired {would}let go"]
    if answer["withdrawn"]:
        told.append(f"{output.counted(answer['withdrawn'], 'broken habit')} {would}withdrawn")
    if answer["left"]:
        told.append(f"{answer['left']} folded before {would}removed")
    output.say(", ".join(told))
    for problem in answer["problems"]:
        output.note(f"not done: {problem['id'] or 'what is to be folded'}: {problem['reason']}")


def reindex(as_json: JsonOption = False, data: DataOption = DEFAULT_DATA) -> None:
    """Embed everything of all tenants anew, with the embedder that the memory was started with; it serves meanwhile.

    Ctrl-C stops watching, not the work. JSON: the last ReindexProgress.
    """
    from factotum.api.memory.v1 import memory_pb2 as pb
    from factotum.cli import output
    from factotum.cli.connection import Connection, run

    async def ask(bar: Progress | None) -> pb.ReindexProgress:
        latest = pb.ReindexProgress()
        async with Connection(data, DEFAULT_TENANT, os.environ).memory() as memory:
            async for latest in memory.Reindex(pb.ReindexRequest()):
                if bar is not None:
                    bar.update(bar.task_ids[0], completed=latest.done, total=latest.total or None)
        return latest

    with _bar() as bar:
        last = output.to_json(run(ask(bar)))
    if as_json:
        output.print_json(last)
    else:
        before, after = last["from_embedder"], last["to_embedder"]
        what = f"anew by {after}" if before == after else f"{before} → {after}"
        output.say(f"{output.counted(last['done'], 'record')}: {what}")


def _bar() -> AbstractContextManager[Progress | None]:
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    from factotum.cli import output

    if not sys.stderr.isatty():
        return nullcontext()
    columns = (TextColumn("records"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    bar = Progress(*columns, console=output.errors(), transient=True)
    bar.add_task("records", total=None)
    return bar


def status(as_json: JsonOption = False, data: DataOption = DEFAULT_DATA, tenant: TenantOption = DEFAULT_TENANT) -> None:
    """Show how much is kept, how far ingest is behind, and what was refused. JSON: StatusResponse."""
    from factotum.api.memory.v1 import memory_pb2 as pb
    from factotum.cli import output
    from factotum.cli.connection import REQUEST_SECONDS, Connection, run

    async def ask() -> pb.StatusResponse:
        async with Connection(data, tenant, os.environ).memory() as memory:
            return await memory.Status(pb.StatusRequest(tenant=tenant), timeout=REQUEST_SECONDS)

    answer = output.to_json(run(ask()))
    if as_json:
        output.print_json(answer)
        return
    table = output.table("kind", "records")
    for kind, count in sorted(answer["records"].items()):
        table.add_row(kind, str(count))
    if answer["records"]:
        output.console().print(table)
    else:
        output.say("nothing is kept yet")
    behind = "not known" if answer["lag"] < 0 else output.counted(answer["lag"], "message")
    output.say(f"behind Kafka: {behind}")
    output.say(f"refused since the start: {_counted(answer['refused'])}")
    output.say(f"embedder {answer['embedder']}, schema {answer['schema_version']}")
    if not answer["settled"]:
        output.note("a migration or a reindex is under way")
    for warning in answer["warnings"]:
        output.note(warning)


def _named(subjects: list[str] | None) -> list[str]:
    if not subjects:
        raise BadInput("say whom with --subject")
    return subjects


def _removed(receipt: dict[str, Any]) -> str:
    made = f", {receipt['derived']} of them made from others" if receipt["derived"] else ""
    return _counted(receipt["removed"]) + made


def _counted(by_name: dict[str, int]) -> str:
    return ", ".join(f"{count} {name}" for name, count in sorted(by_name.items())) or "nothing"
