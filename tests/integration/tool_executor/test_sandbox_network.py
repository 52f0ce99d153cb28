"""Commands that may reach hosts: by the proxy, by name, and nobody else."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest
import pytest_asyncio

from factotum.sdk import egress
from factotum.sdk.errors import InvalidArgument
from tests.support.machine import needs
from tests.support.sandboxed import Bench, Ran, sandboxed_bench
from tests.support.scripted_http import Answer, ScriptedHttp, scripted_http
from tests.support.tool_calls import closed_port

# What a command does: asks for each address, or speaks to the proxy itself.
ASK = """
import urllib.error, urllib.request
for address in given["addresses"]:
    try:
        request = urllib.request.Request(address, given.get("body", "").encode() or None)
        with urllib.request.urlopen(request, timeout=5) as answer:
            print(answer.status, answer.read().decode())
    except urllib.error.HTTPError as error:
        print(error.code, error.read().decode().strip())
    except OSError as error:
        print(type(error).__name__, error)
"""
SAY = """
for words in given["words"]:
    proxy = socket.create_connection(("127.0.0.1", 3128), timeout=5)
    proxy.sendall(words.encode())
    if given.get("end", True):
        proxy.shutdown(socket.SHUT_WR)
    heard = b""
    while part := proxy.recv(65536):
        heard += part
    print(heard.decode())
    print("--")
"""


@pytest.fixture(scope="module", autouse=True)
def _sandbox() -> None:
    needs("bwrap", "prlimit", "setpriv", what="running a command in a sandbox")


@pytest_asyncio.fixture(scope="module")
async def bench(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Bench]:
    async with sandboxed_bench(tmp_path_factory.mktemp("executor")) as made:
        yield made


@pytest_asyncio.fixture
async def server() -> AsyncIterator[ScriptedHttp]:
    async with scripted_http(Answer(body=b"hello")) as serving:
        yield serving


def at(server: ScriptedHttp) -> str:
    return server.url.removeprefix("http://")


async def ask(bench: Bench, hosts: list[str], *addresses: str, **given: Any) -> Ran:
    return await bench.run(ASK, hosts=hosts, given={"addresses": addresses, **given})


async def say(bench: Bench, hosts: list[str], *words: str, **given: Any) -> list[str]:
    ran = await bench.run(SAY, hosts=hosts, given={"words": words, **given})
    assert ran.code == 0, ran
    return ran.stdout.split("\n--\n")[:-1]


async def test_a_host_that_is_named_is_reached(bench: Bench, server: ScriptedHttp) -> None:
    ran = await ask(bench, [at(server)], f"{server.url}/a?b=c", body="x" * 200_000)
    assert ran.stdout == "200 hello\n" and ran.refused == []
    [(method, target, headers, body)] = server.requests
    assert (method, target, len(body), headers["host"]) == ("POST", "/a?b=c", 200_000, at(server))
    assert "proxy-connection" not in headers


async def test_a_tunnel_goes_to_a_host_that_is_named(bench: Bench, server: ScriptedHttp) -> None:
    inside = "GET /in HTTP/1.1\r\nHost: x\r\n\r\n"
    [heard] = await say(bench, [at(server)], f"CONNECT {at(server)} HTTP/1.1\r\nHost: x\r\n\r\n{inside}")
    assert heard.startswith("HTTP/1.1 200 Connection established\r\n\r\nHTTP/1.1 200 ") and heard.endswith("hello")
    assert [request[1] for request in server.requests] == ["/in"]


async def test_nobody_else_is_reached(bench: Bench, server: ScriptedHttp) -> None:
    port = at(server).rpartition(":")[2]
    other = f"127.0.0.1:{closed_port()}"
    addresses = [
        f"http://localhost:{port}/",  # another name of the same address
        f"http://127.0.0.2:{port}/",
        f"http://[::ffff:127.0.0.1]:{port}/",
        f"http://2130706433:{port}/",
        f"http://{other}/",
        f"http://127.0.0.1@localhost:{port}/",
        "https://example.com/",
    ]
    ran = await ask(bench, [f"127.0.0.1:{int(port) ^ 1}", "*.example.org"], server.url, *addresses)
    lines = ran.stdout.splitlines()
    assert [line.split()[0] for line in lines] == ["403"] * 6 + ["400", "URLError"], ran
    assert "not among the hosts" in lines[0] and "403" in lines[-1]
    assert server.requests == []
    assert ran.refused[0] == at(server) and "example.com:443" in ran.refused


async def test_certificates_to_verify_servers_by_are_there_where_hosts_are(bench: Bench) -> None:
    code = "import ssl; print(len(ssl.create_default_context().get_ca_certs()) > 0, os.listdir('/etc'))"
    assert (await bench.run(code)).stdout.startswith("False ")
    within = (await bench.run(code, hosts=["a.example"])).stdout
    assert within.startswith("True ") and "passwd" not in within
    assert "No such file" in (await bench.run("os.listdir('/etc/ssl/private')", hosts=["a.example"])).stderr


async def test_there_is_no_way_but_the_proxy(bench: Bench, server: ScriptedHttp) -> None:
    host, _, port = at(server).partition(":")
    code = f"""
try:
    socket.create_connection(("{host}", {port}), timeout=2)
except OSError as error:
    print(error.strerror)
print(socket.if_nameindex())
try:
    socket.getaddrinfo("example.com", 80)
except OSError as error:
    print("no names")
"""
    ran = await bench.run(code, hosts=[at(server)])
    assert ran.stdout == "Connection refused\n[(1, 'lo')]\nno names\n", ran


async def test_the_second_request_of_a_connection_goes_nowhere(bench: Bench, server: ScriptedHttp) -> None:
    first = f"GET http://{at(server)}/1 HTTP/1.1\r\nHost: {at(server)}\r\n\r\n"
    [heard] = await say(bench, [at(server)], first + "GET /2 HTTP/1.1\r\nHost: elsewhere\r\n\r\n", end=False)
    assert heard.endswith("hello")
    assert [request[1] for request in server.requests] == ["/1"]


async def test_the_host_of_the_address_counts(bench: Bench, server: ScriptedHttp) -> None:
    [heard] = await say(bench, [at(server)], f"GET http://{at(server)}/ HTTP/1.1\r\nHost: elsewhere\r\n\r\n")
    assert heard.endswith("hello")
    assert server.requests[0][2]["host"] == at(server)


async def test_what_is_no_request_for_a_proxy(bench: Bench, server: ScriptedHttp) -> None:
    here = at(server)
    words = {
        "GET / HTTP/1.1\r\nHost: x\r\n\r\n": 400,
        f"GET https://{here}/ HTTP/1.1\r\nHost: x\r\n\r\n": 400,
        "CONNECT nowhere HTTP/1.1\r\nHost: x\r\n\r\n": 400,
        f"CONNECT {here}/x HTTP/1.1\r\nHost: x\r\n\r\n": 400,
        "GET http://x:99999/ HTTP/1.1\r\nHost: x\r\n\r\n": 400,
        "\x16\x03\x01 hello\r\n\r\n": 400,
    }
    heard = await say(bench, [here], *words)
    assert [int(one.split()[1]) for one in heard] == list(words.values())
    assert server.requests == []


async def test_a_request_without_an_end_is_not_kept(bench: Bench, server: ScriptedHttp) -> None:
    code = f"""
proxy = socket.create_connection(("127.0.0.1", 3128), timeout=5)
proxy.sendall(b"GET http://{at(server)}/ HTTP/1.1\\r\\nX: ")
try:
    for _ in range(1000):
        proxy.sendall(b"x" * 100_000)
except OSError:
    print("cut off")
"""
    assert (await bench.run(code, hosts=[at(server)])).stdout == "cut off\n"
    assert server.requests == []


async def test_of_two_lengths_none_is_left_that_the_server_could_take_for_the_other(bench: Bench) -> None:
    heard: list[bytes] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        heard.append(await reader.readuntil(b"0\r\n\r\n"))
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello")
        heard.append(await reader.read())
        writer.close()

    async with await asyncio.start_server(serve, "127.0.0.1", 0) as server:
        host = f"127.0.0.1:{server.sockets[0].getsockname()[1]}"
        lengths = "Content-Length: 40\r\nTransfer-Encoding: chunked"
        words = (
            f"POST http://{host}/ HTTP/1.1\r\nHost: x\r\n{lengths}\r\n\r\n0\r\n\r\nGET /2 HTTP/1.1\r\nHost: x\r\n\r\n"
        )
        assert (await say(bench, [host], words))[0].endswith("hello")
    head, rest = heard
    assert b"content-length" not in head.lower() and b"transfer-encoding: chunked" in head.lower()
    assert rest == b""


async def test_a_name_must_be_written_out_to_have_an_address_that_is_not_public(
    bench: Bench, server: ScriptedHttp, monkeypatch: pytest.MonkeyPatch
) -> None:
    port = at(server).rpartition(":")[2]

    async def resolved(host: str, port: int) -> list[str]:
        return ["127.0.0.1"]

    monkeypatch.setattr(egress, "_resolved", resolved)
    address = f"http://in.example.com:{port}/"
    assert (await ask(bench, [f"*.example.com:{port}"], address)).stdout.startswith("403 ")
    assert (await ask(bench, [f"in.example.com:{port}"], address)).stdout == "200 hello\n"


async def test_who_does_not_answer_is_said(bench: Bench) -> None:
    nobody = f"127.0.0.1:{closed_port()}"
    ran = await ask(bench, [nobody], f"http://{nobody}/")
    assert ran.stdout.startswith(f"502 {nobody} does not answer")


@pytest.mark.parametrize("host", ["*", "http://a", "a/b", "u@a", "a b", "", "*.", "a:b", "a:*", "a.b:99999999"])
async def test_what_is_no_host(bench: Bench, host: str) -> None:
    answer = await bench.call("print()", hosts=[host])
    assert isinstance(answer.error, InvalidArgument) and "is not a host" in answer.error.message


async def test_connections_beyond_the_bound_wait_and_nothing_is_left_when_the_command_ends(bench: Bench) -> None:
    code = """
held = [socket.create_connection(("127.0.0.1", 3128)) for _ in range(80)]
print(len(held))
"""
    assert (await bench.run(code, hosts=["a.example"])).stdout == "80\n"
    await bench.lives()
