"""The order of versions. Source: Semantic Versioning 2.0.0, section 11."""

from __future__ import annotations

# An identifier of a pre-release: numbers come before words, whatever they are.
Identifier = tuple[int, int, str]
Precedence = tuple[tuple[int, int, int], bool, tuple[Identifier, ...], str]


def precedence(version: str) -> Precedence:
    """Sorts versions that keep to `procedures.model.SEMVER`, oldest first.

    Build metadata is no part of the standard's order; here it decides between versions that are otherwise
    equal, so that the newest is always the same one.
    """
    rest, _, build = version.partition("+")
    numbers, _, pre_release = rest.partition("-")
    major, minor, patch = map(int, numbers.split("."))
    identifiers = tuple(map(_identifier, pre_release.split("."))) if pre_release else ()
    return (major, minor, patch), not pre_release, identifiers, build


def _identifier(text: str) -> Identifier:
    return (0, int(text), "") if text.isascii() and text.isdigit() else (1, 0, text)
