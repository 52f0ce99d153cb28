"""What stores have in common about records: their keys, and what a search gives back of one. Pure."""

from __future__ import annotations

import hashlib
from datetime import UTC, datetime, timedelta

from factotum.api.memory.v1.memory_pb2 import Record
from factotum.memory import records
from factotum.memory.store.port import Candidate

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def key_of(tenant: str, identity: str) -> str:
    """Of a row: 64 hexadecimal digits. An id is the tenant's own: another tenant's record has another key."""
    return hashlib.sha256(f"{records.checked_tenant(tenant)}\n{identity}".encode()).hexdigest()


def number_of(key: str) -> int:
    """A key's first 64 bits: Milvus finds rows by whole numbers some eight times as fast as by texts."""
    return int.from_bytes(bytes.fromhex(key[:16]), signed=True)


def sequence_number(sequence: str) -> int:
    """What a sequence is found by: for the same reason a whole number; 0 for none."""
    return number_of(hashlib.sha256(sequence.encode()).hexdigest()) if sequence else 0


def subject_form(subject: str) -> str:
    """How a subject is compared."""
    return records.normal(subject)


def microseconds(moment: datetime) -> int:
    """Since 1970, as a record's times are kept and compared."""
    return (moment - _EPOCH) // timedelta(microseconds=1)


def moment(microseconds_: int) -> datetime:
    return _EPOCH + timedelta(0, 0, microseconds_)


def candidate_of(record: Record, score: float) -> Candidate:
    return Candidate(
        id=record.id,
        kind=records.kind_name(record.kind),
        run_id=record.run_id,
        created_at=moment(record.created_at.ToMicroseconds()),
        importance=record.importance,
        sequence=record.place.sequence,
        position=record.place.position,
        speaker=record.place.speaker,
        content_sha256=record.content_sha256,
        score=score,
    )
