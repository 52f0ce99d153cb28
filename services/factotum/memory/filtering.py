"""The write filter: which records are not worth keeping, and why. Pure."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import datetime
from enum import StrEnum
from typing import Any

from factotum.api.memory.v1.memory_pb2 import (
    KIND_EPISODE,
    KIND_OBSERVATION,
    KIND_PREFERENCE,
    KIND_THOUGHT,
    TRUST_MODEL,
    TRUST_PERSON,
    Record,
)
from factotum.memory.hollow import asked_nothing, is_hollow
from factotum.memory.idle import is_idle, is_typed_at_random
from factotum.memory.kinds import RULES
from factotum.memory.noise import is_noise, spoken
from factotum.memory.records import kind_name

# Tools of this name answer with memories: to keep those would feed the memory with itself.
OWN_TOOLS = "memory."


class Refusal(StrEnum):
    """Why a record is not kept; the values are those of `Kept.reason`."""

    TOO_SHORT = "too_short"
    EMPTY = "empty"
    NOISE = "noise"
    IDLE = "idle"
    KNOWN = "known"
    OUTRANKED = "outranked"
    RECALLED = "recalled"
    FORGOTTEN = "forgotten"
    EXPIRED = "expired"


def refusal(record: Record, *, now: datetime, given_out: Callable[[str], bool]) -> Refusal | None:
    """Why this completed record is not kept, as far as it can be seen without the others; None: it is.

    Args:
        given_out: whether a recall gave this text to somebody a short time ago.
    """
    if record.HasField("expires_at") and record.expires_at.ToMicroseconds() <= int(now.timestamp() * 1_000_000):
        return Refusal.EXPIRED
    if spoken(record.text) < RULES[kind_name(record.kind)].shortest:
        return Refusal.TOO_SHORT
    if is_hollow(record.text, answers=_answers(record)) or _looked_at_nothing(record):
        return Refusal.EMPTY
    # "7" and "de" are answers to what a preference is about.
    if record.kind != KIND_PREFERENCE and is_noise(record.text):
        return Refusal.NOISE
    if record.trust == TRUST_MODEL and not _answers(record):
        if is_typed_at_random(record.text):
            return Refusal.NOISE
        if is_idle(record.text):
            return Refusal.IDLE
    if _says_recalled(record) or (_may_repeat(record) and given_out(record.text)):
        return Refusal.RECALLED
    return None


def said(record: Record) -> tuple[Any, ...] | None:
    """What two records have in common if they say the same of the same, whatever their ids are; None for those that
    never do.

    An observation is an event of its own, and what stands at a place (a turn of a conversation, a chunk of a document)
    is that place's: the same words at another place may have to stay when these go.
    """
    if record.kind == KIND_OBSERVATION or record.place.sequence or record.provenance.document:
        return None
    return record.kind, frozenset(record.subjects), record.topic, record.run_id, record.content_sha256


def _answers(record: Record) -> bool:
    """Whether its text may be short because what it answers stands elsewhere: beside it, or in its topic."""
    return record.kind == KIND_PREFERENCE or bool(record.place.speaker)


def _looked_at_nothing(record: Record) -> bool:
    """Whether a tool was asked without a word, answered without one and changed nothing."""
    if record.kind != KIND_OBSERVATION or not asked_nothing(record.text):
        return False
    attributes = json.loads(record.attributes_json)
    return attributes.get("effect") == "none" and not attributes.get("error")


def _says_recalled(record: Record) -> bool:
    attributes = json.loads(record.attributes_json)
    tool = attributes.get("tool")
    return attributes.get("recalled") is True or (isinstance(tool, str) and tool.startswith(OWN_TOOLS))


def _may_repeat(record: Record) -> bool:
    """Whether its words may be somebody's who had them from us: a model's, or thoughts and summaries of nobody's hand.

    A person may confirm what was recalled, a document may say it, and the episode of a run is told by what happened.
    """
    if record.trust == TRUST_PERSON:
        return False
    made = record.kind == KIND_THOUGHT or (record.kind == KIND_EPISODE and not record.run_id)
    return record.trust == TRUST_MODEL or made
