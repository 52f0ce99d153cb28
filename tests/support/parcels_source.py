"""Tools of the parcels' API, as the tenant acme has them."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

from tests.support.openapi_source import OpenapiBench, offered, openapi_bench
from tests.support.parcels import API_KEY, CLIENT, DOCUMENT, TOKEN, Parcels

SECRETS = {"token": TOKEN, "api-key": API_KEY, "client": CLIENT[1], "printer": "the-printer"}
BY_KEY = {"key_header": "Idempotency-Key"}
BY_TAG = {
    "reconcile": {
        "operation": "parcels/list",
        "arguments": {"per_page": 100, "color": "{$since}"},
        "match": {"tags": "{$key}"},
    },
    "mark": {"body.tags": ["{$key}"]},
}


def config(url: str, **changes: Any) -> dict[str, Any]:
    """Of a source, with credentials for each of the document's schemes."""
    auth = {
        "bearer": {"token": "secret://token"},
        "inQuery": {"token": "secret://api-key"},
        "oauth": {"client_id": CLIENT[0], "client_secret": "secret://client", "token_url": f"{url}/token"},
    }
    return {"base_url": url, "auth": auth, "headers": {"X-Printer": "secret://printer"}, **changes}


async def opened(api: Parcels, folder: Path, **changes: Any) -> AsyncIterator[OpenapiBench]:
    async with openapi_bench(offered(DOCUMENT, "parcels", **config(api.url, **changes)), folder, **SECRETS) as made:
        yield made
