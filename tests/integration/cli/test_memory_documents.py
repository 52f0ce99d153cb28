"""Documents taken in by the command, into a real memory on Milvus Lite, from files and from a real server."""

from __future__ import annotations

import asyncio
import functools
import json
import os
import sys
import threading
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import AsyncExitStack, asynccontextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
import structlog
from click.testing import Result
from typer.testing import CliRunner

from factotum.api.memory.v1 import memory_pb2 as pb
from factotum.api.memory.v1.memory_pb2_grpc import MemoryServiceStub
from factotum.cli.main import app
from factotum.memory.embedders.onnx import Embedder
from factotum.memory.grpc import SERVICE_NAME
from factotum.memory.store.milvus import MemoryStore
from factotum.memory.store.spaces import Space
from factotum.runtime.grpc_client import channel
from factotum.runtime.grpc_server import GrpcServer
from factotum.runtime.settings import GrpcSettings
from tests.support.keeping import servicer_on
from tests.support.pdf import pdf

Cli = Callable[..., Awaitable[Result]]

GUIDE = "# Leave\n\n## Holiday\n\nThirty days a year, by the portal.\n\n## Illness\n\nCall your manager by nine.\n"


@pytest.fixture(scope="module")
async def address(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[str]:
    folder = tmp_path_factory.mktemp("memory")
    # What a command prints is read, and the server is in this process.
    with structlog.testing.capture_logs():
        async with serving(folder) as it:
            yield it


@asynccontextmanager
async def serving(folder: Path) -> AsyncIterator[str]:
    async with AsyncExitStack() as opened:
        embedder = await opened.enter_async_context(Embedder(folder / "model"))
        space = Space(embedder.fingerprint, embedder.dimension)
        store = await opened.enter_async_context(MemoryStore(str(folder / "memory.db"), space=space))
        server = GrpcServer(GrpcSettings(port=0), [SERVICE_NAME], [servicer_on(store, embedder).register])
        await server.start()
        opened.push_async_callback(server.stop)
        yield f"127.0.0.1:{server.port}"


@pytest.fixture
def environment(address: str, request: pytest.FixtureRequest, tmp_path: Path) -> dict[str, str]:
    """Each test is a tenant of its own."""
    tenant = request.node.name.partition("[")[0].replace("_", "-")[-40:].strip("-")
    return {"FACTOTUM_MEMORY_ADDRESS": address, "FACTOTUM_TENANT": tenant, "FACTOTUM_DATA": str(tmp_path / "none")}


@pytest.fixture
def cli(environment: dict[str, str]) -> Cli:
    runner = CliRunner(env={**environment, "TERM": "dumb", "COLUMNS": "200"})

    async def invoke(*arguments: str | Path) -> Result:
        return await asyncio.to_thread(runner.invoke, app, ["memory", *map(str, arguments)])

    return invoke


async def added(cli: Cli, *arguments: str | Path, status: int = 0) -> dict[str, Any]:
    result = await cli("add", "--json", *arguments)
    assert result.exit_code == status, result.output
    found: dict[str, Any] = json.loads(result.stdout)
    return found


async def listed(cli: Cli) -> dict[str, dict[str, Any]]:
    return {each["uri"]: each for each in json.loads((await cli("documents", "--json")).stdout)["documents"]}


async def found(cli: Cli, query: str) -> list[dict[str, Any]]:
    answer = json.loads((await cli("search", query, "--json", "--limit", "20")).stdout)
    return [each["record"] for each in answer["recollections"]]


def names(uris: list[str]) -> list[str]:
    return sorted(uri.rpartition("/")[2] for uri in uris)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Documents of every sort, and what is none."""
    root = tmp_path / "a handbook"
    (root / "deep").mkdir(parents=True)
    (root / "leave.md").write_text(GUIDE, encoding="utf-8")
    (root / "deep" / "notes.txt").write_text("The kitchen closes at six.", encoding="utf-8")
    (root / "page.html").write_text(
        "<title>Parking</title><main><p>Park behind the house.</p></main>", encoding="utf-8"
    )
    (root / "rules.pdf").write_bytes(pdf([["Badges are worn."], ["Visitors sign in."]], title="Rules"))
    (root / "api.json").write_text(
        json.dumps(
            {"openapi": "3.1.0", "info": {"title": "Desk"}, "paths": {"/desks": {"get": {"summary": "Free desks"}}}}
        )
    )
    (root / "values.yaml").write_text("replicas: 3\n")
    (root / "logo.png").write_bytes(b"\x89PNG\r\n\x1a\n\x00")
    (root / ".secret.md").write_text("hidden words")
    (root / ".git").mkdir()
    (root / ".git" / "description.md").write_text("hidden words")
    outside = tmp_path / "outside.md"
    outside.write_text("hidden words")
    (root / "link.md").symlink_to(outside)
    (root / "around").symlink_to(tmp_path)
    return root


async def test_a_folder_is_taken_in_once_and_then_only_what_changes(cli: Cli, folder: Path) -> None:
    assert "no documents are kept" in (await cli("documents")).stderr
    first = await added(cli, folder)
    assert names(first["added"]) == ["api.json", "leave.md", "notes.txt", "page.html", "rules.pdf"]
    assert names(first["passed_over"]) == ["values.yaml"]
    assert (first["refused"], first["chunks"]) == ({}, 6)
    assert all("hidden words" not in record["text"] for record in await found(cli, "hidden words"))

    shown = (await cli("documents")).stdout.splitlines()
    assert [line.split()[0] for line in shown if (folder / "leave.md").as_uri() in line] == ["2"]

    second = await added(cli, folder)
    assert (len(second["unchanged"]), second["chunks"]) == (5, 0)

    leave = folder / "leave.md"
    leave.write_text(GUIDE.replace("nine", "ten") + "\n## Sabbatical\n\nAfter five years.\n", encoding="utf-8")
    (folder / "deep" / "notes.txt").unlink()
    third = await added(cli, folder)
    assert (names(third["changed"]), len(third["unchanged"]), names(third["vanished"])) == (
        ["leave.md"],
        3,
        ["notes.txt"],
    )
    texts = [record["text"] for record in await found(cli, "Call your manager by")]
    assert "Call your manager by ten." in texts
    assert "Call your manager by nine." not in texts

    assert names((await added(cli, folder, "--prune"))["removed"]) == ["notes.txt"]
    assert names(list(await listed(cli))) == ["api.json", "leave.md", "page.html", "rules.pdf"]
    assert all("kitchen" not in record["text"] for record in await found(cli, "The kitchen closes at six"))


async def test_a_chunk_says_where_it_stands(cli: Cli, folder: Path) -> None:
    await added(cli, folder, "--subject", "Facility@acme.example")
    record = next(each for each in await found(cli, "Visitors sign in") if "Visitors" in each["text"])
    uri = (folder / "rules.pdf").as_uri()
    assert "%20" in uri
    assert record["place"]["sequence"] == record["provenance"]["document"] == uri
    assert (record["place"]["position"], record["provenance"]["section"]) == (0, "Rules, pages 1-2")
    assert record["attributes"] == {"chunks": 1, "title": "Rules", "page": 1}
    assert record["subjects"] == ["facility@acme.example"]
    assert (record["kind"], record["trust"]) == ("document", "system")


async def test_what_it_was_before_it_may_be_again(cli: Cli, tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    for text in ("Tea is free.", "Tea costs a euro.", "Tea is free."):
        page.write_text(text)
        await added(cli, page)
        assert [record["text"] for record in await found(cli, "tea")] == [text]
    removed = await cli("documents", "remove", page)
    assert (removed.exit_code, removed.stdout) == (0, f"removed {page.as_uri()}: 1 chunk\n")
    assert await found(cli, "tea") == []
    assert len((await added(cli, page))["added"]) == 1
    assert (await cli("documents", "remove", "https://acme.example/none")).exit_code == 1


async def test_subjects_given_later_come_with_again(cli: Cli, tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text("Ada leads the team.")
    await added(cli, page)
    assert len((await added(cli, page, "--subject", "E-7"))["unchanged"]) == 1
    assert len((await added(cli, page, "--subject", "E-7", "--again"))["changed"]) == 1
    assert [record["subjects"] for record in await found(cli, "Ada")] == [["e-7"]]


async def test_what_was_forgotten_stays_forgotten_though_its_document_changes(cli: Cli, tmp_path: Path) -> None:
    page = tmp_path / "team.md"
    page.write_text("# Team\n\n## Ada\n\nWrite to ada@acme.example.\n\n## Bob\n\nBob has no address.\n")
    await added(cli, page)
    assert (await cli("forget", "--subject", "ada@acme.example", "--yes")).exit_code == 0
    page.write_text(page.read_text() + "\n## Carol\n\nCarol is new here.\n")
    again = await added(cli, page)
    assert (again["chunks"], again["left_out"]) == (2, {"forgotten": 1})
    assert all("ada@" not in record["text"] for record in await found(cli, "Write to ada@acme.example"))
    # It is whole without what is not kept.
    assert len((await added(cli, page))["unchanged"]) == 1


async def test_a_pattern_chooses_and_prunes_among_what_it_chooses(cli: Cli, folder: Path) -> None:
    await added(cli, folder)
    (folder / "leave.md").unlink()
    (folder / "page.html").unlink()
    chosen = await added(cli, folder, "--include", "*.md", "--include", "deep/*", "--prune")
    assert (names(chosen["unchanged"]), names(chosen["removed"])) == (["notes.txt"], ["leave.md"])
    refused = await added(cli, folder, "--include", "*.png", status=1)
    assert names(list(refused["refused"])) == ["logo.png"]


async def test_refusals_are_said_and_the_rest_is_taken_in(cli: Cli, tmp_path: Path) -> None:
    (tmp_path / "locked.pdf").write_bytes(pdf([["x"]], password="tulip"))
    (tmp_path / "good.md").write_text("It works.")
    result = await cli("add", tmp_path)
    assert result.exit_code == 1
    assert "1 added, 0 unchanged, 1 refused; 1 chunk kept" in result.stdout
    assert "locked.pdf: it is encrypted: take its password off" in result.stderr


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["/nowhere/guide.md"], "neither a file nor a folder nor a URL"),
        (["ftp://acme.example/x"], "http and https"),
        (["https://ada:tulip@acme.example/x"], "holds a password"),
        ([__file__, "--include", "*.md"], "no folder is named"),
        ([__file__, "--subject", "x" * 300], "subjects"),
    ],
)
async def test_bad_input(cli: Cli, arguments: list[str], words: str) -> None:
    result = await cli("add", *arguments)
    assert (result.exit_code, result.stdout) == (2, "")
    assert words in result.stderr
    assert "tulip" not in result.stderr


async def test_a_killed_run_is_run_again(cli: Cli, environment: dict[str, str], tmp_path: Path, address: str) -> None:
    book = tmp_path / "book.md"
    book.write_text("# Book\n\n" + "\n\n".join(f"## Part {i}\n\nOf {i} it is told that {i * 7}." for i in range(250)))
    killed = await asyncio.create_subprocess_exec(
        *[sys.executable, "-m", "factotum.cli.main", "memory", "add", str(book)],
        env={**os.environ, **environment},
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.DEVNULL,
    )
    async with channel(address) as opened:
        stub = MemoryServiceStub(opened)
        deadline = time.monotonic() + 60
        while not (standing := (await stub.ListDocuments(_of(environment))).documents):
            assert time.monotonic() < deadline and killed.returncode is None
            await asyncio.sleep(0.02)
    killed.kill()
    await killed.wait()
    assert (standing[0].version, standing[0].chunks < 250) == ("", True)
    assert "unfinished" in (await cli("documents")).stdout
    assert len((await added(cli, book))["changed"]) == 1
    (document,) = (await listed(cli)).values()
    assert (document["chunks"], len(document["version"])) == (250, 64)
    assert len((await added(cli, book))["unchanged"]) == 1


def _of(environment: dict[str, str]) -> pb.ListDocumentsRequest:
    return pb.ListDocumentsRequest(tenant=environment["FACTOTUM_TENANT"])


class _Site(BaseHTTPRequestHandler):
    """A site of a few addresses, each with what it answers."""

    pages: dict[str, tuple[int, dict[str, str], bytes]] = {}  # noqa: RUF012 - each test sets its own

    def do_GET(self) -> None:
        status, headers, content = self.pages.get(self.path, (404, {}, b""))
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *_: Any) -> None:
        """Says nothing."""


@pytest.fixture
def site() -> Iterator[tuple[str, dict[str, tuple[int, dict[str, str], bytes]]]]:
    pages: dict[str, tuple[int, dict[str, str], bytes]] = {}
    server = ThreadingHTTPServer(("127.0.0.1", 0), type("Site", (_Site,), {"pages": pages}))
    thread = threading.Thread(target=functools.partial(server.serve_forever, poll_interval=0.05))
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}", pages
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


async def test_addresses(cli: Cli, site: tuple[str, dict[str, tuple[int, dict[str, str], bytes]]]) -> None:
    base, pages = site
    pages |= {
        "/": (200, {"Content-Type": "text/html; charset=latin-1"}, b"<main><h1>B\xfcro</h1><p>Open at eight.</main>"),
        "/raw/guide.md": (200, {"Content-Type": "text/plain"}, GUIDE.encode()),
        "/old": (301, {"Location": "/raw/guide.md"}, b""),
        "/loop": (302, {"Location": "/loop"}, b""),
        "/away": (302, {"Location": "file:///etc/passwd"}, b""),
        "/logo": (200, {"Content-Type": "image/png"}, b"\x89PNG"),
        "/packed": (200, {"Content-Type": "text/plain", "Content-Encoding": "br"}, b"\x00"),
    }
    answer = await added(cli, *(f"{base}{path}" for path in [*pages, "/none", "/raw/guide.md#illness"]), status=1)
    assert answer["added"] == [f"{base}/", f"{base}/raw/guide.md", f"{base}/old"]
    reasons = {uri.removeprefix(base): reason for uri, reason in answer["refused"].items()}
    assert {path: reasons[path].partition(",")[0] for path in reasons} == {
        "/loop": "it is redirected more than 5 times",
        "/away": "it is redirected to file:",
        "/logo": "there is no reader for image/png: Markdown",
        "/packed": "127.0.0.1 sends it compressed by br",
        "/none": "127.0.0.1 answers 404 Not Found",
    }
    record = next(each for each in await found(cli, "Open at eight") if "eight" in each["text"])
    assert (record["provenance"]["document"], record["provenance"]["section"]) == (f"{base}/", "127.0.0 > Büro")

    pages["/"] = (200, {"Content-Type": "text/html"}, b"<main><h1>Office</h1><p>Open at nine.</main>")
    assert (await added(cli, f"{base}/"))["changed"] == [f"{base}/"]
    assert "Open at eight." not in [each["text"] for each in await found(cli, "Open at eight")]


async def test_what_the_filter_keeps_nothing_of_is_skipped_and_remembered(cli: Cli, tmp_path: Path) -> None:
    root = tmp_path / "data"
    root.mkdir()
    (root / "numbers.txt").write_text("12 13 14\n")
    (root / "words.txt").write_text("The kitchen closes at six.\n")
    numbers = (root / "numbers.txt").as_uri()
    first = await added(cli, root)
    assert (names(first["added"]), first["skipped"], first["chunks"]) == (["words.txt"], {numbers: "noise"}, 1)
    second = await added(cli, root)
    assert (second["skipped"], names(second["unchanged"]), second["left_out"]) == (
        {numbers: "noise"},
        ["words.txt"],
        {},
    )
    told = await cli("add", root)
    assert f"skipped {numbers}: nothing of it is kept (noise)" in told.stderr
    assert "1 skipped" in told.stdout
    listing = (await cli("documents")).stdout
    assert [line.split()[:3] for line in listing.splitlines() if numbers in line] == [["0", "skipped:", "noise"]]
    assert all("numbers" not in record["text"] for record in await found(cli, "numbers.txt"))
    # In a folder an empty file is none to complain about; what was in it before goes.
    (root / "words.txt").write_text("\n")
    emptied = await added(cli, root)
    assert emptied["skipped"] == {numbers: "noise", (root / "words.txt").as_uri(): "empty"}
    assert [each["chunks"] for each in (await listed(cli)).values()] == [0, 0]
    assert (await cli("add", root / "words.txt")).exit_code == 0, "as it was"
    assert (await added(cli, "--again", root / "words.txt", status=1))["refused"]
    (root / "numbers.txt").write_text("12 apples, 13 pears and 14 plums\n")
    third = await added(cli, root)
    assert (names(third["changed"]), list(third["skipped"].values())) == (["numbers.txt"], ["empty"])
    (root / "numbers.txt").unlink()
    assert names((await added(cli, "--prune", root))["removed"]) == ["numbers.txt"]
