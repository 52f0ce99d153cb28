"""sentence-transformers as a side of `benchmarks.embedding`: FOLDER TITLE MODEL [THREADS]. In a venv of its own."""

from __future__ import annotations

import sys
from pathlib import Path

import torch
from sentence_transformers import SentenceTransformer

from benchmarks.embedding_side import take_turns

if __name__ == "__main__":
    if sys.argv[4:]:
        torch.set_num_threads(int(sys.argv[4]))
    model = SentenceTransformer(sys.argv[3], device="cpu")
    take_turns(
        lambda texts: model.encode(texts, show_progress_bar=False),
        lambda text: model.encode(text, show_progress_bar=False),
        Path(sys.argv[1]),
    )
