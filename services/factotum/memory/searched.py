"""What is embedded and indexed of a record. Pure."""

from __future__ import annotations

from factotum.api.memory.v1.memory_pb2 import Record


def searched(record: Record) -> str:
    """The text that stands for the record in every search."""
    return record.text
