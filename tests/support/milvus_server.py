"""A Milvus server as far as a store of records speaks to one: takes down every request, keeps no records.

It stands where no server can be had: what is sent can be checked, what a server makes of it cannot.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

import grpc
from pymilvus.grpc_gen import common_pb2, milvus_pb2, milvus_pb2_grpc, schema_pb2

_NOT_FOUND = common_pb2.Status(error_code=common_pb2.CollectionNotExists, code=100, reason="collection not found")


class MilvusServer(milvus_pb2_grpc.MilvusServiceServicer):
    """Answers; `requests` are those of each method, `authorization` the last that was shown.

    `refuse` says with what a request of a method is answered instead, None: as ever; `unauthorised` lets nobody in.
    """

    def __init__(self) -> None:
        self.requests: dict[str, list[Any]] = {}
        self.authorization = ""
        self.refuse: Callable[[str, Any], common_pb2.Status | None] = lambda method, request: None
        self.unauthorised = False
        self._indexes: dict[str, list[str]] = {}
        self._rows: dict[str, dict[str, dict[str, str]]] = {}

    def of(self, method: str, collection: str = "") -> list[Any]:
        """The requests to a method, whose collection's name begins so."""
        return [each for each in self.requests.get(method, []) if each.collection_name.startswith(collection)]

    def Connect(self, request: Any, context: grpc.ServicerContext) -> Any:
        self.authorization = str(dict(context.invocation_metadata()).get("authorization", ""))
        if self.unauthorised:
            context.abort(grpc.StatusCode.UNAUTHENTICATED, "auth check failure")
        return milvus_pb2.ConnectResponse(status=common_pb2.Status(), identifier=1)

    def DescribeCollection(self, request: Any, context: grpc.ServicerContext) -> Any:
        made = self.of("CreateCollection", request.collection_name)
        if not made:
            return milvus_pb2.DescribeCollectionResponse(status=_NOT_FOUND)
        schema = schema_pb2.CollectionSchema.FromString(made[0].schema)
        for number, field in enumerate(schema.fields):
            field.fieldID = 100 + number
        for function in schema.functions:
            for field in schema.fields:
                field.is_function_output |= field.name in function.output_field_names
        return milvus_pb2.DescribeCollectionResponse(
            status=common_pb2.Status(), schema=schema, consistency_level=made[0].consistency_level
        )

    def CreateCollection(self, request: Any, context: grpc.ServicerContext) -> Any:
        return self._noted("CreateCollection", request)

    def CreateIndex(self, request: Any, context: grpc.ServicerContext) -> Any:
        self._indexes.setdefault(request.collection_name, []).append(request.field_name)
        return self._noted("CreateIndex", request)

    def DescribeIndex(self, request: Any, context: grpc.ServicerContext) -> Any:
        names = self._indexes.get(request.collection_name, [])
        if not names:
            status = common_pb2.Status(error_code=common_pb2.IndexNotExist, code=700, reason="index not found")
            return milvus_pb2.DescribeIndexResponse(status=status)
        return milvus_pb2.DescribeIndexResponse(
            status=common_pb2.Status(),
            index_descriptions=[
                milvus_pb2.IndexDescription(index_name=name, field_name=name, state=common_pb2.Finished)
                for name in names
            ],
        )

    def AllocTimestamp(self, request: Any, context: grpc.ServicerContext) -> Any:
        return milvus_pb2.AllocTimestampResponse(status=common_pb2.Status(), timestamp=1)

    def LoadCollection(self, request: Any, context: grpc.ServicerContext) -> Any:
        return self._noted("LoadCollection", request)

    def GetLoadingProgress(self, request: Any, context: grpc.ServicerContext) -> Any:
        return milvus_pb2.GetLoadingProgressResponse(status=common_pb2.Status(), progress=100, refresh_progress=100)

    def Upsert(self, request: Any, context: grpc.ServicerContext) -> Any:
        if status := self.refuse("Upsert", request):
            return milvus_pb2.MutationResult(status=status)
        self._noted("Upsert", request)
        columns = {field.field_name: field.scalars.string_data.data for field in request.fields_data}
        rows = self._rows.setdefault(request.collection_name, {})
        for index in range(request.num_rows):
            rows[columns["key"][index]] = {name: data[index] for name, data in columns.items() if data}
        return self._mutated(request.num_rows)

    def Insert(self, request: Any, context: grpc.ServicerContext) -> Any:
        self._noted("Insert", request)
        return self._mutated(request.num_rows)

    def Delete(self, request: Any, context: grpc.ServicerContext) -> Any:
        self._noted("Delete", request)
        return self._mutated(0)

    def Query(self, request: Any, context: grpc.ServicerContext) -> Any:
        """What was noted of generations; else nothing."""
        if status := self.refuse("Query", request):
            return milvus_pb2.QueryResults(status=status)
        self._noted("Query", request)
        rows = self._rows.get(request.collection_name, {})
        wanted = json.loads(request.expr.removeprefix("sort in ")) if request.expr.startswith("sort in ") else []
        found = [row for row in rows.values() if row.get("sort") in wanted]
        if "count(*)" in request.output_fields:
            return milvus_pb2.QueryResults(
                status=common_pb2.Status(),
                fields_data=[
                    schema_pb2.FieldData(
                        type=schema_pb2.Int64,
                        field_name="count(*)",
                        scalars=schema_pb2.ScalarField(long_data=schema_pb2.LongArray(data=[0])),
                    )
                ],
            )
        return milvus_pb2.QueryResults(
            status=common_pb2.Status(),
            output_fields=request.output_fields,
            fields_data=[
                schema_pb2.FieldData(
                    type=schema_pb2.VarChar,
                    field_name=name,
                    scalars=schema_pb2.ScalarField(
                        string_data=schema_pb2.StringArray(data=[row[name] for row in found])
                    ),
                )
                for name in request.output_fields
            ],
        )

    def Search(self, request: Any, context: grpc.ServicerContext) -> Any:
        self._noted("Search", request)
        results = schema_pb2.SearchResultData(num_queries=1, top_k=0, topks=[0])
        return milvus_pb2.SearchResults(status=common_pb2.Status(), results=results)

    def Flush(self, request: Any, context: grpc.ServicerContext) -> Any:
        self.requests.setdefault("Flush", []).append(request)
        return milvus_pb2.FlushResponse(status=common_pb2.Status())

    def GetFlushState(self, request: Any, context: grpc.ServicerContext) -> Any:
        return milvus_pb2.GetFlushStateResponse(status=common_pb2.Status(), flushed=True)

    def ManualCompaction(self, request: Any, context: grpc.ServicerContext) -> Any:
        if status := self.refuse("ManualCompaction", request):
            return milvus_pb2.ManualCompactionResponse(status=status)
        self._noted("ManualCompaction", request)
        return milvus_pb2.ManualCompactionResponse(status=common_pb2.Status(), compactionID=1)

    def DropCollection(self, request: Any, context: grpc.ServicerContext) -> Any:
        return self._noted("DropCollection", request)

    def _noted(self, method: str, request: Any) -> Any:
        self.requests.setdefault(method, []).append(request)
        return common_pb2.Status()

    def _mutated(self, count: int) -> Any:
        return milvus_pb2.MutationResult(status=common_pb2.Status(), insert_cnt=count, upsert_cnt=count)


@contextmanager
def milvus_server() -> Iterator[tuple[str, MilvusServer]]:
    """Its address, and itself."""
    servicer = MilvusServer()
    server = grpc.server(ThreadPoolExecutor(8))
    milvus_pb2_grpc.add_MilvusServiceServicer_to_server(servicer, server)
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    try:
        yield f"http://127.0.0.1:{port}", servicer
    finally:
        server.stop(None).wait()
