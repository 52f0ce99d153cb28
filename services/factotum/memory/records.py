"""What a record must be to be kept, and how it is named. Pure."""

from __future__ import annotations

import hashlib
import json
import math
import re
import unicodedata
from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Any

from google.protobuf.timestamp_pb2 import Timestamp

from factotum.api.memory.v1.memory_pb2 import TRUST_SYSTEM, Kind, Place, Provenance, Record, Trust
from factotum.events.envelope import TENANT_PATTERN
from factotum.events.redaction import may_name_secrets, without_secrets
from factotum.memory.attributes import canonical
from factotum.memory.errors import InvalidRequest
from factotum.memory.kinds import RULES, Replacing
from factotum.sdk.characters import line, plain, steers

MAX_TEXT_BYTES = 8192
MAX_ID_CHARACTERS = 128
MAX_ORIGIN_CHARACTERS = 1024
MAX_SUBJECTS = 32
MAX_SUBJECT_CHARACTERS = 256
MAX_TOPIC_CHARACTERS = 256
MAX_SEQUENCE_CHARACTERS = 512
MAX_SPEAKER_CHARACTERS = 128
MAX_STEP_CHARACTERS = 1024
MAX_DOCUMENT_CHARACTERS = 1024
MAX_SECTION_CHARACTERS = 1024
MAX_PERSON_CHARACTERS = 256
MAX_FOLDED = 1000
# Of everything that a provenance holds: Milvus takes JSON of at most 64 KiB.
MAX_PROVENANCE_BYTES = 48 * 1024

# Every kind but KIND_UNSPECIFIED, by the name it is stored under.
KINDS: dict[int, str] = {number: name.removeprefix("KIND_").lower() for name, number in Kind.items() if number}

# The kinds that tell what happened, with the values it happened with. The others are published, and may well describe a
# field that is called `token`.
_HAPPENED = frozenset({"observation", "thought", "episode", "preference"})

# Wide enough for every run id that is made, too narrow to write a filter in.
_RUN_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:/-]{0,255}")
_VERSION = re.compile(r"[0-9a-f]{64}")
_TENANT = re.compile(TENANT_PATTERN)
_CONTROL = re.compile("[\t\n]")
_OPENING = "\"'“„‘«"  # noqa: RUF001
_CLOSING = "\"'”’».,;:!…。，；：！"  # noqa: RUF001
# google.protobuf.Timestamp: the years 1 to 9999.
_FIRST_SECOND, _LAST_SECOND = -62_135_596_800, 253_402_300_799


def checked_tenant(tenant: str) -> str:
    """Raises `InvalidRequest`."""
    if not _TENANT.fullmatch(tenant):
        raise InvalidRequest(f"tenant: must match {TENANT_PATTERN}")
    return tenant


def checked_run_id(run_id: str) -> str:
    """A run id, or "" for none. Raises `InvalidRequest`."""
    if run_id and not _RUN_ID.fullmatch(run_id):
        raise InvalidRequest("run_id: at most 256 letters, digits and . _ : / -")
    return run_id


def checked_id(identity: str) -> str:
    """The id of a record, or "" for none. Raises `InvalidRequest`."""
    _check_label(identity, "id", MAX_ID_CHARACTERS)
    return identity


def checked_moment(request: Any, field: str) -> datetime | None:
    """The timestamp in this field of a message, None where it is not set. Raises `InvalidRequest`."""
    if not request.HasField(field):
        return None
    stamp: Timestamp = getattr(request, field)
    try:
        return stamp.ToDatetime(tzinfo=UTC)
    except (ValueError, OverflowError) as error:
        raise InvalidRequest(f"{field}: not within the years 1 to 9999") from error


def kind_name(kind: int) -> str:
    """Raises `InvalidRequest` for KIND_UNSPECIFIED and for a number that no kind has."""
    if kind not in KINDS:
        raise InvalidRequest(
            f"kind: {kind} is not one of {', '.join(f'KIND_{name.upper()}' for name in KINDS.values())}"
        )
    return KINDS[kind]


def checked_text(text: str, name: str) -> str:
    """The text in plain characters, see `sdk.characters`. Raises `InvalidRequest` for nothing and for too much."""
    text = plain(text)
    if not text.strip():
        raise InvalidRequest(f"{name}: must not be blank")
    if (size := len(text.encode())) > MAX_TEXT_BYTES:
        raise InvalidRequest(f"{name}: {size} bytes are more than {MAX_TEXT_BYTES}: divide it")
    return text


def checked_subjects(subjects: Iterable[str]) -> tuple[str, ...]:
    """The subjects as they are kept and compared: in lower case, each once, in their order. Raises `InvalidRequest`."""
    kept: dict[str, None] = {}
    for index, subject in enumerate(subjects):
        name, identifier = f"subjects[{index}]", subject.strip().lower()
        if not identifier:
            raise InvalidRequest(f"{name}: is blank: leave it out")
        _check_label(identifier, name, MAX_SUBJECT_CHARACTERS)
        kept[identifier] = None
    if len(kept) > MAX_SUBJECTS:
        raise InvalidRequest(f"subjects: {len(kept)} are more than {MAX_SUBJECTS}: name those that it is about")
    return tuple(kept)


def normal(text: str) -> str:
    """The text without the differences that nobody means: case, composed characters, runs of blanks."""
    return " ".join(unicodedata.normalize("NFKC", text).casefold().split())


def content_sha256(text: str) -> str:
    """Hexadecimal; the same for texts that are the same but for case, composed characters, blanks, and the full stops,
    commas, exclamation and quotation marks at words."""
    words = (word.lstrip(_OPENING).rstrip(_CLOSING) for word in normal(text).split())
    return hashlib.sha256((" ".join(filter(None, words)) or normal(text)).encode()).hexdigest()


def derived_id(*parts: str) -> str:
    """32 hexadecimal digits, the same for the same parts in the same order."""
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()[:32]


def check_claims_no_folding(record: Record, name: str) -> None:
    """Raises `InvalidRequest`, which begins with the name, for a record that says that a consolidation made it: that
    would take the place of what it says it was made from, and only a consolidation may make such."""
    if record.provenance.folded_from:
        raise InvalidRequest(f"{name}.provenance.folded_from: only a consolidation says this: leave it out")
    try:
        claims = "folded" in json.loads(record.attributes_json or "{}")
    except (ValueError, TypeError, RecursionError):
        return  # `completed` says what is wrong with them
    if claims:
        raise InvalidRequest(f"{name}.attributes_json: only a consolidation says `folded`: leave it out")


def completed(tenant: str, record: Record, now: datetime) -> Record:
    """The record as it will be kept: what its caller left out is filled in, what has several forms is in one.

    Without an id, the id is derived from tenant, kind and place, or, where it has no place, from tenant, kind,
    subjects, topic and text, of a preference about a topic from its time, too: the same said again is kept once.
    Completing what is complete changes nothing.
    Raises `InvalidRequest`, which names the field.
    """
    checked_tenant(tenant)
    kind = kind_name(record.kind)
    text = checked_text(record.text, "text")
    text = _without_secrets(text) if kind in _HAPPENED else text
    checked_run_id(record.run_id)
    checked_id(record.id)
    _check_label(record.origin, "origin", MAX_ORIGIN_CHARACTERS)
    topic = line(record.topic)
    _check_label(topic, "topic", MAX_TOPIC_CHARACTERS)
    if record.trust not in Trust.values():
        raise InvalidRequest(f"trust: {record.trust} is not one of {', '.join(Trust.keys()[1:])}")
    if not 0 <= record.importance <= 1 or math.isnan(record.importance):
        raise InvalidRequest("importance: must be between 0 and 1; 0: as the rule of its kind says")
    result = Record()
    result.CopyFrom(record)
    # What people wrote as they liked is made plain, what identifies something must be.
    result.text, result.topic = text, normal(topic)[:MAX_TOPIC_CHARACTERS]
    result.place.speaker = line(record.place.speaker)
    result.provenance.section = line(record.provenance.section)
    _check_place(result.place)
    _check_provenance(result.provenance)
    result.attributes_json = canonical(record.attributes_json)
    if kind in _HAPPENED:
        result.attributes_json = _without_secrets(result.attributes_json)
    result.subjects[:] = checked_subjects(record.subjects)
    result.trust = record.trust or TRUST_SYSTEM
    result.importance = record.importance or RULES[kind].importance
    result.content_sha256 = content_sha256(text)
    for part in ("place", "provenance"):
        if not getattr(result, part).ByteSize():
            result.ClearField(part)
    result.ClearField("superseded_at")
    _set_times(result, kind, now)
    if not record.id:
        result.id = _identity(tenant, kind, result)
    return result


def _without_secrets(text: str) -> str:
    """Of an object or a list in JSON, without the fields whose names say that they hold a secret; else as it is."""
    if text.lstrip()[:1] not in ("{", "[") or not may_name_secrets(text):
        return text
    try:
        value = json.loads(text)
        kept = without_secrets(value)
    except (ValueError, RecursionError):
        return text
    return text if kept == value else json.dumps(kept, ensure_ascii=False, separators=(",", ":"))


def _identity(tenant: str, kind: str, record: Record) -> str:
    if record.place.sequence:
        return derived_id(tenant, kind, record.place.sequence, str(record.place.position))
    if RULES[kind].replacing is Replacing.BY_TOPIC and record.topic:
        # Tea, coffee, and tea again are three, of which two are history.
        when = str(record.created_at.ToMicroseconds())
        return derived_id(tenant, kind, *sorted(record.subjects), record.topic, record.text, when)
    return derived_id(tenant, kind, *sorted(record.subjects), record.topic, record.text)


def _set_times(record: Record, kind: str, now: datetime) -> None:
    if not record.HasField("created_at"):
        record.created_at.FromDatetime(now)
    _check_time(record.created_at, "created_at")
    lifetime = RULES[kind].lifetime
    if record.HasField("expires_at"):
        _check_time(record.expires_at, "expires_at")
    elif lifetime is not None:
        end = min(record.created_at.seconds + int(lifetime.total_seconds()), _LAST_SECOND)
        record.expires_at.seconds, record.expires_at.nanos = end, record.created_at.nanos


def _check_time(moment: Timestamp, name: str) -> None:
    """Also makes whole microseconds of it: no store keeps more."""
    if not (_FIRST_SECOND <= moment.seconds <= _LAST_SECOND and 0 <= moment.nanos < 1_000_000_000):
        raise InvalidRequest(f"{name}: not within the years 1 to 9999")
    moment.nanos -= moment.nanos % 1000


def _check_place(place: Place) -> None:
    _check_label(place.sequence, "place.sequence", MAX_SEQUENCE_CHARACTERS)
    _check_label(place.speaker, "place.speaker", MAX_SPEAKER_CHARACTERS)
    if place.position and not place.sequence:
        raise InvalidRequest("place.sequence: must say in which sequence the position is")


def _check_provenance(provenance: Provenance) -> None:
    _check_label(provenance.step, "provenance.step", MAX_STEP_CHARACTERS)
    _check_label(provenance.document, "provenance.document", MAX_DOCUMENT_CHARACTERS)
    _check_label(provenance.section, "provenance.section", MAX_SECTION_CHARACTERS)
    _check_label(provenance.person, "provenance.person", MAX_PERSON_CHARACTERS)
    version = provenance.document_version
    if version and not provenance.document:
        raise InvalidRequest("provenance.document: must say of which document this is the version")
    if version and not _VERSION.fullmatch(version):
        raise InvalidRequest("provenance.document_version: must be a sha256 in 64 hexadecimal digits, lower case")
    if len(provenance.folded_from) > MAX_FOLDED:
        raise InvalidRequest(f"provenance.folded_from: at most {MAX_FOLDED} ids")
    for index, identity in enumerate(provenance.folded_from):
        _check_label(identity, f"provenance.folded_from[{index}]", MAX_ID_CHARACTERS)
    if (size := provenance.ByteSize()) > MAX_PROVENANCE_BYTES:
        raise InvalidRequest(f"provenance: {size} bytes are more than {MAX_PROVENANCE_BYTES}")


def _check_label(value: str, name: str, longest: int) -> None:
    if len(value) > longest:
        raise InvalidRequest(f"{name}: at most {longest} characters")
    if _CONTROL.search(value) or steers(value):
        raise InvalidRequest(f"{name}: must not hold control characters")
