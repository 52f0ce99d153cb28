"""`factotum memory remember`: what a person tells the memory."""

from __future__ import annotations

import getpass
import json
import os
from datetime import datetime
from enum import StrEnum
from typing import Annotated, Any

import typer

from factotum.cli.errors import BadInput, Refused
from factotum.cli.memory_records import MOMENTS, SubjectsOption
from factotum.cli.options import DEFAULT_DATA, DEFAULT_TENANT, DataOption, JsonOption, TenantOption

# What to do about a record that is not kept, by `Kept.reason`.
ADVICE = {
    "too_short": "say more",
    "empty": "say more: there is nothing in it",
    "noise": "say it in words",
    "idle": "it tells nothing that happened",
    "known": "it is known already: `factotum memory search` finds it",
    "outranked": "what stands under its id is of another kind or a word of more weight: leave the id out",
    "recalled": "the memory has said so itself",
    "forgotten": "it, or whom it is about, was forgotten, and what happened before that is not kept again",
    "expired": "its time is over: give a later --expires, or a later --at",
}


class Told(StrEnum):
    """The kinds that a person may tell: what tools answered, they tell themselves."""

    PREFERENCE = "preference"
    DOCUMENT = "document"
    THOUGHT = "thought"
    EPISODE = "episode"
    PROCEDURE = "procedure"
    TOOL = "tool"


def remember(
    text: Annotated[str, typer.Argument(metavar="TEXT", help='What is to be known, e.g. "Ada reads mail at noon".')],
    kind: Annotated[
        Told, typer.Option("--kind", help="Says how long it is kept, and what takes its place.")
    ] = Told.DOCUMENT,
    subjects: SubjectsOption = None,
    topic: Annotated[
        str, typer.Option("--topic", help="Of a preference: of one subject and topic the newest stands.")
    ] = "",
    importance: Annotated[
        float, typer.Option("--importance", min=0.0, max=1.0, help="0: as is usual for the kind.")
    ] = 0.0,
    expires: Annotated[
        datetime | None,
        typer.Option("--expires", formats=MOMENTS, metavar="TIME", help="Until when; else as is usual for the kind."),
    ] = None,
    at: Annotated[
        datetime | None, typer.Option("--at", formats=MOMENTS, metavar="TIME", help="When it was so; else now.")
    ] = None,
    identity: Annotated[
        str, typer.Option("--id", metavar="ID", help="Replaces the record with this id; else one is derived.")
    ] = "",
    attributes: Annotated[
        str, typer.Option("--attributes", metavar="JSON", help="An object with what a reader needs beside the text.")
    ] = "",
    by: Annotated[
        str, typer.Option("--as", metavar="NAME", help="Whose word it is. Without it, your name on this machine.")
    ] = "",
    as_json: JsonOption = False,
    data: DataOption = DEFAULT_DATA,
    tenant: TenantOption = DEFAULT_TENANT,
) -> None:
    """Tell the memory something, as your word; `memory forget --id` takes it back. JSON: `{id, result, reason}`."""
    from factotum.api.memory.v1 import memory_pb2 as pb
    from factotum.cli import output
    from factotum.cli.connection import REQUEST_SECONDS, Connection, run

    if not text.strip():
        raise BadInput("there is nothing to remember: give the text")
    if topic and kind is not Told.PREFERENCE:
        raise BadInput("--topic is for a preference: add `--kind preference`")
    _check_object(attributes)
    record = pb.Record(
        id=identity,
        kind=pb.Kind.Value(f"KIND_{kind.name}"),
        text=text,
        subjects=subjects or [],
        topic=topic,
        importance=importance,
        attributes_json=attributes,
        trust=pb.TRUST_PERSON,
        provenance=pb.Provenance(person=by or getpass.getuser()),
        origin="factotum memory remember",
    )
    for field, moment in ((record.expires_at, expires), (record.created_at, at)):
        if moment is not None:
            field.FromDatetime(moment.astimezone())

    async def tell() -> pb.RememberResponse:
        async with Connection(data, tenant, os.environ).memory() as memory:
            request = pb.RememberRequest(tenant=tenant, records=[record])
            return await memory.Remember(request, timeout=REQUEST_SECONDS)

    answer = run(tell())
    (identity,), (kept,) = answer.ids, answer.kept
    result = pb.Kept.Result.Name(kept.result).removeprefix("RESULT_").lower()
    if as_json:
        output.print_json({"id": identity, "result": result, "reason": kept.reason})
    if kept.result == pb.Kept.RESULT_REFUSED:
        raise Refused(f"not kept ({kept.reason}): {ADVICE.get(kept.reason, 'say it otherwise')}")
    if as_json:
        return
    if kept.reason == "older":
        output.say(f"kept as history: a newer one of this subject and topic stands ({identity})")
    else:
        output.say(f"{'known already, as it is' if result == 'unchanged' else 'remembered'}: {identity}")


def _check_object(text: str) -> None:
    try:
        value: Any = json.loads(text or "{}")
    except ValueError as error:
        raise BadInput(f"--attributes is not JSON: {error}") from error
    if not isinstance(value, dict):
        raise BadInput("""--attributes must be an object, e.g. '{"language": "de"}'""")
