"""Where in a text expressions stand: `${ … }`, in which braces and strings of jq may be."""

from __future__ import annotations


def interpolations(text: str) -> tuple[tuple[int, int, str], ...]:
    """Every `${ … }` of a text as (start, end, program). Raises `ValueError` for an open one."""
    found, position = [], 0
    while (start := text.find("${", position)) != -1:
        end = _closing_brace(text, start + 2)
        found.append((start, end + 1, text[start + 2 : end].strip()))
        position = end + 1
    return tuple(found)


def _closing_brace(text: str, position: int) -> int:
    depth, in_string, open_interpolations = 0, False, list[int]()
    while position < len(text):
        character = text[position]
        if in_string:
            if character == "\\":
                position += 1
                if text[position : position + 1] == "(":
                    open_interpolations.append(0)
                    in_string = False
            elif character == '"':
                in_string = False
        elif character == '"':
            in_string = True
        elif character == "(" and open_interpolations:
            open_interpolations[-1] += 1
        elif character == ")" and open_interpolations:
            if open_interpolations[-1] == 0:
                open_interpolations.pop()
                in_string = True
            else:
                open_interpolations[-1] -= 1
        elif character == "{":
            depth += 1
        elif character == "}":
            if depth == 0:
                return position
            depth -= 1
        position += 1
    raise ValueError("`${` is not closed by `}`")


def pieces(text: str) -> str | tuple[tuple[bool, str], ...]:
    """The one program that a text is, or its pieces as (whether it is a program, piece). A program in a text gives the
    text that stands for its result. Raises `ValueError`."""
    found = interpolations(text)
    if len(found) == 1 and text.strip() == text[found[0][0] : found[0][1]]:
        return found[0][2]
    made, position = [], 0
    for start, end, program in found:
        if start > position:
            made.append((False, text[position:start]))
        made.append((True, f"({program}\n) | tostring"))
        position = end
    return (*made, (False, text[position:]))
