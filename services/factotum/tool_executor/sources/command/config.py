"""What an operator says of commands: how each is started, what it is given, and what its end means."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Annotated, Any, Literal, Self

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, StringConstraints, model_validator

from factotum.runtime.secrets.names import SCHEME, is_reference
from factotum.sdk.errors import KINDS
from factotum.sdk.sandbox import Limits
from factotum.sdk.spec import Compensation, Effect, Example, Idempotency, RateLimit
from factotum.tool_executor.sandbox.network import check_host

Name = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9_]*$")]
Content = Literal["text", "base64"]

_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


class Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", populate_by_name=True)


class Word(Part):
    """A place of a slot's value in the command line: one argument, of a list one for each value, of a slot that is not
    given none. Never more than that, whatever the value holds.

    `option` goes before each: `--size` as an argument of its own, `--size=` in one with the value. Of a boolean slot
    the option alone stands for true.
    """

    slot: str
    option: str = ""


class Given(Part):
    """What a slot is put into: standard input, or a file. `base64` is decoded."""

    slot: str
    content: Content = Field(default="text", alias="as")


def _reference(value: str) -> str:
    if not is_reference(value):
        raise ValueError(f"no reference of a secret: write {SCHEME}name")
    return value


class SecretVariable(Part):
    """A secret in a variable; `delegated`: of the person that the run acts for."""

    secret: Annotated[str, AfterValidator(_reference)]
    delegated: bool = False


def _variables(values: dict[str, Any]) -> dict[str, Any]:
    for name in values:
        # The dynamic linker obeys LD_…, before the sandbox's own bounds are set.
        if not _VARIABLE.fullmatch(name) or name.startswith("LD_"):
            raise ValueError(f"{name!r} is no name of a variable that a command may be given")
    return values


def _kinds(values: dict[int, str]) -> dict[int, str]:
    for code, kind in values.items():
        if kind != "ok" and kind not in KINDS:
            raise ValueError(f"{code}: {kind!r} is neither ok nor a kind of error; these are: {', '.join(KINDS)}")
    return values


class Declared(Part):
    """One command.

    Attributes:
        effect: on its author's word. Where nothing is said it is taken for one that nobody knows anything of.
        idempotency: likewise; where nothing is said, what only reads may be repeated and nothing else.
        argv: the program, and words. After a word `--` a value may begin with a dash; else such a value is refused
            where a program could take it for an option.
        slots: what the tool is given, each with its JSON Schema. One with a `default` may be left out, and one that
            `optional` names.
        stdout: what standard output is: the `json` that is the answer, `text` or `lines` of it, or nothing.
        output: the JSON Schema of what `json` is.
        exit_codes: what an end with these codes means; 0 is ok and every other failed, where nothing is said.
        files_in: in the working folder, by name.
        files_out: by name or pattern, what is given back of the working folder. A name must be there.
        scripts: texts in /run/factotum, by name: a program of the operator's own.
        hosts: whom it may reach, by HTTP through a proxy.
        environment: variables. A text `secret://name` is the value of that secret.
    """

    description: str = Field(min_length=1)
    effect: Effect = Effect.EXECUTE
    idempotency: Idempotency | None = None
    version: str = Field(default="1.0.0", pattern=r"^\d+\.\d+\.\d+$")
    argv: list[str | Word] = Field(min_length=1)
    slots: dict[Name, dict[str, Any]] = {}
    optional: list[str] = []
    stdin: Given | None = None
    stdout: Literal["json", "text", "lines", "none"] = "text"
    output: dict[str, Any] = {}
    exit_codes: Annotated[dict[int, str], AfterValidator(_kinds)] = {}
    files_in: dict[str, Given] = {}
    files_out: dict[str, Content] = {}
    scripts: dict[str, str] = {}
    environment: Annotated[dict[str, str | SecretVariable], AfterValidator(_variables)] = {}
    hosts: list[Annotated[str, AfterValidator(check_host)]] = []
    limits: Limits = Limits(seconds=30)
    bound_address_space: bool = Field(default=True, description="false for node and Java, which reserve much.")
    permissions: list[str] = []
    compensation: Compensation | None = None
    rate_limit: RateLimit | None = None
    concurrency: int | None = Field(default=None, gt=0)
    examples: list[Example] = []

    @property
    def once(self) -> Idempotency:
        return self.idempotency or (Idempotency.NATIVE if self.effect is Effect.NONE else Idempotency.NONE)

    @property
    def secrets(self) -> dict[str, SecretVariable]:
        """By the name of their variable."""
        found: dict[str, SecretVariable] = {}
        for name, value in self.environment.items():
            if isinstance(value, SecretVariable):
                found[name] = value
            elif value.startswith(SCHEME):
                found[name] = SecretVariable(secret=value)
        return found

    @model_validator(mode="after")
    def _hangs_together(self) -> Self:
        for fault in self._faults():
            raise ValueError(fault)
        return self

    def _faults(self) -> Iterator[str]:
        if not isinstance(self.argv[0], str) or not self.argv[0] or self.argv[0].startswith("-"):
            yield "argv begins with the name or the path of a program"
        words = [word for word in self.argv if isinstance(word, Word)]
        given = [*self.files_in.values(), *([self.stdin] if self.stdin else [])]
        used = {word.slot for word in words} | {one.slot for one in given}
        if unknown := used - self.slots.keys():
            yield f"there is no slot {', '.join(sorted(unknown))}: declare it under slots"
        if unused := self.slots.keys() - used:
            yield f"the slot {', '.join(sorted(unused))} goes nowhere: use it in argv, stdin or files_in"
        if strange := {*self.optional} - self.slots.keys():
            yield f"optional names {', '.join(sorted(strange))}, which is no slot"
        for word in words:
            if self.slots[word.slot].get("type") == "boolean" and not word.option:
                yield f"the slot {word.slot} is a boolean: give its word an option, which stands for true"
        if self.idempotency is Idempotency.RECONCILE:
            yield "a command cannot be asked what became of it: idempotency is native or none"
        if self.output and self.stdout != "json":
            yield "output describes what stdout: json is"
        for name, value in self.environment.items():
            if isinstance(value, str) and value.startswith(SCHEME) and not is_reference(value):
                yield f"environment.{name} is no reference of a secret: write {SCHEME}name"


class Commands(Part):
    """A source of the kind command: in its configuration, or as a YAML document of this shape."""

    commands: dict[Name, Declared] = {}
