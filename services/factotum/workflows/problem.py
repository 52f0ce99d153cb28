"""Errors of a run: RFC 9457 problems with the standard types of DSL 1.0.3."""

from __future__ import annotations

from typing import Any

_BASE = "https://serverlessworkflow.io/spec/1.0.0/errors/"
VALIDATION = _BASE + "validation"
EXPRESSION = _BASE + "expression"
AUTHORIZATION = _BASE + "authorization"
TIMEOUT = _BASE + "timeout"
COMMUNICATION = _BASE + "communication"
RUNTIME = _BASE + "runtime"
CONFIGURATION = _BASE + "configuration"
AUTHENTICATION = _BASE + "authentication"

# A tool's kind of error as (type, status): what a `catch` filters on.
OF_TOOL_ERROR = {
    "invalid_argument": (VALIDATION, 400),
    "not_permitted": (AUTHORIZATION, 403),
    "not_found": (COMMUNICATION, 404),
    "conflict": (COMMUNICATION, 409),
    "rate_limited": (COMMUNICATION, 429),
    "unavailable": (COMMUNICATION, 503),
    "ambiguous": (RUNTIME, 500),
    "failed": (RUNTIME, 500),
    "not_done": (RUNTIME, 500),
    "cancelled": (RUNTIME, 500),
}
# Title of the answer to `settle` that says that the effect did not happen.
NOT_DONE = "not done"


class Problem(Exception):
    """A fault of the run.

    Attributes:
        instance: JSON pointer of the step it comes from.
        effect_possible: the step's effect may stand in the system although the step failed.
    """

    def __init__(
        self,
        type_: str,
        status: int,
        title: str,
        detail: str = "",
        instance: str = "",
        *,
        effect_possible: bool = False,
    ) -> None:
        super().__init__(title)
        self.type = type_
        self.status = status
        self.title = title
        self.detail = detail
        self.instance = instance
        self.effect_possible = effect_possible

    def at(self, pointer: str) -> Problem:
        """The same problem, at a step, unless it already knows its own."""
        self.instance = self.instance or pointer
        return self

    def as_json(self) -> dict[str, Any]:
        """The problem as a `catch` sees it."""
        return {
            "type": self.type,
            "status": self.status,
            "title": self.title,
            "detail": self.detail,
            "instance": self.instance,
        }

    def __str__(self) -> str:
        return f"{self.instance}: {self.title}{': ' + self.detail if self.detail else ''}"


def of_tool_error(kind: str, message: str, *, effect_possible: bool = False, status: int | None = None) -> Problem:
    """The problem of a tool's error. `kind` is `ToolError.kind`, `status` what the system answered with."""
    type_, usual = OF_TOOL_ERROR.get(kind, (RUNTIME, 500))
    if status is not None:
        # What a remote system answered is a matter of communication, whatever it means to the tool.
        type_ = AUTHENTICATION if status == 401 else COMMUNICATION
    return Problem(type_, status or usual, kind.replace("_", " "), message, effect_possible=effect_possible)
