"""BERT's encoder as an ONNX graph, of the shape of all-MiniLM-L6-v2.

Devlin et al. 2018, arXiv:1810.04805; 6 layers, 12 heads of 32; followed by what the model's card prescribes: the
mean over the tokens that are no padding, L2-normalised.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from factotum.memory.embedders.minilm import DIMENSION

LAYERS = 6
HEADS = 12
HEAD_SIZE = DIMENSION // HEADS
EPSILON = 1e-12
# The first opset with Gelu; LayerNormalization came with 17.
OPSET = 20
# Read by every ONNX Runtime that knows the opset.
IR_VERSION = 10
MICROSOFT = "com.microsoft"

Weights = dict[str, NDArray[np.float32]]


def build(
    weights: Weights, dense: Callable[[Graph, Layer, str], str] | None = None, *, layer_inputs: bool = False
) -> onnx.ModelProto:
    """The graph `(input_ids, attention_mask): int64 [batch, length] -> embedding: float32 [batch, 384]`,
    its rows of length one. Lengths up to the model's 512 positions.

    Args:
        dense: puts a dense layer behind the named value and returns the name of its result; None: in fp32.
        layer_inputs: each dense layer's input is an output too, named for the layer.
    """
    graph = Graph(weights, dense or in_full)
    hidden = graph.embeddings()
    bias = graph.attention_bias()
    for number in range(LAYERS):
        hidden = graph.layer(number, hidden, bias)
    graph.pool(hidden)
    inputs = [
        helper.make_tensor_value_info(name, TensorProto.INT64, ["batch", "length"])
        for name in ("input_ids", "attention_mask")
    ]
    outputs = [helper.make_tensor_value_info("embedding", TensorProto.FLOAT, ["batch", DIMENSION])]
    if layer_inputs:
        graph.nodes += [helper.make_node("Identity", [source], [name]) for name, source in graph.inputs.items()]
        outputs += [
            helper.make_tensor_value_info(name, TensorProto.FLOAT, ["batch", "length", None]) for name in graph.inputs
        ]
    model = helper.make_model(
        helper.make_graph(graph.nodes, "all-MiniLM-L6-v2", inputs, outputs, graph.constants),
        # The second holds what only ONNX Runtime knows: multiplications of integers.
        opset_imports=[helper.make_opsetid("", OPSET), helper.make_opsetid(MICROSOFT, 1)],
        ir_version=IR_VERSION,
        producer_name="factotum",
    )
    onnx.checker.check_model(model)
    return model


@dataclass(frozen=True)
class Layer:
    """A dense layer: `input @ kernel + offset`, float32 [inputs, outputs] and [outputs]."""

    name: str
    kernel: NDArray[np.float32]
    offset: NDArray[np.float32]


def in_full(graph: Graph, layer: Layer, source: str) -> str:
    product = graph.node("MatMul", [source, graph.constant(np.ascontiguousarray(layer.kernel))])
    return graph.node("Add", [product, graph.constant(layer.offset)])


class Graph:
    """Nodes and constants of the graph as it grows; each method returns the name of what it computes."""

    def __init__(self, weights: Weights, dense: Callable[[Graph, Layer, str], str]) -> None:
        self._weights = weights
        self._dense = dense
        # By the name of a dense layer, the name of the value that it is given.
        self.inputs: dict[str, str] = {}
        self.nodes: list[onnx.NodeProto] = []
        self.constants: list[onnx.TensorProto] = []

    def embeddings(self) -> str:
        """Word + position + type embeddings, normalised. All tokens are of type 0."""
        weights = self._weights
        words = self.constant(weights["embeddings.word_embeddings.weight"])
        positions = self.constant(
            weights["embeddings.position_embeddings.weight"] + weights["embeddings.token_type_embeddings.weight"][0]
        )
        length = self.node("Shape", ["input_ids"], start=1, end=2)
        used = self.node("Slice", [positions, self.constant(np.array([0])), length, self.constant(np.array([0]))])
        summed = self.node("Add", [self.node("Gather", [words, "input_ids"]), used])
        return self._normalised(summed, "embeddings.LayerNorm")

    def attention_bias(self) -> str:
        """[batch, 1, 1, length]: 0 for a token, very negative for padding."""
        mask = self.node("Cast", ["attention_mask"], to=TensorProto.FLOAT)
        absent = self.node("Sub", [self.constant(np.float32(1)), mask])
        bias = self.node("Mul", [absent, self.constant(np.float32(-1e9))])
        return self.node("Unsqueeze", [bias, self.constant(np.array([1, 2]))])

    def layer(self, number: int, hidden: str, bias: str) -> str:
        """One encoder layer: attention and feed-forward, each added to its input and normalised."""
        name = f"encoder.layer.{number}"
        attended = self._attention(f"{name}.attention.self", hidden, bias)
        projected = self._linear(attended, [f"{name}.attention.output.dense"])
        hidden = self._normalised(self.node("Add", [projected, hidden]), f"{name}.attention.output.LayerNorm")
        wide = self.node("Gelu", [self._linear(hidden, [f"{name}.intermediate.dense"])])
        narrow = self._linear(wide, [f"{name}.output.dense"])
        return self._normalised(self.node("Add", [narrow, hidden]), f"{name}.output.LayerNorm")

    def pool(self, hidden: str) -> None:
        """`embedding`: the mean over the tokens, of length one."""
        mask = self.node("Cast", ["attention_mask"], to=TensorProto.FLOAT)
        column = self.node("Unsqueeze", [mask, self.constant(np.array([2]))])
        axis = self.constant(np.array([1]))
        total = self.node("ReduceSum", [self.node("Mul", [hidden, column]), axis], keepdims=0)
        mean = self.node("Div", [total, self.node("ReduceSum", [column, axis], keepdims=0)])
        self.nodes.append(helper.make_node("LpNormalization", [mean], ["embedding"], axis=-1, p=2))

    def _attention(self, name: str, hidden: str, bias: str) -> str:
        joined = self._linear(hidden, [f"{name}.query", f"{name}.key", f"{name}.value"])
        query, key, value = self._of_three("Split", [joined], axis=2, num_outputs=3)
        heads = self.constant(np.array([0, 0, HEADS, HEAD_SIZE]))
        query = self.node("Transpose", [self.node("Reshape", [query, heads])], perm=[0, 2, 1, 3])
        key = self.node("Transpose", [self.node("Reshape", [key, heads])], perm=[0, 2, 3, 1])
        value = self.node("Transpose", [self.node("Reshape", [value, heads])], perm=[0, 2, 1, 3])
        scores = self.node(
            "Mul", [self.node("MatMul", [query, key]), self.constant(np.float32(1 / np.sqrt(HEAD_SIZE)))]
        )
        shares = self.node("Softmax", [self.node("Add", [scores, bias])], axis=-1)
        context = self.node("Transpose", [self.node("MatMul", [shares, value])], perm=[0, 2, 1, 3])
        return self.node("Reshape", [context, self.constant(np.array([0, 0, DIMENSION]))])

    def _linear(self, source: str, names: Sequence[str]) -> str:
        """The dense layers of these names side by side, in one multiplication."""
        kernel = np.concatenate([self._weights[f"{name}.weight"] for name in names]).T
        offset = np.concatenate([self._weights[f"{name}.bias"] for name in names])
        self.inputs[names[0]] = source
        return self._dense(self, Layer(names[0], kernel, offset), source)

    def _normalised(self, source: str, name: str) -> str:
        scale, offset = (self.constant(self._weights[f"{name}.{part}"]) for part in ("weight", "bias"))
        return self.node("LayerNormalization", [source, scale, offset], axis=-1, epsilon=EPSILON)

    def constant(self, value: NDArray[np.generic] | np.generic) -> str:
        name = f"c{len(self.constants)}"
        self.constants.append(numpy_helper.from_array(np.asarray(value), name))
        return name

    def node(self, operator: str, inputs: Sequence[str], *, domain: str = "", **attributes: Any) -> str:
        name = f"n{len(self.nodes)}"
        self.nodes.append(helper.make_node(operator, inputs, [name], domain=domain, **attributes))
        return name

    def _of_three(self, operator: str, inputs: Sequence[str], **attributes: Any) -> tuple[str, str, str]:
        name = f"n{len(self.nodes)}"
        outputs = (f"{name}a", f"{name}b", f"{name}c")
        self.nodes.append(helper.make_node(operator, inputs, list(outputs), **attributes))
        return outputs
