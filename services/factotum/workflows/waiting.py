"""What a run waits for, where runs are listed: so that nobody asks every run whether it needs a person."""

from __future__ import annotations

from temporalio import workflow
from temporalio.common import SearchAttributePair, TypedSearchAttributes

from factotum.runs import attributes


def show(what: str) -> None:
    """Marks the run; empty: it waits for nobody. The mark outlives the execution, and the run."""
    if not workflow.in_workflow():
        return  # what waited is swept up after its worker has let go of the run
    if (workflow.info().typed_search_attributes.get(attributes.WAITING) or "") != what:
        waiting = attributes.WAITING
        workflow.upsert_search_attributes([waiting.value_set(what) if what else waiting.value_unset()])


def show_approvals(waits: bool) -> None:
    show(attributes.APPROVAL if waits else "")


def nested(procedure: str) -> TypedSearchAttributes:
    """The attributes of a run nested in this one."""
    own = (attributes.PROCEDURE, attributes.WAITING)
    kept = [pair for pair in workflow.info().typed_search_attributes if pair.key not in own]
    return TypedSearchAttributes([*kept, SearchAttributePair(attributes.PROCEDURE, procedure)])
