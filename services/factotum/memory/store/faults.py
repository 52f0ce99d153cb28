"""What an error of Milvus means for who asked: to ask again, that this is not taken, or that somebody has to act.

Codes are those of Milvus' `pkg/util/merr/errors.go`, as of 2.5. Whatever is not named here passes, as far as we know.
"""

from __future__ import annotations

from typing import Final

import grpc
from pymilvus.exceptions import (
    DataNotMatchException,
    DataTypeNotMatchException,
    DataTypeNotSupportException,
    FieldsTypeException,
    FieldTypeException,
    MilvusException,
    ParamError,
    SchemaMismatchRetryableException,
    SchemaNotReadyException,
    ServerVersionIncompatibleException,
)

from factotum.memory.errors import StoreFaulty, StoreRefused, StoreUnavailable

# What goes wrong in Milvus' client: its own, and gRPC's where it gives up at once.
ERRORS: Final = (MilvusException, grpc.RpcError)

# A parameter is invalid, missing or too large; a field's name; data of a wrong form.
_REFUSED: Final = frozenset({1100, 1101, 1102, 1701, 1804})
# The collection is another one than was opened: not found, not loaded, its partition, its schema.
_MOVED: Final = frozenset({100, 101, 108, 200, 201})

_ACCESS: Final = "see to FACTOTUM_MILVUS__TOKEN and to the rights of that user"
_DATABASE: Final = "see to the database that FACTOTUM_MILVUS__URI names"
_ROOM: Final = "give it more room, or raise its limit"
_SCHEMA: Final = (
    "restore the store from a copy, or remove its collections (`memory_state`, `memories…`) to begin with an empty one"
)
_VERSION: Final = "see to the version of the server: docs/memory.md says which are meant"
_ADVICE: Final = {
    **dict.fromkeys((1400, 1401, 1800), _ACCESS),
    **dict.fromkeys((800, 802), _DATABASE),
    **dict.fromkeys((3, 7, 9, 102, 250, 801), _ROOM),
    **dict.fromkeys((100, 105, 107, 108, 200, 1700), _SCHEMA),
    **dict.fromkeys((10, 3000), _VERSION),
}
_ADVICE_OF_STATUS: Final = {
    grpc.StatusCode.UNAUTHENTICATED: _ACCESS,
    grpc.StatusCode.PERMISSION_DENIED: _ACCESS,
    grpc.StatusCode.UNIMPLEMENTED: _VERSION,
}
_INPUT: Final = (
    ParamError,
    DataNotMatchException,
    DataTypeNotMatchException,
    DataTypeNotSupportException,
    FieldsTypeException,
    FieldTypeException,
)
_SCHEMAS: Final = (SchemaMismatchRetryableException, SchemaNotReadyException)


def meaning(error: Exception, address: str) -> Exception:
    """`StoreUnavailable`, `StoreRefused` or `StoreFaulty` for one of `ERRORS`."""
    said = f"Milvus at {address}: {_words(error)}"
    if advice := _advice(error):
        return StoreFaulty(f"{said}: {advice}")
    return StoreRefused(said) if is_refusal(error) else StoreUnavailable(said)


def is_refusal(error: Exception) -> bool:
    """Whether what was sent is not taken, now or later."""
    if isinstance(error, MilvusException):
        return isinstance(error, _INPUT) or error.is_input_error or error.code in _REFUSED
    status = _status(error)
    if status is grpc.StatusCode.RESOURCE_EXHAUSTED:
        # So is told, too, that there are too many messages.
        return "larger than max" in _words(error)
    return status is grpc.StatusCode.INVALID_ARGUMENT


def is_of_a_moved_collection(error: Exception) -> bool:
    """Whether it may be that another process has ended a reindex, and dropped what this one had opened."""
    return isinstance(error, _SCHEMAS) or (isinstance(error, MilvusException) and error.code in _MOVED)


def unable(error: Exception) -> StoreFaulty:
    """For a refusal of what every store is made of."""
    return StoreFaulty(f"Milvus cannot hold the records: {_words(error)}: {_VERSION}")


def faulty_columns(name: str, faults: list[str]) -> StoreFaulty:
    return StoreFaulty(f"the collection {name} is not one of this release: {', '.join(faults)}: {_SCHEMA}")


def _advice(error: Exception) -> str:
    if isinstance(error, ServerVersionIncompatibleException):
        return _VERSION
    if isinstance(error, _SCHEMAS):
        return _SCHEMA
    if isinstance(error, MilvusException) and not isinstance(error, _INPUT) and error.code in _ADVICE:
        return _ADVICE[error.code]
    status = _status(error)
    return _ADVICE_OF_STATUS.get(status, "") if status is not None else ""


def _status(error: Exception) -> grpc.StatusCode | None:
    """Of gRPC. The client puts it in the place of Milvus' code where it gave up after several attempts, and hides it
    in the cause where it could not connect."""
    cause = error if isinstance(error, grpc.Call) else error.__cause__
    code = cause.code() if isinstance(cause, grpc.Call) else getattr(error, "code", None)
    return code if isinstance(code, grpc.StatusCode) else None


def _words(error: Exception) -> str:
    if isinstance(error, MilvusException):
        cause = f" ({error.__cause__.details()})" if isinstance(error.__cause__, grpc.Call) else ""
        return f"{error.message or error}{cause}"
    details = error.details() if isinstance(error, grpc.Call) else ""
    return str(details or error)
