"""The names of the Kafka topics. All carry CloudEvents in structured mode, keyed by tenant and subject."""

EVENTS = "factotum.events"
OBSERVATIONS = "factotum.observations"
OUTCOMES = "factotum.outcomes"
DEAD_LETTER = "factotum.dead-letter"

ALL = (EVENTS, OBSERVATIONS, OUTCOMES, DEAD_LETTER)
