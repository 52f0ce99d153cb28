"""The table of a stack, for people."""

from __future__ import annotations

from rich import box
from rich.table import Table
from rich.text import Text

from factotum.dev.state import StackState

_COLOURS = {"healthy": "green", "given-up": "red", "not-answering": "red", "restarting": "yellow", "starting": "cyan"}


def make(stack: StackState) -> Table:
    """One row a part: its name, where it is, how it is, and what one should know of it."""
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for column in ("part", "address", "health"):
        table.add_column(column, no_wrap=True)
    table.add_column("note", overflow="fold")
    for name, part in stack.parts.items():
        health = Text(part.health, style=_COLOURS.get(part.health, ""))
        note = part.note if part.health == "healthy" or not part.reason else part.reason.splitlines()[0]
        if part.restarts:
            note += f" (restarts: {part.restarts})"
        table.add_row(name, Text("\n".join(part.addresses.values())), health, Text(note))
    return table
