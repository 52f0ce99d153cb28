"""What a person decides upon: the hash of one call."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import Any


def call_sha256(*, tenant: str, tool: str, arguments: Mapping[str, Any]) -> str:
    """The SHA-256, in hexadecimal, of a call: of the canonical JSON (keys sorted, no spaces, UTF-8) of
    `{"arguments": …, "tenant": …, "tool": …}`. Another argument, tool or tenant is another call."""
    call = {"arguments": arguments, "tenant": tenant, "tool": tool}
    text = json.dumps(call, ensure_ascii=False, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()
