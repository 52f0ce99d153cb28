"""Names and nesting that would make an idempotency key longer than a key may be.

The key of a step is `{run id}:{pointer}:{iteration}`, of its compensation with `:undo` behind it, and
the run's id is `{tenant}.{procedure}.{20 digits}`, or, of one that the clock started, 8 digits and the
moment, which are longer. A key that is too long would be refused only when
the step is reached, in the middle of a run.
"""

from __future__ import annotations

from collections.abc import Iterator

from factotum.procedures.fault import Fault
from factotum.procedures.model import Document, walk_document

LONGEST_NAME = 64
# Of protos/factotum/api/tools/v1/tools.proto, in characters.
LONGEST_KEY = 512
LONGEST_TENANT = 63
# Room for the round of each enclosing loop.
ITERATION = 64
# Of a run's id behind the procedure's name, as of `runs.identity.recurring_id`.
RUN_ID_TAIL = 8 + len("-2026-11-24T20:00:00Z")


def faults(document: Document) -> Iterator[Fault]:
    """The tasks whose name or whose place in the document is too long."""
    run_id = LONGEST_TENANT + len(f".{document.document.name}.") + RUN_ID_TAIL
    longest_pointer = LONGEST_KEY - run_id - len("::") - ITERATION - len(":undo")
    for pointer, named in walk_document(document):
        if len(named.name) > LONGEST_NAME:
            yield Fault(pointer, f"the name of a task may be {LONGEST_NAME} characters, this one has {len(named.name)}")
        elif len(pointer) > longest_pointer:
            yield Fault(
                pointer,
                f"the path to a task may be {longest_pointer} characters here, this one has {len(pointer)}",
                "Shorten the names around it, or nest less",
            )
