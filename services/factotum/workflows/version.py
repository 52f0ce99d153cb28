"""Which interpreter this is; see decision 0023.

A history is what one interpreter did; another that would do anything else, or in another order, cannot take
it up. `tests/workflow/test_replay.py` holds this one against the histories of every release and fails when
the number must be raised.
"""

from __future__ import annotations

# Raised with every change that the kept histories do not survive.
INTERPRETER_VERSION = 1
