"""Where a run stands, so that it can go on in another execution with nothing done twice and nothing lost.

Each task and list under way has a frame, a JSON object inside the frame of what encloses it. A handler
notes in its frame what must not be done again; on going on, the interpreter walks down the document from
its beginning and what has a frame takes up from there. What is finished has no frame: its result is in
the frame around it. So a snapshot is as large as what is under way, not as what was done.
"""

from __future__ import annotations

from typing import Any

Frame = dict[str, Any]

_BELOW = "below"


def opened(around: Frame, pointer: str, iteration: tuple[str, ...]) -> Frame:
    """The frame of a task or list under way; a new one is empty."""
    below: dict[str, Frame] = around.setdefault(_BELOW, {})
    return below.setdefault(_key(pointer, iteration), {})


def closed(around: Frame, pointer: str, iteration: tuple[str, ...]) -> None:
    """The task is finished, failed or given up, and everything in it: nothing of it is taken up again."""
    around.get(_BELOW, {}).pop(_key(pointer, iteration), None)


def afresh(frame: Frame) -> None:
    """Everything inside is given up, to be begun again."""
    frame.pop(_BELOW, None)


def _key(pointer: str, iteration: tuple[str, ...]) -> str:
    return f"{pointer}|{'.'.join(iteration)}"


class Gate:
    """Holds new effects back once a run should go on elsewhere, until none is under way.

    Waits (for time, events, people) count neither as held nor as under way: they can be given up at any
    moment and taken up again.
    """

    def __init__(self) -> None:
        self.closed = False
        self.under_way = 0
        self.held = 0

    @property
    def quiet(self) -> bool:
        """Closed, something waits before it, and nothing is under way: the moment for a snapshot, provided
        that every coroutine of the run has come to a halt."""
        return self.closed and self.held > 0 and self.under_way == 0
