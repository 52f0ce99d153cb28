"""`factotum procedures simulate` and `test`: what a document would do, without doing it."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from factotum.cli.errors import ExitStatus
from factotum.cli.options import DEFAULT_DATA, DEFAULT_TENANT, DataOption, JsonOption, TenantOption

if TYPE_CHECKING:
    from factotum.simulation.simulation import Scenario, Simulated

Steps = list[str] | None


def simulate(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="The document, in YAML or JSON.")],
    given: Annotated[
        str, typer.Option("--input", metavar="F", help="Its input, YAML or JSON; - is standard input. Else made up.")
    ] = "",
    events: Annotated[
        Path | None,
        typer.Option("--events", metavar="F", help="A list of events that come; `after: PT5M` in one says when."),
    ] = None,
    observations: Annotated[
        Path | None,
        typer.Option("--observations", metavar="F", help="What tools answer: `{tool, step?, output | error: {kind}}`."),
    ] = None,
    fail: Annotated[
        Steps,
        typer.Option(
            "--fail",
            metavar="STEP[@N][=KIND[:STATUS]]",
            help="Every call at or below the step fails, or its N-th attempt; KIND is `conflict` if none is named.",
        ),
    ] = None,
    deny: Annotated[Steps, typer.Option("--deny", metavar="STEP", help="The approval of this step is refused.")] = None,
    undecided: Annotated[
        Steps, typer.Option("--undecided", metavar="STEP", help="Nobody decides on this step's approval.")
    ] = None,
    folders: Annotated[
        list[Path] | None,
        typer.Option("--procedures", metavar="DIR", help="Where procedures that it runs lie, besides FILE's folder."),
    ] = None,
    seed: Annotated[
        int, typer.Option("--seed", min=0, help="0: answers with everything in them; others: by the dice.")
    ] = 0,
    as_json: JsonOption = False,
    data: DataOption = DEFAULT_DATA,
    tenant: TenantOption = DEFAULT_TENANT,
) -> None:
    """Show what a document would do: every step, effect, wait and decision. Nothing is done, and no time passes.

    Tools answer with values made from their schemas. Exit status 1 if the run fails or would not end.

    JSON: `{status, output, error, duration_seconds, effects, undone, tasks, waits, coverage, tree, …}`.
    """
    from factotum.cli import catalog, output
    from factotum.cli.connection import Connection
    from factotum.cli.scenarios import Told, scenario_of
    from factotum.simulation import report
    from factotum.simulation.simulation import simulate as carry_out

    _, tools = catalog.available(Connection(data, tenant, os.environ))
    told = Told(
        has_input=bool(given),
        input=_value(given) if given else None,
        events=_value(events) if events else [],
        observations=_value(observations) if observations else [],
        fail=fail or [],
        deny=deny or [],
        undecided=undecided or [],
        seed=seed,
    )
    scenario = scenario_of(file, [file.parent, *(folders or ())], tools, told, tenant)
    simulated = carry_out(scenario)
    if as_json:
        output.print_json(report.as_json(scenario, simulated))
    else:
        _show(scenario, simulated)
    raise typer.Exit(ExitStatus.OK if simulated.status == "completed" else ExitStatus.FAILED)


def _value(path: Path | str) -> Any:
    from factotum.cli.documents import text_of
    from factotum.cli.event_file import read_value

    return read_value(sys.stdin.read() if str(path) == "-" else text_of(Path(path)))


def _show(scenario: Scenario, simulated: Simulated) -> None:
    from datetime import timedelta

    from factotum.cli import output
    from factotum.cli.simulation_tree import coverage_lines, short, trees
    from factotum.simulation import report

    found = report.as_json(scenario, simulated)
    console = output.console()
    for tree in trees(f"{found['procedure']} {found['version']}  from {found['started_at']}", simulated.record):
        console.print(tree)
    lasted = output.seconds_text(timedelta(seconds=simulated.duration))
    output.say("")
    output.say(f"input: {short(scenario.input)}")
    console.print(f"{output.coloured(simulated.status)} after {lasted} of virtual time")
    if simulated.ending is not None:
        output.say(f"error: {simulated.ending.failure}")
    else:
        output.say(f"output: {short(simulated.output)}")
    for wait in found["waits"]:
        output.say(f"would not end: {wait['step']} {wait['for']}")
    effects = report.done(simulated)
    output.say(f"effects: {len(effects)}{_counted([each.effect for each in effects])}")
    if found["undone"]:
        output.say(f"undone: {len(found['undone'])}")
    for task in found["tasks"]:
        output.say(f"left to a person: {task['kind']} {task['step']}: {task['tool']} {short(task['arguments'])}")
    for name, coverage in sorted(simulated.coverage.items()):
        for line in coverage_lines(name, coverage):
            output.say(line)


def _counted(names: list[str]) -> str:
    counts = {name: names.count(name) for name in dict.fromkeys(names)}
    return f" ({', '.join(f'{count} {name}' for name, count in counts.items())})" if counts else ""
