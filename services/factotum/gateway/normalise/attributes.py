"""What CloudEvents 1.0 says of attributes' values and pydantic does not."""

from __future__ import annotations

import re
from typing import Any

_RFC3339 = re.compile(
    r"[0-9]{4}-[0-9]{2}-[0-9]{2}[Tt][0-9]{2}:[0-9]{2}:[0-9]{2}(\.[0-9]+)?([Zz]|[+-][0-9]{2}:[0-9]{2})", re.ASCII
)


def is_rfc3339(value: Any) -> bool:
    """Whether it is written as a timestamp; pydantic would also read `1700000000` as one."""
    return isinstance(value, str) and _RFC3339.fullmatch(value) is not None
