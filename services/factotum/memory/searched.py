"""What is embedded and indexed of a record. Pure."""

from __future__ import annotations

from factotum.api.memory.v1.memory_pb2 import Record


def searched(record: Record) -> str:
    """The text that stands for the record in every search: with who said it, and the heading that it stands under."""
    if record.place.speaker:
        return f"{record.place.speaker} said: {record.text}"
    if record.provenance.section:
        return f"{record.provenance.section}\n{record.text}"
    return record.text
