"""`factotum memory search|list`: what is remembered."""

from __future__ import annotations

import os
from datetime import datetime
from enum import StrEnum
from typing import Annotated, Any

import typer

from factotum.cli.errors import BadInput
from factotum.cli.options import DEFAULT_DATA, DEFAULT_TENANT, DataOption, JsonOption, TenantOption

# Characters of a record that the tables show; --json has all.
EXCERPT = 200
# Seconds that reading everything of a tenant may take.
WHOLE_SECONDS = 600.0

SubjectsOption = Annotated[
    list[str] | None,
    typer.Option(
        "--subject",
        metavar="IDENTIFIER",
        help="A mail address, an employee's number, …; may be repeated, to name all that a person is known by.",
    ),
]
# The last two are what --json prints.
MOMENTS = ["%Y-%m-%d", "%Y-%m-%dT%H:%M:%S", "%Y-%m-%dT%H:%M:%S%z", "%Y-%m-%dT%H:%M:%S.%f%z"]


class Kind(StrEnum):
    OBSERVATION = "observation"
    THOUGHT = "thought"
    EPISODE = "episode"
    DOCUMENT = "document"
    PREFERENCE = "preference"
    PROCEDURE = "procedure"
    TOOL = "tool"


KindsOption = Annotated[list[Kind] | None, typer.Option("--kind", help="Only these; may be repeated.")]
RunOption = Annotated[str, typer.Option("--run", help="Only what came from this run.")]
AfterOption = Annotated[
    datetime | None, typer.Option("--after", formats=MOMENTS, metavar="TIME", help="Only of this moment and later.")
]
BeforeOption = Annotated[
    datetime | None, typer.Option("--before", formats=MOMENTS, metavar="TIME", help="Only of earlier moments.")
]


def search(
    query: Annotated[str, typer.Argument(metavar="QUERY", help='A question, e.g. "what did we do for Ada Lovelace".')],
    kinds: KindsOption = None,
    limit: Annotated[int, typer.Option("--limit", min=1, max=100, help="How many at most.")] = 10,
    run_id: RunOption = "",
    subjects: SubjectsOption = None,
    after: AfterOption = None,
    before: BeforeOption = None,
    budget: Annotated[int, typer.Option("--budget", min=0, metavar="TOKENS", help="Of all texts together.")] = 0,
    history: Annotated[bool, typer.Option("--history", help="With what was superseded.")] = False,
    why: Annotated[bool, typer.Option("--why", help="Show how each came to its score.")] = False,
    as_json: JsonOption = False,
    data: DataOption = DEFAULT_DATA,
    tenant: TenantOption = DEFAULT_TENANT,
) -> None:
    """Find records by meaning and words, best first. JSON: `{recollections: [{record: Record, score, why}]}`."""
    from factotum.api.memory.v1 import memory_pb2 as pb
    from factotum.cli import output
    from factotum.cli.connection import REQUEST_SECONDS, Connection, run

    request = pb.RecallRequest(
        tenant=tenant,
        query=query,
        limit=limit,
        run_id=run_id,
        kinds=[pb.Kind.Value(f"KIND_{kind.name}") for kind in kinds or []],
        subjects=subjects or [],
        budget_tokens=budget,
        history=history,
    )
    _within(request, after, before)

    async def ask() -> pb.RecallResponse:
        async with Connection(data, tenant, os.environ).memory() as remembered:
            return await remembered.Recall(request, timeout=REQUEST_SECONDS)

    found_within = run(ask())
    answer = output.to_json(found_within)
    if budget and not found_within.recollections:
        request.budget_tokens = 0
        if lengths := [each.tokens for each in run(ask()).recollections]:
            hits = output.counted(len(lengths), "hit is", "hits are")
            output.note(f"{hits} longer than --budget {budget}: the shortest has {min(lengths)} tokens")
            if not as_json:
                return
    if as_json:
        output.print_json(answer)
        return
    columns = [*(["superseded"] if history else []), *(["why"] if why else [])]
    table = output.table("score", "kind", "what", "run", "when", *columns)
    for found in answer["recollections"]:
        record = found["record"]
        table.add_row(
            f"{found['score']:.3f}",
            record["kind"],
            output.cell(output.excerpt(record["text"], EXCERPT)),
            output.cell(record["run_id"]),
            output.local_time(record["created_at"]),
            *([output.local_time(record["superseded_at"])] if history else []),
            *([output.cell(_why(found["why"] or {}))] if why else []),
        )
    if answer["recollections"]:
        output.console().print(table)
    else:
        output.note("nothing is remembered of that")


def list_records(
    kinds: KindsOption = None,
    subjects: SubjectsOption = None,
    run_id: RunOption = "",
    after: AfterOption = None,
    before: BeforeOption = None,
    history: Annotated[bool, typer.Option("--history", help="With what was superseded or has expired.")] = False,
    limit: Annotated[int, typer.Option("--limit", min=1, max=500, help="How many at most.")] = 50,
    as_json: JsonOption = False,
    data: DataOption = DEFAULT_DATA,
    tenant: TenantOption = DEFAULT_TENANT,
) -> None:
    """List records, newest first. JSON: `{records: [Record], next_page_token}`."""
    from factotum.api.memory.v1 import memory_pb2 as pb
    from factotum.cli import output
    from factotum.cli.connection import Connection, run

    request = pb.ListRecordsRequest(
        tenant=tenant,
        kinds=[pb.Kind.Value(f"KIND_{kind.name}") for kind in kinds or []],
        subjects=subjects or [],
        run_id=run_id,
        history=history,
        limit=limit,
    )
    _within(request, after, before)

    async def ask() -> pb.ListRecordsResponse:
        async with Connection(data, tenant, os.environ).memory() as memory:
            return await memory.ListRecords(request, timeout=WHOLE_SECONDS)

    answer = output.to_json(run(ask()))
    if as_json:
        output.print_json(answer)
        return
    _print_records(answer["records"])
    if answer["next_page_token"]:
        output.note("there are more: raise --limit, or narrow with --kind, --subject, --before")


def _print_records(records: list[dict[str, Any]]) -> None:
    from factotum.cli import output

    table = output.table("id", "kind", "what", "about", "when")
    for record in records:
        table.add_row(
            output.cell(record["id"]),
            record["kind"],
            output.cell(output.excerpt(record["text"], EXCERPT)),
            output.cell(", ".join(record["subjects"])),
            output.local_time(record["created_at"]),
        )
    if records:
        output.console().print(table)
    else:
        output.note("nothing is kept of that")


def _within(request: Any, after: datetime | None, before: datetime | None) -> None:
    """A moment without a zone is in the zone of who asks. Raises `BadInput`."""
    if after is not None and before is not None and after.astimezone() >= before.astimezone():
        raise BadInput("--after must be earlier than --before: there is no time between them")
    for field, moment in ((request.after, after), (request.before, before)):
        if moment is not None:
            field.FromDatetime(moment.astimezone())


def _why(why: dict[str, Any]) -> str:
    """`meaning #2 (0.71), words #1 (8.40); relevance 0.800 + recency 0.100`: ranks, then the parts of the score."""
    if why.get("neighbour_of"):
        return f"beside {why['neighbour_of']}"
    ranks = [
        f"{name} #{why[f'{name}_rank']} ({why[f'{name}_score']:.2f})"
        for name in ("meaning", "words")
        if why.get(f"{name}_rank")
    ]
    parts = [
        f"{name} {why[name]:.3f}" for name in ("relevance", "recency", "importance", "neighbourhood") if why.get(name)
    ]
    return f"{', '.join(ranks)}; {' + '.join(parts)}"
