"""The `factotum` command.

Nothing heavy is imported here, nor at the top of a command's module: `factotum --help` must come at once.
"""

from __future__ import annotations

import sys
from typing import Any

import typer
from typer.core import TyperGroup

from factotum.cli import (
    approvals,
    dead_letter,
    demo,
    dev,
    effects,
    memory,
    policy,
    procedures,
    publish,
    run,
    runs,
    tasks,
    tools,
    trace,
)
from factotum.cli.errors import CommandError


class Boundary(TyperGroup):
    """Where a `CommandError` becomes a sentence on standard error and an exit status."""

    def invoke(self, ctx: Any) -> Any:
        try:
            return super().invoke(ctx)
        except CommandError as error:
            from factotum.cli.output import note

            note(f"factotum: {error}")
            raise typer.Exit(error.status) from error


app = typer.Typer(
    name="factotum",
    cls=Boundary,
    help="A Large Action Model platform: checked plans, durable runs, every effect exactly once.",
    epilog="Exit status: 0 done, 1 failed or the stack does not run, 2 bad input, 3 time is up.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)
app.add_typer(dev.app, name="dev")
app.command()(demo.demo)
app.command()(publish.publish)
app.command()(run.run)
app.command()(runs.runs)
app.command()(runs.show)
app.command()(runs.watch)
app.command()(runs.cancel)
app.command()(approvals.approvals)
app.command()(approvals.approve)
app.command()(approvals.deny)
app.command()(tasks.tasks)
app.command()(trace.trace)
app.add_typer(tools.app, name="tools")
app.add_typer(effects.app, name="effects")
app.add_typer(policy.app, name="policy")
app.add_typer(procedures.app, name="procedures")
app.add_typer(memory.app, name="memory")
app.add_typer(dead_letter.app, name="dead-letter")


def main() -> None:
    """Entry point of the console script."""
    app(prog_name="factotum")
    sys.exit(0)


if __name__ == "__main__":
    main()
