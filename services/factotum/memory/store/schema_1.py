"""The collection of records as the first releases made it. Records are moved out of it; until that is done it serves.

What it has no column for is kept in its JSON column, beside the attributes.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping
from typing import Any, Final

from factotum.api.memory.v1.memory_pb2 import Kind, Record
from factotum.memory import records
from factotum.memory.kinds import RULES
from factotum.memory.store.port import Candidate, Entry, Vector
from factotum.memory.store.rows import candidate_of, key_of
from factotum.memory.store.schema import Row, filtered
from factotum.memory.store.scope import PathColumns, digest

NAME: Final = "memories"
DIMENSION: Final = 384
# Of the one embedder of those releases; the fingerprints of its like begin so.
EMBEDDER: Final = "minilm-l6-v2/fp32/"

# No attribute that a person would choose.
_BESIDE: Final = "factotum:2"
_REST: Final = "record"


class Schema1:
    version: Final = 1
    light: Final = ("id", "kind", "run_id", "created_at", "attributes")
    full: Final = (*light, "tenant", "text", "origin")
    columns: Final = PathColumns(f'attributes["{_BESIDE}"]')

    def row(self, entry: Entry, dense: Vector) -> Row:
        record = entry.record
        rest = Record()
        rest.CopyFrom(record)
        for field in ("text", "attributes_json"):
            rest.ClearField(field)
        flags = {"is_there": 1, "is_superseded": int(record.HasField("superseded_at"))}
        beside = {
            **filtered(record),
            "sequence_key": digest(record.place.sequence) if record.place.sequence else "",
            **flags,
            _REST: base64.b64encode(rest.SerializeToString()).decode(),
        }
        return {
            "key": key_of(entry.tenant, record.id),
            "tenant": entry.tenant,
            "id": record.id,
            "kind": records.kind_name(record.kind),
            "text": record.text,
            "dense": dense.tolist(),
            "run_id": record.run_id,
            "origin": record.origin,
            "created_at": record.created_at.ToMicroseconds(),
            "attributes": {**json.loads(record.attributes_json or "{}"), _BESIDE: beside},
        }

    def record(self, row: Mapping[str, Any]) -> Record:
        attributes = dict(row["attributes"])
        beside = attributes.pop(_BESIDE, None)
        if beside is None:
            return self._completed(row)
        record = Record.FromString(base64.b64decode(beside[_REST]))
        record.text = row["text"]
        record.attributes_json = _json(attributes)
        return record

    def searched(self, row: Mapping[str, Any]) -> str:
        return str(row["text"])

    def candidate(self, row: Mapping[str, Any], score: float) -> Candidate:
        beside = row["attributes"].get(_BESIDE)
        if beside is not None:
            return candidate_of(Record.FromString(base64.b64decode(beside[_REST])), score)
        return candidate_of(_bare(row), score)

    def _completed(self, row: Mapping[str, Any]) -> Record:
        """With what today's rules give to a record that was kept without it."""
        record = _bare(row)
        record.text, record.origin = row["text"], row["origin"]
        record.attributes_json = _json(row["attributes"])
        return records.completed(row["tenant"], record, record.created_at.ToDatetime())


def _bare(row: Mapping[str, Any]) -> Record:
    record = Record(
        id=row["id"],
        kind=Kind.Value(f"KIND_{row['kind'].upper()}"),
        run_id=row["run_id"],
        importance=RULES[row["kind"]].importance,
    )
    record.created_at.FromMicroseconds(row["created_at"])
    return record


def _json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))
