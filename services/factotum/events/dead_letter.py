"""The dead letter: what could not be read or run, whole, with the reason, ready to be replayed."""

from __future__ import annotations

import base64
from datetime import datetime
from uuid import NAMESPACE_URL, uuid5

from pydantic import BaseModel, ConfigDict

from factotum.events.envelope import Event
from factotum.events.producer import EventProducer
from factotum.events.topics import DEAD_LETTER

DEAD_LETTER_TYPE = "dev.factotum.dead-letter.v1"
# The tenant of a message that names none: no tenant's reader sees it, an operator's does.
UNKNOWN_TENANT = "unknown"


class DeadLetterData(BaseModel):
    """What a dead letter holds.

    Attributes:
        topic, partition, offset: where the message was read.
        reason: one sentence saying why it was not run.
        value_base64: the message's bytes as they were, replayed unchanged.
    """

    model_config = ConfigDict(extra="forbid")

    topic: str
    partition: int
    offset: int
    reason: str
    value_base64: str

    @property
    def value(self) -> bytes:
        return base64.b64decode(self.value_base64)


async def send_to_dead_letter(
    producer: EventProducer,
    *,
    topic: str,
    partition: int,
    offset: int,
    value: bytes,
    reason: str,
    tenant: str = UNKNOWN_TENANT,
    source: str = "/planner",
    now: datetime,
) -> Event:
    """Publishes a dead letter and returns it. Its id is derived from where the message stood, so a
    message that is read twice has one id. Raises `BrokerUnavailable`."""
    letter = Event(
        id=str(uuid5(NAMESPACE_URL, f"factotum:dead-letter:{topic}:{partition}:{offset}:{value.hex()}")),
        source=source,
        type=DEAD_LETTER_TYPE,
        tenant=tenant,
        time=now,
        data=DeadLetterData(
            topic=topic,
            partition=partition,
            offset=offset,
            reason=reason,
            value_base64=base64.b64encode(value).decode(),
        ).model_dump(),
    )
    await producer.publish(DEAD_LETTER, letter)
    return letter
