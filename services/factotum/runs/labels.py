"""How a run is marked in Temporal, however it is started: what it is listed by, and what is shown of it."""

from __future__ import annotations

from typing import Any

from temporalio.common import SearchAttributePair, TypedSearchAttributes

from factotum.procedures.model import Document
from factotum.runs import attributes
from factotum.workflows.contract import RunInput


def search_attributes(run: RunInput, document: Document) -> TypedSearchAttributes:
    """The tenant, the procedure and, if an event started it, that event's type."""
    pairs: list[SearchAttributePair[str]] = [
        SearchAttributePair(attributes.TENANT, run.tenant),
        SearchAttributePair(attributes.PROCEDURE, document.full_name),
    ]
    if run.event.type:
        pairs.append(SearchAttributePair(attributes.EVENT_TYPE, run.event.type))
    return TypedSearchAttributes(pairs)


def memo(document: Document) -> dict[str, Any]:
    return {"procedure": document.full_name, "procedure_version": document.document.version}


def summary(document: Document) -> str:
    """One line for the Temporal UI."""
    return document.document.title or document.full_name
