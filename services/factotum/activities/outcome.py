"""The activity that tells the world how a run ended."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from temporalio import activity
from temporalio.api.history.v1 import HistoryEvent
from temporalio.service import RPCError

from factotum.activities.lesson import lesson
from factotum.events.envelope import Event
from factotum.events.errors import EventTooLarge
from factotum.events.producer import EventProducer
from factotum.events.redaction import without_secrets
from factotum.events.topics import OUTCOMES
from factotum.events.types import OUTCOME_TYPE, LeftToPeople, OutcomeData, PlannedStep, StepTaken
from factotum.runs.attempts import Tried, tried_again
from factotum.workflows.contract import PUBLISH_OUTCOME, Outcome, StepTold

# What is left out while Kafka takes no message of the size, one after the other.
LIGHTER: tuple[dict[str, Any], ...] = (
    {},
    {"output": None, "note": "the output was too large to be kept"},
    {"input": None, "note": "input and output were too large to be kept"},
)
LONGEST_FAILURE = 10_000
# Of a step that took less it is not asked how often it was tried: that costs a request, and is no lesson.
LONG_SECONDS = 1.0
LONGEST_HISTORY = 5_000
HISTORY_TIMEOUT = timedelta(seconds=5)
MOST_COMPENSATED = 1000
MOST_TASKS = 100
LONGEST_ERROR = 1000


class Outcomes:
    """Publishes outcomes to `factotum.outcomes`; the event's id is the run's, so a retry changes nothing.

    Fields named like secrets are left out of what a run was given, of what it answered and of what it left to people.
    """

    def __init__(self, producer: EventProducer) -> None:
        self._producer = producer

    @activity.defn(name=PUBLISH_OUTCOME)
    async def publish(self, outcome: Outcome) -> None:
        """Returns once Kafka has acknowledged. Raises `BrokerUnavailable`, which Temporal retries.

        What is too large for a message is told without its output, then without its input too: a run
        must end, whatever it carried.
        """
        tried = await _tried_again(outcome)
        data = OutcomeData(
            run_id=outcome.run_id,
            procedure=outcome.procedure,
            procedure_version=outcome.procedure_version,
            event_type=outcome.event.type,
            status=outcome.status,
            input=without_secrets(outcome.input),
            output=without_secrets(outcome.output),
            failure=outcome.failure,
            compensated=outcome.compensated,
            tasks=[
                LeftToPeople(**{**task.model_dump(), "arguments": without_secrets(task.arguments)})
                for task in outcome.tasks
            ],
            goal=outcome.goal,
            plan=[PlannedStep(**planned.model_dump()) for planned in outcome.plan],
            steps=[_taken(step, tried.get(step.step), outcome) for step in outcome.steps],
            steps_left_out=outcome.steps_left_out,
            started_at=outcome.started_at,
            ended_at=outcome.ended_at,
        )
        data = data.model_copy(update={"lesson": lesson(data)})
        for lighter in LIGHTER:
            data = data.model_copy(update=lighter)
            try:
                await self._producer.publish(OUTCOMES, _event(outcome, data))
                return
            except EventTooLarge as error:
                activity.logger.warning("the outcome is too large: %s", error)
        # Not even then: only what bounds itself is left.
        bare = {
            "failure": data.failure[:LONGEST_FAILURE],
            "compensated": data.compensated[:MOST_COMPENSATED],
            "tasks": [
                task.model_copy(update={"arguments": {}, "error": task.error[:LONGEST_ERROR]})
                for task in data.tasks[:MOST_TASKS]
            ],
            "note": "input, output and the arguments of what is left to people were too large to be kept"
            if data.tasks
            else data.note,
        }
        await self._producer.publish(OUTCOMES, _event(outcome, data.model_copy(update=bare)))


async def _tried_again(outcome: Outcome) -> dict[str, Tried]:
    """By pointer, of the run's last execution; nothing where Temporal does not say: the outcome must be told."""
    if not any(step.kind == "call" and _seconds(step, outcome) >= LONG_SECONDS for step in outcome.steps):
        return {}
    info, client = activity.info(), activity.client()
    handle = client.get_workflow_handle(outcome.run_id, run_id=info.workflow_run_id)
    events: list[HistoryEvent] = []
    try:
        async for event in handle.fetch_history_events(rpc_timeout=HISTORY_TIMEOUT):
            events.append(event)
            if len(events) > LONGEST_HISTORY:
                return {}
        return await tried_again(events, client.data_converter)
    except RPCError as error:
        activity.logger.warning("how often calls were tried could not be asked: %s", error.status.name)
        return {}


def _taken(step: StepTold, tried: Tried | None, outcome: Outcome) -> StepTaken:
    return StepTaken(
        step=step.step,
        kind=step.kind,
        status=step.status,
        rounds=step.completed + step.failed,
        attempts=1 if tried is None else tried.attempts,
        failed=step.failed,
        retried=step.retried,
        caught=step.caught,
        undone=step.step in outcome.compensated,
        error=step.error or ("" if tried is None else tried.error),
        failure=step.failure,
        at=step.at,
        branch=step.branch,
        seconds=_seconds(step, outcome),
    )


def _seconds(step: StepTold, outcome: Outcome) -> float:
    """From its first round to the end of its last."""
    return round(((step.ended_at or outcome.ended_at) - step.started_at).total_seconds(), 3)


def _event(outcome: Outcome, data: OutcomeData) -> Event:
    return Event(
        id=f"{outcome.run_id}:outcome",
        source="/worker",
        type=OUTCOME_TYPE,
        tenant=outcome.tenant,
        subject=outcome.run_id,
        time=outcome.ended_at,
        data=data.model_dump(mode="json"),
    )
