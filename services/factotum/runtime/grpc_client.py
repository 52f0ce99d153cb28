"""A gRPC channel as every client opens it."""

from __future__ import annotations

import grpc
from opentelemetry.instrumentation.grpc import aio_client_interceptors

from factotum.runtime.grpc_server import MAX_MESSAGE_BYTES

# How long a connection may be silent before the server is asked for a sign of life, and how long that
# may take. Without, a machine that vanished is noticed after many minutes, by a call with no timeout never.
KEEPALIVE_SECONDS = 20.0
KEEPALIVE_TIMEOUT_SECONDS = 10.0


def channel(
    address: str,
    *,
    keepalive_seconds: float = KEEPALIVE_SECONDS,
    keepalive_timeout_seconds: float = KEEPALIVE_TIMEOUT_SECONDS,
    max_message_bytes: int = MAX_MESSAGE_BYTES,
) -> grpc.aio.Channel:
    """An insecure, traced channel to `host:port`. It reconnects by itself within a second.

    Calls under way end as UNAVAILABLE when the server gives no sign of life for the sum of both times.
    A server refuses to be asked more often than `grpc_server.SMALLEST_KEEPALIVE_SECONDS`.
    """
    return grpc.aio.insecure_channel(
        address,
        options=[
            ("grpc.max_receive_message_length", max_message_bytes),
            ("grpc.max_send_message_length", max_message_bytes),
            ("grpc.initial_reconnect_backoff_ms", 100),
            ("grpc.max_reconnect_backoff_ms", 1000),
            ("grpc.keepalive_time_ms", int(keepalive_seconds * 1000)),
            # The second is the one that counts where nothing at all comes back; its default is a minute.
            ("grpc.keepalive_timeout_ms", int(keepalive_timeout_seconds * 1000)),
            ("grpc.http2.ping_timeout_ms", int(keepalive_timeout_seconds * 1000)),
            # However many in a row: a long call sends nothing in between.
            ("grpc.http2.max_pings_without_data", 0),
        ],
        interceptors=aio_client_interceptors(),
    )
