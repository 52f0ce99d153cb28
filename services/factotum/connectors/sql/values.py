"""Values of a database as JSON."""

from __future__ import annotations

import base64
import json
import math
from collections.abc import Iterable, Mapping, Sequence
from datetime import date, datetime, time, timedelta
from typing import Any

from factotum.connectors.sql.arguments import Rows
from factotum.sdk.errors import InvalidArgument

# Beyond it a reader of JSON may change the number (RFC 8259 §6).
LARGEST_INTEGER = 2**53 - 1


def plain(value: Any) -> Any:
    """A value that JSON holds and every reader reads alike. What JSON has no form for is text."""
    if value is None or isinstance(value, bool | str):
        return value
    if isinstance(value, int):
        return value if abs(value) <= LARGEST_INTEGER else str(value)
    if isinstance(value, float):
        return value if math.isfinite(value) else str(value)
    if isinstance(value, datetime | date | time):
        return value.isoformat()
    if isinstance(value, timedelta):
        return f"PT{value.total_seconds():f}".rstrip("0").rstrip(".") + "S"
    if isinstance(value, bytes | bytearray | memoryview):
        return base64.b64encode(bytes(value)).decode()
    if isinstance(value, Mapping):
        return {str(key): plain(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [plain(inner) for inner in value]
    return str(value)


def table(columns: Sequence[str], rows: Iterable[Sequence[Any]], *, max_rows: int, max_bytes: int) -> Rows:
    """The first rows that fit. Reads one row more at most. Raises `InvalidArgument` where two columns have one name."""
    twice = sorted({name for name in columns if list(columns).count(name) > 1})
    if twice:
        raise InvalidArgument(f"two columns are named {', '.join(twice)}: give each its own name with AS")
    kept: list[dict[str, Any]] = []
    size = 0
    for row in rows:
        made = dict(zip(columns, map(plain, row), strict=True))
        size += len(json.dumps(made, ensure_ascii=False).encode("utf-8", "replace"))
        if len(kept) == max_rows or size > max_bytes:
            return Rows(columns=list(columns), rows=kept, truncated=True)
        kept.append(made)
    return Rows(columns=list(columns), rows=kept, truncated=False)
