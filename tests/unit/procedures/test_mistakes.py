"""Documents of real processes with one mistake each: named at its line, with the way to mend it; mended, clean."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import pytest

from factotum.cli import catalog
from factotum.cli.procedures import faults_of
from factotum.procedures.check import Catalog

FOLDER = Path(__file__).parent / "mistakes"


@dataclass(frozen=True)
class Mistake:
    """Where the mistake is, parts of what is said of it, and what the line should be."""

    line: int
    message: str
    advice: str
    mended: str


MISTAKES = {
    "address-of-a-template": Mistake(
        8, "braces", "Write `{name}`", "        endpoint: https://travel.example/trips/{trip}"
    ),
    "approval-misspelt": Mistake(10, "`aproval` means nothing", "`approval`?", "        approval:"),
    "approval-of-a-read": Mistake(8, "nothing to approve", "the task that acts", "      metadata: {summary: Read}"),
    "array-for-one": Mistake(
        13, "`start` is an array, where a text is expected", ".[0]", "        start: '${ .days[0] + \"T09:00:00\" }'"
    ),
    "authentication-misspelt": Mistake(
        15, "no authentication `license`", "`licences`?", "          authentication: {use: licences}"
    ),
    "catalog-not-declared": Mistake(9, "no catalog `acmee`", "`acme`?", "      call: check-address:1.2.0@acme"),
    "clock-with-four-fields": Mistake(4, "4 fields", "Write five fields", "  cron: '0 6 * * 1-5'"),
    "does-not-parse": Mistake(
        9, "`(` is not closed", "jq", "      if: '.workEmail != null and (.status == \"Active\")'"
    ),
    "function-argument-missing": Mistake(
        25,
        "'language' is a required property",
        "Give it `language`",
        "            with: {email: '${ $person.email }', language: de}",
    ),
    "constant-not-allowed": Mistake(
        25, "'deutsch' is not one of ['de', 'en']", "another value", "      with: {email: '${ .email }', language: de}"
    ),
    "input-in-a-condition": Mistake(5, "`$input` is not available", "`.` is what", "      if: '.parking'"),
    "jitter-upside-down": Mistake(16, "`from` is longer than `to`", "made longer", "            from: PT20S"),
    "listens-with-a-variable": Mistake(
        13, "`$employee` is not available", "Here are $context", "                expect: '${ .id }'"
    ),
    "may-never-end": Mistake(6, "may never end", "bounded", "        days: '${ [.left, .left - 7] }'"),
    "misspelt-argument": Mistake(14, "takes no `subjekt`", "`subject`?", "        html: A leave was granted"),
    "misspelt-property": Mistake(10, "`outptu` is not a property", "`output`?", "      output:"),
    "misspelt-tool": Mistake(
        13, "no tool `identity.creat_user`", "`identity.create_user`?", "      call: identity.create_user"
    ),
    "never-ends": Mistake(19, "never ends", "Leave the round", "      then: end"),
    "never-reached": Mistake(12, "`leave` is never reached", "no `then`", ""),
    "not-an-array": Mistake(11, "`in` gives a text", "what holds the items", "        in: '${ .groups }'"),
    "number-for-text": Mistake(
        21, "`id` is a whole number, where a text", "tostring", "        id: '${ $context.person | tostring }'"
    ),
    "property-not-there": Mistake(
        22, "no property `departement`", "`department`?", "        group: '${ .employee.department }'"
    ),
    "reads-the-clock": Mistake(
        7, "`now` is not allowed", "pure", "        closedOn: '${ $workflow.startedAt.iso8601 }'"
    ),
    "retry-not-defined": Mistake(19, "no retry policy `pacient`", "`patient`?", "        retry: patient"),
    "secret-in-data": Mistake(8, "only inside the tool", "`with`", "        header: '${ .header }'"),
    "secret-not-declared": Mistake(
        12,
        "`payrolToken` is not declared",
        "`payrollToken`?",
        "          Authorization: '${ \"Bearer \\($secrets.payrollToken)\" }'",
    ),
    "text-for-number": Mistake(
        19, "`durationMinutes` is a text, where a whole number", "tonumber", "              durationMinutes: 60"
    ),
    "then-to-nowhere": Mistake(8, "`then: askManger` leads nowhere", "`askManager`?", "            then: askManager"),
    "undone-by-a-read": Mistake(
        12,
        "undoes nothing",
        "identity.deactivate_user",
        "        compensate: {call: identity.deactivate_user, with: {id: '${ .id }'}}",
    ),
}


@pytest.fixture(scope="module")
def tools() -> Catalog:
    return catalog.installed()


def text_of(name: str) -> str:
    return (FOLDER / f"{name}.yaml").read_text(encoding="utf-8")


def test_every_document_is_in_the_table() -> None:
    assert {path.stem for path in FOLDER.glob("*.yaml")} == set(MISTAKES)


@pytest.mark.parametrize("name", MISTAKES)
def test_the_mistake_is_named_at_its_line_with_the_way_to_mend_it(name: str, tools: Catalog) -> None:
    mistake = MISTAKES[name]
    faults = faults_of(text_of(name), tools)
    assert len(faults) == 1, faults
    assert faults[0].line == mistake.line
    assert faults[0].column > 1
    assert mistake.message in faults[0].message
    assert mistake.advice in faults[0].advice


@pytest.mark.parametrize("name", MISTAKES)
def test_with_its_line_mended_the_document_is_clean(name: str, tools: Catalog) -> None:
    lines = text_of(name).splitlines()
    lines[MISTAKES[name].line - 1] = MISTAKES[name].mended
    assert faults_of("\n".join(lines), tools) == []
