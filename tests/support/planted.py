"""Secrets that are planted to be looked for, and the looking: byte by byte, in every form that they were told in.

The forms are written out here, apart from those that the product masks.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from urllib.parse import quote, quote_plus

# Long enough to be nobody else's, with what each way of writing writes differently.
OF_SETTINGS = 'plant-settings-8Qv"2x/Kd+7&'
OF_TOOL = "plant-tool-Zt5'4m<Rw>9"
OF_PERSON = "plant-person-Jh3 6c=Yb?1é"
OF_DOCUMENT = "plant-document-Lp8@0s~Ng:5"
IN_OBJECT = "plant-object-Xe2@7u#Fa;4"

SECRETS: dict[str, str] = {
    "planted-settings": OF_SETTINGS,
    "planted-tool": OF_TOOL,
    "users/ada@acme.example/planted-person": OF_PERSON,
    "plantedDocument": OF_DOCUMENT,
    "plantedLogin": json.dumps({"username": "plant-name-Wd9k", "password": IN_OBJECT}),
}
VALUES = (OF_SETTINGS, OF_TOOL, OF_PERSON, OF_DOCUMENT, IN_OBJECT)
# No secret, and told wherever the secrets are told: what does not have it was not looked into.
CANARY = "canary-of-no-secret-3f7a"


def plant(folder: Path) -> None:
    """Into a tenant's folder of secrets."""
    for name, value in SECRETS.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(value, encoding="utf-8")


def written(value: str) -> Iterator[str]:
    """Ways in which a value is told."""
    yield value
    yield quote(value, safe="")
    yield quote_plus(value)
    yield base64.b64encode(value.encode()).decode()
    yield base64.urlsafe_b64encode(value.encode()).decode().rstrip("=")
    yield json.dumps(value)[1:-1]
    yield json.dumps(value, ensure_ascii=False)[1:-1]
    yield value.encode().hex()


def found(stores: Mapping[str, bytes], values: Iterable[str] = VALUES) -> list[str]:
    """`store: value` for each value that stands in one, in any form."""
    return [
        f"{store}: {value}"
        for store, content in stores.items()
        for value in values
        # Its beginning too, however the rest was written.
        if any(form.encode() in content for form in (*written(value), value[:16]))
    ]


def files(folder: Path, *, without: Iterable[str] = ()) -> dict[str, bytes]:
    """Every file under a folder, byte for byte, but for those under these names.

    What is removed while this looks is not there.
    """
    stores = {}
    for path in sorted(folder.rglob("*")):
        name = str(path.relative_to(folder))
        if path.is_file() and not any(name == one or name.startswith(f"{one}/") for one in without):
            try:
                stores[name] = path.read_bytes()
            except FileNotFoundError:
                continue
    return stores
