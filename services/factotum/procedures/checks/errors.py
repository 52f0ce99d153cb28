"""The errors that a document raises, and those that it catches.

Source: DSL 1.0.3, "Error" and "Catch". An error's properties are compared with a filter's as they stand.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from factotum.procedures.checks import nearest
from factotum.procedures.checks.scopes import tasks
from factotum.procedures.expressions import escape
from factotum.procedures.fault import Fault
from factotum.procedures.model import Document
from factotum.procedures.tasks import ErrorDefinition, RaiseTask, TryTask

Json = Any

PROPERTIES = frozenset(("type", "status", "title", "detail", "instance"))
# The schema of the language calls `detail` so in a filter, and there alone.
_DETAILS = "details"
_URI = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*:\S*")


def faults(document: Document) -> Iterator[Fault]:
    """Types that are no URIs, and filters that no error passes."""
    for name, error in document.use.errors.items():
        yield from _type(f"/use/errors/{escape(name)}", error)
    for scoped in tasks(document):
        task = scoped.task
        if isinstance(task, RaiseTask) and isinstance(task.raise_.error, ErrorDefinition):
            yield from _type(f"{scoped.pointer}/raise/error", task.raise_.error)
        if isinstance(task, TryTask):
            for name, wanted in task.catch.errors.with_.items():
                yield from _compared(f"{scoped.pointer}/catch/errors/with/{escape(name)}", name, wanted)


def _type(pointer: str, error: ErrorDefinition) -> Iterator[Fault]:
    if "${" not in error.type and _URI.fullmatch(error.type) is None:
        advice = "Write one such as https://example.com/errors/too-late, or an expression in `${ }`"
        yield Fault(f"{pointer}/type", f"`{error.type}` is no URI", advice)


def _compared(pointer: str, name: str, wanted: Json) -> Iterator[Fault]:
    if name not in PROPERTIES | {_DETAILS}:
        yield Fault(pointer, f"an error has no `{name}`", nearest.among(name, PROPERTIES, lead="It has"))
    elif isinstance(wanted, str) and "${" in wanted:
        yield Fault(pointer, f"`{name}` is compared as it stands: no expression is evaluated here", "Use `catch.when`")
    elif name == "status" and (isinstance(wanted, bool) or not isinstance(wanted, int)):
        yield Fault(pointer, "an error's `status` is a whole number", "Write it without quotes, as `status: 503`")
    elif name != "status" and not isinstance(wanted, str):
        yield Fault(pointer, f"an error's `{name}` is a text", "Write it in quotes")
