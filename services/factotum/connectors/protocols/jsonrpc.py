"""What a JSON-RPC 2.0 error means to a tool: whatever it says, the call failed while it ran.

The language gives every error of an MCP or A2A server the type `runtime`, so all are `Failed`.
"""

from __future__ import annotations

from typing import Any

from factotum.sdk.errors import Failed

_WORDS_LIMIT = 500
# JSON-RPC 2.0 §5.1: the request was not understood, there is no such method, its parameters are refused.
REFUSALS = frozenset({-32700, -32600, -32601, -32602})


def failure(system: str, code: int, words: str, *, refusals: frozenset[int] = REFUSALS) -> Failed:
    """The error for an error object.

    Args:
        refusals: the codes by which the server says that it did nothing.
    """
    message = f"{system} answered error {code}: {words.strip()[:_WORDS_LIMIT] or 'no reason given'}"
    return Failed(message, effect_possible=code not in refusals)


def result(system: str, answer: Any, *, refusals: frozenset[int] = REFUSALS) -> Any:
    """The result of a response object. Raises `Failed` for an error, and for what is no response."""
    if isinstance(answer, dict) and answer.get("jsonrpc") == "2.0":
        error = answer.get("error")
        if isinstance(error, dict) and isinstance(error.get("code"), int):
            raise failure(system, error["code"], str(error.get("message", "")), refusals=refusals)
        if "result" in answer:
            return answer["result"]
    raise Failed(f"{system} answered what is no JSON-RPC response")
