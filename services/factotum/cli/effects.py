"""`factotum effects`: the ledger, and the word of a person where no system can be asked."""

from __future__ import annotations

import os
from enum import StrEnum
from typing import Annotated

import typer

from factotum.cli.errors import BadInput
from factotum.cli.options import DEFAULT_DATA, DEFAULT_TENANT, DataOption, JsonOption, TenantOption

app = typer.Typer(help="Effects, each of which happens once.", no_args_is_help=True, rich_markup_mode=None)


class State(StrEnum):
    STARTED = "started"
    DONE = "done"
    FAILED = "failed"
    AMBIGUOUS = "ambiguous"


@app.command("list")
def list_effects(
    states: Annotated[list[State] | None, typer.Option("--state", help="Only these; may be repeated.")] = None,
    run_id: Annotated[str, typer.Option("--run", help="Only of this run.")] = "",
    limit: Annotated[int, typer.Option("--limit", min=1, max=1000, help="How many at most.")] = 100,
    as_json: JsonOption = False,
    data: DataOption = DEFAULT_DATA,
    tenant: TenantOption = DEFAULT_TENANT,
) -> None:
    """List effects, newest first; `--state ambiguous` shows what waits for you. JSON: `{effects: [EffectEntry]}`."""
    from factotum.api.tools.v1 import tools_pb2 as pb
    from factotum.cli import output
    from factotum.cli.connection import REQUEST_SECONDS, Connection, run

    request = pb.ListEffectsRequest(
        tenant=tenant,
        limit=limit,
        run_id=run_id,
        states=[pb.EffectState.Value(f"EFFECT_STATE_{state.name}") for state in states or []],
    )

    async def ask() -> pb.ListEffectsResponse:
        async with Connection(data, tenant, os.environ).tools() as tools:
            return await tools.ListEffects(request, timeout=REQUEST_SECONDS)

    answer = output.to_json(run(ask()))
    if as_json:
        output.print_json(answer)
        return
    table = output.table("key", "tool", "state", "tries", "last changed", "reason")
    for effect in answer["effects"]:
        table.add_row(
            output.cell(effect["idempotency_key"]),
            output.cell(effect["tool"]),
            output.coloured(effect["state"]),
            str(effect["attempts"]),
            output.local_time(effect["updated_at"]),
            output.cell(effect["reason"]),
        )
    output.console().print(table)
    if any(effect["state"] == State.AMBIGUOUS for effect in answer["effects"]):
        output.note(
            "find out whether the ambiguous ones happened, then: factotum effects resolve KEY --happened|--did-not"
        )


@app.command()
def resolve(
    key: Annotated[str, typer.Argument(metavar="KEY", help="Idempotency key of the ambiguous effect.")],
    happened: Annotated[
        bool | None,
        typer.Option("--happened/--did-not", help="Whether it happened; if not, it is done again."),
    ] = None,
    result: Annotated[
        str, typer.Option("--output", metavar="JSON", help="With --happened: the output the call is answered with.")
    ] = "",
    because: Annotated[str, typer.Option("--because", metavar="TEXT", help="Who found out, and how; kept.")] = "",
    as_json: JsonOption = False,
    data: DataOption = DEFAULT_DATA,
    tenant: TenantOption = DEFAULT_TENANT,
) -> None:
    """Say whether an ambiguous effect happened; its run then goes on. JSON: EffectEntry."""
    from factotum.api.tools.v1 import tools_pb2 as pb
    from factotum.cli import output
    from factotum.cli.connection import REQUEST_SECONDS, Connection, run

    if happened is None:
        raise BadInput("say --happened or --did-not")
    if result and not happened:
        raise BadInput("--output goes with --happened: what did not happen has none")
    _check_json(result)
    request = pb.ResolveEffectRequest(
        tenant=tenant, idempotency_key=key, happened=happened, output_json=result, reason=because
    )

    async def ask() -> pb.ResolveEffectResponse:
        async with Connection(data, tenant, os.environ).tools() as tools:
            return await tools.ResolveEffect(request, timeout=REQUEST_SECONDS)

    effect = output.to_json(run(ask()).effect)
    if as_json:
        output.print_json(effect)
        return
    then = "is answered as done" if happened else "will be made again"
    output.say(f"{effect['tool']} {key}: the call {then}")


def _check_json(text: str) -> None:
    import json

    try:
        json.loads(text or "{}")
    except ValueError as error:
        raise BadInput(f"--output is not JSON: {error}") from error
