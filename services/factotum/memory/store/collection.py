"""One collection of Milvus, asked only through a `Filter`; and the connection, from which alone it is to be had."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

import structlog
from pymilvus import MilvusClient

from factotum.memory.errors import StoreUnavailable
from factotum.memory.store import hits
from factotum.memory.store.faults import ERRORS, is_refusal, meaning
from factotum.memory.store.lite import LiteServer
from factotum.memory.store.port import Vector
from factotum.memory.store.scope import Filter, after_key, of_every_tenant

# Milvus Lite reads all rows and builds its indexes in memory when it loads: about a minute for 100,000.
LOAD_SECONDS = 900.0
_LITE_WRITE_SECONDS = 120.0
# Rows of one request that carry everything.
PAGE = 500
# Of only a key and a word.
LIGHT_PAGE = 5000
# Rows that a search gives back faster than a query.
_MOST_SEARCHED = 1000
# Keys in one filter.
KEYS = 500
# What pymilvus' QueryIterator says. A server asks each part of a collection for so many rows; unless told to stop where
# one part has given all of those, it goes on with the others', and what that part has left comes behind the cursor.
_OF_A_LISTING = {"iterator": "True", "reduce_stop_for_best": "True"}

Row = hits.Row
# Column, kind of index, metric, and what the index is given.
Index = tuple[str, str, str, Mapping[str, float]]
T = TypeVar("T")

log = structlog.get_logger(__name__)


class Collection:
    """All methods block, and raise `faults.ERRORS`, which `Connection.do` translates.

    Of rows with the same key the last stands: `write` is told which keys are there already.
    """

    def __init__(self, client: MilvusClient, name: str, *, timeout: float, lite: bool) -> None:
        self.name = name
        self._client = client
        self._timeout = timeout
        self._lite = lite
        # What a caller gave up waiting for, the engine does all the same, and after what the caller did next.
        self._patience = max(timeout, _LITE_WRITE_SECONDS) if lite else timeout
        self._filled = False

    def query(self, within: Filter, columns: Sequence[str], **more: int | str) -> list[Row]:
        """Rows with these columns and the key."""
        found = self._client.query(
            self.name,
            filter=within.expression,
            output_fields=["key", *columns],
            timeout=self._timeout,
            **more,
        )
        return list({row["key"]: row for row in found}.values())

    def few(self, within: Filter, columns: Sequence[str], most: int, anywhere: Vector) -> list[Row]:
        """As `query`, for rows of which there are hardly more than `most`; `anywhere` is a vector.

        On Milvus Lite a query walks over all keys, whatever it asks for: 30 ms with 100,000 records. A search looks
        at the vectors that the filter lets through, each of them, and takes 6.
        """
        if self._lite and most < _MOST_SEARCHED:
            found = self._search("dense", anywhere.tolist(), "IP", within, ["key", *columns], most + 1)
            if len(found) <= most:
                return list({row["key"]: row for row, _ in found}.values())
        return self.query(within, columns)

    def page(self, within: Filter, columns: Sequence[str], after: str, size: int) -> list[Row]:
        """The next rows after a key (empty: the first), at most `size`, in the order of keys; none: there are no more.

        One that is not full need not be the last. Whoever must miss nothing compares with `count`.
        """
        # Milvus Lite is one part.
        listing = {} if self._lite else _OF_A_LISTING
        rows = self.query(after_key(within, after), columns, limit=size, **listing)
        return sorted(rows, key=lambda row: str(row["key"]))[:size]

    def pages(self, within: Filter, columns: Sequence[str], size: int) -> Iterator[list[Row]]:
        """Every row, in the order of keys; one that is written meanwhile may be among them or not."""
        last = ""
        while page := self.page(within, columns, last, size):
            yield page
            last = page[-1]["key"]

    def count(self, within: Filter) -> int:
        (row,) = self._client.query(
            self.name, filter=within.expression, output_fields=["count(*)"], timeout=self._timeout
        )
        return int(row["count(*)"])

    def nearest(self, within: Filter, vector: Vector, columns: Sequence[str], count: int) -> list[tuple[Row, float]]:
        """By the inner product with `dense`, best first."""
        return self._search("dense", vector.tolist(), "IP", within, columns, count)

    def with_words(self, within: Filter, words: str, columns: Sequence[str], count: int) -> list[tuple[Row, float]]:
        """By BM25, best first."""
        # Milvus Lite fails where nothing is kept (a mean length of 0/0) instead of finding nothing.
        if self._lite and self.is_empty():
            return []
        return self._search("sparse", words, "BM25", within, columns, count)

    def is_empty(self) -> bool:
        if not self._filled:
            self._filled = bool(self.query(of_every_tenant(), [], limit=1))
        return not self._filled

    def write(self, rows: Sequence[Mapping[str, Any]], present: set[str]) -> None:
        """Each key once among the rows: Milvus Lite would keep the words of both."""
        new = [row for row in rows if row["key"] not in present]
        changed = [row for row in rows if row["key"] in present]
        # On Milvus Lite, to replace what is not there costs as much as to replace what is.
        if changed:
            self._client.upsert(self.name, data=changed, timeout=self._patience)
        if new:
            (self._client.insert if self._lite else self._client.upsert)(self.name, data=new, timeout=self._patience)

    def delete(self, within: Filter) -> None:
        self._client.delete(self.name, filter=within.expression, timeout=self._patience)
        # Deletion may have emptied it.
        self._filled = False

    def _search(
        self, field: str, data: Any, metric: str, within: Filter, columns: Sequence[str], count: int
    ) -> list[tuple[Row, float]]:
        return hits.search(
            self._client,
            self.name,
            data,
            anns_field=field,
            filter=within.expression,
            limit=count,
            output_fields=list(columns),
            search_params={"metric_type": metric},
            timeout=self._timeout,
        )


class Connection:
    """To one Milvus: made when it is first needed, anew after each failure, and with it Milvus Lite if that died.

    Every method blocks; they may be called from several threads.

    Args:
        uri: `http(s)://…` of a Milvus server or of Zilliz Cloud, or the path of a file for Milvus Lite.
        token: of the server; empty if it wants none.
        timeout: seconds, of one request.
    """

    def __init__(self, uri: str, token: str, timeout: float) -> None:
        self._uri = uri
        self._token = token
        self._timeout = timeout
        self._server = None if uri.startswith(("http://", "https://")) else LiteServer(Path(uri))
        self._guard = threading.Lock()
        self._client: Any = None

    @property
    def is_lite(self) -> bool:
        return self._server is not None

    def do(self, work: Callable[[Database], T]) -> T:
        """Raises `StoreUnavailable` or `StoreRefused` where Milvus does not do what it is asked."""
        client: MilvusClient | None = None
        try:
            client = self._connected()
            return work(Database(client, timeout=self._timeout, server=self._server))
        except ERRORS as error:
            if client is not None and not is_refusal(error):
                self._drop(client)
            raise meaning(error, self._uri) from error
        except ValueError as error:
            if client is self._client:
                raise
            # gRPC's way to say that another call, which failed before, has closed the connection.
            raise StoreUnavailable(f"Milvus at {self._uri}: {error}") from error

    def close(self) -> None:
        if self._client is not None:
            self._drop(self._client)
        if self._server is not None:
            self._server.stop()

    def _connected(self) -> MilvusClient:
        with self._guard:
            if self._client is None:
                address = self._server.start() if self._server else self._uri
                # A connection of its own: a shared one would be closed under another store.
                self._client = MilvusClient(uri=address, token=self._token, timeout=self._timeout, dedicated=True)
            return self._client

    def _drop(self, client: MilvusClient) -> None:
        """Closes the connection, unless it is no longer the one in use."""
        with self._guard:
            if client is not self._client:
                return
            self._client = None
        client.close()


class Database:
    """The collections of a connected Milvus. All methods block and raise `faults.ERRORS`."""

    def __init__(self, client: MilvusClient, *, timeout: float, server: LiteServer | None) -> None:
        self._client = client
        self._timeout = timeout
        self._server = server

    @property
    def identity(self) -> int:
        """Another one after a connection was lost."""
        return id(self._client)

    def opened(self, name: str) -> Collection:
        """The collection, which must be there, loaded."""
        self._client.load_collection(name, timeout=LOAD_SECONDS)
        return Collection(self._client, name, timeout=self._timeout, lite=self._server is not None)

    def scrub(self, names: Sequence[str]) -> None:
        """Of what was deleted, nothing is left in Milvus Lite's file. A server is asked to clear the files of these
        collections, and does so when it comes to that."""
        if self._server is not None:
            self._server.scrub()
            return
        for name in names:
            try:
                # What is still being collected is not compacted.
                self._client.flush(name, timeout=self._timeout)
                self._client.compact(name, timeout=self._timeout)
            except ERRORS as error:
                # Not every server lets itself be asked, or not so often; it clears its files in any case.
                log.warning("the server was not asked to clear its files", collection=name, reason=str(error))

    def columns(self, name: str) -> list[Mapping[str, Any]]:
        """Of the collection, which must be there."""
        return list(self._client.describe_collection(name, timeout=self._timeout)["fields"])

    def has(self, name: str) -> bool:
        return bool(self._client.has_collection(name, timeout=self._timeout))

    def create(self, name: str, definition: Any, indexes: Sequence[Index]) -> None:
        """Completes what is not there yet: a process may have been killed between the steps."""
        if not self.has(name):
            self._client.create_collection(name, schema=definition, consistency_level="Strong", timeout=self._timeout)
            if self._server is not None:
                self._server.index_keys()
        present = set(self._client.list_indexes(name, timeout=self._timeout))
        for column, index, metric, given in indexes:
            if column not in present:
                wanted = self._client.prepare_index_params()
                wanted.add_index(column, index_type=index, index_name=column, metric_type=metric, params=given)
                # Milvus Lite has made it when it answers; to be asked again would take half a second each time.
                self._client.create_index(name, wanted, timeout=self._timeout, sync=self._server is None)

    def drop(self, name: str) -> None:
        """Harmless if it is not there."""
        if self.has(name):
            self._client.drop_collection(name, timeout=self._timeout)
