"""Jira's issues on a stand-in that keeps them and checks requests, and on what prism makes of the description."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Iterator, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from pydantic import ValidationError
from starlette.responses import JSONResponse, Response

from factotum.connectors.tickets import text, tools
from factotum.connectors.tickets.api import document
from factotum.connectors.tickets.settings import TicketsSettings
from factotum.connectors.tickets.tools import connector
from factotum.sdk.context import ToolContext
from factotum.sdk.errors import (
    Conflict,
    Failed,
    InvalidArgument,
    NotFound,
    NotPermitted,
    RateLimited,
    ToolError,
    Unavailable,
)
from factotum.sdk.testing import World, check_tool
from tests.support.jira import CLIENT, CLIENT_SECRET, EMAIL, TOKEN, Jira, jira_site
from tests.support.kill_points import House, KillPoint, killed_and_called_again
from tests.support.prism import prism
from tests.support.tool_calls import closed_port, tool_context

SECRETS = {"jira": TOKEN, "client": CLIENT_SECRET}
NEW = {"project": "ED", "summary": "Laptop for Ada"}


@pytest_asyncio.fixture(scope="module")
async def site() -> AsyncIterator[Jira]:
    async with jira_site() as made:
        yield made


@pytest.fixture
def jira(site: Jira) -> Iterator[Jira]:
    site.requests.clear()
    yield site
    kept = Jira(url=site.url, numbers=site.numbers)
    site.__dict__.update(kept.__dict__)


def settings(url: str, **changes: Any) -> TicketsSettings:
    given = {"base_url": url, "email": EMAIL, "token": "secret://jira", "index_seconds": 0, **changes}
    return TicketsSettings.model_validate(given)


def context(
    jira: Jira, *, key: str = "run:/do/0", started_at: datetime | None = None, **changes: Any
) -> ToolContext[Any]:
    began = started_at or datetime.now(UTC)
    return tool_context(settings(jira.url, **changes), key=key, started_at=began, **SECRETS)


async def do(tool: str, at: ToolContext[Any], **arguments: Any) -> Any:
    made = connector.tools[f"tickets.{tool}"]
    return (await made.function(made.arguments.model_validate(arguments), at)).model_dump()


async def asked(tool: str, at: ToolContext[Any], **arguments: Any) -> Any:
    made = connector.tools[f"tickets.{tool}"]
    assert made.reconciler is not None
    found = await made.reconciler(made.arguments.model_validate(arguments), at)
    return None if found is None else found.model_dump()


async def test_an_issue_is_made_read_and_deleted(jira: Jira) -> None:
    at = context(jira)
    made = await do(
        "create_issue",
        at,
        **NEW,
        description="First line\nsecond line\n\nAnother paragraph",
        type="Bug",
        priority="High",
        labels=["hardware", "hardware"],
        assignee="a1",
        fields={"customfield_1": 5},
    )
    assert made == {"id": made["id"], "key": made["key"], "url": f"{jira.url}/browse/{made['key']}"}
    kept = jira.issues[made["key"]]["fields"]
    assert kept["labels"][0] == "hardware" and kept["labels"][1].startswith("factotum-") and len(kept["labels"]) == 2
    assert kept["customfield_1"] == 5
    read = await do("get_issue", at, issue=made["key"])
    assert (read["summary"], read["type"], read["status"], read["assignee"]) == ("Laptop for Ada", "Bug", "To Do", "a1")
    assert (read["description"], read["priority"]) == ("First line\nsecond line\n\nAnother paragraph", "High")
    for _ in range(2):
        assert (await do("delete_issue", at, issue=made["key"], subtasks=True))["deleted"]
    with pytest.raises(NotFound):
        await do("get_issue", at, issue=made["key"])


async def test_issues_are_found_over_all_pages_up_to_the_limit(jira: Jira) -> None:
    for number in range(5):
        await do("create_issue", context(jira, key=str(number)), project="ED", summary=f"Number {number}")
    found = await do("search", context(jira), jql="project in (ED)")
    assert [one["summary"] for one in found["issues"]] == [f"Number {n}" for n in range(5)] and found["complete"]
    found = await do("search", context(jira), jql="project in (ED)", limit=3)
    assert (len(found["issues"]), found["complete"]) == (3, False)
    with pytest.raises(InvalidArgument, match="Error in the JQL Query"):
        await do("search", context(jira), jql="DROP TABLE")


async def test_a_comment_is_made_and_taken_back(jira: Jira) -> None:
    at = context(jira)
    key = (await do("create_issue", at, **NEW))["key"]
    made = await do("comment", at, issue=key, text="It is there.")
    assert text.plain(jira.comments[key][0]["body"]) == "It is there."
    for _ in range(2):
        await do("delete_comment", at, issue=key, id=made["id"])
    assert jira.comments[key] == []


async def test_an_issue_goes_through_its_workflow(jira: Jira) -> None:
    at = context(jira)
    key = (await do("create_issue", at, **NEW))["key"]
    with pytest.raises(Conflict, match="from 'To Do' to 'Done', only to In Progress"):
        await do("transition", at, issue=key, status="Done")
    for _ in range(2):
        assert await do("transition", at, issue=key, status="in progress") == {"issue": key, "status": "In Progress"}
    assert [path for method, path in jira.requests if method == "POST"][1:] == [f"/rest/api/3/issue/{key}/transitions"]
    assert (await do("transition", at, issue=key, status="Done", resolution="Fixed"))["status"] == "Done"


async def test_an_issue_is_assigned_and_unassigned(jira: Jira) -> None:
    at = context(jira)
    key = (await do("create_issue", at, **NEW))["key"]
    await do("assign", at, issue=key, assignee="a7")
    assert (await do("get_issue", at, issue=key))["assignee_name"] == "The a7"
    await do("assign", at, issue=key, assignee=None)
    assert jira.issues[key]["fields"]["assignee"] is None


@pytest.mark.parametrize(
    ("tool", "arguments"),
    [
        ("create_issue", {"project": "ed", "summary": "x"}),
        ("create_issue", {**NEW, "summary": "two\nlines"}),
        ("create_issue", {**NEW, "labels": ["two words"]}),
        ("get_issue", {"issue": "../../myself"}),
        ("comment", {"issue": "ED-1", "text": "  "}),
        ("delete_comment", {"issue": "ED-1", "id": "1/../2"}),
    ],
)
def test_what_the_models_refuse(tool: str, arguments: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        connector.tools[f"tickets.{tool}"].arguments.model_validate(arguments)


async def test_what_the_description_does_not_allow_is_not_sent(jira: Jira) -> None:
    with pytest.raises(InvalidArgument, match="takes no such createIssue: /body/fields/issuetype/name"):
        made = connector.tools["tickets.create_issue"]
        arguments = made.arguments.model_validate(NEW).model_copy(update={"type": 7})
        await made.function(arguments, context(jira))
    assert jira.requests == []


async def test_an_answer_that_is_not_as_described_is_caught(jira: Jira) -> None:
    jira.answers.append(JSONResponse({"id": 7, "key": "ED-1"}, 201))
    with pytest.raises(Failed, match="createIssue answered 201, and not as its document") as caught:
        await do("create_issue", context(jira), **NEW)
    assert caught.value.effect_possible


@pytest.mark.parametrize(
    ("answer", "kind", "words"),
    [
        (JSONResponse({"errorMessages": [], "errors": {"summary": "too long"}}, 400), InvalidArgument, "too long"),
        (JSONResponse({"errorMessages": ["You may not"]}, 403), NotPermitted, "You may not"),
        (JSONResponse({}, 429, headers={"Retry-After": "3"}), RateLimited, "429"),
        (Response(status_code=502), Unavailable, "502"),
    ],
)
async def test_what_a_refusal_means(jira: Jira, answer: Response, kind: type[ToolError], words: str) -> None:
    jira.answers.append(answer)
    with pytest.raises(kind, match=words) as caught:
        await do("create_issue", context(jira), **NEW)
    assert caught.value.effect_possible is (kind is Unavailable)


async def test_a_service_account_proves_itself_by_oauth(jira: Jira) -> None:
    by_oauth = {"email": "", "token": "", "client_id": CLIENT, "client_secret": "secret://client"}
    at = context(jira, **by_oauth, token_url=f"{jira.url}/oauth/token")
    assert (await do("create_issue", at, **NEW))["key"] in jira.issues


async def test_a_wrong_token_is_not_permitted(jira: Jira) -> None:
    at = tool_context(settings(jira.url), **{**SECRETS, "jira": "wr0ng-token"})
    with pytest.raises(NotPermitted) as caught:
        await do("get_issue", at, issue="ED-1")
    assert "wr0ng" not in caught.value.message


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"email": ""}, "give email and token"),
        ({"client_id": "c", "client_secret": "secret://c"}, "give email and token, or client_id"),
        ({"token": "the token itself"}, "should match pattern"),
        ({"base_url": "acme.atlassian.net"}, "does not begin with"),
    ],
)
def test_settings_that_would_not_do(given: dict[str, Any], words: str) -> None:
    with pytest.raises(ValidationError, match=words):
        settings(
            **{"url": "https://acme.atlassian.net", **given} if "base_url" not in given else {"url": given["base_url"]}
        )


# Projects


async def test_only_the_allowed_projects_are_used(jira: Jira) -> None:
    everywhere, here = context(jira), context(jira, projects=["ED"])
    key = (await do("create_issue", everywhere, project="HR", summary="Salaries"))["key"]
    mine = (await do("create_issue", here, **NEW))["key"]
    for tool, arguments in [
        ("create_issue", {"project": "HR", "summary": "x"}),
        ("get_issue", {"issue": key}),
        ("comment", {"issue": key, "text": "x"}),
        ("delete_comment", {"issue": key, "id": "1"}),
        ("transition", {"issue": key, "status": "In Progress"}),
        ("assign", {"issue": key, "assignee": "a"}),
        ("delete_issue", {"issue": key}),
    ]:
        with pytest.raises(NotPermitted, match="HR is none of `projects`"):
            await do(tool, here, **arguments)
    assert jira.issues[key]["fields"]["status"] == {"name": "To Do"} and jira.comments[key] == []
    found = await do("search", here, jql="project in (ED, HR)")
    assert [one["key"] for one in found["issues"]] == [mine]


async def test_a_key_that_leads_into_another_project_is_seen_through(jira: Jira) -> None:
    key = (await do("create_issue", context(jira), project="HR", summary="Salaries"))["key"]
    jira.moved["ED-9999"] = key
    with pytest.raises(NotPermitted):
        await do("delete_issue", context(jira, projects=["ED"]), issue="ED-9999")
    assert key in jira.issues


# Once


async def test_an_issue_is_asked_for_by_its_label(jira: Jira) -> None:
    at = context(jira)
    assert await asked("create_issue", at, **NEW) is None
    made = await do("create_issue", at, **NEW)
    assert await asked("create_issue", at, **NEW) == made
    assert await asked("create_issue", context(jira, key="other"), **NEW) is None


async def test_a_search_that_lags_behind_is_no_proof(jira: Jira, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tools, "SEARCH_SECONDS", 0.05)
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
    monkeypatch.setattr(tools, "SEARCH_SECONDS", 0.1)
    began = datetime.now(UTC)
    assert await asked("create_issue", context(jira, index_seconds=0.3), **NEW) is None
    assert datetime.now(UTC) - began >= timedelta(seconds=0.3)
    assert len(jira.requests) == 4


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

    reads = tool in ("get_issue", "search")
    return World(
        settings=settings(jira.url),
        away=settings(f"http://127.0.0.1:{closed_port()}"),
        arguments=arguments,
        standing=None if reads else standing(jira, tool),
        secrets=SECRETS,
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
    monkeypatch.setattr(tools, "SEARCH_SECONDS", 0.05)
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


# The description


async def test_prism_takes_what_is_sent_and_answers_what_is_described(tmp_path: Path) -> None:
    """A server made of the description by others: its requests and answers are what the tools take them for."""
    async with prism(document(), tmp_path) as url:
        at = tool_context(settings(url), **SECRETS)
        assert (await do("create_issue", at, **NEW, description="x", labels=["a"], priority="High"))["key"] == "ED-24"
        assert (await do("get_issue", at, issue="ED-24"))["summary"] == "Printer on fire"
        assert (await do("search", at, jql="project = ED"))["complete"]
        assert (await do("comment", at, issue="ED-24", text="x"))["id"] == "10000"
        assert await asked("comment", at, issue="ED-24", text="x") is None
        assert (await do("transition", at, issue="ED-24", status="Done"))["status"] == "Done"
        await do("assign", at, issue="ED-24", assignee=None)
        await do("delete_comment", at, issue="ED-24", id="10000")
        await do("delete_issue", at, issue="ED-24")
        assert await asked("create_issue", at, **NEW) is None


@pytest.mark.parametrize(
    "written",
    ["One line", "Two\nlines", "A\n\nB", "A\n\n\n\nB", "  indented", "A\n"],
)
def test_text_comes_back(written: str) -> None:
    assert text.plain(text.written(written)) == "\n\n".join(filter(None, written.strip("\n").split("\n\n"))).strip("\n")


def test_text_of_other_nodes() -> None:
    item = {"type": "listItem", "content": [{"type": "paragraph", "content": [{"type": "text", "text": "one"}]}]}
    mention = {"type": "mention", "attrs": {"text": "@Ada"}}
    document = {
        "type": "doc",
        "version": 1,
        "content": [
            {"type": "heading", "content": [{"type": "text", "text": "Title"}]},
            {"type": "bulletList", "content": [item, item]},
            {"type": "paragraph", "content": [mention, {"type": "text", "text": " hello"}]},
        ],
    }
    assert text.plain(document) == "Title\n\none\n\none\n\n@Ada hello"
