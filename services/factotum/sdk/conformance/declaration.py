"""What a tool declares of itself, and the arguments that it refuses."""

from __future__ import annotations

import json
from typing import Any

from jsonschema import Draft202012Validator
from jsonschema.exceptions import SchemaError
from pydantic import ValidationError

from factotum.sdk.conformance.trial import Trial, shown
from factotum.sdk.conformance.world import Arguments, Check, Fault
from factotum.sdk.errors import ToolError
from factotum.sdk.spec import Effect, Idempotency


async def spec(trial: Trial[Any]) -> Check:
    spec = trial.spec
    for which, schema in (("input_schema", spec.input_schema), ("output_schema", spec.output_schema)):
        try:
            Draft202012Validator.check_schema(schema)
        except SchemaError as error:
            raise Fault(f"{which} is no JSON Schema 2020-12 at {error.json_path}: {error.message}") from error
        json.dumps(schema)
    if spec.input_schema.get("type", "object") != "object":
        raise Fault("the arguments must be an object")
    if len(spec.description) < 5:
        raise Fault("it has no description: the first line of the docstring is what people and planners choose by")
    effect, reconciled = spec.effect is not Effect.NONE, spec.idempotency is Idempotency.RECONCILE
    if effect and reconciled and trial.tool.reconciler is None:
        raise Fault("it is declared Idempotency.RECONCILE and has no @reconcile function")
    if effect and trial.world.standing is None:
        raise Fault("it has an effect: give World.standing, which counts it in the system")
    return Check("spec", True)


async def examples(trial: Trial[Any]) -> Check:
    if not trial.spec.examples:
        return Check("examples", None, "it has none")
    for example in trial.spec.examples:
        trial.valid(example.arguments, trial.spec.input_schema, f"the arguments of {example.title!r}")
        trial.tool.arguments.model_validate(example.arguments)
        if example.output is not None:
            trial.valid(example.output, trial.spec.output_schema, f"the output of {example.title!r}")
    return Check("examples", True, f"{len(trial.spec.examples)}")


async def invalid_arguments(trial: Trial[Any]) -> Check:
    given = await trial.arguments()
    required = trial.spec.input_schema.get("required", [])
    made = [
        *({name: value for name, value in given.items() if name != missing} for missing in required),
        *({**given, name: [{"no": "such thing"}]} for name in given),
        {**given, "no_such_field": 1},
    ]
    schema = Draft202012Validator(trial.spec.input_schema)
    wrong = [*(arguments for arguments in made if not schema.is_valid(arguments)), *trial.world.invalid]
    for arguments in wrong:
        await _is_refused(trial, arguments)
    return Check("invalid arguments", True, f"{len(wrong)} refused")


async def _is_refused(trial: Trial[Any], arguments: Arguments) -> None:
    try:
        read = trial.tool.arguments.model_validate_json(json.dumps(arguments))
    except ValidationError:
        return
    try:
        await trial.call(read, trial.context())
    except ToolError as error:
        if not error.retryable:
            return
        raise Fault(f"{shown(arguments)} was answered as if a retry could help: {error.kind}") from error
    raise Fault(f"{shown(arguments)} was accepted")
