"""The directive `end`."""

from __future__ import annotations

from typing import Any


class End(BaseException):
    """Completes the whole run from wherever it stands. Not an error: no `catch` sees it."""

    def __init__(self, output: Any) -> None:
        super().__init__()
        self.output = output
