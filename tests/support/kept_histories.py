"""The histories kept in `tests/workflow/histories`: a folder for each release, a file for each execution."""

from __future__ import annotations

import base64
import json
import tomllib
from pathlib import Path
from typing import Any

from temporalio.client import WorkflowHistory

FOLDER = Path(__file__).parents[1] / "workflow" / "histories"
Json = Any

PYPROJECT = Path(__file__).parents[2] / "pyproject.toml"
# Which machine and process they came from, and what no replay looks at; but in the first event of a history,
# from which all others are read, it looks at everything.
LEFT_OUT = frozenset(
    {
        "deploymentName",
        "header",
        "heartbeatTimeout",
        "historySizeBytes",
        "identity",
        "meteringMetadata",
        "priority",
        "requestId",
        "retryPolicy",
        "retryState",
        "scheduleToCloseTimeout",
        "scheduleToStartTimeout",
        "stackTrace",
        "startToCloseTimeout",
        "taskId",
        "taskQueue",
        "useWorkflowBuildId",
        "versioningBehavior",
        "workerDeploymentName",
        "workerVersion",
    }
)
_JSON = {"encoding": base64.b64encode(b"json/plain").decode()}


def release() -> str:
    """The version that this tree is going to be."""
    found: str = tomllib.loads(PYPROJECT.read_text(encoding="utf-8"))["project"]["version"]
    return found


def write(folder: Path, name: str, history: WorkflowHistory) -> None:
    """One event a line, and payloads as the JSON that they are: differences can be read."""
    first, *others = json.loads(history.to_json())["events"]
    events = [_shortened(first, frozenset({"identity"})), *(_shortened(event, LEFT_OUT) for event in others)]
    lines = ",\n".join(json.dumps(event, separators=(",", ":"), ensure_ascii=False) for event in events)
    text = f'{{"workflowId":"{history.workflow_id}","events":[\n{lines}\n]}}\n'
    (folder / f"{name}.json").write_text(text, encoding="utf-8")


def read(path: Path) -> WorkflowHistory:
    found = json.loads(path.read_text(encoding="utf-8"))
    return WorkflowHistory.from_json(found["workflowId"], {"events": _restored(found["events"])})


def kept(folder: Path = FOLDER) -> dict[str, WorkflowHistory]:
    """All that are kept, by release/name."""
    return {f"{path.parent.name}/{path.stem}": read(path) for path in sorted(folder.glob("*/*.json"))}


def interpreter_of(history: WorkflowHistory) -> str:
    """The number of the interpreter that made it; see `factotum.workflows.version`."""
    (number,) = {
        event.workflow_task_completed_event_attributes.deployment_version.build_id
        for event in history.events
        if event.HasField("workflow_task_completed_event_attributes")
    }
    return number


def _shortened(value: Json, left_out: frozenset[str]) -> Json:
    if isinstance(value, list):
        return [_shortened(inner, left_out) for inner in value]
    if not isinstance(value, dict):
        return value
    if value.get("metadata") == _JSON and set(value) == {"metadata", "data"}:
        return {"json": json.loads(base64.b64decode(value["data"]))}
    return {key: _shortened(inner, left_out) for key, inner in value.items() if key not in left_out}


def _restored(value: Json) -> Json:
    if isinstance(value, list):
        return [_restored(inner) for inner in value]
    if not isinstance(value, dict):
        return value
    if set(value) == {"json"}:
        data = json.dumps(value["json"], separators=(",", ":"), ensure_ascii=False).encode()
        return {"metadata": _JSON, "data": base64.b64encode(data).decode()}
    return {key: _restored(inner) for key, inner in value.items()}
