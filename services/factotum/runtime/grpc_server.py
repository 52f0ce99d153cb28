"""A gRPC server as every service runs it: health, reflection, tracing, graceful stop."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import cast

import grpc
from grpc_health.v1 import health, health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection

from factotum.runtime.grpc_tracing import Traced
from factotum.runtime.settings import GrpcSettings

# Seconds that calls under way have to end after the server was told to stop.
GRACE_SECONDS = 5.0
# Larger than any document that Temporal would carry (2 MiB).
MAX_MESSAGE_BYTES = 16 * 1024 * 1024
# Where the description of an API may be sent whole.
MAX_DOCUMENT_BYTES = 36 * 1024 * 1024
# Seconds. gRPC's own five minutes would cut off clients that look after their connection.
SMALLEST_KEEPALIVE_SECONDS = 10.0

Registration = Callable[[grpc.aio.Server], None]


class GrpcServer:
    """Serves the registered servicers; `service_names` are the full names shown by reflection.

    >>> server = GrpcServer(settings, ["factotum.api.memory.v1.MemoryService"], [register])
    """

    def __init__(
        self,
        settings: GrpcSettings,
        service_names: Sequence[str],
        registrations: Sequence[Registration],
        *,
        max_message_bytes: int = MAX_MESSAGE_BYTES,
    ) -> None:
        self._max_message_bytes = max_message_bytes
        self._settings = settings
        self._names = service_names
        self._registrations = registrations
        self._server: grpc.aio.Server | None = None
        self._health: health.aio.HealthServicer | None = None
        self.port = settings.port

    async def start(self, *, ready: bool = True) -> None:
        """Binds and serves; where it is not `ready`, its health is NOT_SERVING until `get_ready`. Raises `RuntimeError`
        if the port is taken."""
        options = [
            ("grpc.max_receive_message_length", self._max_message_bytes),
            ("grpc.max_send_message_length", self._max_message_bytes),
            ("grpc.so_reuseport", 0),
            ("grpc.http2.min_ping_interval_without_data_ms", int(SMALLEST_KEEPALIVE_SECONDS * 1000)),
        ]
        methods = Traced()
        # It takes what services add to a server, and nothing else of one.
        adding = cast(grpc.aio.Server, methods)
        for register in self._registrations:
            register(adding)
        self._health = health.aio.HealthServicer()
        health_pb2_grpc.add_HealthServicer_to_server(self._health, adding)
        reflection.enable_server_reflection([*self._names, health.SERVICE_NAME, reflection.SERVICE_NAME], adding)
        server = grpc.aio.server(handlers=[methods], options=options)
        self.port = server.add_insecure_port(f"{self._settings.host}:{self._settings.port}")
        await server.start()
        self._server = server
        await self.be_ready(ready)

    async def get_ready(self) -> None:
        """From now on its health is SERVING."""
        await self.be_ready(True)

    async def be_ready(self, ready: bool) -> None:
        """From now on its health is SERVING, or NOT_SERVING: calls are answered in either case."""
        await self._tell(
            health_pb2.HealthCheckResponse.SERVING if ready else health_pb2.HealthCheckResponse.NOT_SERVING
        )

    async def _tell(self, status: health_pb2.HealthCheckResponse.ServingStatus) -> None:
        assert self._health is not None
        for name in ("", *self._names):
            await self._health.set(name, status)

    async def stop(self) -> None:
        """Answers NOT_SERVING, lets calls under way end, stops."""
        if self._server is None or self._health is None:
            return
        await self._health.enter_graceful_shutdown()
        await self._server.stop(GRACE_SECONDS)
