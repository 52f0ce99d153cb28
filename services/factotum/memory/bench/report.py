"""The figures as a table for people and as JSON."""

from __future__ import annotations

import json
from collections.abc import Sequence

from factotum.memory.bench.trial import GROUPS, NDCG_DEPTH, Row


def table(rows: Sequence[Row]) -> str:
    """One line a way; columns are as wide as what is in them."""
    grouped = any(row.groups is not None for row in rows)
    head = ["", *(f"recall@{depth}" for depth in rows[0].recall), f"nDCG@{NDCG_DEPTH}"]
    head += [f"groups@{GROUPS}"] if grouped else []
    head += ["p50 ms", "p99 ms", "records/s"]
    lines = [head]
    for row in rows:
        line = [row.name, *(f"{value:.3f}" for value in row.recall.values()), f"{row.ndcg:.3f}"]
        line += [f"{row.groups:.3f}" if row.groups is not None else "-"] if grouped else []
        lines.append([*line, f"{row.p50_ms:.1f}", f"{row.p99_ms:.1f}", f"{row.records_per_second:,.0f}"])
    widths = [max(len(line[column]) for line in lines) for column in range(len(head))]
    return "\n".join(
        "  ".join(cell.ljust(width) if column == 0 else cell.rjust(width) for column, (cell, width) in pairs)
        for pairs in (enumerate(zip(line, widths, strict=True)) for line in lines)
    )


def as_json(rows: Sequence[Row], *, passages: int, questions: int, embedder: str) -> str:
    """`{passages, questions, embedder, ways: [{name, recall: {"10": share}, ndcg, groups, p50_ms, …}]}`."""
    return json.dumps(
        {
            "passages": passages,
            "questions": questions,
            "embedder": embedder,
            "ways": [
                {
                    "name": row.name,
                    "recall": {str(depth): value for depth, value in row.recall.items()},
                    "ndcg": row.ndcg,
                    "groups": row.groups,
                    "p50_ms": row.p50_ms,
                    "p99_ms": row.p99_ms,
                    "records_per_second": row.records_per_second,
                }
                for row in rows
            ],
        },
        indent=2,
    )
