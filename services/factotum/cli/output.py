"""What commands print: tables for people, JSON for programs.

The JSON of a message is its proto under three rules: an enum value is its name in lower case without
the enum's prefix (`running`), a timestamp is RFC 3339 text or null, and a field `x_json` that holds
JSON text becomes the value `x`, null where the text is empty. The gateway's answers keep the same.
"""

from __future__ import annotations

import json
import os
import re
import sys
from collections.abc import Collection
from contextlib import AbstractContextManager, nullcontext
from datetime import UTC, datetime, timedelta
from typing import Any

from google.protobuf.descriptor import FieldDescriptor
from google.protobuf.message import Message
from google.protobuf.timestamp_pb2 import Timestamp
from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from factotum.sdk.characters import plain

_JSON_SUFFIX = "_json"
# In JSON most are escaped by nature.
_LEFT_IN_JSON = re.compile("[\x7f-\x9f\u202a-\u202e\u2066-\u2069]")

PIPE_WIDTH = 1000

COLOURS = {
    "completed": "green",
    "done": "green",
    "running": "cyan",
    "started": "cyan",
    "waiting": "yellow",
    "ambiguous": "yellow",
    "failed": "red",
    "terminated": "red",
    "timed_out": "red",
    "cancelled": "magenta",
}


def console() -> Console:
    """Standard output, made anew each time, so that it is the stream of the moment.

    A pipe has no width of its own, and its reader wants ids in one piece.
    """
    narrow = sys.stdout.isatty() or "COLUMNS" in os.environ
    return Console(highlight=False, width=None if narrow else PIPE_WIDTH)


def errors() -> Console:
    return Console(stderr=True, highlight=False, soft_wrap=True)


def say(text: str) -> None:
    """One line on standard output."""
    console().print(printable(text), markup=False, soft_wrap=True)


def note(text: str) -> None:
    """One line on standard error, which leaves standard output to the result."""
    errors().print(printable(text), markup=False)


def print_json(value: Any) -> None:
    sys.stdout.write(_json(value, indent=2) + "\n")


def print_json_line(value: Any) -> None:
    sys.stdout.write(_json(value) + "\n")
    sys.stdout.flush()


def _json(value: Any, indent: int | None = None) -> str:
    """The same value for whoever reads it; on a terminal nothing in it acts."""
    text = json.dumps(value, indent=indent, ensure_ascii=False)
    return _LEFT_IN_JSON.sub(lambda found: f"\\u{ord(found[0]):04x}", text)


def waiting(text: str) -> AbstractContextManager[object]:
    """Something that moves on standard error, where somebody sees it, until the context is left."""
    return errors().status(printable(text)) if sys.stderr.isatty() else nullcontext()


def counted(count: int, noun: str, several: str = "") -> str:
    """`1 chunk`, `2 chunks`; `several` where it is more than an s."""
    return f"{count} {noun if count == 1 else several or f'{noun}s'}"


def printable(text: str) -> str:
    """The text without control characters: what systems answer must not steer the terminal."""
    return plain(text)


def to_json(message: Message) -> dict[str, Any]:
    """A message as JSON values, every field present, by the rules above.

    Of a oneof only the member that is set is non-null.
    """
    found: dict[str, Any] = {}
    for field in message.DESCRIPTOR.fields:
        absent = field.has_presence and not message.HasField(field.name)
        value = None if absent else getattr(message, field.name)
        name = field.name
        if name.endswith(_JSON_SUFFIX) and field.type == FieldDescriptor.TYPE_STRING:
            name = name.removesuffix(_JSON_SUFFIX)
            value = json.loads(value) if value else None
        elif value is not None and _is_map(field):
            value = dict(value)
        elif value is not None and field.is_repeated:
            value = [_value(field, item) for item in value]
        elif value is not None:
            value = _value(field, value)
        found[name] = value
    return found


def _is_map(field: Any) -> bool:
    return field.message_type is not None and bool(field.message_type.GetOptions().map_entry)


def _value(field: Any, value: Any) -> Any:
    if field.type == FieldDescriptor.TYPE_ENUM:
        return _enum_name(field, value)
    if isinstance(value, Timestamp):
        return moment(value).isoformat().replace("+00:00", "Z")
    if isinstance(value, Message):
        return to_json(value)
    return value


def _enum_name(field: Any, number: int) -> str:
    """`completed` for RUN_STATUS_COMPLETED; an unknown number, of a newer server, is itself."""
    known = field.enum_type.values_by_number
    if number not in known:
        return str(number)
    prefix = known[0].name.removesuffix("UNSPECIFIED")
    return str(known[number].name).removeprefix(prefix).lower()


def moment(stamp: Timestamp) -> datetime:
    return stamp.ToDatetime(tzinfo=UTC)


def local_time(text: str | None) -> str:
    """An RFC 3339 moment in the reader's time zone, to the second; empty for none."""
    if not text:
        return ""
    return datetime.fromisoformat(text).astimezone().strftime("%Y-%m-%d %H:%M:%S")


def duration(started: str | None, ended: str | None, now: datetime) -> str:
    """How long something took, or has taken so far; empty if it has not begun."""
    if not started:
        return ""
    end = datetime.fromisoformat(ended) if ended else now
    return seconds_text(end - datetime.fromisoformat(started))


def seconds_text(span: timedelta) -> str:
    """`812 ms`, `3.21 s`, `4 min 05 s`, `2 h 07 min`."""
    seconds = max(0.0, span.total_seconds())
    if seconds < 1:
        return f"{seconds * 1000:.0f} ms"
    if seconds < 60:
        return f"{seconds:.2f} s"
    minutes, rest = divmod(round(seconds), 60)
    if minutes < 60:
        return f"{minutes} min {rest:02} s"
    return f"{minutes // 60} h {minutes % 60:02} min"


def coloured(state: str) -> str:
    """A state as rich markup in its colour. Only for our own words, never for foreign text."""
    colour = COLOURS.get(state)
    return f"[{colour}]{state}[/]" if colour else state


def table(*columns: str, whole: Collection[str] = ()) -> Table:
    """Where it is narrow, cells are folded, except those of the columns that must stay `whole`."""
    made = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for column in columns:
        made.add_column(column, overflow="fold", no_wrap=column in whole)
    return made


def excerpt(text: str, limit: int) -> str:
    """The text, or its first words with an ellipsis if it is longer than `limit` characters."""
    return text if len(text) <= limit else f"{text[:limit].rpartition(' ')[0]} …"


def cell(text: object) -> Text:
    """Foreign text for a table: neither markup nor control characters act."""
    return Text(printable(str(text)))
