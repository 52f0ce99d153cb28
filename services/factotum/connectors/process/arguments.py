"""What a document says of a process: DSL 1.0.3, `run.shell`, `run.script`, `run.container`.

Values come from expressions, so what the language calls text may be any JSON: text is taken as it is, anything
else as its JSON. `arguments` as a list are the process's argv; as a map, as catalogued functions have them, they
are variables: globals of a script, environment variables of a shell or container.
"""

from __future__ import annotations

import json
import re
from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, RootModel, StringConstraints, field_validator

from factotum.connectors.protocols.external_resource import ExternalResource

_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")

Return = Literal["stdout", "stderr", "code", "all", "none"]


def _text(value: Any) -> str:
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, separators=(",", ":"))
    if "\0" in text:
        raise ValueError("holds a NUL character, which no argument and no variable can")
    return text


def _stdin(value: Any) -> Any:
    return value if value is None or isinstance(value, str) else _text(value)


# Their schemas say what may be given, not what it becomes: a document is checked against them.
Text = Annotated[str, BeforeValidator(_text, json_schema_input_type=Any)]


class Process(BaseModel):
    """What shell, script and container have in common. Secrets belong into `environment` or `stdin`: arguments are
    shown to every user of the machine while the process runs."""

    model_config = ConfigDict(extra="forbid", populate_by_name=True)

    stdin: Annotated[str | None, BeforeValidator(_stdin, json_schema_input_type=Any)] = None
    arguments: list[Text] | dict[str, Any] = Field(default=[], description="A list is argv, a map is variables.")
    environment: dict[str, Text] = {}
    wanted: Return = Field(default="stdout", alias="return", description="What the call answers with.")

    @field_validator("environment")
    @classmethod
    def _variables(cls, values: dict[str, str]) -> dict[str, str]:
        for name in values:
            _check_name(name)
        return values

    @field_validator("arguments")
    @classmethod
    def _named(cls, values: list[str] | dict[str, Any]) -> list[str] | dict[str, Any]:
        for name in values if isinstance(values, dict) else ():
            _check_name(name)
        return values

    @property
    def argv(self) -> list[str]:
        return self.arguments if isinstance(self.arguments, list) else []

    @property
    def variables(self) -> dict[str, Any]:
        return self.arguments if isinstance(self.arguments, dict) else {}

    def whole_environment(self) -> dict[str, str]:
        """`environment` and, over it, the variables."""
        return self.environment | {name: _text(value) for name, value in self.variables.items()}


class Shell(Process):
    command: Annotated[str, StringConstraints(min_length=1)]


class Script(Process):
    language: Literal["js", "javascript", "python"]
    code: str | None = None
    source: ExternalResource | None = None


class Lifetime(BaseModel):
    """`after` of `eventually`: seconds, an ISO 8601 duration, or a map of units."""

    model_config = ConfigDict(extra="forbid")

    cleanup: Literal["always", "never", "eventually"] = "never"
    after: float | None = None

    @field_validator("after", mode="before", json_schema_input_type=float | str | dict[str, float] | None)
    @classmethod
    def _seconds(cls, value: Any) -> Any:
        return _duration(value)


class Container(Process):
    image: str
    name: Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]{0,127}$")] | None = None
    command: str | None = None
    ports: dict[str, int | str] = {}
    volumes: dict[str, str] = {}
    lifetime: Lifetime = Lifetime()
    pull_policy: Literal["ifNotPresent", "always", "never"] = Field(default="ifNotPresent", alias="pullPolicy")


class ProcessResult(BaseModel):
    """How a process ended. Bytes that are not UTF-8 are replaced."""

    code: int
    stdout: str
    stderr: str


class Output(RootModel[str | int | ProcessResult | None]):
    """By `return`: text of stdout or stderr, the code, all of them, or null."""


_UNITS = {"days": 86_400.0, "hours": 3600.0, "minutes": 60.0, "seconds": 1.0, "milliseconds": 0.001}
# ISO 8601, the part without years and months.
_ISO = re.compile(
    r"P(?:(?P<days>[\d.]+)D)?(?:T(?:(?P<hours>[\d.]+)H)?(?:(?P<minutes>[\d.]+)M)?(?:(?P<seconds>[\d.]+)S)?)?"
)


def _duration(value: Any) -> Any:
    if isinstance(value, str) and (match := _ISO.fullmatch(value)) is not None:
        value = {unit: float(number) for unit, number in match.groupdict().items() if number}
    if isinstance(value, dict):
        if unknown := value.keys() - _UNITS:
            raise ValueError(f"a duration has no unit {sorted(map(str, unknown))}")
        return sum(_UNITS[unit] * float(number) for unit, number in value.items())
    return value


def _check_name(name: str) -> None:
    if not _NAME.fullmatch(name):
        raise ValueError(f"{name!r} is no name of a variable")
    if name.startswith("LD_"):
        # The dynamic linker obeys them before the command's own bounds are set.
        raise ValueError(f"{name!r} is the dynamic linker's")
