"""Which texts are forms that nothing was filled into: JSON and HTML without content, the words for nothing. Pure."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

from factotum.memory.noise import is_noise

# What programs say for nothing, and what people answer, too.
_NOTHING = frozenset({"null", "undefined", "nil", "nan", "[object object]"})
_NO_ANSWER = frozenset({"none", "nothing", "n/a", "answered: nothing"})

# Fields that only say that it went well, if they hold one of these.
_ACKNOWLEDGING = frozenset(
    {"status", "statuscode", "code", "ok", "success", "acknowledged", "message", "msg", "result"}
)
_WELL = frozenset({"ok", "success", "successful", "succeeded", "done", "accepted", "acknowledged"})
_CODES = frozenset({"0", "200", "201", "202", "204"})
_SEPARATORS = re.compile(r"[-_.\s]")

# What a tool was not asked with anything and answered nothing, as observations tell it.
_ASKED_NOTHING = re.compile(r"[\w.:/-]+\. Answered: nothing\.(?: A step of [^.]*\.)?")

_TAG = re.compile(r"<(/?[a-z][a-z0-9]*)\b[^<>]*>|<![^<>]*>", re.IGNORECASE)
# Not shown: programs, styles, drawings, comments; and what a page says to those who cannot run its programs.
_NOT_SHOWN = re.compile(
    r"<(script|style|svg|noscript|template)\b[^<>]*>.*?(?:</\1\s*>|\Z)|<!--.*?(?:-->|\Z)", re.IGNORECASE | re.DOTALL
)
_SAID_IN_TAGS = re.compile(
    r"""\b(?:alt|title|placeholder|aria-label|value|description["']\s+content)\s*=\s*["']([^"']*)["']""", re.IGNORECASE
)
_PAGE = frozenset({"html", "head", "body"})
_HTML = frozenset(
    {
        *("html", "head", "body", "title", "meta", "link", "base", "div", "span", "p", "br", "hr", "a", "img", "main"),
        *("h1", "h2", "h3", "h4", "h5", "h6", "ul", "ol", "li", "dl", "dt", "dd", "table", "thead", "tbody", "tfoot"),
        *("tr", "td", "th", "caption", "section", "article", "header", "footer", "nav", "aside", "form", "input"),
        *("button", "label", "select", "option", "textarea", "iframe", "b", "i", "u", "em", "strong", "code", "pre"),
    }
)
_ENTITY = re.compile(r"&(?:[a-z]{2,8}|#\d{1,6}|#x[0-9a-f]{1,5});", re.IGNORECASE)
_WORD = re.compile(r"[^\W\d_]{2,}")


def is_hollow(text: str, *, answers: bool) -> bool:
    """Whether it is an empty form.

    Args:
        answers: it is what somebody said or prefers: "none" may be an answer.
    """
    plain = text.strip().strip(".").casefold()
    if plain in _NOTHING or (not answers and plain in _NO_ANSWER):
        return True
    return _is_empty_json(text) or _is_empty_html(text)


def asked_nothing(text: str) -> bool:
    """Whether a call is told of that neither was given anything nor answered anything."""
    return _ASKED_NOTHING.fullmatch(text) is not None


def _is_empty_json(text: str) -> bool:
    if text.strip()[:1] not in ("{", "[", '"', "t", "f"):
        return False
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        return False
    return isinstance(value, bool) or all(_says_nothing(name, leaf) for name, leaf in _leaves(value, ""))


def _leaves(value: Any, name: str) -> Iterator[tuple[str, Any]]:
    if isinstance(value, dict):
        for key, inner in value.items():
            yield from _leaves(inner, _SEPARATORS.sub("", key).casefold())
    elif isinstance(value, list):
        for inner in value:
            yield from _leaves(inner, name)
    else:
        yield name, value


def _says_nothing(name: str, leaf: Any) -> bool:
    if leaf is None or (isinstance(leaf, str) and not leaf.strip()):
        return True
    if name in ("error", "errors"):
        return leaf is False
    if name not in _ACKNOWLEDGING:
        return False
    said = str(leaf).strip(" .!").casefold()
    return (
        said in _WELL or (leaf is True and name != "result") or (name.endswith(("code", "status")) and said in _CODES)
    )


def _is_empty_html(text: str) -> bool:
    if not text.lstrip().startswith("<"):
        return False
    shown = _NOT_SHOWN.sub(" ", text)
    tags = {found[1].lstrip("/").casefold() for found in _TAG.finditer(shown) if found[1]}
    is_page = not tags.isdisjoint(_PAGE)
    # What has tags of its own keeps data in their attributes.
    if not is_page and not tags <= _HTML:
        return False
    said = " ".join(each for tag in _TAG.finditer(shown) for each in _SAID_IN_TAGS.findall(tag[0]))
    said = _ENTITY.sub(" ", f"{_TAG.sub(' ', shown)} {said}")
    # A page of one word has that in its title, or waits for programs: "Loading".
    return is_noise(said) or (is_page and said.isascii() and len(_WORD.findall(said)) == 1)
