"""`factotum memory bench`: how well and how fast recall finds what it should, on one's own data."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Annotated

import typer

from factotum.cli.options import JsonOption


def bench(
    corpus: Annotated[
        Path,
        typer.Option(
            "--corpus",
            metavar="FILE",
            help="JSON Lines: id, text, and optionally sequence, position, time, speaker.",
        ),
    ],
    queries: Annotated[Path, typer.Option("--queries", metavar="FILE", help="JSON Lines: text, relevant (ids).")],
    depths: Annotated[
        list[int] | None,
        typer.Option("--k", min=1, max=100, help="Of recall@k; may be repeated; 5, 10 and 20 where it is not given."),
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Measure dense, BM25, plain RRF and recall side by side. Needs no running stack; nothing of it is kept.

    JSON: `{passages, questions, embedder, ways: [{name, recall: {"10": share}, ndcg, groups, p50_ms, p99_ms,
    records_per_second}]}`.
    """
    # The memory is another service: it runs in a process of its own, with this one's input and outputs.
    command = [sys.executable, "-m", "factotum.memory.bench", "--corpus", str(corpus), "--queries", str(queries)]
    command += [part for depth in depths or () for part in ("--k", str(depth))]
    command += ["--json"] if as_json else []
    raise typer.Exit(subprocess.run(command, check=False).returncode)  # noqa: S603
