"""A process of its own, as gRPC's events are one loop's for the whole process: calls over `EventLoop`, and what it saw.

Prints how many callbacks were taken for gRPC's, and how many calls were answered.
"""

from __future__ import annotations

import asyncio
import socket
from typing import Any

import grpc

from factotum.runtime import event_loop

CALLS = 50


async def answered() -> int:
    async def echo(request: bytes, context: object) -> bytes:
        await asyncio.sleep(0)
        return request

    server = grpc.aio.server()
    method = {"Echo": grpc.unary_unary_rpc_method_handler(echo)}
    server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler("test", method),))
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    sent = [str(number).encode() for number in range(CALLS)]
    async with grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel, asyncio.timeout(20):
        call = channel.unary_unary("/test/Echo")
        answers = list(await asyncio.gather(*map(call, sent)))
    await server.stop(None)
    return sum(answer == one for answer, one in zip(answers, sent, strict=True))


def main() -> None:
    recognised: list[Any] = []
    once_for_all = event_loop.once_for_all

    def noted(wakened: socket.socket, handle: Any) -> Any:
        recognised.append(handle)
        return once_for_all(wakened, handle)

    event_loop.once_for_all = noted
    with asyncio.Runner(loop_factory=event_loop.EventLoop) as runner:
        count = runner.run(answered())
    print(len(recognised), count)


if __name__ == "__main__":
    main()
