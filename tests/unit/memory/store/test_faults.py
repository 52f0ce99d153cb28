"""What each of Milvus' errors is taken for."""

from __future__ import annotations

from typing import Any

import grpc
import pytest
from pymilvus.exceptions import (
    DataNotMatchException,
    MilvusException,
    ParamError,
    SchemaMismatchRetryableException,
    ServerVersionIncompatibleException,
)

from factotum.memory.errors import StoreFaulty, StoreRefused, StoreUnavailable
from factotum.memory.store.faults import is_of_a_moved_collection, meaning


class Rpc(grpc.RpcError, grpc.Call):
    def __init__(self, code: grpc.StatusCode, details: str = "") -> None:
        self._code, self._details = code, details

    def code(self) -> grpc.StatusCode:
        return self._code

    def details(self) -> str:
        return self._details

    def __getattr__(self, name: str) -> Any:
        raise AttributeError(name)


for name in Rpc.__abstractmethods__:  # type: ignore[attr-defined]
    setattr(Rpc, name, lambda *_: None)
Rpc.__abstractmethods__ = frozenset()  # type: ignore[attr-defined]


def unconnected(code: grpc.StatusCode) -> MilvusException:
    error = MilvusException(2, "Fail connecting")
    error.__cause__ = Rpc(code)
    return error


@pytest.mark.parametrize(
    "error",
    [
        *(MilvusException(code, "x") for code in (1, 2, 4, 5, 8, 11, 12, 103, 106, 503, 901, 1001, 2000, 65535)),
        MilvusException(grpc.StatusCode.UNAVAILABLE, "retried"),
        unconnected(grpc.StatusCode.UNAVAILABLE),
        Rpc(grpc.StatusCode.DEADLINE_EXCEEDED),
        Rpc(grpc.StatusCode.RESOURCE_EXHAUSTED, "too many requests"),
    ],
    ids=repr,
)
def test_what_passes(error: Exception) -> None:
    assert type(meaning(error, "there")) is StoreUnavailable


@pytest.mark.parametrize(
    "error",
    [
        *(MilvusException(code, "x") for code in (1100, 1101, 1102)),
        MilvusException(65535, "x", is_input_error=True),
        ParamError(message="x"),
        DataNotMatchException(message="x"),
        Rpc(grpc.StatusCode.INVALID_ARGUMENT),
        Rpc(grpc.StatusCode.RESOURCE_EXHAUSTED, "Received message larger than max (9 vs. 8)"),
    ],
    ids=repr,
)
def test_what_is_refused(error: Exception) -> None:
    assert type(meaning(error, "there")) is StoreRefused


@pytest.mark.parametrize(
    ("error", "advice"),
    [
        (MilvusException(1401, "x"), "FACTOTUM_MILVUS__TOKEN"),
        (unconnected(grpc.StatusCode.UNAUTHENTICATED), "FACTOTUM_MILVUS__TOKEN"),
        (Rpc(grpc.StatusCode.PERMISSION_DENIED), "FACTOTUM_MILVUS__TOKEN"),
        (MilvusException(800, "x"), "FACTOTUM_MILVUS__URI"),
        (MilvusException(9, "x"), "more room"),
        (MilvusException(7, "x"), "more room"),
        (MilvusException(100, "x"), "restore"),
        (SchemaMismatchRetryableException("x"), "restore"),
        (ServerVersionIncompatibleException(message="x"), "version"),
        (Rpc(grpc.StatusCode.UNIMPLEMENTED), "version"),
    ],
    ids=repr,
)
def test_what_somebody_has_to_mend(error: Exception, advice: str) -> None:
    found = meaning(error, "there")
    assert type(found) is StoreFaulty
    assert advice in str(found)
    assert "there" in str(found)


def test_a_dropped_collection_may_have_moved() -> None:
    assert is_of_a_moved_collection(MilvusException(100, "x"))
    assert is_of_a_moved_collection(SchemaMismatchRetryableException("x"))
    assert not is_of_a_moved_collection(MilvusException(1100, "x"))
    assert not is_of_a_moved_collection(Rpc(grpc.StatusCode.UNAVAILABLE))
