"""How the examples of the specification are run: what each is given, and how it must end.

An example is named by its file; its text stays in the user's copy of the specification.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from tests.support.scenario import Expectation

Json = Any

PATIENT = "com.fake-hospital."


@dataclass(frozen=True, slots=True)
class Play:
    """One run of an example; `documents` and `functions` are what it refers to."""

    input: Json = field(default_factory=dict)
    events: list[dict[str, Json]] = field(default_factory=list)
    documents: list[dict[str, Json]] = field(default_factory=list)
    functions: dict[str, dict[str, Json]] = field(default_factory=dict)
    expect: Expectation = field(default_factory=Expectation)


def event(number: int, type_: str, data: Json, source: str = "/test") -> dict[str, Json]:
    return {"specversion": "1.0", "id": str(number), "source": source, "type": type_, "data": data}


FEVER = event(1, f"{PATIENT}vitals.measurements.temperature", {"temperature": 39})
NO_FEVER = event(2, f"{PATIENT}vitals.measurements.temperature", {"temperature": 36})
PULSE = event(3, f"{PATIENT}vitals.measurements.bpm", {"bpm": 120})
OUT = event(4, f"{PATIENT}patient.checked-out", {})
TRIGGER = event(1, "io.serverlessworkflow.samples.events.trigger.v1", {"n": 1})
CUSTOMER = {
    "document": {"dsl": "1.0.3", "namespace": "test", "name": "register-customer", "version": "0.1.0"},
    "do": [{"register": {"set": {"registered": "${ .customer }"}}}],
}
LOG = "https://raw.githubusercontent.com/serverlessworkflow/catalog/main/functions/log/1.0.0/function.yaml"
LOGGED = {"set": {"line": '${ "[\\(.level)] \\(.message)" }'}}


def ends(output: Json, **given: Any) -> Play:
    return Play(**given, expect=Expectation(output=output))


def holds(*programs: str, **given: Any) -> Play:
    return Play(**given, expect=Expectation(holds=list(programs)))


def faults(error: dict[str, Json], **given: Any) -> Play:
    return Play(**given, expect=Expectation(status="failed", error=error))


# An image comes from outside, so this tenant may run none: that is what the error must say.
NO_IMAGE = Play(
    expect=Expectation(
        status="failed", error={"status": 403}, holds=['.error.detail | test("image (hello-world|alpine) may not run")']
    )
)
NOT_IMPLEMENTED = faults({"status": 500, "title": "Not Implemented", "instance": "/do/0/notImplemented"})
PET = holds('.output == {id: 1, name: "Rex", status: "available"}', input={"petId": 1, "token": "t"})
WAITED = ends({"n": 1}, input={"n": 1})

# They need nothing from outside.
ALONE: dict[str, list[Play]] = {
    "call-custom-function-cataloged": [ends({"line": "[information] Hello, world!"}, functions={LOG: LOGGED})],
    "conditional-task": [faults({"status": 400, "title": "Access Forbidden"}, input={"customer": {"age": 17}})],
    "emit": [holds('.output.type == "com.petstore.order.placed.v1"', ".emitted | length == 1")],
    # With a vet it would listen, and then look for `.pets` in the list of events: that can only fail.
    "for": [ends({"pets": [{"id": 1}]}, input={"pets": [{"id": 1}]})],
    "listen-to-all": [holds(".output == [{temperature: 39}, {bpm: 120}]", events=[NO_FEVER, FEVER, PULSE])],
    "listen-to-all read-envelope": [holds('[.output[].id] == ["1", "3"]', events=[NO_FEVER, FEVER, PULSE])],
    "listen-to-any": [ends([{"n": 1}], events=[TRIGGER])],
    "listen-to-any-filter": [ends([{"bpm": 120}], events=[NO_FEVER, PULSE])],
    "listen-to-any-until-condition": [
        ends([1, 2, 3, 4], events=[event(n, "com.example.any", n) for n in (1, 2, 3, 4)])
    ],
    "listen-to-any-until-consumed": [ends([{"temperature": 39}, {"bpm": 120}], events=[FEVER, NO_FEVER, PULSE, OUT])],
    "raise-inline": [NOT_IMPLEMENTED],
    "raise-reusable": [NOT_IMPLEMENTED],
    "run-container": [NO_IMAGE],
    "run-container-cleanup-always": [NO_IMAGE],
    "run-container-cleanup-eventually": [NO_IMAGE],
    "run-container-stdin-and-arguments": [NO_IMAGE],
    "run-container-with-name": [NO_IMAGE],
    "run-container-with-pull-policy": [NO_IMAGE],
    "run-return-all": [NO_IMAGE],
    "run-return-code": [NO_IMAGE],
    "run-return-none": [NO_IMAGE],
    "run-return-stderr": [NO_IMAGE],
    "run-script-with-stdin-and-arguments": [
        ends("stdin >  Hello Workflow\narg >  hello\nenv >  bar\n"),
    ],
    "run-shell-stdin-and-arguments": [ends("STDIN was: Hello World\nARGS are Foo Bar\n")],
    # Its `customer: .user` has no marks: in strict mode that is the text itself.
    "run-subflow": [ends({"registered": ".user"}, input={"user": {"n": 1}}, documents=[CUSTOMER])],
    "set": [ends({"startEvent": TRIGGER}, input=[TRIGGER])],
    "set-expression": [ends(TRIGGER, input=[TRIGGER])],
    "switch-then-string": [
        ends({"validate": True, "status": "fulfilled"}, input={"orderType": "electronic"}),
        ends({"inventory": "clear", "items": 1, "address": "Elmer St"}, input={"orderType": "physical"}),
        ends({"log": "warn", "message": "something's wrong"}, input={"orderType": "other"}),
    ],
    "wait-duration-inline": [WAITED],
    "wait-duration-iso8601": [WAITED],
}
# They need the public pet store, which is stood in for.
PET_STORE: dict[str, list[Play]] = {
    "authentication-bearer": [PET],
    "authentication-bearer-uri-format": [PET],
    "authentication-reusable": [PET],
    "call-custom-function-inline": [faults({"status": 404})],
    "call-http-endpoint-interpolation": [PET],
    "call-http-endpoint-interpolation-shorthand": [PET],
    "call-openapi": [holds('[.output[].status] == ["available"]')],
    "call-openapi-redirect": [holds('[.output[].status] == ["available"]')],
    "do-single": [PET],
    "try-catch": [Play(input={"petId": 404})],
    "try-catch-retry-inline": [PET],
    "try-catch-retry-reusable": [PET],
    "try-catch-then": [holds(".emitted[0].data.status == 404", input={"petId": 404})],
}
# They need servers that nobody has: they are parsed, linted and written again, and not run.
OUTSIDE = frozenset(
    {
        "accumulate-room-readings",
        "authentication-oauth2",
        "authentication-oauth2-secret",
        "authentication-oidc",
        "authentication-oidc-secret",
        "call-asyncapi-publish",
        "call-asyncapi-subscribe-consume-amount",
        "call-asyncapi-subscribe-consume-forever-foreach",
        "call-asyncapi-subscribe-consume-until",
        "call-asyncapi-subscribe-consume-while",
        "call-grpc",
        "call-http-query-headers-expressions",
        "call-http-query-parameters",
        "call-http-redirect",
        "call-mcp",
        "do-multiple",
        "fork",
        "listen-to-any-forever-foreach",
        "listen-to-one",
        "mock-service-extension",
        "schedule-cron",
        "schedule-event-driven",
        "star-wars-homeworld",
    }
)
