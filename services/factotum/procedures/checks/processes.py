"""What a process needs so that it can be run, where no tool's schema is at hand that says so.

Source: DSL 1.0.3, "Container Process", "Script Process" and "Shell Process".
"""

from __future__ import annotations

from collections.abc import Iterator

from factotum.procedures import protocols
from factotum.procedures.checks.references import Catalog
from factotum.procedures.checks.scopes import tasks
from factotum.procedures.fault import Fault
from factotum.procedures.model import Document
from factotum.procedures.tasks import RunTask

_NEEDED = {"container": "image", "script": "language", "shell": "command"}
_LANGUAGES = ("js", "javascript", "python")
_CODE = ("code", "source")


def faults(document: Document, catalog: Catalog) -> Iterator[Fault]:
    """What is missing, and languages that there are not; of a tool in the catalog, `calls` says it."""
    loose = document.evaluate.mode == "loose"
    for scoped in tasks(document):
        tool = protocols.tool_of(scoped.task)
        if not isinstance(scoped.task, RunTask) or tool is None or tool in catalog:
            continue
        kind = tool.partition(".")[2]
        held = getattr(scoped.task.run, kind)
        where = f"{scoped.pointer}/run/{kind}"
        if (name := _NEEDED[kind]) not in held:
            yield Fault(where, f"`{name}` is missing", f"Add `{name}:`")
        if kind != "script":
            continue
        if not any(name in held for name in _CODE):
            yield Fault(where, "`code` is missing", "Add `code:`, or `source:` where it lies elsewhere")
        language = held.get("language", "")
        if isinstance(language, str) and language and language not in _LANGUAGES and not (loose or "${" in language):
            yield Fault(f"{where}/language", f"there is no `{language}` here", f"There are {', '.join(_LANGUAGES)}")
