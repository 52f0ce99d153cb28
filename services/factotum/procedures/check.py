"""What is checked before a document runs: everything that can be known without running it.

Structure is checked by `parse`; here the rules of `checks` come together: references, expressions, flow,
arguments against the schemas of tools, and what only the parts of a task can say of themselves.
"""

from __future__ import annotations

from factotum.procedures import lengths, protocols
from factotum.procedures.checks import (
    additions,
    calls,
    dataflow,
    details,
    errors,
    flow,
    processes,
    programs,
    references,
)
from factotum.procedures.checks.places import places
from factotum.procedures.checks.references import Catalog
from factotum.procedures.checks.scopes import tasks
from factotum.procedures.fault import Fault
from factotum.procedures.model import Document
from factotum.procedures.parse import Source
from factotum.procedures.tasks import CallTask

__all__ = ["Catalog", "called_tools", "check"]


def check(source: Source, catalog: Catalog | None) -> list[Fault]:
    """Every fault of a document, in its own order; none if it may run.

    Args:
        catalog: the tools there are, by name; None leaves out what needs them.
    """
    document = source.document
    loose = document.evaluate.mode == "loose"
    faults = [
        *lengths.faults(document),
        *details.faults(document),
        *errors.faults(document),
        *references.faults(document, catalog),
        *additions.faults(document, catalog),
        *programs.faults(places(document), loose=loose, declared=document.use.secrets),
        *flow.faults(document),
        *calls.faults(document, catalog or {}),
        *processes.faults(document, catalog or {}),
        *dataflow.faults(document, catalog or {}),
    ]
    located = [source.locate(fault) for fault in faults]
    return sorted(dict.fromkeys(located), key=lambda fault: (fault.line, fault.column))


def called_tools(document: Document) -> set[str]:
    """The names of all tools that a document may call: by name, by a protocol, as a process, in a
    function, in an extension and to undo something."""
    names = set[str]()
    for scoped in tasks(document):
        task = scoped.task
        if isinstance(task, CallTask):
            if task.call not in document.use.functions:
                found = protocols.tool_of(task) or references.tool_of_call(task.call)
                names |= {found} if found is not None else set()
        elif (tool := protocols.tool_of(task)) is not None:
            names.add(tool)
        undo = task.compensate
        if undo is not None and undo.call not in document.use.functions:
            found = references.tool_of_call(undo.call)
            names |= {found} if found is not None else set()
    return names
