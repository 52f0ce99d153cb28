"""The activity that tells the world how a run ended."""

from __future__ import annotations

from typing import Any

from temporalio import activity

from factotum.events.envelope import Event
from factotum.events.errors import EventTooLarge
from factotum.events.producer import EventProducer
from factotum.events.redaction import without_secrets
from factotum.events.topics import OUTCOMES
from factotum.events.types import OUTCOME_TYPE, LeftToPeople, OutcomeData
from factotum.workflows.contract import PUBLISH_OUTCOME, Outcome

# What is left out while Kafka takes no message of the size, one after the other.
LIGHTER: tuple[dict[str, Any], ...] = (
    {},
    {"output": None, "note": "the output was too large to be kept"},
    {"input": None, "note": "input and output were too large to be kept"},
)
LONGEST_FAILURE = 10_000
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
            started_at=outcome.started_at,
            ended_at=outcome.ended_at,
        )
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
