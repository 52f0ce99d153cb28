"""The local stack: every process of it, in the order in which they are shown.

Blanks: `{data}` the stack's folder, `{python}` this interpreter, `{temporal}` the Temporal binary,
`{kafka}` where Kafka is, `{part.purpose}` a part's `host:port`, `{part.purpose.port}` its number.
"""

from __future__ import annotations

from factotum.dev.part import HOST, Part
from factotum.dev.state import Kafka

# The file, under the stack's folder, into which Kafka writes where it is.
KAFKA_FILE = "run/kafka"
TENANTS_FILE = "{data}/config/tenants.yaml"

_KAFKA = {"FACTOTUM_KAFKA__BOOTSTRAP_SERVERS": "{kafka}", "FACTOTUM_KAFKA__EMBEDDED": "{kafka.embedded}"}
_TEMPORAL = {
    "FACTOTUM_TEMPORAL__ADDRESS": "{temporal.grpc}",
    "FACTOTUM_TEMPORAL__UI_URL": "http://{temporal.ui}",
    "FACTOTUM_TEMPORAL__CLAIMS__FOLDER": "{data}/claims",
}
_TELEMETRY = {"FACTOTUM_TELEMETRY__OTLP_ENDPOINT": "http://{traces.http}"}
_SECRETS = {"FACTOTUM_SECRETS__DIRECTORY": "{data}/secrets"}
_LOGS = {"FACTOTUM_TELEMETRY__LOG_JSON": "true"}
_PLANNER = {"FACTOTUM_PLANNER_ADDRESS": "{planner.grpc}"}
_MEMORY = {"FACTOTUM_MEMORY_ADDRESS": "{memory.grpc}"}
_TOOL_EXECUTOR = {"FACTOTUM_TOOL_EXECUTOR_ADDRESS": "{tool-executor.grpc}"}


def _python(module: str, *arguments: str) -> tuple[str, ...]:
    return ("{python}", "-m", module, *arguments)


_SANDBOX_DATA = ("--host", HOST, "--data", "{data}/sandbox", "--tenants", TENANTS_FILE)

TEMPORAL = Part(
    "temporal",
    command=(
        *("{temporal}", "server", "start-dev", "--ip", HOST),
        *("--port", "{temporal.grpc.port}", "--ui-port", "{temporal.ui.port}"),
        *("--db-filename", "{data}/temporal/temporal.sqlite3", "--log-level", "warn", "--ui-disable-news-fetch"),
        *("--sqlite-pragma", "journal_mode=WAL", "--sqlite-pragma", "synchronous=NORMAL"),
        *("--search-attribute", "FactotumTenant=Keyword", "--search-attribute", "FactotumProcedure=Keyword"),
        *("--search-attribute", "FactotumEventType=Keyword", "--search-attribute", "FactotumWaiting=Keyword"),
    ),
    ports={"grpc": 7233, "ui": 8233},
    addresses={"grpc": "{temporal.grpc}", "ui": "http://{temporal.ui}"},
    probe="grpc://{temporal.grpc}/temporal.api.workflowservice.v1.WorkflowService",
    note="runs are kept in SQLite",
)

KAFKA_EMBEDDED = Part(
    "kafka",
    command=_python("factotum.dev.kafka_embedded", "--address-file", "{data}/" + KAFKA_FILE),
    publishes=KAFKA_FILE,
    volatile=True,
    addresses={"bootstrap": "{kafka}"},
    probe="tcp://{kafka}",
    note="in memory, for development only: events not yet handled are lost when it stops",
)

KAFKA_APACHE = Part(
    "kafka",
    command=(
        *_python("factotum.dev.kafka_apache", "--address-file", "{data}/" + KAFKA_FILE, "--data", "{data}/kafka"),
        *("--port", "{kafka.broker.port}", "--controller-port", "{kafka.controller.port}"),
    ),
    ports={"broker": 9092, "controller": 9093},
    publishes=KAFKA_FILE,
    addresses={"bootstrap": "{kafka}"},
    probe="tcp://{kafka}",
    note="Apache Kafka, one KRaft node; events are kept",
)

TRACES = Part(
    "traces",
    command=_python("factotum.dev.traces", "--port", "{traces.http.port}", "--database", "{data}/traces.sqlite3"),
    defaults=_LOGS,
    ports={"http": 4318},
    addresses={"http": "http://{traces.http}"},
    probe="http://{traces.http}/healthz",
    note="spans of the last seven days are kept in SQLite",
)

SANDBOX = (
    Part(
        "sandbox-hr",
        command=_python("factotum.dev.sandbox.hr", "--port", "{sandbox-hr.http.port}", *_SANDBOX_DATA),
        defaults=_LOGS,
        ports={"http": 8090},
        addresses={"http": "http://{sandbox-hr.http}"},
        probe="http://{sandbox-hr.http}/healthz",
        note="BambooHR's API; employees are kept in SQLite",
    ),
    Part(
        "sandbox-identity",
        command=_python("factotum.dev.sandbox.scim", "--port", "{sandbox-identity.http.port}", *_SANDBOX_DATA),
        defaults=_LOGS,
        ports={"http": 8091},
        addresses={"http": "http://{sandbox-identity.http}"},
        probe="http://{sandbox-identity.http}/healthz",
        note="SCIM; accounts are kept in SQLite",
    ),
    Part(
        "sandbox-mail",
        command=(
            *_python("factotum.dev.sandbox.mail", "--port", "{sandbox-mail.smtp.port}"),
            *("--archive-port", "{sandbox-mail.archive.port}", *_SANDBOX_DATA),
        ),
        defaults=_LOGS,
        ports={"smtp": 8025, "archive": 8026},
        addresses={"smtp": "{sandbox-mail.smtp}", "archive": "http://{sandbox-mail.archive}"},
        probe="http://{sandbox-mail.archive}/healthz",
        note="SMTP and an archive of what was sent, kept in files",
    ),
    Part(
        "sandbox-calendar",
        command=_python("factotum.dev.sandbox.calendar", "--port", "{sandbox-calendar.http.port}", *_SANDBOX_DATA),
        defaults=_LOGS,
        ports={"http": 8092},
        addresses={"http": "http://{sandbox-calendar.http}"},
        probe="http://{sandbox-calendar.http}/.well-known/caldav",
        note="CalDAV (Radicale); events are kept in files",
    ),
)

MEMORY = Part(
    "memory",
    command=_python("factotum.memory.main"),
    environment={
        **_KAFKA,
        **_TELEMETRY,
        "FACTOTUM_GRPC__PORT": "{memory.grpc.port}",
        "FACTOTUM_MILVUS__URI": "{data}/memory/milvus.db",
    },
    defaults={**_LOGS, "FACTOTUM_EMBEDDING__CACHE_DIR": "{cache}"},
    needs=("kafka",),
    ports={"grpc": 50053},
    addresses={"grpc": "{memory.grpc}"},
    probe="grpc://{memory.grpc}",
    note="Milvus Lite; memories are kept",
    # The first start builds the embedding model's graph.
    start_seconds=300.0,
)

TOOL_EXECUTOR = Part(
    "tool-executor",
    command=_python("factotum.tool_executor.main"),
    environment={
        **_KAFKA,
        **_TELEMETRY,
        **_SECRETS,
        "FACTOTUM_GRPC__PORT": "{tool-executor.grpc.port}",
        "FACTOTUM_LEDGER_PATH": "{data}/tool-executor/ledger.sqlite3",
    },
    defaults={
        **_LOGS,
        "FACTOTUM_CONNECTORS_FILE": "{data}/config/connectors.yaml",
        "FACTOTUM_TOOLS_FOLDER": "{data}/tools",
        "FACTOTUM_POLICIES": '["{data}/config/policies", "{data}/policies"]',
        "FACTOTUM_GROUPS_FILE": "{data}/config/groups.yaml",
    },
    needs=("kafka",),
    ports={"grpc": 50052},
    addresses={"grpc": "{tool-executor.grpc}"},
    probe="grpc://{tool-executor.grpc}",
    note="the effect ledger is kept in SQLite",
)

PLANNER = Part(
    "planner",
    command=_python("factotum.planner.main"),
    environment={
        **_KAFKA,
        **_TELEMETRY,
        **_TEMPORAL,
        **_TOOL_EXECUTOR,
        "FACTOTUM_GRPC__PORT": "{planner.grpc.port}",
        "FACTOTUM_STORE_PATH": "{data}/planner/store.sqlite3",
    },
    defaults={
        **_LOGS,
        "FACTOTUM_SCHEDULE_TENANTS": '["acme"]',
        "FACTOTUM_GROUPS_FILE": "{data}/config/groups.yaml",
    },
    needs=("kafka", "temporal"),
    ports={"grpc": 50051},
    addresses={"grpc": "{planner.grpc}"},
    probe="grpc://{planner.grpc}",
    note="procedures and what runs wait for are kept in SQLite",
)

WORKER = Part(
    "worker",
    command=_python("factotum.worker.main"),
    environment={
        **_KAFKA,
        **_TELEMETRY,
        **_TEMPORAL,
        **_TOOL_EXECUTOR,
        **_PLANNER,
        **_MEMORY,
        "FACTOTUM_GRPC__PORT": "{worker.health.port}",
    },
    defaults=_LOGS,
    needs=("kafka", "temporal"),
    ports={"health": 50054},
    addresses={"health": "{worker.health}"},
    probe="grpc://{worker.health}",
    note="keeps nothing of its own",
)

GATEWAY = Part(
    "gateway",
    command=_python("factotum.gateway.main"),
    environment={
        **_KAFKA,
        **_TELEMETRY,
        **_SECRETS,
        "FACTOTUM_HTTP__PORT": "{gateway.http.port}",
        **_PLANNER,
    },
    defaults={**_LOGS, "FACTOTUM_SOURCES_FILE": "{data}/config/sources.yaml"},
    needs=("kafka", "planner"),
    ports={"http": 8080},
    addresses={"http": "http://{gateway.http}"},
    probe="http://{gateway.http}/readyz",
    note="keeps nothing of its own",
)


def stack(kafka: Kafka) -> tuple[Part, ...]:
    """All parts, for the Kafka that was asked for."""
    broker = KAFKA_APACHE if kafka == "apache" else KAFKA_EMBEDDED
    return (TEMPORAL, broker, TRACES, *SANDBOX, MEMORY, TOOL_EXECUTOR, PLANNER, WORKER, GATEWAY)
