"""`factotum memory`: what is remembered."""

from __future__ import annotations

import os
from enum import StrEnum
from typing import Annotated

import typer

from factotum.cli.options import DEFAULT_DATA, DEFAULT_TENANT, DataOption, JsonOption, TenantOption

# Characters of a record that the table shows; --json has all.
EXCERPT = 200

app = typer.Typer(help="What is remembered.", no_args_is_help=True, rich_markup_mode=None)


class Kind(StrEnum):
    OBSERVATION = "observation"
    THOUGHT = "thought"
    EPISODE = "episode"
    DOCUMENT = "document"
    PREFERENCE = "preference"
    PROCEDURE = "procedure"
    TOOL = "tool"


@app.callback()
def memory() -> None:
    """What is remembered."""


@app.command()
def search(
    query: Annotated[str, typer.Argument(metavar="QUERY", help='A question, e.g. "what did we do for Ada Lovelace".')],
    kinds: Annotated[list[Kind] | None, typer.Option("--kind", help="Only these; may be repeated.")] = None,
    limit: Annotated[int, typer.Option("--limit", min=1, max=100, help="How many at most.")] = 10,
    run_id: Annotated[str, typer.Option("--run", help="Only what came from this run.")] = "",
    as_json: JsonOption = False,
    data: DataOption = DEFAULT_DATA,
    tenant: TenantOption = DEFAULT_TENANT,
) -> None:
    """Find records by meaning, best first. JSON: `{recollections: [{record: Record, score}]}`."""
    from factotum.api.memory.v1 import memory_pb2 as pb
    from factotum.cli import output
    from factotum.cli.connection import REQUEST_SECONDS, Connection, run

    request = pb.RecallRequest(
        tenant=tenant,
        query=query,
        limit=limit,
        run_id=run_id,
        kinds=[pb.Kind.Value(f"KIND_{kind.name}") for kind in kinds or []],
    )

    async def ask() -> pb.RecallResponse:
        async with Connection(data, tenant, os.environ).memory() as remembered:
            return await remembered.Recall(request, timeout=REQUEST_SECONDS)

    answer = output.to_json(run(ask()))
    if as_json:
        output.print_json(answer)
        return
    table = output.table("score", "kind", "what", "run", "when")
    for found in answer["recollections"]:
        record = found["record"]
        table.add_row(
            f"{found['score']:.3f}",
            record["kind"],
            output.cell(output.excerpt(record["text"], EXCERPT)),
            output.cell(record["run_id"]),
            output.local_time(record["created_at"]),
        )
    if answer["recollections"]:
        output.console().print(table)
    else:
        output.note("nothing is remembered of that")
