"""What the tickets connector does in Jira happens once, also where the search lags behind."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from starlette.responses import Response

from factotum.connectors.tickets import text
from factotum.connectors.tickets.settings import TicketsSettings
from factotum.connectors.tickets.tools import connector
from factotum.sdk import lag
from factotum.sdk.context import ToolContext
from factotum.sdk.errors import Unavailable
from factotum.sdk.testing import World, check_tool
from tests.support.jira import Jira
from tests.support.kill_points import House, KillPoint, killed_and_called_again
from tests.support.tickets import NEW, SECRETS, asked, context, do, settings
from tests.support.tool_calls import closed_port


async def test_an_issue_is_asked_for_by_its_label(jira: Jira) -> None:
    at = context(jira)
    assert await asked("create_issue", at, **NEW) is None
    made = await do("create_issue", at, **NEW)
    assert await asked("create_issue", at, **NEW) == made
    assert await asked("create_issue", context(jira, key="other"), **NEW) is None


async def test_a_search_that_lags_behind_is_no_proof(jira: Jira, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lag, "INTERVAL_SECONDS", 0.05)
    at = context(jira, index_seconds=5)
    jira.lagging = True
    made = await do("create_issue", at, **NEW)
    told: list[float | None] = []

    def report(words: str, fraction: float | None = None) -> None:
        told.append(fraction)
        if len(told) == 3:
            jira.indexed()

    found = await asked("create_issue", ToolContext(**{**_fields(at), "report": report}), **NEW)
    assert found == made and len(told) == 3


async def test_a_search_that_had_its_time_is(jira: Jira, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lag, "INTERVAL_SECONDS", 0.1)
    began = datetime.now(UTC)
    assert await asked("create_issue", context(jira, index_seconds=0.3), **NEW) is None
    assert datetime.now(UTC) - began >= timedelta(seconds=0.3)
    assert 2 <= len(jira.requests) <= 4


def _fields(at: ToolContext[Any]) -> dict[str, Any]:
    return {name: getattr(at, name) for name in at.__dataclass_fields__}


@pytest.mark.parametrize("status", [401, 429, 503])
@pytest.mark.parametrize("tool", ["create_issue", "comment"])
async def test_what_keeps_from_asking_is_no_proof(jira: Jira, tool: str, status: int) -> None:
    jira.answers.append(Response(status_code=status))
    with pytest.raises(Unavailable) as caught:
        await asked(tool, context(jira), **(NEW if tool == "create_issue" else {"issue": "ED-1", "text": "x"}))
    assert caught.value.effect_possible


async def test_a_comment_is_asked_for_by_its_property_on_all_pages(jira: Jira) -> None:
    at = context(jira)
    key = (await do("create_issue", at, **NEW))["key"]
    assert await asked("comment", at, issue=key, text="Mine") is None
    made = await do("comment", at, issue=key, text="Mine")
    for number in range(5):
        await do("comment", context(jira, key=str(number)), issue=key, text="Mine")
    assert await asked("comment", at, issue=key, text="Mine") == made
    assert await asked("comment", context(jira, key="another"), issue=key, text="Mine") is None
    late = context(jira, started_at=datetime.now(UTC) + timedelta(hours=1))
    jira.requests.clear()
    assert await asked("comment", late, issue=key, text="Mine") is None, "all are older than the effect"
    assert [method for method, _ in jira.requests] == ["GET"]
    assert await asked("comment", at, issue="ED-9999", text="Mine") is None


def standing(jira: Jira, tool: str) -> Any:
    """How often an effect stands, of a call with these arguments."""

    async def counted(given: Mapping[str, Any]) -> int:
        issue = jira.issues.get(given.get("issue", ""))
        match tool:
            case "create_issue":
                return jira.labelled(given["summary"])
            case "comment":
                return sum(text.plain(one["body"]) == given["text"] for one in jira.comments[given["issue"]])
            case "delete_comment":
                return int(all(one["id"] != given["id"] for one in jira.comments[given["issue"]]))
            case "transition":
                return int(issue is not None and issue["fields"]["status"]["name"] == given["status"])
            case "assign":
                return int(issue is not None and issue["fields"]["assignee"] is not None)
            case _:
                return int(issue is None)

    return counted


def world(jira: Jira, tool: str) -> World[TicketsSettings]:
    async def arguments(number: int) -> dict[str, Any]:
        if tool == "create_issue":
            return {"project": "ED", "summary": f"Number {number}"}
        if tool == "search":
            return {"jql": "project in (ED)"}
        at = context(jira, key=f"{tool} {number}")
        key = (await do("create_issue", at, **NEW))["key"]
        more = {
            "comment": {"text": f"Number {number}"},
            "transition": {"status": "In Progress"},
            "assign": {"assignee": "a"},
        }
        if tool == "delete_comment":
            return {"issue": key, "id": (await do("comment", at, issue=key, text="x"))["id"]}
        return {"issue": key, **more.get(tool, {})}

    undo = connector.tools[f"tickets.{tool}"].spec.compensation
    reads = tool in ("get_issue", "search")
    return World(
        settings=settings(jira.url),
        away=settings(f"http://127.0.0.1:{closed_port()}"),
        arguments=arguments,
        standing=None if reads else standing(jira, tool),
        secrets=SECRETS,
        undo=undo and connector.tools[undo.call],
    )


@pytest.mark.parametrize("tool", [name.partition(".")[2] for name in connector.tools])
async def test_it_passes_the_conformance_suite(jira: Jira, tool: str) -> None:
    report = await check_tool(connector.tools[f"tickets.{tool}"], world(jira, tool))
    print(report)
    report.assert_passed()


EFFECTS = ["create_issue", "comment", "delete_comment", "transition", "assign", "delete_issue"]


@pytest.mark.parametrize("point", KillPoint)
@pytest.mark.parametrize("tool", EFFECTS)
async def test_killed_anywhere_it_happens_once(jira: Jira, tmp_path: Path, tool: str, point: KillPoint) -> None:
    arguments = await made_arguments(jira, tool)
    house = House(connector, settings(jira.url), tmp_path, SECRETS)
    answer = await killed_and_called_again(house, f"tickets.{tool}", arguments, point)
    assert answer.error is None, answer.error
    assert await standing(jira, tool)(arguments) == 1


async def made_arguments(jira: Jira, tool: str) -> dict[str, Any]:
    given: dict[str, Any] = await world(jira, tool).arguments(1)  # type: ignore[misc]
    return given


async def test_killed_before_the_search_has_it_the_issue_is_made_once(
    jira: Jira, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Asked too early for the search to know the issue, and again in the time that the search is given."""
    monkeypatch.setattr(lag, "INTERVAL_SECONDS", 0.05)
    jira.lagging, jira.indexed_after = True, 3
    house = House(connector, settings(jira.url, index_seconds=5), tmp_path, SECRETS)
    answer = await killed_and_called_again(house, "tickets.create_issue", NEW, KillPoint.BEFORE_THE_ANSWER)
    assert answer.error is None and jira.labelled("Laptop for Ada") == 1
    key = json.loads(answer.output_json or "")["key"]
    assert key in jira.issues


async def test_taken_at_its_word_too_early_it_would_be_made_twice(jira: Jira, tmp_path: Path) -> None:
    """The proof that the test above sees what it is there for."""
    jira.lagging = True
    house = House(connector, settings(jira.url, index_seconds=0), tmp_path, SECRETS)
    await killed_and_called_again(house, "tickets.create_issue", NEW, KillPoint.BEFORE_THE_ANSWER)
    assert jira.labelled("Laptop for Ada") == 2


async def test_without_the_ledger_it_is_made_twice(jira: Jira, tmp_path: Path) -> None:
    house, point = House(connector, settings(jira.url), tmp_path, SECRETS), KillPoint.BEFORE_THE_ANSWER
    await killed_and_called_again(house, "tickets.create_issue", NEW, point, without_the_ledger=True)
    assert jira.labelled("Laptop for Ada") == 2
