"""A simulation as a tree: every task, and in it every effect, wait and decision."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import timedelta
from typing import Any

from rich.text import Text
from rich.tree import Tree

from factotum.cli.output import printable, seconds_text
from factotum.simulation.coverage import Coverage
from factotum.simulation.record import Mark, Node, Record

Json = Any

LONGEST = 100
MOST_MISSING = 20
_COLOURS = {"faulted": "bold red", "skipped": "dim", "ended": "magenta", "started": "yellow", "completed": "bold"}
_WORDS = {"skipped": "skipped", "ended": "ended from outside", "started": "does not end"}


def trees(title: str, record: Record) -> list[Tree]:
    """What happened, and what was undone if something was."""
    root = Tree(Text(printable(title), style="bold"))
    for each in record.root.inside:
        _add(root, each, 0.0)
    if not record.undoing.inside:
        return [root]
    undone = Tree(Text("undone, the latest first", style="bold"))
    for each in record.undoing.inside:
        if isinstance(each, Mark):
            undone.add(Text.assemble((printable(f"{each.details.get('step', '')}  "), "bold"), _mark(each, 0.0)))
    return [root, undone]


def coverage_lines(name: str, coverage: Coverage) -> list[str]:
    """How many of a document's branches were gone, and which were not."""
    covered = len(coverage.gone & coverage.total)
    lines = [f"{name}: {covered} of {len(coverage.total)} branches ({coverage.percent:.0f} %)"]
    missing = coverage.missing
    lines += [f"  not gone: {way}" for way in missing[:MOST_MISSING]]
    if len(missing) > MOST_MISSING:
        lines.append(f"  and {len(missing) - MOST_MISSING} more")
    return lines


def short(value: Json) -> str:
    """A value in one line that is not too long."""
    text = printable(json.dumps(value, ensure_ascii=False)).replace("\n", " ")
    return text if len(text) <= LONGEST else f"{text[: LONGEST - 1]}…"


def _add(tree: Tree, each: Node | Mark, before: float) -> None:
    if isinstance(each, Mark):
        tree.add(_mark(each, before))
        return
    branch = tree.add(_node(each, before))
    for inner in each.inside:
        _add(branch, inner, each.began)


def _node(node: Node, before: float) -> Text:
    name = f"{node.name}{''.join(f'[{token}]' for token in node.iteration[-1:] if not token.startswith('@'))}"
    label = Text.assemble((printable(name), _COLOURS[node.state]), ("  " + node.kind, "dim"))
    if node.began > before:
        label.append(f"  +{_span(node.began - before)}", "cyan")
    if node.kind == "wait" and node.ended is not None:
        label.append(f"  waited {_span(node.ended - node.began)}", "cyan")
    if (word := _WORDS.get(node.state)) is not None:
        label.append(f"  {word}", "dim" if node.state == "skipped" else "yellow")
    if node.kind == "emit" and isinstance(node.value, Mapping) and node.state == "completed":
        label.append(f"  ⇒ {printable(str(node.value.get('type')))}", "yellow")
    if node.state == "faulted" and isinstance(node.value, Mapping) and node.value.get("instance") == node.pointer:
        label.append(f"  {_problem(node.value)}", "red")
    return label


def _mark(mark: Mark, before: float) -> Text:
    details = mark.details
    later = f"  +{_span(mark.at - before)}" if mark.at > before else ""
    match mark.what:
        case "call":
            label = _call(details)
        case "retry":
            label = Text(f"↻ tried again after {_problem(details)}", "yellow")
        case "caught":
            label = Text(f"caught {_problem(details)}", "yellow")
        case "case":
            label = Text(printable(f"→ {details['case']}, then {details['then']}"), "cyan")
        case "asked":
            until = f" until {details['until']}" if details.get("until") else ""
            label = Text(printable(f"? {details['count']} of {', '.join(details['by'])} must agree{until}"), "yellow")
        case "decided":
            word = "approved" if details["approve"] else "refused"
            label = Text(printable(f"{word} by {details['by']}"), "green" if details["approve"] else "red")
        case "settled":
            label = Text(printable(f"asked {details['tool']} whether it happened: no"), "yellow")
        case _:
            label = Text(printable(f"waits until {details['until']}"), "yellow")
    label.append(later, "cyan")
    return label


def _call(details: Mapping[str, Json]) -> Text:
    effect = details["effect"]
    label = Text.assemble(("⇒ " if effect != "none" else "→ ", "yellow"), printable(details["tool"]))
    label.append(f" [{effect}]" if effect != "none" else "", "yellow")
    label.append(f"  {short(details['arguments'])}", "dim")
    if details["attempt"] > 1:
        label.append(f"  attempt {details['attempt']}", "yellow")
    if (error := details["error"]) is not None:
        label.append(printable(f"  ✗ {error['kind']}: {error['message']}"), "red")
    return label


def _problem(found: Mapping[str, Json]) -> str:
    detail = f": {found['detail']}" if found.get("detail") else ""
    return printable(f"{found.get('title') or found.get('type')}{detail}")


def _span(seconds: float) -> str:
    return seconds_text(timedelta(seconds=seconds))
