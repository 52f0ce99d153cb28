from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from factotum.api.planner.v1 import planner_pb2 as pb
from factotum.cli.main import app
from tests.support.stubs import Stubs

RUN = "acme.employee-onboarding.00112233445566778899"
EVENT = {"specversion": "1.0", "id": "e1", "source": "/hr", "type": "com.example.created"}


class Gateway:
    """Takes events, or refuses them with `status`."""

    def __init__(self) -> None:
        self.status = 202
        self.requests: list[tuple[str, dict[str, str], Any]] = []
        self.url = ""


@pytest.fixture
def gateway() -> Iterator[Gateway]:
    made = Gateway()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            made.requests.append((self.path, dict(self.headers), body))
            self.send_response(made.status)
            self.end_headers()
            answer = {} if made.status == 202 else {"detail": "the token is not known", "title": "x"}
            self.wfile.write(json.dumps(answer).encode())

        def log_message(self, format: str, *args: Any) -> None:
            """Quiet."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    made.url = f"http://127.0.0.1:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield made
    server.shutdown()
    thread.join()
    server.server_close()


def _publish(runner: CliRunner, gateway: Gateway, *options: str, event: Any = EVENT) -> Result:
    environment = {"FACTOTUM_GATEWAY_URL": gateway.url, "FACTOTUM_TOKEN": "t0ken"}
    return runner.invoke(app, ["publish", "-", *options], input=json.dumps(event), env=environment)


def _planned(parts: Stubs, *run_ids: str) -> None:
    plans = [
        pb.Plan(run_id=run_id, procedure="hr/employee-onboarding", procedure_version="1.0.0") for run_id in run_ids
    ]
    parts.planner.answers["Plan"] = pb.PlanResponse(plans=plans)


def _run(status: Any, run_id: str = RUN) -> pb.Run:
    return pb.Run(id=run_id, tenant="acme", procedure="hr/employee-onboarding", status=status)


def test_the_event_is_sent_with_the_token_and_the_tenant_and_its_runs_are_named(
    runner: CliRunner, parts: Stubs, gateway: Gateway
) -> None:
    _planned(parts, RUN)
    result = _publish(runner, gateway)
    assert result.exit_code == 0
    assert result.stdout.splitlines() == [
        "published e1 (com.example.created)",
        f"starts {RUN} (hr/employee-onboarding 1.0.0)",
    ]
    ((path, headers, body),) = gateway.requests
    assert path == "/v1/events"
    assert headers["Authorization"] == "Bearer t0ken"
    assert headers["Content-Type"] == "application/cloudevents+json"
    assert body == {**EVENT, "tenant": "acme"}


@pytest.mark.parametrize(("status", "exit_code"), [(pb.RUN_STATUS_COMPLETED, 0), (pb.RUN_STATUS_FAILED, 1)])
def test_waiting_exits_as_the_runs_did(
    runner: CliRunner, parts: Stubs, gateway: Gateway, status: Any, exit_code: int
) -> None:
    _planned(parts, RUN, "acme.other.1")
    parts.planner.streams[RUN] = [[_run(pb.RUN_STATUS_RUNNING), _run(pb.RUN_STATUS_COMPLETED)]]
    parts.planner.streams["acme.other.1"] = [[_run(status, "acme.other.1")]]
    result = _publish(runner, gateway, "--wait", "--json")
    assert result.exit_code == exit_code
    found = json.loads(result.stdout)
    assert [run["id"] for run in found["runs"]] == [RUN, "acme.other.1"]


def test_waiting_waits_for_a_run_that_is_not_there_yet_but_not_for_ever(
    runner: CliRunner, parts: Stubs, gateway: Gateway
) -> None:
    _planned(parts, RUN)
    appear = threading.Timer(0.6, lambda: parts.planner.streams.update({RUN: [[_run(pb.RUN_STATUS_COMPLETED)]]}))
    appear.start()
    assert _publish(runner, gateway, "--wait").exit_code == 0
    appear.join()
    parts.planner.streams.clear()
    assert _publish(runner, gateway, "--wait", "--timeout", "0.5").exit_code == 3


def test_an_event_that_starts_nothing(runner: CliRunner, parts: Stubs, gateway: Gateway) -> None:
    _planned(parts)
    result = _publish(runner, gateway, "--wait")
    assert result.exit_code == 0
    assert "no procedure starts on com.example.created by itself; a run that listens" in result.stderr


def test_published_is_published_though_the_planner_is_away(runner: CliRunner, gateway: Gateway, parts: Stubs) -> None:
    env = {"FACTOTUM_GATEWAY_URL": gateway.url, "FACTOTUM_TOKEN": "t", "FACTOTUM_PLANNER_ADDRESS": "127.0.0.1:1"}
    result = runner.invoke(app, ["publish", "-", "--json"], input=json.dumps(EVENT), env=env)
    assert result.exit_code == 0
    assert json.loads(result.stdout)["plans"] is None
    assert "the planner does not answer" in result.stderr
    waiting = runner.invoke(app, ["publish", "-", "--wait"], input=json.dumps(EVENT), env=env)
    assert waiting.exit_code == 1


@pytest.mark.parametrize(("status", "exit_code"), [(401, 1), (503, 1), (400, 2), (413, 2)])
def test_a_refusal_is_the_gateways_own_sentence(
    runner: CliRunner, gateway: Gateway, status: int, exit_code: int
) -> None:
    gateway.status = status
    result = _publish(runner, gateway)
    assert (result.exit_code, result.stdout) == (exit_code, "")
    assert result.stderr == f"factotum: the gateway answered {status}: the token is not known\n"


def test_an_event_without_an_id_is_not_sent(runner: CliRunner, gateway: Gateway) -> None:
    result = _publish(runner, gateway, event={"source": "/hr", "type": "t"})
    assert result.exit_code == 2
    assert "id: Field required" in result.stderr
    assert gateway.requests == []
