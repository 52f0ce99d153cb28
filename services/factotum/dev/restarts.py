"""When a part that died is started again, and when it is given up on."""

from __future__ import annotations

FIRST_SECONDS = 0.2
LONGEST_SECONDS = 5.0
MOST_RESTARTS = 5
# A part that answered for this long was well: what came before is forgotten.
WELL_SECONDS = 60.0


class Restarts:
    """Counts the deaths of one part. Each pause is longer than the last by the same factor.

    Args:
        well_seconds: how long a part has to answer for what came before to be forgotten.
    """

    def __init__(self, well_seconds: float) -> None:
        self.count = 0
        self._well_seconds = well_seconds

    def after_death(self, answered_seconds: float) -> float | None:
        """The seconds to wait before it is started again; None: it is given up on."""
        if answered_seconds > self._well_seconds:
            self.count = 0
        if self.count == MOST_RESTARTS:
            return None
        growth: float = (LONGEST_SECONDS / FIRST_SECONDS) ** (1 / (MOST_RESTARTS - 1))
        pause: float = FIRST_SECONDS * growth**self.count
        self.count += 1
        return pause
