"""What a process lacks is said once, with the tools at hand and without."""

from __future__ import annotations

import pytest

from factotum.procedures.check import check
from factotum.procedures.parse import parse
from tests.support.checked import CATALOG, HEAD

RUN = "do: [{a: {run: %s}}]\n"


def said(run: str, head: str = "") -> list[str]:
    return [str(fault) for fault in check(parse(HEAD + head + RUN % run), None)]


@pytest.mark.parametrize(
    "run",
    [
        "{shell: {command: ls}}",
        "{script: {language: python, code: x}}",
        "{script: {language: js, source: {endpoint: https://x}}}",
        "{script: {language: '${ .l }', code: x}}",
        "{container: {image: alpine}}",
        "{workflow: {namespace: n, name: w}}",
    ],
)
def test_what_is_whole_is_no_fault(run: str) -> None:
    assert said(run) == []


@pytest.mark.parametrize(
    ("run", "fault"),
    [
        ("{shell: {}}", "2:17: /do/0/a/run/shell: `command` is missing. Add `command:`"),
        ("{container: {}}", "2:17: /do/0/a/run/container: `image` is missing. Add `image:`"),
        ("{script: {code: x}}", "2:17: /do/0/a/run/script: `language` is missing. Add `language:`"),
        ("{script: {language: js}}", "2:17: /do/0/a/run/script: `code` is missing. Add `code:`, or `source:`"),
        (
            "{script: {language: ruby, code: x}}",
            "2:26: /do/0/a/run/script/language: there is no `ruby` here. There are js, javascript, python",
        ),
    ],
)
def test_what_is_missing_is_named(run: str, fault: str) -> None:
    (found,) = said(run)
    assert fault in found


def test_a_tool_at_hand_says_it_itself() -> None:
    (found,) = check(parse(HEAD + RUN % "{shell: {}}"), CATALOG)
    assert found.message == "`process.shell`: 'command' is a required property"
