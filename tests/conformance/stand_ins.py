"""What stands in for the public servers that the specification's texts call."""

from __future__ import annotations

SERVERS = ("https://petstore.swagger.io", "https://httpbin.org")


def stood_in(text: str, store: str) -> str:
    """The text with the pet store on loopback in place of the public servers."""
    for server in SERVERS:
        text = text.replace(server, store)
    return text
