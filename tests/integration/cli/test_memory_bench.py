"""`factotum memory bench`, as a shell sees it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

CORPUS = """{"id": "a", "text": "The boiler was repaired in March.", "sequence": "s"}
{"id": "b", "text": "Lunch is at noon.", "sequence": "t"}
"""
QUERIES = '{"text": "When was the boiler repaired?", "relevant": ["a"]}\n'


def bench(folder: Path, corpus: str, queries: str) -> subprocess.CompletedProcess[str]:
    (folder / "corpus.jsonl").write_text(corpus)
    (folder / "queries.jsonl").write_text(queries)
    files = ("--corpus", folder / "corpus.jsonl", "--queries", folder / "queries.jsonl")
    return subprocess.run(
        [sys.executable, "-m", "factotum.cli.main", "memory", "bench", *files],
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )


def test_figures_go_to_standard_output_and_progress_to_standard_error(tmp_path: Path) -> None:
    done = bench(tmp_path, CORPUS, QUERIES)
    assert done.returncode == 0, done.stderr
    assert done.stderr.splitlines() == ["kept 2", "asked 1"]
    head, columns, *rows = done.stdout.splitlines()
    assert head.startswith("2 passages, 1 questions, ")
    assert " ".join(columns.split()) == "recall@5 recall@10 recall@20 nDCG@10 groups@5 p50 ms p99 ms records/s"
    assert [row.split()[:6] for row in rows] == [[way, *["1.000"] * 5] for way in ("dense", "bm25", "rrf", "recall")]


def test_a_file_that_cannot_be_used_ends_it_with_2_and_names_the_line(tmp_path: Path) -> None:
    done = bench(tmp_path, CORPUS + "{\n", QUERIES)
    assert (done.returncode, done.stdout) == (2, "")
    (line,) = done.stderr.splitlines()
    assert line.startswith(f"{tmp_path / 'corpus.jsonl'}:3: not JSON: ")
