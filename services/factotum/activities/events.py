"""The activities by which a run tells events and hears of them."""

from __future__ import annotations

import json

import grpc
from pydantic import ValidationError
from temporalio import activity
from temporalio.exceptions import ApplicationError

from factotum.api.planner.v1 import planner_pb2, planner_pb2_grpc
from factotum.events.envelope import Event, MalformedEvent, describe
from factotum.events.errors import EventTooLarge
from factotum.events.producer import EventProducer
from factotum.events.reserved import why_reserved
from factotum.events.topics import EVENTS
from factotum.workflows.contract import PUBLISH_EVENT, SUBSCRIBE, UNSUBSCRIBE, Emission, Subscription

# Seconds that the planner has to answer.
ANSWER_SECONDS = 10.0
# The types of the errors that end a step: one says that the document is wrong, the other that a part is away.
INVALID = "invalid_argument"
PLANNER_UNAVAILABLE = "planner_unavailable"
# gRPC statuses that the same request will have again.
_LASTING = {
    grpc.StatusCode.INVALID_ARGUMENT,
    grpc.StatusCode.NOT_FOUND,
    grpc.StatusCode.PERMISSION_DENIED,
    grpc.StatusCode.FAILED_PRECONDITION,
}


class RunEvents:
    """Publishes to `factotum.events`; subscribes at the planner.

    Args:
        planner: a channel to the planner.
    """

    def __init__(self, producer: EventProducer, planner: grpc.aio.Channel) -> None:
        self._producer = producer
        self._planner = planner_pb2_grpc.PlannerServiceStub(planner)

    @activity.defn(name=PUBLISH_EVENT)
    async def publish(self, emission: Emission) -> None:
        """Returns once Kafka has acknowledged. A retry looks first whether the event is there already.

        It misses what an attempt on another worker still has under way, or what more messages than it
        looks at came after: the event is then there twice, under the same id.

        Raises an `ApplicationError` of type `invalid_argument`, not retried, for what is no CloudEvent,
        pretends to be a webhook or Factotum's own, or is too large; `BrokerUnavailable`, which Temporal retries.
        """
        event = _event(emission)
        if (reason := why_reserved(event)) is not None:
            raise _invalid(reason)
        try:
            if activity.info().attempt > 1 and await self._producer.published_before(EVENTS, event):
                return
            await self._producer.publish(EVENTS, event)
        except EventTooLarge as error:
            raise _invalid(str(error)) from error

    @activity.defn(name=SUBSCRIBE)
    async def subscribe(self, subscription: Subscription) -> None:
        """Once it has returned, the planner signals to the run every event that a filter takes."""
        request = planner_pb2.SubscribeRequest(
            tenant=subscription.tenant,
            run_id=subscription.run_id,
            filters_json=json.dumps(subscription.filters, ensure_ascii=False),
        )
        try:
            await self._planner.Subscribe(request, timeout=ANSWER_SECONDS)
        except grpc.aio.AioRpcError as error:
            raise _planner_error(error) from error

    @activity.defn(name=UNSUBSCRIBE)
    async def unsubscribe(self, subscription: Subscription) -> None:
        """Ends what `subscribe` began; nothing if there is no subscription."""
        request = planner_pb2.UnsubscribeRequest(tenant=subscription.tenant, run_id=subscription.run_id)
        try:
            await self._planner.Unsubscribe(request, timeout=ANSWER_SECONDS)
        except grpc.aio.AioRpcError as error:
            raise _planner_error(error) from error


def _event(emission: Emission) -> Event:
    try:
        event = Event.model_validate(emission.event)
        # What its readers would read otherwise is refused now, where the document can still catch it.
        same = Event.from_bytes(event.to_bytes()) == event
    except ValidationError as error:
        raise _invalid(f"not a CloudEvent: {describe(error)}") from error
    except MalformedEvent as error:
        raise _invalid(f"not a CloudEvent: {error}") from error
    if not same:
        raise _invalid("the event holds a value that JSON readers change")
    return event


def _invalid(reason: str) -> ApplicationError:
    return ApplicationError(reason, type=INVALID, non_retryable=True)


def _planner_error(error: grpc.aio.AioRpcError) -> ApplicationError:
    message = f"planner: {error.code().name} {error.details()}"
    if error.code() in _LASTING:
        return ApplicationError(message, type=INVALID, non_retryable=True)
    return ApplicationError(message, type=PLANNER_UNAVAILABLE)
