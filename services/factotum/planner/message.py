"""A message as the planner is given it."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Message:
    """A message of a topic, as it came."""

    topic: str
    partition: int
    offset: int
    value: bytes
