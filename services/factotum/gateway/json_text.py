"""JSON as strangers may send it: RFC 8259 to the letter, and nothing that two readers read differently."""

from __future__ import annotations

import json
import math
from typing import Any, Never

from factotum.gateway.errors import Malformed


def parse(body: bytes) -> Any:
    """The value. Raises `Malformed` for what is not UTF-8 or not JSON, and for what the standard
    library would let pass: NaN and Infinity, numbers over a double's range, integers too long to be
    converted, names given twice, halves of surrogate pairs, nesting too deep for this process."""
    try:
        value = json.loads(
            body.decode(), parse_constant=_refuse_constant, parse_float=_finite, object_pairs_hook=_without_duplicates
        )
        # Halves of surrogate pairs cannot be written back.
        json.dumps(value, ensure_ascii=False).encode()
    except UnicodeDecodeError:
        raise Malformed("the body is not UTF-8") from None
    except UnicodeEncodeError:
        raise Malformed("the body holds half of a surrogate pair") from None
    except RecursionError:
        raise Malformed("the body is nested too deep") from None
    except json.JSONDecodeError as error:
        raise Malformed(f"the body is not JSON: {error.msg} at line {error.lineno}, column {error.colno}") from None
    except ValueError as error:
        raise Malformed(f"the body is not JSON: {error}") from None
    return value


def _refuse_constant(name: str) -> Never:
    raise ValueError(f"{name} is not a JSON number")


def _finite(text: str) -> float:
    number = float(text)
    if not math.isfinite(number):
        raise ValueError("a number is out of range")
    return number


def _without_duplicates(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("a name is given twice in one object")
    return found
