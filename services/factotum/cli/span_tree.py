"""A trace as a tree."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from rich.text import Text
from rich.tree import Tree

from factotum.cli.output import printable, seconds_text

_METHOD = re.compile(r"^/?(?:[a-z_][A-Za-z0-9_]*\.)+([A-Za-z0-9_]+/[A-Za-z0-9_]+)$")


@dataclass(frozen=True, slots=True)
class Span:
    """Times are nanoseconds since the epoch."""

    id: str
    parent: str
    name: str
    service: str
    start: int
    end: int
    error: str = ""


def spans_of(answer: Mapping[str, Any]) -> list[Span]:
    """The spans of the collector's answer; an id is unique only within its trace."""
    return [
        Span(
            id=f"{span['trace_id']}/{span['span_id']}",
            parent=f"{span['trace_id']}/{span['parent_id']}",
            name=span["name"],
            service=span["service"],
            start=span["start_ns"],
            end=span["end_ns"],
            error=(span["status_message"] or "failed") if span["status"] == "error" else "",
        )
        for span in answer["spans"]
    ]


def tree(title: str, spans: Iterable[Span]) -> Tree:
    """The spans under their parents, in the order of their start, each with its duration and, where it
    is not the first, how long after the trace's begin it started.

    A span whose parent is not there, because it is another system's or has not arrived, is a root.
    """
    ordered = sorted(spans, key=lambda span: (span.start, span.id))
    known = {span.id for span in ordered}
    children: dict[str, list[Span]] = {}
    for span in ordered:
        under = span.parent if span.parent in known and span.parent != span.id else ""
        children.setdefault(under, []).append(span)
    root = Tree(Text(printable(title)))
    begin = ordered[0].start if ordered else 0
    pending = [(root, "")]
    while pending:
        branch, parent = pending.pop()
        for span in children.pop(parent, []):
            pending.append((branch.add(_label(span, begin)), span.id))
    return root


def _short(name: str) -> str:
    """A gRPC method without the package of its service."""
    return _METHOD.sub(r"\1", name)


def _label(span: Span, begin: int) -> Text:
    label = Text.assemble(
        (printable(_short(span.name)), "bold red" if span.error else "bold"),
        f"  {printable(span.service)}",
        (f"  {seconds_text(timedelta(microseconds=(span.end - span.start) / 1000))}", "cyan"),
    )
    if span.start > begin:
        label.append(f"  +{seconds_text(timedelta(microseconds=(span.start - begin) / 1000))}", "dim")
    if span.error:
        label.append(f"  {printable(span.error)}", "red")
    return label
