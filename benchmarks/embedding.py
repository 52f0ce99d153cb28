"""The memory's embedder, in 8 bits and in fp32, beside sentence-transformers on the same weights and the same CPU.

Each side is a process of its own with its defaults, and embeds the same texts in turns; while one works the others
wait for their input. sentence-transformers is no dependency: it is installed with all that it wants (6 GB) into a venv
under the cache, once.

    python -m benchmarks.embedding [--texts 400] [--rounds 5] [--write FILE]
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import venv
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console
from rich.table import Table

from benchmarks import embedding_set, page
from factotum.memory.embedders import minilm, tokens
from factotum.memory.settings import EmbeddingSettings
from factotum.runtime import clock

ROOT = Path(__file__).parents[1]
THEIRS = "sentence-transformers==6.2.0"
COLUMNS = (
    *("", "texts/s", "tokens/s", "CPU ms/text", "one question, p50 ms", "peak MiB", "recall@1", "recall@10"),
    *("ratio texts/s", "ratio CPU"),
)


@dataclass
class Side:
    title: str
    process: subprocess.Popen[str]
    batches: list[dict[str, float]] = field(default_factory=list)
    one: list[float] = field(default_factory=list)
    peak: float = 0.0
    recall: dict[int, float] = field(default_factory=dict)

    def ask(self, what: str = "") -> Any:
        assert self.process.stdin is not None and self.process.stdout is not None
        if what:
            self.process.stdin.write(what + "\n")
            self.process.stdin.flush()
        for line in self.process.stdout:
            if line.startswith("{"):
                return json.loads(line)
        raise RuntimeError(f"{self.title} ended")

    def median(self, what: str) -> float:
        return float(np.median([batch[what] for batch in self.batches]))

    def row(self, theirs: Side, texts: int, tokens: int) -> list[str]:
        ratios = [
            float(np.median([b[what] / a[what] for a, b in zip(self.batches, theirs.batches, strict=True)]))
            for what in ("seconds", "cpu")
        ]
        return [
            self.title,
            f"{texts / self.median('seconds'):.0f}",
            f"{tokens / self.median('seconds'):.0f}",
            f"{1000 * self.median('cpu') / texts:.1f}",
            f"{1000 * float(np.median(self.one)):.1f}",
            f"{self.peak:.0f}",
            *(f"{self.recall[k]:.3f}" for k in (1, 10)),
            f"**{ratios[0]:.2f}**",
            f"{ratios[1]:.2f}",
        ]


@contextmanager
def side(title: str, command: list[str], folder: Path) -> Iterator[Side]:
    process = subprocess.Popen(
        command,
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(ROOT), "HF_HUB_OFFLINE": "1", "TRANSFORMERS_VERBOSITY": "error"},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    try:
        yield Side(title, process)
    finally:
        process.kill()
        process.wait()


def their_python(cache: Path) -> Path:
    """Of the venv with sentence-transformers; made if it is not there."""
    folder = cache / "benchmarks" / "sentence-transformers"
    python = folder / "bin" / "python"
    if not (folder / ".installed").exists():
        venv.create(folder, with_pip=True, clear=True)
        subprocess.run([python, "-m", "pip", "install", "--quiet", THEIRS], check=True)
        (folder / ".installed").touch()
    return python


def compare(folder: Path, texts: int, rounds: int) -> tuple[list[Side], int, int]:
    """The sides, the last one theirs; how many texts and tokens a batch had."""
    questions, answers = embedding_set.pairs(texts, seed=1)
    (folder / "texts.json").write_text(json.dumps(answers), encoding="utf-8")
    (folder / "questions.json").write_text(json.dumps(questions), encoding="utf-8")
    files = minilm.packaged_files()
    theirs = str(their_python(EmbeddingSettings().cache_dir))
    their_command = [theirs, "-m", "benchmarks.embedding_theirs", str(folder)]
    with ExitStack() as stack:
        sides = [
            stack.enter_context(side(title, command, folder))
            for title, command in (
                ("int8", [sys.executable, "-m", "benchmarks.embedding_ours", str(folder), "int8"]),
                ("fp32", [sys.executable, "-m", "benchmarks.embedding_ours", str(folder), "fp32"]),
                ("sentence-transformers, 1 thread", [*their_command, "alone", str(files.weights.parent), "1"]),
                ("sentence-transformers", [*their_command, "theirs", str(files.weights.parent)]),
            )
        ]
        for each in sides:
            each.ask()
        for turn in range(rounds):
            for each in sides[turn % len(sides) :] + sides[: turn % len(sides)]:
                each.batches.append(each.ask("batch"))
            for each in sides:
                each.one += each.ask("one")["times"]
        for each, name in zip(sides, ("int8", "fp32", "alone", "theirs"), strict=True):
            each.peak = each.ask("end")["peak"]
            vectors = np.load(folder / f"vectors-{name}.npz")
            each.recall = {k: recall(vectors["questions"], vectors["texts"], k) for k in (1, 10)}
    count = sum(map(len, tokens.cut(tokens.tokenizer(files.tokenizer), answers)))
    return sides, len(answers), count


def recall(questions: np.ndarray[Any, Any], texts: np.ndarray[Any, Any], k: int) -> float:
    """For how many questions their text is among the nearest k."""
    near = np.argsort(-(questions @ texts.T), axis=1)[:, :k]
    return float(np.mean([index in row for index, row in enumerate(near)]))


def main() -> None:
    parser = argparse.ArgumentParser(description="The memory's embedder beside sentence-transformers")
    parser.add_argument("--texts", type=int, default=400)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--write", type=Path, metavar="FILE", help="keep the table as Markdown")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        sides, texts, count = compare(Path(folder), arguments.texts, arguments.rounds)
    rows = [each.row(sides[-1], texts, count) for each in sides]
    table = Table(*COLUMNS)
    for row in rows:
        table.add_row(*row)
    Console(width=160).print(table)
    if arguments.write:
        page.put(
            arguments.write,
            "Embedding, beside sentence-transformers",
            [
                "all-MiniLM-L6-v2 from the same weights, each side a process of its own with its defaults, in turns.",
                "The texts are docstrings of Python's library, the questions their first sentences; recall is whether",
                "a question's own text is among the nearest. The figures are those of one machine, which did other",
                "work as well; read the ratios. With two threads sentence-transformers spends CPU on waiting where",
                "others want it too; with one it does not. Decision 40 says why int8 is the default.",
                "",
                f"{texts} texts of {count / texts:.0f} tokens, {arguments.rounds} rounds; {THEIRS}; "
                f"{os.cpu_count()} cores; {clock.now():%Y-%m-%d}.",
                "",
                *page.table(COLUMNS, rows),
                "",
                "Ratio: to sentence-transformers, the median over the rounds; above 1 the memory's embedder is the "
                "faster one.",
            ],
        )


if __name__ == "__main__":
    main()
