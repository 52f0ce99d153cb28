"""Asking a part whether it answers. A probe is an address:

tcp://host:port                it takes connections
http://host:port/path          a GET answers with a status below 400
grpc://host:port[/service]     the gRPC health service says SERVING
"""

from __future__ import annotations

import asyncio
import contextlib
import http.client
from urllib.parse import urlsplit

import grpc
from grpc_health.v1 import health_pb2, health_pb2_grpc


async def fault(probe: str, timeout: float) -> str | None:
    """What is wrong; None if the part answers as it should. Raises `ValueError` for a scheme it does not know."""
    url = urlsplit(probe)
    host, port = url.hostname or "", url.port or 0
    match url.scheme:
        case "tcp":
            return await _tcp(host, port, timeout)
        case "http":
            return await asyncio.to_thread(_http, host, port, url.path, timeout)
        case "grpc":
            return await _grpc(f"{host}:{port}", url.path.removeprefix("/"), timeout)
    raise ValueError(f"no probe of the scheme {url.scheme!r}")


async def _tcp(host: str, port: int, timeout: float) -> str | None:
    try:
        async with asyncio.timeout(timeout):
            _, writer = await asyncio.open_connection(host, port)
    except TimeoutError:
        return "does not answer in time"
    except OSError as error:
        return f"cannot be reached: {error.strerror or error}"
    writer.close()
    with contextlib.suppress(OSError):
        await writer.wait_closed()
    return None


def _http(host: str, port: int, path: str, timeout: float) -> str | None:
    connection = http.client.HTTPConnection(host, port, timeout=timeout)
    try:
        connection.request("GET", path or "/")
        status = connection.getresponse().status
    except (OSError, http.client.HTTPException) as error:
        return f"cannot be reached: {error}"
    finally:
        connection.close()
    return None if status < 400 else f"answers {status}"


async def _grpc(address: str, service: str, timeout: float) -> str | None:
    # Not the shared pool: its back-off would keep a server that has just come up unseen.
    options = [("grpc.use_local_subchannel_pool", 1)]
    async with grpc.aio.insecure_channel(address, options=options) as channel:
        try:
            answer = await health_pb2_grpc.HealthStub(channel).Check(
                health_pb2.HealthCheckRequest(service=service), timeout=timeout
            )
        except grpc.aio.AioRpcError as error:
            return f"cannot be reached: {error.code().name}"
    if answer.status == health_pb2.HealthCheckResponse.SERVING:
        return None
    return f"says {health_pb2.HealthCheckResponse.ServingStatus.Name(answer.status)}"
