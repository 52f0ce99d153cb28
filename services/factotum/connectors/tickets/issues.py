"""What issues are made of: the arguments and outputs of the tools, and Jira's values of them. Pure."""

from __future__ import annotations

import hashlib
import re
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field

from factotum.connectors.tickets import text
from factotum.sdk.context import ToolContext

ISSUE_PATTERN = r"^[A-Z][A-Z0-9_]*-\d+$"
PROJECT_PATTERN = r"^[A-Z][A-Z0-9_]*$"
FIELDS = (
    *("summary", "description", "status", "issuetype", "priority", "project"),
    *("assignee", "labels", "created", "updated"),
)

IssueKey = Annotated[str, Field(pattern=ISSUE_PATTERN, description="E.g. ED-24.")]
Label = Annotated[str, Field(pattern=r"^\S{1,255}$")]


class _Given(BaseModel):
    model_config = ConfigDict(extra="forbid")


class NewIssue(_Given):
    project: str = Field(pattern=PROJECT_PATTERN, description="The project's key.")
    summary: str = Field(min_length=1, max_length=255, pattern=r"^[^\r\n]+$")
    description: str = Field(default="", max_length=30_000, description="Plain text.")
    type: str = Field(default="Task", min_length=1, description="The name of an issue type of the project.")
    priority: str | None = Field(default=None, description="The name of a priority.")
    labels: list[Label] = Field(default=[], max_length=50)
    assignee: str | None = Field(default=None, min_length=1, description="An account's id.")
    parent: IssueKey | None = None
    fields: dict[str, Any] = Field(default={}, description="Other fields by their ids, e.g. customfield_10010.")


class IssueRef(_Given):
    issue: IssueKey


class Deletion(_Given):
    issue: IssueKey
    subtasks: bool = Field(default=False, description="Delete its subtasks too; otherwise one with subtasks stays.")


class Query(_Given):
    jql: str = Field(min_length=1, max_length=8000, description='E.g. project = ED AND status = "To Do".')
    limit: int = Field(default=50, ge=1, le=1000)


class NewComment(_Given):
    issue: IssueKey
    text: str = Field(min_length=1, max_length=30_000, pattern=r"\S", description="Plain text.")


class CommentRef(_Given):
    issue: IssueKey
    id: str = Field(pattern=r"^\d+$")


class Move(_Given):
    issue: IssueKey
    status: str = Field(min_length=1, description="The name of the status that it is to have.")
    resolution: str | None = Field(default=None, min_length=1, description="The name of a resolution.")


class Assignment(_Given):
    issue: IssueKey
    assignee: str | None = Field(description="An account's id; null is nobody.", min_length=1, max_length=128)


class Created(BaseModel):
    id: str
    key: str
    url: str = Field(description="Where people see it.")


class Issue(Created):
    project: str
    summary: str
    description: str = Field(description="Plain text.")
    type: str
    status: str
    priority: str | None
    assignee: str | None = Field(description="An account's id.")
    assignee_name: str | None
    labels: list[str]
    created: str
    updated: str


class Found(BaseModel):
    issues: list[Issue]
    complete: bool = Field(description="False where there are more than the limit.")


class Comment(BaseModel):
    issue: str
    id: str


class Moved(BaseModel):
    issue: str
    status: str


class Assigned(BaseModel):
    issue: str
    assignee: str | None


class Deleted(BaseModel):
    issue: str
    deleted: bool = True


def mark(context: ToolContext[Any]) -> str:
    """What an effect carries in Jira: the same on every retry, and no other tenant's."""
    return hashlib.sha256(f"{context.tenant}\n{context.idempotency_key}".encode()).hexdigest()[:32]


def label(context: ToolContext[Any]) -> str:
    return f"factotum-{mark(context)}"


def fields(new: NewIssue, context: ToolContext[Any]) -> dict[str, Any]:
    """As Jira takes them, with the label of the effect."""
    made: dict[str, Any] = {
        **new.fields,
        "project": {"key": new.project},
        "summary": new.summary,
        "issuetype": {"name": new.type},
        "labels": [*dict.fromkeys(new.labels), label(context)],
    }
    if new.description.strip():
        made["description"] = text.written(new.description)
    if new.priority is not None:
        made["priority"] = {"name": new.priority}
    if new.assignee is not None:
        made["assignee"] = {"accountId": new.assignee}
    if new.parent is not None:
        made["parent"] = {"key": new.parent}
    return made


def created(given: dict[str, Any]) -> Created:
    return Created(id=given["id"], key=given["key"], url=_url(given))


def issue(given: dict[str, Any]) -> Issue:
    """An issue that was asked for with `FIELDS`; what Jira does not tell is empty."""
    has = given.get("fields") or {}
    assignee = has.get("assignee") or {}
    return Issue(
        id=given["id"],
        key=given.get("key", ""),
        url=_url(given),
        project=_name(has, "project", "key") or "",
        summary=has.get("summary") or "",
        description=text.plain(has.get("description")),
        type=_name(has, "issuetype") or "",
        status=_name(has, "status") or "",
        priority=_name(has, "priority"),
        assignee=assignee.get("accountId"),
        assignee_name=assignee.get("displayName"),
        labels=has.get("labels") or [],
        created=has.get("created") or "",
        updated=has.get("updated") or "",
    )


def _name(has: dict[str, Any], field: str, name: str = "name") -> str | None:
    found: str | None = (has.get(field) or {}).get(name)
    return found


def _url(given: dict[str, Any]) -> str:
    site = re.sub(r"/rest/api/.*", "", given.get("self", ""))
    return f"{site}/browse/{given.get('key', '')}"
