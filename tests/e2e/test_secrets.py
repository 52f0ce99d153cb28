"""No value of a secret stands in anything that the stack leaves, after all that the other tests did to it.

Run last: what is looked for is every secret that the stack has, and those that are planted to be told.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from pathlib import Path

from factotum.events import topics
from tests.e2e.house import House
from tests.support import planted
from tests.support.kafka import read_all
from tests.support.scripted_http import Answer, scripted_http
from tests.support.world import eventually

# Where values of secrets have to stand: where they are kept, and what the sandbox's servers ask of their clients.
ALLOWED = ["secrets", "config/tenants.yaml", "sandbox/calendar/users"]
PERSON = "ada@acme.example"

PROCEDURE = """
document: {dsl: '1.0.3', namespace: hr, name: telling, version: '1.0.0'}
use: {secrets: [plantedDocument, plantedLogin]}
do:
  - tell:
      call: planted.tell
      with:
        text: '${ $workflow.input.canary + " " + $secrets.plantedDocument + " " + $secrets.plantedLogin.password }'
        use: plantedLogin
  - tellAs:
      call: planted.tell_as
      with: {text: '${ $workflow.input.canary }'}
  - fetch:
      call: http
      with:
        method: get
        endpoint: {uri: '${ $workflow.input.url + "/?key=" + $secrets.plantedDocument }'}
        headers: {X-Key: '${ $secrets.plantedLogin.password }'}
  - refuse:
      call: planted.tell
      with: {text: '${ $workflow.input.canary + " refused " + $secrets.plantedDocument }', then: refuse}
"""


async def test_no_secret_is_in_anything_that_the_stack_leaves(house: House, tmp_path: Path) -> None:
    said: dict[str, bytes] = {}

    def cli(*arguments: str) -> str:
        done = house.cli(*arguments)
        said[f"factotum {' '.join(arguments)}"] = (done.stdout + done.stderr).encode()
        return done.stdout

    echo = "; ".join(planted.written(planted.OF_DOCUMENT)) + planted.IN_OBJECT
    async with scripted_http(Answer(200, echo.encode(), {"Content-Type": "text/plain"})) as system:
        run_id = await asyncio.to_thread(_told, cli, tmp_path, system.url)
        assert len(system.requests) == 1
    await eventually(lambda: house.recall("telling", run_id=run_id), bool, what="the episode")
    told = [json.dumps({"text": planted.CANARY, "then": then}) for then in ("answer", "raise")]
    commands = [
        *(("tools", "call", "planted.tell", "--args", arguments) for arguments in told),
        ("tools", "test", "planted.tell_as", "--user", PERSON),
        ("show", run_id),
        ("trace", run_id),
        ("effects", "list"),
        ("runs",),
        ("memory", "search", planted.CANARY),
    ]
    for batch in (commands[:3], commands[3:]):
        await asyncio.gather(*(asyncio.to_thread(cli, *command) for command in batch))

    kafka = house.state.address("kafka", "bootstrap")
    messages = {topic: await asyncio.to_thread(read_all, kafka, topic) for topic in topics.ALL}
    folder = house.state.directory
    stores = {
        **await asyncio.to_thread(lambda: planted.files(folder, without=ALLOWED)),
        **{topic: b"\n".join(message.value for message in found) for topic, found in messages.items()},
        **said,
    }
    secrets = planted.files(folder / "secrets")
    values = [*planted.VALUES, *(value.decode().strip() for name, value in secrets.items() if "lanted" not in name)]
    assert len(values) > 12
    assert planted.found(stores, values) == []
    # That nothing was found says something only of where it could have been.
    kept = [
        "ledger",
        "temporal/",
        "traces",
        "memory/",
        "logs/tool-executor",
        *topics.ALL[1:3],
        f"factotum show {run_id}",
    ]
    content = {part: b"".join(content for name, content in stores.items() if name.startswith(part)) for part in kept}
    content["ledger"] = b"".join(one for name, one in stores.items() if "ledger" in name)
    assert [part for part in kept if planted.CANARY.encode() not in content[part]] == []


def _told(cli: Callable[..., str], folder: Path, url: str) -> str:
    """The id of a run that told what it knows, and failed."""
    (folder / "telling.yaml").write_text(PROCEDURE)
    (folder / "input.json").write_text(json.dumps({"canary": planted.CANARY, "url": url}))
    cli("procedures", "register", str(folder / "telling.yaml"))
    ended = cli("run", "hr/telling", "--input", str(folder / "input.json"), "--for", PERSON, "--watch", "--json")
    run = json.loads(ended)["run"]
    assert run["failure"].startswith("/do/3/refuse: conflict"), run
    return str(run["id"])
