"""A gRPC channel as every client opens it."""

from __future__ import annotations

import grpc
from opentelemetry.instrumentation.grpc import aio_client_interceptors

from factotum.runtime.grpc_server import MAX_MESSAGE_BYTES


def channel(address: str) -> grpc.aio.Channel:
    """An insecure, traced channel to `host:port`. It reconnects by itself within a second."""
    return grpc.aio.insecure_channel(
        address,
        options=[
            ("grpc.max_receive_message_length", MAX_MESSAGE_BYTES),
            ("grpc.max_send_message_length", MAX_MESSAGE_BYTES),
            ("grpc.initial_reconnect_backoff_ms", 100),
            ("grpc.max_reconnect_backoff_ms", 1000),
        ],
        interceptors=aio_client_interceptors(),
    )
