"""Issues of Jira Cloud (REST API, version 3).

An issue that is created carries a label made of the effect's key, a comment an entity property; by those Jira is
asked whether an interrupted call had its effect. Comments are there at once. Issues are found by Jira's search, which
lags behind (https://developer.atlassian.com/cloud/jira/platform/search-and-reconcile/): it is asked again for as long
as the settings say before an issue is taken for not created.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from factotum.connectors.tickets import issues, text
from factotum.connectors.tickets.api import SYSTEM, Context, call
from factotum.connectors.tickets.issues import (
    FIELDS,
    Assigned,
    Assignment,
    Comment,
    CommentRef,
    Created,
    Deleted,
    Deletion,
    Found,
    Issue,
    IssueRef,
    Move,
    Moved,
    NewComment,
    NewIssue,
    Query,
)
from factotum.connectors.tickets.settings import TicketsSettings
from factotum.sdk.errors import Conflict, InvalidArgument, NotFound, NotPermitted, RateLimited, Unavailable
from factotum.sdk.http import asking
from factotum.sdk.lag import found_in_time
from factotum.sdk.spec import Compensation, Effect, Example, Idempotency
from factotum.sdk.tool import Connector

# More than the longest index_seconds, with the requests before and after.
_CREATE_SECONDS = 660.0
# How far Jira's clock may be behind ours.
CLOCK_SKEW = timedelta(seconds=5)
_PAGE = 100
_CONCURRENCY = 8
_REFUSALS = (InvalidArgument, NotPermitted, NotFound, RateLimited, Unavailable)

connector = Connector("tickets", settings=TicketsSettings)


@connector.tool(
    effect=Effect.CREATE,
    idempotency=Idempotency.RECONCILE,
    timeout_seconds=_CREATE_SECONDS,
    compensation=Compensation(call="tickets.delete_issue", arguments={"issue": "${ .key }", "subtasks": True}),
    errors=_REFUSALS,
    concurrency=_CONCURRENCY,
    examples=(
        Example(
            title="A laptop for a new hire",
            arguments={"project": "IT", "summary": "Laptop for Ada Lovelace", "type": "Task", "labels": ["onboarding"]},
            output={"id": "10000", "key": "IT-24", "url": "https://acme.atlassian.net/browse/IT-24"},
        ),
    ),
)
async def create_issue(arguments: NewIssue, context: Context) -> Created:
    """Create an issue."""
    _check_project(arguments.project, context)
    body = {"fields": issues.fields(arguments, context)}
    return issues.created(await call("createIssue", {"body": body}, context, effect=Effect.CREATE))


@create_issue.reconcile
async def find_created(arguments: NewIssue, context: Context) -> Created | None:
    """The issue with the label of this effect; None where the search has had its time and has none."""
    query = {"jql": f'labels = "{issues.label(context)}"', "fields": ["summary"], "maxResults": 2}

    async def search() -> Created | None:
        with asking(SYSTEM):
            found = (await call("searchIssues", {"body": query}, context))["issues"]
        return issues.created(found[0]) if found else None

    doubt = f"whether the issue was created shows in {SYSTEM}'s search by and by"
    return await found_in_time(search, context, seconds=context.settings.index_seconds, doubt=doubt)


@connector.tool(
    effect=Effect.NONE,
    errors=_REFUSALS,
    concurrency=_CONCURRENCY,
    examples=(Example(title="Look an issue up", arguments={"issue": "IT-24"}),),
)
async def get_issue(arguments: IssueRef, context: Context) -> Issue:
    """Read an issue."""
    found = issues.issue(await _read(arguments.issue, context, FIELDS))
    _check_project(found.project, context)
    return found


@connector.tool(
    effect=Effect.NONE,
    timeout_seconds=60,
    errors=_REFUSALS,
    concurrency=_CONCURRENCY,
    examples=(Example(title="What is open", arguments={"jql": 'project = IT AND status = "To Do"', "limit": 20}),),
)
async def search(arguments: Query, context: Context) -> Found:
    """Find issues by a JQL query. What was written in the last minutes may be missing."""
    found: list[Issue] = []
    token: str | None = None
    while True:
        body: dict[str, Any] = {"jql": arguments.jql, "fields": list(FIELDS), "maxResults": _PAGE}
        if token:
            body["nextPageToken"] = token
        page = await call("searchIssues", {"body": body}, context)
        read = (issues.issue(one) for one in page["issues"])
        found += [one for one in read if _is_allowed(one.project, context)]
        token = page.get("nextPageToken")
        if len(found) > arguments.limit or not token or page.get("isLast") is True:
            return Found(issues=found[: arguments.limit], complete=len(found) <= arguments.limit)


@connector.tool(
    effect=Effect.CREATE,
    idempotency=Idempotency.RECONCILE,
    compensation=Compensation(call="tickets.delete_comment", arguments={"issue": "${ .issue }", "id": "${ .id }"}),
    errors=_REFUSALS,
    concurrency=_CONCURRENCY,
    examples=(
        Example(
            title="Say that it is done",
            arguments={"issue": "IT-24", "text": "The account is there."},
            output={"issue": "IT-24", "id": "10042"},
        ),
    ),
)
async def comment(arguments: NewComment, context: Context) -> Comment:
    """Comment on an issue."""
    await _check_issue(arguments.issue, context)
    mark = {"key": "factotum", "value": {"key": issues.mark(context)}}
    body = {"body": text.written(arguments.text), "properties": [mark]}
    made = await call("addComment", {"issue": arguments.issue, "body": body}, context, effect=Effect.CREATE)
    return Comment(issue=arguments.issue, id=made["id"])


@comment.reconcile
async def find_comment(arguments: NewComment, context: Context) -> Comment | None:
    """The comment with this effect's property, among those of the issue that are not older than the effect."""
    with asking(SYSTEM):
        start = 0
        while True:
            asked = {"issue": arguments.issue, "orderBy": "-created", "startAt": start, "maxResults": _PAGE}
            try:
                answer = await call("getComments", asked, context)
            except NotFound:
                return None
            page = answer["comments"]
            recent = [one for one in page if _is_recent(one, context)]
            if recent and (found := await _marked(recent, context)) is not None:
                return Comment(issue=arguments.issue, id=found)
            start += len(page)
            if len(recent) < len(page) or not page or start >= answer["total"]:
                return None


@connector.tool(
    effect=Effect.DELETE,
    errors=_REFUSALS,
    concurrency=_CONCURRENCY,
    examples=(Example(title="Take a comment back", arguments={"issue": "IT-24", "id": "10042"}),),
)
async def delete_comment(arguments: CommentRef, context: Context) -> Deleted:
    """Delete a comment; one that is not there is deleted."""
    await _check_issue(arguments.issue, context)
    try:
        asked = {"issue": arguments.issue, "comment": arguments.id}
        await call("deleteComment", asked, context, effect=Effect.DELETE)
    except NotFound:
        pass  # done before, by an attempt whose answer was lost
    return Deleted(issue=arguments.issue)


@connector.tool(
    effect=Effect.UPDATE,
    idempotency=Idempotency.NATIVE,
    errors=(*_REFUSALS, Conflict),
    concurrency=_CONCURRENCY,
    examples=(
        Example(
            title="Close an issue",
            arguments={"issue": "IT-24", "status": "Done"},
            output={"issue": "IT-24", "status": "Done"},
        ),
    ),
)
async def transition(arguments: Move, context: Context) -> Moved:
    """Bring an issue into a status; one that has it stays as it is.

    A status that the issue's workflow does not lead to in one step is a `Conflict`, with those it leads to.
    """
    wanted = arguments.status.casefold()
    before = issues.issue(await _read(arguments.issue, context, ("status", "project")))
    _check_project(before.project, context)
    if before.status.casefold() == wanted:
        return Moved(issue=arguments.issue, status=before.status)
    possible = (await call("getTransitions", {"issue": arguments.issue}, context))["transitions"]
    chosen = next((one for one in possible if one["to"].get("name", "").casefold() == wanted), None)
    if chosen is None:
        names = ", ".join(sorted({one["to"].get("name", "") for one in possible})) or "none"
        raise Conflict(
            f"{SYSTEM}'s workflow does not lead {arguments.issue} from {before.status!r} to {arguments.status!r}, "
            f"only to {names}"
        )
    body: dict[str, Any] = {"transition": {"id": chosen["id"]}}
    if arguments.resolution is not None:
        body["fields"] = {"resolution": {"name": arguments.resolution}}
    await call("doTransition", {"issue": arguments.issue, "body": body}, context, effect=Effect.UPDATE)
    return Moved(issue=arguments.issue, status=chosen["to"]["name"])


@connector.tool(
    effect=Effect.UPDATE,
    idempotency=Idempotency.NATIVE,
    errors=_REFUSALS,
    concurrency=_CONCURRENCY,
    examples=(
        Example(
            title="Nobody's any more",
            arguments={"issue": "IT-24", "assignee": None},
            output={"issue": "IT-24", "assignee": None},
        ),
    ),
)
async def assign(arguments: Assignment, context: Context) -> Assigned:
    """Assign an issue to an account, or to nobody."""
    await _check_issue(arguments.issue, context)
    body = {"accountId": arguments.assignee}
    await call("assignIssue", {"issue": arguments.issue, "body": body}, context, effect=Effect.UPDATE)
    return Assigned(issue=arguments.issue, assignee=arguments.assignee)


@connector.tool(
    effect=Effect.DELETE,
    idempotency=Idempotency.NATIVE,
    errors=_REFUSALS,
    concurrency=_CONCURRENCY,
    examples=(Example(title="Take an issue back", arguments={"issue": "IT-24", "subtasks": True}),),
)
async def delete_issue(arguments: Deletion, context: Context) -> Deleted:
    """Delete an issue; one that is not there, or that the account cannot see, is deleted."""
    try:
        await _check_issue(arguments.issue, context)
        asked = {"issue": arguments.issue, "deleteSubtasks": str(arguments.subtasks).lower()}
        await call("deleteIssue", asked, context, effect=Effect.DELETE)
    except NotFound:
        pass  # done before, by an attempt whose answer was lost
    return Deleted(issue=arguments.issue)


async def _read(issue: str, context: Context, fields: tuple[str, ...]) -> dict[str, Any]:
    found: dict[str, Any] = await call("getIssue", {"issue": issue, "fields": list(fields)}, context)
    return found


async def _marked(comments: list[dict[str, Any]], context: Context) -> str | None:
    """The id of the comment that has this effect's property."""
    body = {"ids": [int(one["id"]) for one in comments]}
    listed = await call("getCommentsByIds", {"expand": "properties", "body": body}, context)
    for one in listed["values"]:
        for held in one.get("properties") or ():
            if held["key"] == "factotum" and held["value"] == {"key": issues.mark(context)}:
                found: str = one["id"]
                return found
    return None


def _is_recent(comment: dict[str, Any], context: Context) -> bool:
    try:
        made = datetime.strptime(comment.get("created", ""), "%Y-%m-%dT%H:%M:%S.%f%z")
    except ValueError:
        return True  # of which it is not known that it is old
    return made >= context.started_at - CLOCK_SKEW


async def _check_issue(issue: str, context: Context) -> None:
    """Raises `NotPermitted` for an issue of another project. An issue that was moved answers to its old key, so that
    the key alone says nothing."""
    if context.settings.projects is not None:
        found = issues.issue(await _read(issue, context, ("project",)))
        _check_project(found.project, context)


def _check_project(project: str, context: Context) -> None:
    if not _is_allowed(project, context):
        raise NotPermitted(f"the project {project or '(none)'} is none of `projects` in the settings of tickets")


def _is_allowed(project: str, context: Context) -> bool:
    return context.settings.projects is None or project in context.settings.projects
