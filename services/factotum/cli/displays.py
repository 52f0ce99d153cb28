"""How runs are shown while they are followed."""

from __future__ import annotations

import sys
from contextlib import AbstractContextManager, nullcontext
from datetime import UTC, datetime
from types import TracebackType
from typing import Any, Self

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.table import Table
from rich.text import Text

from factotum.cli import approvals, output, tasks
from factotum.cli.following import Display, changes, what_it_does

Json = dict[str, Any]


class Lines:
    """One line a change, for logs and pipes."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._seen: dict[str, Json] = {}

    def show(self, run: Json) -> None:
        for line in changes(self._seen.get(run["id"]), run):
            now = datetime.now().strftime("%H:%M:%S")
            self._console.print(output.printable(f"{now} {line}"), markup=False, soft_wrap=True)
        self._seen[run["id"]] = run


class JsonLines:
    """The whole run as one line of JSON, at every change."""

    def show(self, run: Json) -> None:
        output.print_json_line(run)


class Silent:
    def show(self, run: Json) -> None:
        """Shows nothing: the result says it all."""


class LiveTables:
    """Tables that change in place on a terminal."""

    def __init__(self, console: Console) -> None:
        self._runs: dict[str, Json] = {}
        # Durations of running steps count on, so the tables are drawn anew at each refresh.
        self._live = Live(get_renderable=self._tables, console=console, refresh_per_second=8)

    def __enter__(self) -> Self:
        self._live.__enter__()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._live.__exit__(kind, error, trace)

    def show(self, run: Json) -> None:
        self._runs[run["id"]] = run

    def _tables(self) -> RenderableType:
        now = datetime.now(UTC)
        return Group(
            *(part for run in self._runs.values() for part in (_title(run, now), steps_table(run, now, places=False)))
        )


def display(*, as_json: bool = False) -> AbstractContextManager[Display]:
    """The display that suits standard output."""
    if as_json:
        return nullcontext(JsonLines())
    if sys.stdout.isatty():
        return LiveTables(output.console())
    return nullcontext(Lines(output.console()))


def quiet() -> AbstractContextManager[Display]:
    return nullcontext(Silent())


def _title(run: Json, now: datetime) -> Text:
    spent = output.duration(run["started_at"], run["ended_at"], now)
    return Text.assemble(
        (output.printable(run["procedure"]), "bold"),
        f" {output.printable(run['id'])}  ",
        (run["status"], output.COLOURS.get(run["status"], "")),
        f"  {spent}",
        (f"\nwaits: {output.printable(waits)}" if (waits := _waits_for(run)) else "", "yellow"),
    )


def steps_table(run: Json, now: datetime, *, places: bool = True) -> Table:
    """Every call of a run, in the order in which it was made; `places`: with its JSON pointer."""
    whole = ("status", "tool", "tries", "time")
    last = ("step", "last error") if places else ("last error",)
    table = output.table("status", "tool", "what", "tries", "time", *last, whole=whole)
    for step in run["steps"]:
        place = step["pointer"] + (f" [{step['iteration']}]" if step["iteration"] else "")
        table.add_row(
            output.coloured(step["status"]),
            output.cell(f"{step['tool']} {step['run_id']}".rstrip()),
            output.cell(what_it_does(step)),
            str(step["attempts"] or ""),
            output.duration(step["started_at"], step["ended_at"], now),
            *([output.cell(place)] if places else []),
            output.cell(step["last_error"]),
        )
    return table


def for_people(run: Json) -> list[Text]:
    """What waits for people in a run, and what is left for them."""
    return [
        *(
            Text(output.printable(f"waits for a decision\n{approvals.description(asked)}\n"))
            for asked in run["approvals"]
        ),
        *(Text(output.printable(f"left for a person\n{tasks.description(task)}\n")) for task in run["tasks"]),
    ]


def _waits_for(run: Json) -> str:
    """`ada, group:it (/do/1/order); 2026-11-24 12:00:00`."""
    people = [f"{', '.join(asked['by'])} ({approvals.place(asked)})" for asked in run["approvals"]]
    return "; ".join([*people, *(f"until {output.local_time(moment)}" for moment in run["waits_until"])])


def run_details(run: Json, now: datetime) -> Text:
    """What is to be said of a run as a whole, one thing a line; addresses stay in one piece."""
    rows = [
        ("status", run["status"]),
        ("run", run["id"]),
        ("procedure", f"{run['procedure']} {run['procedure_version']}"),
        ("event", run["event_type"]),
        ("started", output.local_time(run["started_at"])),
        ("ended", output.local_time(run["ended_at"])),
        ("duration", output.duration(run["started_at"], run["ended_at"], now)),
        ("waits", _waits_for(run)),
        ("failure", run["failure"]),
        ("left out", f"the {run['steps_left_out']} steps before these" if run["steps_left_out"] else ""),
        ("trace", run["trace_id"]),
        ("Temporal UI", run["ui_url"]),
    ]
    lines = [
        Text.assemble(
            (f"{name:<13}", "bold"),
            (output.printable(value), output.COLOURS.get(value, "") if name == "status" else ""),
        )
        for name, value in rows
        if value
    ]
    return Text("\n").join(lines)
