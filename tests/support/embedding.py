"""The vector space of the default settings, for tests that look into a service's store."""

from __future__ import annotations

from factotum.memory.embedders import minilm
from factotum.memory.settings import EmbeddingSettings
from factotum.memory.store.spaces import Space


def default_space() -> Space:
    """Reads the weights once a process, to name them."""
    return Space(minilm.fingerprint(minilm.packaged_files().weights, EmbeddingSettings().precision), minilm.DIMENSION)
