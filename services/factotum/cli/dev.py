"""`factotum dev`: the local stack, all of Factotum on this machine in one command."""

from __future__ import annotations

import os
import signal
import sys
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from factotum.cli.errors import BadInput, CommandError, StackNotRunning
from factotum.cli.options import DEFAULT_DATA, DataOption, JsonOption

if TYPE_CHECKING:
    from factotum.dev.state import StackState


class KafkaChoice(StrEnum):
    """`embedded`: in memory, for development. `apache`: a real broker, which needs Java and Maven."""

    EMBEDDED = "embedded"
    APACHE = "apache"


app = typer.Typer(help="Start the local stack, and look after it.", invoke_without_command=True)


@app.callback()
def dev(
    context: typer.Context,
    data: DataOption = DEFAULT_DATA,
    kafka: Annotated[KafkaChoice, typer.Option(help="Which Kafka: in memory, or a real broker.")] = (
        KafkaChoice.EMBEDDED
    ),
    detach: Annotated[bool, typer.Option("--detach", help="Return once the stack is ready; it runs on.")] = False,
    timeout: Annotated[float, typer.Option(min=1.0, help="With --detach: seconds to become ready.")] = 600.0,
    well_after: Annotated[
        float, typer.Option(min=0.0, help="Seconds that a part answers until its earlier deaths no longer count.")
    ] = 60.0,
) -> None:
    """Start the local stack: every service, Temporal, Kafka, and a sandbox of systems to act on.

    Without --detach it runs until Ctrl-C. Its state is kept in DIR and is there again at the next start.
    """
    context.obj = data
    if context.invoked_subcommand is not None:
        return
    from factotum.dev import control, kafka_jars

    if _checked(lambda: control.runs(data)):
        _runs_already(data, kafka, detach=detach, timeout=timeout)
        return
    if kafka is KafkaChoice.APACHE:
        if not kafka_jars.directory(os.environ).is_dir():
            typer.echo("fetching Apache Kafka with Maven", err=True)
        _checked(lambda: kafka_jars.install(os.environ))
    if not detach:
        raise typer.Exit(_foreground(data, kafka, well_after))
    _show(_checked(lambda: control.start(data, kafka.value, timeout, well_after)))
    typer.echo("ready")


@app.command()
def status(context: typer.Context, data: DataOption = DEFAULT_DATA, as_json: JsonOption = False) -> None:
    """Show how every part is. Exit status 0 only if all of them answer."""
    from factotum.dev import control

    stack: StackState = _checked(lambda: control.look(_directory(context, data)))
    if as_json:
        typer.echo(stack.model_dump_json(indent=2))
    else:
        _show(stack)
        for name, part in stack.parts.items():
            if part.health != "healthy" and part.reason:
                typer.echo(f"{name}: {part.reason}")
        typer.echo(stack.health)
    raise typer.Exit(0 if stack.health == "ready" else 1)


@app.command()
def down(context: typer.Context, data: DataOption = DEFAULT_DATA) -> None:
    """End the stack, and return when all its processes are gone. What it keeps stays."""
    from factotum.dev import control

    directory = _directory(context, data)
    killed = control.down(directory, timeout=90.0)
    if killed is None:
        typer.echo(f"nothing runs in {directory}")
    else:
        typer.echo(f"down; had to be killed: {', '.join(killed)}" if killed else "down")


@app.command()
def logs(
    context: typer.Context,
    part: Annotated[str, typer.Argument(help="A part's name, as in the table, or `supervisor`.")],
    data: DataOption = DEFAULT_DATA,
    lines: Annotated[int, typer.Option("--lines", "-n", min=1, help="How many of the last lines.")] = 50,
    as_json: JsonOption = False,
) -> None:
    """Print the last lines of a part's log. JSON: `{part, file, lines: [text]}`."""
    from factotum.cli import output
    from factotum.dev.process import last_lines

    path = _directory(context, data) / "logs" / f"{part}.log"
    if not path.is_file():
        known = sorted(file.stem for file in path.parent.glob("*.log"))
        raise BadInput(f"no log of {part!r}" + (f"; there are {', '.join(known)}" if known else f" in {path.parent}"))
    found = last_lines(path, lines)
    if as_json:
        output.print_json({"part": part, "file": str(path), "lines": found.splitlines()})
    else:
        typer.echo(found)


@app.command(name="kafka-install")
def kafka_install() -> None:
    """Fetch Apache Kafka with Maven, for `--kafka apache`."""
    from factotum.dev import kafka_jars

    typer.echo(str(_checked(lambda: kafka_jars.install(os.environ))))


def _directory(context: typer.Context, data: Path) -> Path:
    """`dev --data DIR status` means the same as `dev status --data DIR`."""
    given: Path = context.obj
    source = context.get_parameter_source("data")
    return data if source is not None and source.name == "COMMANDLINE" else given


def _foreground(data: Path, kafka: KafkaChoice, well_after: float) -> int:
    from factotum.dev import main

    # Until the supervisor has its own handlers a signal just ends the process, with nothing to clean up.
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    status: int = _checked(lambda: main.run_factotum(data, kafka.value, os.environ, well_after))
    return status


def _runs_already(data: Path, kafka: KafkaChoice, *, detach: bool, timeout: float) -> None:
    from factotum.dev import control

    typer.echo(f"a stack runs in {data} already", err=True)
    if not detach:
        raise CommandError("end it first with `factotum dev down`, or look at it with `factotum dev status`")
    stack = _checked(lambda: control.wait_ready(data, timeout))
    if stack.kafka != kafka.value:
        raise CommandError(f"it runs with --kafka {stack.kafka}: end it first with `factotum dev down`")
    stack = _checked(lambda: control.look(data))
    _show(stack)
    if stack.health != "ready":
        raise CommandError("not all of its parts answer: `factotum dev status` tells which")
    typer.echo("ready")


def _show(stack: StackState) -> None:
    from factotum.cli.output import console
    from factotum.dev import table

    console().print(table.make(stack), soft_wrap=False)


def _checked(work: Any) -> Any:
    """Its result; what it raises as a sentence."""
    from factotum.dev.configuration import ConfigurationInvalid
    from factotum.dev.control import StartFailed
    from factotum.dev.kafka_jars import KafkaMissing
    from factotum.dev.main import AlreadyRuns, FolderUnusable
    from factotum.dev.ports import NoFreePort
    from factotum.dev.state import NoStack

    try:
        return work()
    except NoStack as error:
        raise StackNotRunning(str(error)) from error
    except (ConfigurationInvalid, FolderUnusable) as error:
        raise BadInput(str(error)) from error
    except (AlreadyRuns, KafkaMissing, NoFreePort, StartFailed) as error:
        raise CommandError(str(error)) from error
    finally:
        sys.stdout.flush()
