"""Vectors of a benchmark's texts, made once: minutes for 100,000 of them."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from factotum.memory.embedders.port import Embedder, Vectors

# Texts of one call; a part that is made is kept when the next one is not.
PART = 5000


async def embedded(texts: Sequence[str], embedder: Embedder, folder: Path) -> Vectors:
    """float32 [len(texts), dimension], from the folder as far as they lie there. The folder exists."""
    parts = []
    for start in range(0, len(texts), PART):
        part = texts[start : start + PART]
        name = hashlib.sha256("\0".join([embedder.fingerprint, *part]).encode()).hexdigest()[:32]
        path = folder / f"vectors-{name}.npy"
        if not path.exists():
            unfinished = path.with_suffix(".part.npy")
            np.save(unfinished, await embedder.embed(part))
            unfinished.replace(path)
        parts.append(np.load(path))
    return np.concatenate(parts)
