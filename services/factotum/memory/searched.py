"""What is embedded and indexed of a record. Pure."""

from __future__ import annotations

import re
from typing import Final

from factotum.api.memory.v1.memory_pb2 import Record

# Between the words of a name such as createPullRequest or HTTPServer.
_HUMP: Final = re.compile(r"(?<=[a-z])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])")


def searched(record: Record) -> str:
    """The text that stands for the record in every search.

    With who said it, or the heading that it stands under; names that are words written together are taken apart.
    """
    text = _HUMP.sub(" ", record.text)
    if record.place.speaker:
        return f"{record.place.speaker} said: {text}"
    if record.provenance.section:
        return f"{record.provenance.section}\n{text}"
    return text
