"""The dead letter: what could not be read or run, whole, with the reason, ready to be replayed."""

from __future__ import annotations

import base64
import re
from datetime import datetime
from uuid import NAMESPACE_URL, uuid5

from pydantic import BaseModel, ConfigDict, Field

from factotum.events.envelope import TENANT_PATTERN, Event
from factotum.events.errors import EventTooLarge
from factotum.events.producer import EventProducer
from factotum.events.topics import DEAD_LETTER

DEAD_LETTER_TYPE = "dev.factotum.dead-letter.v1"
# The tenant of a message that names none: no tenant can have this name, only an operator looks under it.
UNKNOWN_TENANT = "*unknown*"
# What a letter holds of a message that, in base64, is too large for a second message.
BEGINNING_BYTES = 65_536
# Characters. A reason may quote a fault for each of many places.
LONGEST_REASON = 10_000


class DeadLetterEvent(Event):
    """The envelope on the dead letter's topic, the only one whose tenant may be unknown."""

    tenant: str = Field(pattern=rf"{TENANT_PATTERN}|^{re.escape(UNKNOWN_TENANT)}$")


class DeadLetterData(BaseModel):
    """What a dead letter holds.

    Attributes:
        topic, partition, offset: where the message was read.
        reason: one sentence saying why it was not run.
        value_base64: the message's bytes as they were, replayed unchanged.
        whole: whether these are all of them. A message too large to be carried twice is kept by its
            beginning; the whole of it stands where it was read for as long as that topic keeps it.
    """

    model_config = ConfigDict(extra="forbid")

    topic: str
    partition: int
    offset: int
    reason: str
    value_base64: str
    whole: bool = True

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
) -> DeadLetterEvent:
    """Publishes a dead letter and returns it. Its id is derived from where the message stood, so a
    message that is read twice has one id. Raises `BrokerUnavailable`."""

    def letter(kept: bytes) -> DeadLetterEvent:
        return DeadLetterEvent(
            id=str(uuid5(NAMESPACE_URL, f"factotum:dead-letter:{topic}:{partition}:{offset}:{value.hex()}")),
            source=source,
            type=DEAD_LETTER_TYPE,
            tenant=tenant,
            time=now,
            data=DeadLetterData(
                topic=topic,
                partition=partition,
                offset=offset,
                reason=reason[:LONGEST_REASON],
                value_base64=base64.b64encode(kept).decode(),
                whole=len(kept) == len(value),
            ).model_dump(),
        )

    written = letter(value)
    try:
        await producer.publish(DEAD_LETTER, written)
    except EventTooLarge:
        written = letter(value[:BEGINNING_BYTES])
        await producer.publish(DEAD_LETTER, written)
    return written
