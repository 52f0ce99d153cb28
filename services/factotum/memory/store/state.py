"""What the store remembers of itself: generations, ids that are buried, marks, receipts. A collection of its own.

Rows are only added and removed, never replaced: Milvus Lite replaces in two steps, and a process may be killed between.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import datetime
from typing import Any, Final

from google.protobuf.json_format import MessageToJson, Parse
from pymilvus import DataType, MilvusClient

from factotum.api.memory.v1.memory_pb2 import Receipt
from factotum.memory.marks import Mark
from factotum.memory.records import checked_tenant
from factotum.memory.store import scope
from factotum.memory.store.collection import KEYS, PAGE, Collection, Database, Index
from factotum.memory.store.columns import faults
from factotum.memory.store.faults import faulty_columns
from factotum.memory.store.port import Burial
from factotum.memory.store.rows import key_of, number_of

NAME: Final = "memory_state"
_COLUMNS: Final = scope.Columns()
# What is noted of a generation.
_SORTS: Final = ("serving", "filling", "impure", "waiting")
# Milvus wants a vector in each collection.
_NO_VECTOR: Final = [1.0, 0.0]
_INDEXES: Final[tuple[Index, ...]] = (("vector", "FLAT", "IP", {}),)


@dataclass(frozen=True, slots=True)
class Generation:
    """A collection of records.

    Args:
        number: counts up.
        anew: it is filled without taking over vectors.
        impure: some of its records have no vector.
        waiting: it is filled with what comes; nobody asked yet for the rest.
    """

    number: int
    collection: str
    schema: int
    fingerprint: str
    dimension: int
    anew: bool = False
    impure: bool = False
    waiting: bool = False


class State:
    """All methods block and raise `faults.ERRORS`."""

    def __init__(self, collection: Collection) -> None:
        self._collection = collection

    @classmethod
    def opened(cls, database: Database) -> State:
        """Raises `StoreFaulty` if it is another one than this release's."""
        database.create(NAME, _definition(), _INDEXES)
        if found := faults(_definition(), database.columns(NAME)):
            raise faulty_columns(NAME, found)
        return cls(database.opened(NAME))

    def generations(self) -> tuple[Generation | None, Generation | None]:
        """The one that serves, and a later one that is being filled."""
        noted = self._noted()
        serving = max(noted["serving"], key=lambda each: each.number, default=None)
        filling = max(noted["filling"], key=lambda each: each.number, default=None)
        if serving is not None:
            serving = replace(serving, impure=_is_among(noted["impure"], serving))
        if filling is not None:
            filling = replace(filling, waiting=_is_among(noted["waiting"], filling))
        if filling is not None and serving is not None and filling.number <= serving.number:
            filling = None
        return serving, filling

    def served_before(self, number: int) -> list[Generation]:
        """Those with a lower number that are not forgotten yet."""
        return [each for each in self._noted()["serving"] if each.number < number]

    def note(self, sort: str, generation: Generation) -> None:
        """That a generation is `filling`, `serving`, `impure` or `waiting`."""
        self._add([(_note(sort, generation.number), sort, "", json.dumps(asdict(generation)))])

    def forget(self, number: int, *sorts: str) -> None:
        """Removes what was noted of this generation: all, or these sorts."""
        keys = [_note(sort, number) for sort in sorts or _SORTS]
        self._collection.delete(scope.of_keys_of_every_tenant(keys))

    def _noted(self) -> dict[str, list[Generation]]:
        noted: dict[str, list[Generation]] = {sort: [] for sort in _SORTS}
        for row in self._collection.query(scope.of_state(*_SORTS), ["sort", "value"]):
            noted[row["sort"]].append(Generation(**json.loads(row["value"])))
        return noted

    def bury(self, tenant: str, ids: Sequence[str], why: Burial, now: datetime) -> None:
        value = json.dumps({"why": why.value, "at": now.isoformat()})
        self._add([(_grave(tenant, identity, why), "burial", "", value) for identity in dict.fromkeys(ids)])

    def buried(self, keys: Iterable[tuple[str, str]]) -> dict[tuple[str, str], Burial]:
        """Which of these tenants' ids are buried; one that was folded and then forgotten is forgotten."""
        places = {_grave(*place, why): (place, why) for place in dict.fromkeys(keys) for why in Burial}
        result: dict[tuple[str, str], Burial] = {}
        for grave in self._present(list(places)):
            place, why = places[grave]
            if result.get(place) is not Burial.FORGOTTEN:
                result[place] = why
        return result

    def keep_receipt(self, tenant: str, receipt: Receipt) -> None:
        key = hashlib.sha256(f"receipt\n{key_of(tenant, receipt.id)}".encode()).hexdigest()
        self._add([(key, "receipt", tenant, MessageToJson(receipt, indent=None))])

    @property
    def collection(self) -> str:
        return self._collection.name

    def receipts(self, tenant: str) -> list[Receipt]:
        """Newest first."""
        within = scope.of_receipts(tenant)
        found = [
            Parse(row["value"], Receipt()) for page in self._collection.pages(within, ["value"], PAGE) for row in page
        ]
        return sorted(found, key=lambda receipt: receipt.forgotten_at.ToMicroseconds(), reverse=True)

    def mark(self, mark: Mark) -> None:
        value = {
            "at": mark.moment.isoformat(),
            "salt": mark.salt,
            "hashes": sorted(mark.hashes),
            "names": sorted(mark.names),
            "phrases": sorted(mark.phrases),
        }
        text = json.dumps(value)
        key = hashlib.sha256(f"mark\n{mark.tenant}\n{text}".encode()).hexdigest()
        self._add([(key, "mark", mark.tenant, text)])

    def marks(self, since: datetime) -> tuple[list[Mark], list[str]]:
        """Those that are not older, and the keys of those that are."""
        found: list[Mark] = []
        old: list[str] = []
        for page in self._collection.pages(scope.of_marks(), ["tenant", "value"], PAGE):
            for row in page:
                mark = _mark(row["tenant"], json.loads(row["value"]))
                if mark.moment < since:
                    old.append(row["key"])
                else:
                    found.append(mark)
        return found, old

    def remove(self, keys: Sequence[str]) -> None:
        self._collection.delete(scope.of_keys_of_every_tenant(keys))

    def _add(self, rows: Sequence[tuple[str, str, str, str]]) -> None:
        """Those that are not there yet."""
        present = self._present([row[0] for row in rows])
        new = [
            {"key": key, "number": number_of(key), "sort": sort, "tenant": tenant, "value": value, "vector": _NO_VECTOR}
            for key, sort, tenant, value in rows
            if key not in present
        ]
        if new:
            self._collection.write(new, present=set())

    def _present(self, keys: Sequence[str]) -> set[str]:
        found: set[str] = set()
        for start in range(0, len(keys), KEYS):
            within = scope.near_keys_of_every_tenant(keys[start : start + KEYS], _COLUMNS)
            found |= {row["key"] for row in self._collection.query(within, [])}
        return found & set(keys)


def _mark(tenant: str, value: Mapping[str, Any]) -> Mark:
    return Mark(
        tenant,
        datetime.fromisoformat(value["at"]),
        value["salt"],
        frozenset(value["hashes"]),
        frozenset(value["names"]),
        frozenset(value["phrases"]),
    )


def _note(sort: str, number: int) -> str:
    return hashlib.sha256(f"{sort}\n{number}".encode()).hexdigest()


def _is_among(noted: Iterable[Generation], generation: Generation) -> bool:
    return any(each.number == generation.number for each in noted)


def _grave(tenant: str, identity: str, why: Burial) -> str:
    """A hash and nothing else: a grave tells nobody who lies in it."""
    return hashlib.sha256(f"{why.value}\n{key_of(checked_tenant(tenant), identity)}".encode()).hexdigest()


def _definition() -> Any:
    schema = MilvusClient.create_schema(auto_id=False, enable_dynamic_field=False)
    schema.add_field("key", DataType.VARCHAR, is_primary=True, max_length=64)
    schema.add_field("number", DataType.INT64)
    schema.add_field("sort", DataType.VARCHAR, max_length=16)
    schema.add_field("tenant", DataType.VARCHAR, max_length=63)
    schema.add_field("value", DataType.VARCHAR, max_length=8192)
    schema.add_field("vector", DataType.FLOAT_VECTOR, dim=len(_NO_VECTOR))
    return schema
