"""Documents that were read before: a worker meets the same one in every run of a procedure."""

from __future__ import annotations

import hashlib
import json
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass
from threading import Lock
from typing import Any

from factotum.procedures.event_matching import listened_to
from factotum.procedures.model import Document
from factotum.procedures.parse import parse_raw

MOST_KNOWN = 256


@dataclass(frozen=True, slots=True)
class Known:
    """A document, and the filters of what it listens to; see `listened_to`."""

    document: Document
    filters: list[dict[str, Any]]


class KnownDocuments:
    """The latest so many documents by their content; may be asked from several threads."""

    def __init__(self, most: int = MOST_KNOWN) -> None:
        self._most = most
        self._found: OrderedDict[bytes, Known] = OrderedDict()
        self._lock = Lock()

    def of(self, raw: Mapping[str, Any], functions: Mapping[str, Any]) -> Known:
        """Raises `FaultyDocument`, each time anew."""
        key = hashlib.sha256(json.dumps([raw, functions], separators=(",", ":")).encode()).digest()
        with self._lock:
            if (known := self._found.get(key)) is not None:
                self._found.move_to_end(key)
                return known
        # Outside of the lock: two threads that read the same document get equal ones.
        known = Known(parse_raw(raw).document, listened_to([raw, functions]))
        with self._lock:
            self._found[key] = known
            while len(self._found) > self._most:
                self._found.popitem(last=False)
        return known


# Of this process: documents are immutable, and what one is depends on nothing but its content.
DOCUMENTS = KnownDocuments()
