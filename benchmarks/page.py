"""docs/benchmarks.md: one section a benchmark, each written by its own."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

HEAD = "# Benchmarks\n\nWritten by `make bench`; not edited by hand.\n"


def put(path: Path, title: str, lines: Sequence[str]) -> None:
    """Writes the section, in the place of an earlier one of its title or else at the end."""
    text = path.read_text(encoding="utf-8") if path.exists() else HEAD
    sections = [HEAD, *re.split(r"^(?=## )", text, flags=re.MULTILINE)[1:]]
    made = "\n".join([f"## {title}", "", *lines, ""])
    places = [index for index, section in enumerate(sections) if section.startswith(f"## {title}\n")]
    if places:
        sections[places[0]] = made
    else:
        sections.append(made)
    path.write_text("\n".join(section.rstrip("\n") + "\n" for section in sections), encoding="utf-8")


def table(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    return [f"| {' | '.join(columns)} |", f"|{'---|' * len(columns)}", *(f"| {' | '.join(row)} |" for row in rows)]
