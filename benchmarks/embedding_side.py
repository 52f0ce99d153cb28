"""One side of `benchmarks.embedding`: a process that embeds when it is told to. Needs numpy alone.

It reads lines from standard input and answers each with one: `batch` embeds all texts, `one` each question alone, `end`
writes the vectors and ends.
"""

from __future__ import annotations

import json
import resource
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

Embed = Callable[[list[str]], NDArray[np.float32]]
WARM_UP = 8


def take_turns(embed: Embed, embed_one: Callable[[str], object], folder: Path) -> None:
    """`texts.json` and `questions.json` lie in the folder; the second argument names the vectors' file."""
    texts = json.loads((folder / "texts.json").read_text(encoding="utf-8"))
    questions = json.loads((folder / "questions.json").read_text(encoding="utf-8"))
    embed(texts[:WARM_UP])
    embed_one(questions[0])
    _tell({})
    for line in sys.stdin:
        match line.strip():
            case "batch":
                began, cpu = time.perf_counter(), time.process_time()
                embed(texts)
                _tell({"seconds": time.perf_counter() - began, "cpu": time.process_time() - cpu})
            case "one":
                times = []
                for question in questions[:50]:
                    began = time.perf_counter()
                    embed_one(question)
                    times.append(time.perf_counter() - began)
                _tell({"times": times})
            case "end":
                peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
                np.savez(folder / f"vectors-{sys.argv[2]}.npz", texts=embed(texts), questions=embed(questions))
                _tell({"peak": peak})
                return


def _tell(answer: dict[str, object]) -> None:
    print(json.dumps(answer), flush=True)
