"""Connecting to Temporal."""

from __future__ import annotations

import asyncio

import structlog
from temporalio.client import Client
from temporalio.contrib.opentelemetry import TracingInterceptor
from temporalio.service import RPCError

from factotum.runs import claims
from factotum.runtime.settings import TemporalSettings

logger = structlog.get_logger(__name__)

RETRY_SECONDS = 1.0


async def connect(settings: TemporalSettings) -> Client:
    """A client, once Temporal answers; waits for it as long as it takes and says so."""
    while True:
        try:
            return await Client.connect(
                settings.address,
                namespace=settings.namespace,
                data_converter=claims.converter(settings.claims),
                interceptors=[TracingInterceptor()],
            )
        except (RPCError, RuntimeError, OSError) as error:
            # The SDK's core reports a refused connection as a bare RuntimeError.
            logger.warning("waiting for Temporal", address=settings.address, error=str(error).splitlines()[0])
            await asyncio.sleep(RETRY_SECONDS)
