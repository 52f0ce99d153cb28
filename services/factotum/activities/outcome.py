"""The activity that tells the world how a run ended."""

from __future__ import annotations

from temporalio import activity

from factotum.events.envelope import Event
from factotum.events.producer import EventProducer
from factotum.events.topics import OUTCOMES
from factotum.events.types import OUTCOME_TYPE, OutcomeData
from factotum.workflows.contract import PUBLISH_OUTCOME, Outcome


class Outcomes:
    """Publishes outcomes to `factotum.outcomes`; the event's id is the run's, so a retry changes nothing."""

    def __init__(self, producer: EventProducer) -> None:
        self._producer = producer

    @activity.defn(name=PUBLISH_OUTCOME)
    async def publish(self, outcome: Outcome) -> None:
        """Returns once Kafka has acknowledged. Raises `BrokerUnavailable`, which Temporal retries."""
        data = OutcomeData(
            run_id=outcome.run_id,
            procedure=outcome.procedure,
            procedure_version=outcome.procedure_version,
            event_type=outcome.event.type,
            status=outcome.status,
            input=outcome.input,
            output=outcome.output,
            failure=outcome.failure,
            compensated=outcome.compensated,
            started_at=outcome.started_at,
            ended_at=outcome.ended_at,
        )
        event = Event(
            id=f"{outcome.run_id}:outcome",
            source="/worker",
            type=OUTCOME_TYPE,
            tenant=outcome.tenant,
            subject=outcome.run_id,
            time=outcome.ended_at,
            data=data.model_dump(mode="json"),
        )
        await self._producer.publish(OUTCOMES, event)
