from __future__ import annotations

import io
from typing import Any

from rich.console import Console

from factotum.cli.span_tree import Span, spans_of, tree

_MS = 1_000_000


def _span(id: str, parent: str, start: int, end: int, error: str = "") -> Span:
    return Span(id, parent, f"span-{id}", "gateway", start * _MS, end * _MS, error)


def _lines(*spans: Span) -> list[str]:
    text = io.StringIO()
    Console(file=text, width=200).print(tree("run", spans))
    return [line.rstrip() for line in text.getvalue().splitlines()]


def test_spans_stand_under_their_parents_in_the_order_of_their_start() -> None:
    lines = _lines(_span("c", "a", 50, 60), _span("b", "a", 10, 20), _span("d", "b", 12, 13), _span("a", "", 0, 100))
    assert lines == [
        "run",
        "└── span-a  gateway  100 ms",
        "    ├── span-b  gateway  10 ms  +10 ms",
        "    │   └── span-d  gateway  1 ms  +12 ms",
        "    └── span-c  gateway  10 ms  +50 ms",
    ]


def test_a_span_without_its_parent_is_not_lost() -> None:
    lines = _lines(_span("a", "", 0, 10), _span("b", "elsewhere", 5, 6))
    assert len(lines) == 3
    assert lines[2].startswith("└── span-b")


def test_spans_that_name_themselves_or_each_other_end_the_tree() -> None:
    assert len(_lines(_span("a", "a", 0, 10))) == 2
    assert len(_lines(_span("a", "b", 0, 10), _span("b", "a", 0, 10))) == 1


def test_an_error_is_shown_with_its_message() -> None:
    assert _lines(_span("a", "", 0, 10, error="answered 409"))[1].endswith("answered 409")


def test_the_collectors_answer() -> None:
    raw: dict[str, Any] = {
        "trace_id": "t",
        "span_id": "s",
        "parent_id": "",
        "name": "POST /hooks",
        "kind": "server",
        "service": "gateway",
        "start_ns": 1,
        "end_ns": 2,
        "status": "error",
        "status_message": "",
        "attributes": {},
        "events": [],
    }
    other = {**raw, "trace_id": "u", "status": "unset"}
    found = spans_of({"spans": [raw, other]})
    assert [(span.id, span.error) for span in found] == [("t/s", "failed"), ("u/s", "")]
