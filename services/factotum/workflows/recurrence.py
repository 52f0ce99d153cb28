"""The workflow behind `schedule.after`: a run, a pause from its end on, the next run, and so on.

Temporal's schedules know no pause that begins when a run ends. A run is a child that is not touched
when the recurrence is replaced or ends.
"""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, PlainSerializer, TypeAdapter
from temporalio import workflow
from temporalio.common import SearchAttributePair, TypedSearchAttributes
from temporalio.exceptions import CancelledError, ChildWorkflowError, WorkflowAlreadyStartedError

from factotum.procedures.duration import Duration, Lapse
from factotum.runs import attributes
from factotum.workflows.contract import RunInput

RECURRENCE = "factotum-recurrence"
REPLACE_SIGNAL = "replace"

# As it is written in a document, which is how it is read again.
_LAPSE: TypeAdapter[Duration | str] = TypeAdapter(Lapse)


class Recurring(BaseModel):
    """The input of the workflow, and the argument of the signal that replaces it from the next run on.

    Attributes:
        name: the runs' Workflow Type.
        procedure: namespace/name.
        run_id: what the runs' ids begin with; the moment is put behind it.
        after: the pause.
        memo, summary: of the runs.
        definition_sha256: tells one definition from another.
    """

    model_config = ConfigDict(frozen=True)

    name: str
    procedure: str
    run_id: str
    after: Annotated[Duration, PlainSerializer(_LAPSE.dump_python)]
    run: RunInput
    memo: dict[str, Any]
    summary: str
    definition_sha256: str


def memo(recurring: Recurring) -> dict[str, Any]:
    """What a recurrence is told apart by without asking it."""
    return {"definition_sha256": recurring.definition_sha256}


@workflow.defn(name=RECURRENCE)
class Recurrence:
    """Goes on until it is terminated, one round an execution. It has no search attributes of its own, so that it
    is listed as nobody's run."""

    @workflow.init
    def __init__(self, recurring: Recurring) -> None:
        self._recurring = recurring

    @workflow.run
    async def run(self, _: Recurring) -> None:
        await self._round()
        ended = workflow.now()
        await workflow.sleep(self._recurring.after.seconds_from(ended))
        workflow.continue_as_new(
            self._recurring,
            memo=memo(self._recurring),
            initial_versioning_behavior=workflow.ContinueAsNewVersioningBehavior.AUTO_UPGRADE,
        )

    @workflow.signal(name=REPLACE_SIGNAL)
    def replace(self, recurring: Recurring) -> None:
        self._recurring = recurring
        workflow.upsert_memo(memo(recurring))

    async def _round(self) -> None:
        """One run to its end, whatever that is."""
        recurring = self._recurring
        try:
            await workflow.execute_child_workflow(
                recurring.name,
                recurring.run,
                id=f"{recurring.run_id}-{workflow.now():%Y-%m-%dT%H:%M:%SZ}",
                search_attributes=TypedSearchAttributes(
                    [
                        SearchAttributePair(attributes.TENANT, recurring.run.tenant),
                        SearchAttributePair(attributes.PROCEDURE, recurring.procedure),
                    ]
                ),
                memo=recurring.memo,
                static_summary=recurring.summary,
                parent_close_policy=workflow.ParentClosePolicy.ABANDON,
                cancellation_type=workflow.ChildWorkflowCancellationType.ABANDON,
            )
        except ChildWorkflowError as error:
            if isinstance(error.cause, CancelledError) and workflow.cancellation_reason() is not None:
                raise
            workflow.logger.info("the run did not complete: %s", error.cause)
        except WorkflowAlreadyStartedError:
            workflow.logger.warning("a run of this moment was started before")
