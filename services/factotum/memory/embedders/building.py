"""The bytes of an ONNX file, built from the packaged weights."""

from __future__ import annotations

from safetensors.numpy import load_file

from factotum.memory.embedders import encoder, quantised, tokens
from factotum.memory.embedders.calibration import TEXTS
from factotum.memory.embedders.minilm import ModelFiles, Precision


def built(files: ModelFiles, precision: Precision) -> bytes:
    """Takes seconds."""
    weights = load_file(files.weights)
    if precision is Precision.FP32:
        return encoder.build(weights).SerializeToString()
    seen = quantised.ranges(weights, tokens.cut(tokens.tokenizer(files.tokenizer), TEXTS))
    return encoder.build(weights, quantised.Dense(seen)).SerializeToString()
