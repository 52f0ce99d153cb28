"""Jira's issues on a stand-in that keeps them and checks requests, and on what prism makes of the description."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError
from starlette.responses import JSONResponse, Response

from factotum.connectors.tickets import text
from factotum.connectors.tickets.api import document
from factotum.connectors.tickets.tools import connector
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
from tests.support.jira import CLIENT, Jira
from tests.support.prism import prism
from tests.support.tickets import NEW, SECRETS, asked, context, do, settings
from tests.support.tool_calls import tool_context


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
