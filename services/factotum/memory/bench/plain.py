"""What recall is measured against: Milvus asked directly, with its own defaults, for vectors, words, or both."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

from pymilvus import AnnSearchRequest, DataType, Function, FunctionType, MilvusClient, RRFRanker

from factotum.memory.store.lite import LiteServer
from factotum.memory.store.port import Vector

NAME: Final = "plain"
MAX_BYTES: Final = 65_535
# Of each of the two searches that RRF joins.
CANDIDATES: Final = 100
# Reciprocal rank fusion: Cormack, Clarke and Büttcher, SIGIR 2009; 60 is the constant they found.
RANK_CONSTANT: Final = 60


class Plain:
    """A collection of texts on Milvus Lite, in a file of its own. A context manager; all methods block.

    The words of a text are those of Milvus' analyser `english`, BM25's parameters are Milvus' own; RRF is Milvus' own.
    """

    def __init__(self, path: Path, dimension: int) -> None:
        self._server = LiteServer(path)
        self._dimension = dimension
        self._client: Any = None

    def __enter__(self) -> Plain:
        self._client = MilvusClient(uri=self._server.start(), dedicated=True)
        schema = MilvusClient.create_schema(auto_id=False, enable_dynamic_field=False)
        schema.add_field("id", DataType.INT64, is_primary=True)
        schema.add_field(
            "text",
            DataType.VARCHAR,
            max_length=MAX_BYTES,
            enable_analyzer=True,
            analyzer_params={"type": "english"},
        )
        schema.add_field("dense", DataType.FLOAT_VECTOR, dim=self._dimension)
        schema.add_field("sparse", DataType.SPARSE_FLOAT_VECTOR)
        schema.add_function(
            Function("words", FunctionType.BM25, input_field_names=["text"], output_field_names=["sparse"])
        )
        indexes = self._client.prepare_index_params()
        indexes.add_index("dense", index_type="AUTOINDEX", metric_type="IP")
        indexes.add_index("sparse", index_type="SPARSE_INVERTED_INDEX", metric_type="BM25")
        self._client.create_collection(NAME, schema=schema, index_params=indexes, consistency_level="Strong")
        return self

    def __exit__(self, *_: object) -> None:
        self._client.close()
        self._server.stop()

    def insert(self, first: int, texts: Sequence[str], vectors: Sequence[Vector]) -> None:
        """Texts are numbered from `first` on."""
        rows = [
            {"id": number, "text": text, "dense": vector.tolist()}
            for number, (text, vector) in enumerate(zip(texts, vectors, strict=True), start=first)
        ]
        self._client.insert(NAME, data=rows)

    def by_meaning(self, vector: Vector, count: int) -> list[int]:
        (hits,) = self._client.search(
            NAME, data=[vector.tolist()], anns_field="dense", limit=count, search_params={"metric_type": "IP"}
        )
        return [hit["id"] for hit in hits]

    def by_words(self, text: str, count: int) -> list[int]:
        (hits,) = self._client.search(
            NAME, data=[text], anns_field="sparse", limit=count, search_params={"metric_type": "BM25"}
        )
        return [hit["id"] for hit in hits]

    def by_both(self, text: str, vector: Vector, count: int) -> list[int]:
        asked = max(CANDIDATES, count)
        (hits,) = self._client.hybrid_search(
            NAME,
            reqs=[
                AnnSearchRequest([vector.tolist()], "dense", {"metric_type": "IP"}, limit=asked),
                AnnSearchRequest([text], "sparse", {"metric_type": "BM25"}, limit=asked),
            ],
            ranker=RRFRanker(RANK_CONSTANT),
            limit=count,
        )
        return [hit["id"] for hit in hits]
