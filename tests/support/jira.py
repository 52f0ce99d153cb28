"""A stand-in for Jira Cloud on loopback that keeps issues and comments, with a search that lags behind.

It refuses requests that are not as the packaged description has them; whether the description is, prism says.
"""

from __future__ import annotations

import base64
import json
import re
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import wraps
from importlib.resources import files
from typing import Any

import yaml
from jsonschema import Draft202012Validator
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from tests.support.served_app import served_app

EMAIL, TOKEN = "ada@acme.example", "jira-t0ken"
CLIENT, CLIENT_SECRET = "service", "service-s3cret"
DOCUMENT: dict[str, Any] = yaml.safe_load(files("factotum.connectors.tickets").joinpath("jira.yaml").read_bytes())
WORKFLOW = {"To Do": ["In Progress"], "In Progress": ["To Do", "Done"], "Done": []}


@dataclass
class Jira:
    """Projects ED, IT and HR.

    With `lagging`, what is created is found by the search only once it is `indexed`, which it is by itself after so
    many searches as `indexed_after` says. `answers` are given in place of its own, in turn; `lost` counts writes that
    are answered by 500.
    """

    url: str = ""
    issues: dict[str, dict[str, Any]] = field(default_factory=dict)
    comments: dict[str, list[dict[str, Any]]] = field(default_factory=dict)
    requests: list[tuple[str, str]] = field(default_factory=list)
    answers: list[Response] = field(default_factory=list)
    unindexed: set[str] = field(default_factory=set)
    moved: dict[str, str] = field(default_factory=dict)
    lagging: bool = False
    indexed_after: int | None = None
    lost: int = 0
    numbers: int = 0

    def app(self, url: str) -> Starlette:
        self.url = url
        issue = "/rest/api/3/issue"
        routes: list[tuple[str, str, Callable[[Request, Any], Any]]] = [
            (issue, "POST", self.create),
            (f"{issue}/{{issue}}", "GET", self.get),
            (f"{issue}/{{issue}}", "DELETE", self.delete),
            (f"{issue}/{{issue}}/assignee", "PUT", self.assign),
            (f"{issue}/{{issue}}/transitions", "GET", self.transitions),
            (f"{issue}/{{issue}}/transitions", "POST", self.transition),
            (f"{issue}/{{issue}}/comment", "GET", self.listed),
            (f"{issue}/{{issue}}/comment", "POST", self.comment),
            (f"{issue}/{{issue}}/comment/{{comment}}", "DELETE", self.uncomment),
            ("/rest/api/3/comment/list", "POST", self.by_ids),
            ("/rest/api/3/search/jql", "POST", self.search),
        ]
        made = [Route(path, self._checked(path, method, answer), methods=[method]) for path, method, answer in routes]
        return Starlette(routes=[*made, Route("/oauth/token", self.token, methods=["POST"])])

    def indexed(self) -> None:
        """The search has caught up."""
        self.unindexed.clear()

    def labelled(self, summary: str) -> int:
        return sum(issue["fields"]["summary"] == summary for issue in self.issues.values())

    def _checked(self, path: str, method: str, answer: Callable[[Request, Any], Any]) -> Callable[[Request], Any]:
        described = DOCUMENT["paths"][path][method.lower()]

        @wraps(answer)
        async def checked(request: Request) -> Response:
            self.requests.append((request.method, request.url.path))
            if not _is_known(request):
                return _refused(401, "Client must be authenticated to access this resource.")
            text = await request.body()
            body = json.loads(text) if text else None
            if wrong := _faults(described, request, body):
                return _refused(400, wrong)
            if self.answers:
                return self.answers.pop(0)
            issue = request.path_params.get("issue")
            if issue is not None and self._key(issue) not in self.issues:
                return _refused(404, "Issue does not exist or you do not have permission to see it.")
            made: Response = await answer(request, body)
            if method != "GET" and made.status_code < 300 and self.lost and "search" not in path:
                self.lost -= 1
                return Response(status_code=500)
            return made

        return checked

    def _key(self, issue: str) -> str:
        return self.moved.get(issue, issue)

    def _issue(self, request: Request) -> dict[str, Any]:
        return self.issues[self._key(request.path_params["issue"])]

    async def create(self, request: Request, body: Any) -> Response:
        fields = body["fields"]
        if fields["project"]["key"] not in ("ED", "IT", "HR"):
            return JSONResponse({"errorMessages": [], "errors": {"project": "valid project is required"}}, 400)
        self.numbers += 1
        key, now = f"{fields['project']['key']}-{self.numbers}", _now()
        self.issues[key] = {
            "id": str(10000 + self.numbers),
            "key": key,
            "self": f"{self.url}/rest/api/3/issue/{10000 + self.numbers}",
            "fields": {"status": {"name": "To Do"}, "assignee": None, "created": now, "updated": now, **fields},
        }
        self.comments[key] = []
        if self.lagging:
            self.unindexed.add(key)
        return JSONResponse({name: self.issues[key][name] for name in ("id", "key", "self")}, 201)

    async def get(self, request: Request, body: Any) -> Response:
        wanted = request.query_params["fields"].split(",")
        issue = self._issue(request)
        return JSONResponse(
            {**issue, "fields": {name: issue["fields"].get(name) for name in wanted if name in issue["fields"]}}
        )

    async def delete(self, request: Request, body: Any) -> Response:
        del self.issues[self._issue(request)["key"]]
        return Response(status_code=204)

    async def assign(self, request: Request, body: Any) -> Response:
        account = body["accountId"]
        found = None if account is None else {"accountId": account, "displayName": f"The {account}"}
        self._issue(request)["fields"]["assignee"] = found
        return Response(status_code=204)

    def _possible(self, request: Request) -> list[dict[str, Any]]:
        statuses = WORKFLOW[self._issue(request)["fields"]["status"]["name"]]
        return [{"id": str(n), "name": f"To {one}", "to": {"name": one}} for n, one in enumerate(statuses, 11)]

    async def transitions(self, request: Request, body: Any) -> Response:
        return JSONResponse({"transitions": self._possible(request)})

    async def transition(self, request: Request, body: Any) -> Response:
        chosen = next((one for one in self._possible(request) if one["id"] == body["transition"]["id"]), None)
        if chosen is None:
            return _refused(400, "It seems that you have tried to perform a workflow operation that is not valid.")
        self._issue(request)["fields"]["status"] = chosen["to"]
        return Response(status_code=204)

    async def listed(self, request: Request, body: Any) -> Response:
        start, size = (int(request.query_params[name]) for name in ("startAt", "maxResults"))
        found = self.comments[self._issue(request)["key"]][::-1]
        told = [{name: value for name, value in one.items() if name != "properties"} for one in found]
        return JSONResponse({"comments": told[start : start + min(size, 2)], "total": len(found)})

    async def comment(self, request: Request, body: Any) -> Response:
        self.numbers += 1
        made = {"id": str(self.numbers), "created": _now(), **body}
        self.comments[self._issue(request)["key"]].append(made)
        return JSONResponse(made, 201)

    async def uncomment(self, request: Request, body: Any) -> Response:
        key = self._issue(request)["key"]
        left = [one for one in self.comments[key] if one["id"] != request.path_params["comment"]]
        if len(left) == len(self.comments[key]):
            return _refused(404, "Can not find a comment for the id")
        self.comments[key] = left
        return Response(status_code=204)

    async def by_ids(self, request: Request, body: Any) -> Response:
        found = [one for comments in self.comments.values() for one in comments if int(one["id"]) in body["ids"]]
        return JSONResponse({"values": found})

    async def search(self, request: Request, body: Any) -> Response:
        """Of JQL it knows `labels = "…"` and `project in (…)`."""
        if self.indexed_after is not None:
            self.indexed_after -= 1
            if self.indexed_after < 0:
                self.indexed()
        label = re.fullmatch(r'labels = "([^"]+)"', body["jql"])
        project = re.fullmatch(r"project in \(([A-Z, ]+)\)", body["jql"])
        if label is None and project is None:
            return _refused(400, "Error in the JQL Query")
        found = [
            issue
            for key, issue in self.issues.items()
            if key not in self.unindexed
            and (label is None or label[1] in issue["fields"].get("labels", ()))
            and (project is None or key.partition("-")[0] in project[1].split(", "))
        ]
        start, size = int(body.get("nextPageToken", 0)), min(body.get("maxResults", 50), 2)
        rest = start + size < len(found)
        page = {"issues": found[start : start + size], "isLast": not rest}
        return JSONResponse({**page, "nextPageToken": str(start + size)} if rest else page)

    async def token(self, request: Request) -> Response:
        form = await request.form()
        if (form.get("client_id"), form.get("client_secret")) != (CLIENT, CLIENT_SECRET):
            return JSONResponse({"error": "access_denied"}, 401)
        return JSONResponse({"access_token": TOKEN, "token_type": "Bearer", "expires_in": 3600})


def _is_known(request: Request) -> bool:
    basic = base64.b64encode(f"{EMAIL}:{TOKEN}".encode()).decode()
    return request.headers.get("authorization") in (f"Basic {basic}", f"Bearer {TOKEN}")


def _faults(described: dict[str, Any], request: Request, body: Any) -> str:
    """What of a request is not as its operation's description."""
    known = {one["name"] for one in described.get("parameters", ())}
    unknown = sorted(set(request.query_params) - known)
    if unknown or ("requestBody" in described) is (body is None):
        return f"unknown parameters {unknown}, or a body where none is described, or none where one is"
    if body is None:
        return ""
    schema = described["requestBody"]["content"]["application/json"]["schema"]
    whole = {"allOf": [schema], "components": DOCUMENT["components"]}
    return "; ".join(error.message for error in Draft202012Validator(whole).iter_errors(body))


def _refused(status: int, words: str) -> Response:
    return JSONResponse({"errorMessages": [words], "errors": {}}, status)


def _now() -> str:
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.%f")[:-3] + "+0000"


@asynccontextmanager
async def jira_site() -> AsyncIterator[Jira]:
    jira = Jira()
    async with served_app(jira.app):
        yield jira
