"""Dense layers in 8-bit integers, by scales that are fixed when the graph is built.

Scales taken anew from each batch, as dynamic quantisation does, would make a text's vector depend on the texts
beside it. Here they come from calibration texts. Channels that are far larger than others would cost those their
precision: each is divided by a part of its range, and its row of the kernel multiplied by the same (SmoothQuant,
Xiao et al. 2022, arXiv:2211.10438, equation 4).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import onnxruntime
from numpy.typing import NDArray

from factotum.memory.embedders import encoder
from factotum.memory.embedders.encoder import MICROSOFT, Graph, Layer, Weights
from factotum.memory.embedders.tokens import Sentence, padded

# Which part of a channel's range moves into the kernel: of 0.5, 0.75 and 1, the one with the nearest vectors.
MIGRATION = 0.75
# 7 bits: CPUs without VNNI add two products of 8 x 8 bits in 16 bits, which would overflow.
LARGEST = 63
# A channel that stayed at 0 in calibration need not do so for ever.
_LEAST_RANGE = 1e-3


@dataclass(frozen=True)
class Range:
    """The least and the largest value of each channel of a layer's input: float32 [inputs]."""

    least: NDArray[np.float32]
    largest: NDArray[np.float32]


def ranges(weights: Weights, sentences: Sequence[Sentence]) -> dict[str, Range]:
    """What the dense layers are given while these sentences are embedded in fp32, by the layer's name."""
    model = encoder.build(weights, layer_inputs=True)
    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    names = [output.name for output in session.get_outputs()][1:]
    seen: dict[str, Range] = {}
    for sentence in sentences:
        for name, (values,) in zip(names, session.run(names, padded([sentence])), strict=True):
            least, largest = values.min(0), values.max(0)
            if name in seen:
                least, largest = np.minimum(least, seen[name].least), np.maximum(largest, seen[name].largest)
            seen[name] = Range(least, largest)
    return seen


@dataclass(frozen=True)
class Dense:
    """Puts dense layers into a graph: unsigned 8-bit inputs, signed 7-bit kernels with a scale for each output."""

    seen: Mapping[str, Range]

    def __call__(self, graph: Graph, layer: Layer, source: str) -> str:
        seen = self.seen[layer.name]
        divisor = _divisor(seen, layer)
        kernel = layer.kernel * divisor[:, None]
        scales = (np.abs(kernel).max(0) / LARGEST).astype(np.float32)
        integers = np.clip(np.rint(kernel / scales), -LARGEST, LARGEST).astype(np.int8)
        least, largest = min(0.0, (seen.least / divisor).min()), max(0.0, (seen.largest / divisor).max())
        scale = graph.constant(np.float32((largest - least) / 255))
        zero = graph.constant(np.uint8(round(-least / (largest - least) * 255)))
        smoothed = graph.node("Mul", [source, graph.constant((1 / divisor).astype(np.float32))])
        return graph.node(
            "MatMulIntegerToFloat",
            [
                graph.node("QuantizeLinear", [smoothed, scale, zero]),
                graph.constant(integers),
                scale,
                graph.constant(scales),
                zero,
                graph.constant(np.zeros_like(scales, np.int8)),
                graph.constant(layer.offset),
            ],
            domain=MICROSOFT,
        )


def _divisor(seen: Range, layer: Layer) -> NDArray[np.float32]:
    """By what each channel is divided; their geometric mean is 1."""
    inputs = np.maximum(np.maximum(-seen.least, seen.largest), _LEAST_RANGE)
    outputs = np.maximum(np.abs(layer.kernel).max(1), _LEAST_RANGE)
    logarithm = MIGRATION * np.log(inputs) - (1 - MIGRATION) * np.log(outputs)
    return np.asarray(np.exp(logarithm - logarithm.mean()), np.float32)
