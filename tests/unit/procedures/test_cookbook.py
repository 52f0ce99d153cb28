"""The cookbook's processes are fit to be copied: checked, covered by their cases, and none is live by itself."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pytest

from factotum.cli import case_tests, catalog
from factotum.planner import shelf
from factotum.procedures.check import Catalog, check
from factotum.procedures.model import walk_document
from factotum.procedures.parse import parse, parse_raw
from factotum.procedures.tasks import TASKS, CallTask, RunTask
from factotum.simulation.answers import Observation
from factotum.simulation.coverage import Coverage
from factotum.simulation.simulation import Scenario, simulate

FOLDER = Path(__file__).parents[3] / "procedures" / "cookbook"
CASES = FOLDER / "cases"
FILES = sorted(FOLDER.glob("*.yaml"))
MIN_COVERAGE = 90.0


@pytest.fixture(scope="module")
def tools() -> Catalog:
    return catalog.installed()


def test_there_are_ten_processes_and_they_use_the_whole_language() -> None:
    assert len(FILES) == 10
    documents = [parse(path.read_text(encoding="utf-8")).document for path in FILES]
    used = {named.task.kind for document in documents for _, named in walk_document(document)}
    assert used == set(TASKS)


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_a_process_passes_its_check(path: Path, tools: Catalog) -> None:
    assert [str(fault) for fault in check(parse(path.read_text(encoding="utf-8")), tools)] == []


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_a_process_survives_a_round_trip(path: Path) -> None:
    document = parse(path.read_text(encoding="utf-8")).document
    written = document.model_dump(mode="json", by_alias=True, exclude_defaults=True)
    assert parse_raw(written).document == document


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_a_process_says_what_it_is(path: Path) -> None:
    document = parse(path.read_text(encoding="utf-8")).document
    assert document.document.name == path.stem
    assert document.document.title and document.document.summary
    silent = [
        pointer
        for pointer, named in walk_document(document)
        if isinstance(named.task, CallTask | RunTask)
        and not named.task.summary
        # The function that is called has one.
        and getattr(named.task, "call", "") not in document.use.functions
    ]
    assert silent == []


@pytest.fixture(scope="module")
def coverage() -> dict[str, Coverage]:
    return {}


@pytest.fixture(scope="module")
def tested(tools: Catalog, coverage: dict[str, Coverage]) -> Mapping[str, case_tests.Tested]:
    return {found.path.stem: found for found in case_tests.run_all(CASES, [], tools, "acme", coverage)}


@pytest.mark.parametrize("name", [path.stem for path in sorted(CASES.glob("*.yaml"))])
def test_a_case_ends_as_it_must(name: str, tested: Mapping[str, case_tests.Tested]) -> None:
    assert tested[name].differences == []


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_the_cases_cover_a_process(path: Path, tested: object, coverage: Mapping[str, Coverage]) -> None:
    of_one = coverage[parse(path.read_text(encoding="utf-8")).document.full_name]
    assert of_one.percent >= MIN_COVERAGE, [str(way) for way in of_one.missing]


def test_none_is_live_in_a_planner_that_loads_the_packaged_procedures() -> None:
    live = {filed.source.document.full_name for filed in shelf.read([shelf.packaged_folder()])}
    assert live == {"hr/employee-onboarding", "hr/employee-offboarding"}


def test_the_secret_of_an_order_is_only_a_mark_and_its_undoing_has_it_too(tools: Catalog) -> None:
    raw = parse((FOLDER / "equipment-order.yaml").read_text(encoding="utf-8")).raw
    late = {"id": "1", "delivery": "2026-12-24"}
    given = [{"data": {"employee": "7", "starts": "2026-12-01", "mail": "a@acme.example"}}, {"data": {"article": "x"}}]
    observed = [Observation(tool="openapi.call", output=late)]
    calls = simulate(Scenario(raw, given, tools, observations=observed)).record.effects
    assert [call.arguments["operationId"] for call in calls] == [
        "createReservation",
        "createOrder",
        "cancelOrder",
        "cancelReservation",
    ]
    for call in calls:
        client = call.arguments["authentication"]["oauth2"]["client"]
        assert client["id"].endswith(":supplier/id⟧") and client["secret"].endswith(":supplier/secret⟧")


def test_a_password_is_reset_at_the_address_of_the_very_account(tools: Catalog) -> None:
    raw = parse((FOLDER / "password-reset.yaml").read_text(encoding="utf-8")).raw
    account = {"id": "u 7", "userName": "ada@acme.example", "active": True, "groups": []}
    observed = [Observation(tool="identity.find_user", output=account)]
    calls = simulate(Scenario(raw, {"userName": "ada@acme.example"}, tools, observations=observed)).record.effects
    (reset,) = (call.arguments for call in calls if call.tool == "http.request")
    assert reset["endpoint"]["uri"] == "https://id.acme.example/api/v1/users/u%207/password-reset"
