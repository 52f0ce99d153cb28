"""`factotum procedures test`: a folder of cases, each a simulation that must end in a certain way."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from factotum.cli.errors import BadInput, ExitStatus
from factotum.cli.options import DEFAULT_DATA, DEFAULT_TENANT, DataOption, JsonOption, TenantOption

if TYPE_CHECKING:
    from factotum.procedures.check import Catalog
    from factotum.simulation.cases import Case
    from factotum.simulation.coverage import Coverage

_SUFFIXES = (".yaml", ".yml", ".json")


@dataclass(frozen=True, slots=True)
class Tested:
    """A case that was run; `differences` in lines, empty if it ended as it must."""

    path: Path
    procedure: str
    status: str
    differences: list[str]


def test(
    folder: Annotated[Path, typer.Argument(metavar="FOLDER", help="Its cases, and those of the folders below.")],
    folders: Annotated[
        list[Path] | None,
        typer.Option("--procedures", metavar="DIR", help="Where procedures lie, besides FOLDER and the one above."),
    ] = None,
    min_coverage: Annotated[
        float, typer.Option("--min-coverage", min=0, max=100, metavar="PERCENT", help="Less of a procedure fails.")
    ] = 0.0,
    as_json: JsonOption = False,
    data: DataOption = DEFAULT_DATA,
    tenant: TenantOption = DEFAULT_TENANT,
) -> None:
    """Run cases: `{procedure, input?, events?, observations?, fail?, deny?, undecided?, expect}` in YAML or JSON.

    Exit status 1 if one ends otherwise than it must, or if the coverage is too low.

    JSON: `{cases: [{file, procedure, status, ok, differences}], coverage: {procedure: {covered, total, missing}}}`.
    """
    from factotum.cli import catalog, output
    from factotum.cli.connection import Connection
    from factotum.cli.simulation_tree import coverage_lines

    _, tools = catalog.available(Connection(data, tenant, os.environ))
    coverage: dict[str, Coverage] = {}
    tested: list[Tested] = []
    for found in run_all(folder, folders or [], tools, tenant, coverage):
        tested.append(found)
        if not as_json:
            output.say(f"{'FAILED' if found.differences else 'ok    '}  {found.path}  {found.status}")
            for line in found.differences:
                output.say(f"        {line}")
    low = [name for name, of_one in sorted(coverage.items()) if of_one.percent < min_coverage]
    if as_json:
        output.print_json(_json(tested, coverage))
    else:
        for name, of_one in sorted(coverage.items()):
            for line in coverage_lines(name, of_one):
                output.say(line)
        failed = sum(bool(found.differences) for found in tested)
        output.note(f"{len(tested)} cases, {failed or 'none'} failed")
        for name in low:
            output.note(f"{name}: its coverage is below {min_coverage:g} %")
    raise typer.Exit(ExitStatus.FAILED if low or any(found.differences for found in tested) else ExitStatus.OK)


def run_all(
    folder: Path, folders: list[Path], tools: Catalog, tenant: str, coverage: dict[str, Coverage]
) -> Iterator[Tested]:
    """Every case of a folder, in the order of the paths; adds to the coverage of the procedures that cases name.

    Raises `BadInput`, also where there is no case.
    """
    from factotum.cli.documents import file_of
    from factotum.cli.scenarios import Told, scenario_of
    from factotum.simulation.cases import differences
    from factotum.simulation.simulation import simulate

    found = list(_cases(folder))
    if not found:
        raise BadInput(f"{folder} holds no case: a file with `procedure` and `expect`")
    for path, case in found:
        around = [path.parent, path.parent.parent, folder, folder.parent, *folders]
        file = file_of(case.procedure, path.parent, around)
        told = Told(
            has_input=case.has_input,
            input=case.input,
            events=list(case.events),
            observations=_observations(case, path),
            fail=case.fail,
            deny=case.deny,
            undecided=case.undecided,
            seed=case.seed,
        )
        try:
            simulated = simulate(scenario_of(file, [file.parent, *around], tools, told, tenant))
        except BadInput as error:
            raise BadInput(f"{path}: {error}") from error
        # The outermost run's procedure comes first.
        procedure = next(iter(simulated.coverage))
        seen = simulated.coverage[procedure]
        coverage.setdefault(procedure, type(seen)(seen.total)).gone.update(seen.gone)
        yield Tested(path, procedure, simulated.status, differences(case.expect, simulated))


def _cases(folder: Path) -> Iterator[tuple[Path, Case]]:
    """Files that hold a case; documents, and lists of observations or events, may lie beside them."""
    from pydantic import ValidationError

    from factotum.cli.documents import text_of
    from factotum.cli.event_file import read_value
    from factotum.simulation.cases import Case

    if not folder.is_dir():
        raise BadInput(f"{folder} is no folder")
    for path in sorted(folder.rglob("*")):
        if path.suffix not in _SUFFIXES or not path.is_file():
            continue
        value = read_value(text_of(path))
        if not isinstance(value, Mapping) or "document" in value or not ({"procedure", "expect"} & value.keys()):
            continue
        try:
            yield path, Case.model_validate(value)
        except ValidationError as error:
            fault = error.errors(include_url=False)[0]
            raise BadInput(f"{path}: {'.'.join(map(str, fault['loc']))}: {fault['msg']}") from error


def _observations(case: Case, path: Path) -> Any:
    from factotum.cli.documents import text_of
    from factotum.cli.event_file import read_value

    if not isinstance(case.observations, str):
        return list(case.observations)
    return read_value(text_of(path.parent / case.observations))


def _json(tested: list[Tested], coverage: Mapping[str, Coverage]) -> Any:
    return {
        "cases": [
            {
                "file": str(found.path),
                "procedure": found.procedure,
                "status": found.status,
                "ok": not found.differences,
                "differences": found.differences,
            }
            for found in tested
        ],
        "coverage": {name: of_one.as_json() for name, of_one in sorted(coverage.items())},
    }
