"""`factotum dead-letter`: what could not be read or run, and sending it again."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Annotated, Any

import typer

from factotum.cli.errors import BadInput, CommandError, ExitStatus, StackNotRunning
from factotum.cli.options import DEFAULT_DATA, DEFAULT_TENANT, DataOption, JsonOption, TenantOption

if TYPE_CHECKING:
    from factotum.cli.connection import Connection
    from factotum.events.replay import Letter

KAFKA_SECONDS = 30.0

app = typer.Typer(help="What could not be read or run.", no_args_is_help=True, rich_markup_mode=None)


UnknownOption = Annotated[
    bool,
    typer.Option("--unknown", help="For operators: instead of a tenant's letters, those of which no tenant is known."),
]


@app.command("list")
def list_letters(
    unknown: UnknownOption = False,
    as_json: JsonOption = False,
    data: DataOption = DEFAULT_DATA,
    tenant: TenantOption = DEFAULT_TENANT,
) -> None:
    """List the open letters of the tenant, oldest first.

    JSON: `{letters: [{id, tenant, time, topic, partition, offset, reason, value_base64, whole}]}`.
    """
    from factotum.cli import output
    from factotum.cli.connection import Connection, run

    letters = run(_open(Connection(data, tenant, os.environ), unknown))
    if as_json:
        output.print_json({"letters": [_json(letter) for letter in letters]})
        return
    if not letters:
        output.note("no open letters")
        return
    table = output.table("letter", "tenant", "when", "from", "reason", "begins with", whole=("letter",))
    for letter in letters:
        source = f"{letter.data.topic}/{letter.data.partition}@{letter.data.offset}"
        when = output.local_time(letter.time.isoformat()) if letter.time else ""
        begin = letter.data.value[:60].decode("utf-8", errors="replace")
        table.add_row(*map(output.cell, (letter.id, letter.tenant, when, source, letter.data.reason, begin)))
    output.console().print(table)


@app.command()
def replay(
    letter_id: Annotated[str, typer.Argument(metavar="[ID]", help="One open letter.")] = "",
    every: Annotated[bool, typer.Option("--all", help="Every open letter.")] = False,
    unknown: UnknownOption = False,
    as_json: JsonOption = False,
    data: DataOption = DEFAULT_DATA,
    tenant: TenantOption = DEFAULT_TENANT,
) -> None:
    """Send letters, unchanged, to the topic they came from. One that fails again is a new letter.

    JSON: `{replayed: [{id, topic}]}`.
    """
    from factotum.cli import output
    from factotum.cli.connection import Connection, run

    if bool(letter_id) == every:
        raise BadInput("give the ID of one letter, or --all")
    replayed, refused = run(_replay(Connection(data, tenant, os.environ), unknown, letter_id))
    for reason in refused:
        output.note(reason)
    if as_json:
        output.print_json({"replayed": [{"id": letter.id, "topic": letter.data.topic} for letter in replayed]})
    else:
        for letter in replayed:
            output.say(f"replayed {letter.id} to {letter.data.topic}")
        if not replayed and not refused:
            output.note("no open letters")
    raise typer.Exit(ExitStatus.FAILED if refused else ExitStatus.OK)


async def _open(connection: Connection, unknown: bool) -> list[Letter]:
    from factotum.events.dead_letter import UNKNOWN_TENANT
    from factotum.events.errors import BrokerUnavailable
    from factotum.events.replay import open_letters, read_topic
    from factotum.events.topics import DEAD_LETTER

    try:
        values = await read_topic(connection.address("kafka"), DEAD_LETTER, timeout_seconds=KAFKA_SECONDS)
    except BrokerUnavailable as error:
        raise StackNotRunning(str(error)) from error
    return open_letters(values, UNKNOWN_TENANT if unknown else connection.tenant)


async def _replay(connection: Connection, unknown: bool, letter_id: str) -> tuple[list[Letter], list[str]]:
    """The letters that were replayed, and why others could not be."""
    from factotum.events.errors import BrokerUnavailable
    from factotum.events.producer import EventProducer
    from factotum.events.replay import NotReplayable, replay
    from factotum.runtime.clock import now

    letters = await _open(connection, unknown)
    if letter_id:
        letters = [letter for letter in letters if letter.id == letter_id]
        if not letters:
            raise CommandError(f"there is no open letter {letter_id!r}: `factotum dead-letter list` shows what is")
    replayed: list[Letter] = []
    refused: list[str] = []
    async with EventProducer(connection.address("kafka"), client_id="cli") as producer:
        for letter in letters:
            try:
                await replay(producer, letter, now=now())
            except NotReplayable as error:
                refused.append(str(error))
            except BrokerUnavailable as error:
                raise StackNotRunning(f"{error}; {len(replayed)} letters were replayed before") from error
            else:
                replayed.append(letter)
    return replayed, refused


def _json(letter: Letter) -> dict[str, Any]:
    return {
        "id": letter.id,
        "tenant": letter.tenant,
        "time": letter.time.isoformat() if letter.time else None,
        **letter.data.model_dump(),
    }
