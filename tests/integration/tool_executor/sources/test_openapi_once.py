"""The effects of tools of an OpenAPI document happen once: by a key, or by a look-up."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from starlette.responses import JSONResponse

from factotum.sdk import lag
from factotum.sdk.errors import Ambiguous, Unavailable
from factotum.sdk.testing import World, check_tool
from factotum.tool_executor.errors import EffectAmbiguous
from tests.support.kill_points import House, KillPoint, killed_and_called_again
from tests.support.openapi_source import offered
from tests.support.parcels import DOCUMENT, Parcels
from tests.support.parcels_source import BY_KEY, BY_TAG, SECRETS, config, opened


async def test_the_system_is_given_the_key(api: Parcels, tmp_path: Path) -> None:
    async for bench in opened(api, tmp_path, terms={"parcels/create": BY_KEY}):
        api.lost = 1
        answer = await bench.call("parcels_create", key="one", body={"label": "x"})
        assert isinstance(answer.error, Unavailable) and answer.effect_possible
        again = await bench.call("parcels_create", key="one", body={"label": "x"})
        assert again.error is None and len(api.parcels) == 1
        await bench.call("parcels_create", key="two", body={"label": "x"})
        keys = [request.headers["idempotency-key"] for request in api.seen]
        assert keys[0] == keys[1] != keys[2] and len(keys[0]) == 36 and len(api.parcels) == 2


async def test_without_a_key_or_a_question_a_person_decides(api: Parcels, tmp_path: Path) -> None:
    api.lost = 1
    async for bench in opened(api, tmp_path):
        for _ in range(2):
            answer = await bench.call("parcels_create", key="one", body={"label": "x"})
            assert isinstance(answer.error, EffectAmbiguous)
        assert len(api.seen) == 1


async def test_what_is_absent_can_be_as_good_as_deleted(api: Parcels, tmp_path: Path) -> None:
    async for bench in opened(api, tmp_path, terms={"parcels/delete": {"absent_is_done": True}}):
        assert await bench.output("parcels_delete", id=9) == {"status": 204}


@pytest.mark.parametrize("terms", [BY_KEY, BY_TAG])
@pytest.mark.parametrize("point", KillPoint)
async def test_killed_anywhere_it_is_made_once(
    api: Parcels, tmp_path: Path, terms: dict[str, Any], point: KillPoint
) -> None:
    api.fill(3)
    offer = offered(DOCUMENT, "parcels", **config(api.url, terms={"parcels/create": terms}))
    house = House(offer.connector, offer.settings, tmp_path, SECRETS)
    arguments = {"body": {"label": "Books", "tags": ["mine"]}}
    answer = await killed_and_called_again(house, "parcels.parcels_create", arguments, point)
    assert answer.error is None, answer.error
    output = json.loads(answer.output_json or "{}")
    assert (output["status"], output["body"]["id"]) == (201, 4)
    assert len(api.parcels) == 4 and api.parcels[4]["tags"][0] == "mine"


async def test_without_asking_it_would_be_made_twice(api: Parcels, tmp_path: Path) -> None:
    """The proof that the test above sees what it is there for."""
    terms = {"parcels/create": {"idempotency": "native"}}
    offer = offered(DOCUMENT, "parcels", **config(api.url, terms=terms))
    house = House(offer.connector, offer.settings, tmp_path, SECRETS)
    arguments = {"body": {"label": "Books"}}
    await killed_and_called_again(house, "parcels.parcels_create", arguments, KillPoint.BEFORE_THE_ANSWER)
    assert len(api.parcels) == 2


async def test_a_read_that_lags_behind_is_asked_until_it_had_its_time(
    api: Parcels, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lag, "INTERVAL_SECONDS", 0.05)
    terms = {"reconcile": {**BY_TAG["reconcile"], "lag_seconds": 0.5}, "mark": BY_TAG["mark"]}
    async for bench in opened(api, tmp_path, terms={"parcels/create": terms}):
        api.lost = 1
        await bench.call("parcels_create", key="one", body={"label": "x"})
        api.answers += [JSONResponse([])] * 3
        answer = await bench.call("parcels_create", key="one", body={"label": "x"})
        assert answer.error is None and len(api.parcels) == 1
        assert len(api.seen) == 5
        since = datetime.fromisoformat(api.seen[1].query_params["color"])
        assert timedelta(seconds=4) < datetime.now(UTC) - since < timedelta(seconds=30)
        api.answers += [JSONResponse({}, 502), *[JSONResponse([])] * 100]
        begun = asyncio.get_running_loop().time()
        await bench.call("parcels_create", key="two", body={"label": "y"})
        settled = await bench.call("parcels_create", key="two", settle=True, body={"label": "y"})
        assert settled.error is not None and settled.error.kind == "not_done"
        assert asyncio.get_running_loop().time() - begun >= 0.5


async def test_what_was_there_before_is_not_the_effect(api: Parcels, tmp_path: Path) -> None:
    old = (datetime.now(UTC) - timedelta(hours=1)).isoformat()
    terms = {
        "reconcile": {
            "operation": "parcels/list",
            "arguments": {"per_page": 9},
            "match": {"label": "{body.label}"},
            "created": "created",
        }
    }
    api.parcels[1] = {"id": 1, "label": "x", "created": old}
    async for bench in opened(api, tmp_path, terms={"parcels/create": terms}):
        api.answers.append(JSONResponse({}, 502))
        await bench.call("parcels_create", key="one", body={"label": "x"})
        again = await bench.call("parcels_create", key="one", body={"label": "x"})
        assert again.error is None and json.loads(again.output_json or "")["body"]["id"] == 2
        api.lost = 1
        await bench.call("parcels_create", key="two", body={"label": "y"})
        again = await bench.call("parcels_create", key="two", body={"label": "y"})
        assert again.error is None and len(api.parcels) == 3
        api.parcels[4] = {"id": 4, "label": "z", "created": "yesterday"}
        api.answers.append(JSONResponse({}, 502))
        await bench.call("parcels_create", key="three", body={"label": "z"})
        undecided = await bench.call("parcels_create", key="three", body={"label": "z"})
        assert isinstance(undecided.error, Ambiguous)


@pytest.mark.parametrize("compared", [{"match": {"color": "{body.color}"}}, {"contains": {"color": "{body.color}"}}])
async def test_that_neither_has_something_makes_no_two_things_the_same(
    api: Parcels, tmp_path: Path, compared: dict[str, Any]
) -> None:
    reconcile = {"operation": "parcels/list", "arguments": {"per_page": 9}, "created": "created", **compared}
    async for bench in opened(api, tmp_path, terms={"parcels/create": {"reconcile": reconcile}}):
        api.answers.append(JSONResponse({}, 502))
        await bench.call("parcels_create", key="one", body={"label": "x"})
        anothers = {"id": 7, "label": "another's", "created": (datetime.now(UTC) + timedelta(minutes=1)).isoformat()}
        api.answers.append(JSONResponse([anothers]))
        answer = await bench.call("parcels_create", key="one", body={"label": "x"})
        assert isinstance(answer.error, EffectAmbiguous) and "nothing to compare with color" in answer.error.message
        assert not api.parcels
        # Where there is nothing at all, nothing was made.
        await bench.call("parcels_create", key="two", body={"label": "x"})
        assert len(api.parcels) == 1


@pytest.mark.parametrize(
    ("found", "words"),
    [
        ([{"id": 1, "label": "x"}] * 2, "2 things"),
        ([{"id": 1, "label": "x", "weight": "heavy"}], "in another form"),
    ],
)
async def test_what_is_found_and_cannot_be_the_output_is_for_a_person(
    api: Parcels, tmp_path: Path, found: list[Any], words: str
) -> None:
    terms = {"reconcile": BY_TAG["reconcile"], "mark": BY_TAG["mark"]}
    async for bench in opened(
        api, tmp_path, lenient=False, terms={"parcels/create": terms, "parcels/list": {"lenient": True}}
    ):
        api.lost = 1
        await bench.call("parcels_create", key="one", body={"label": "x"})
        tag = api.parcels[1]["tags"]
        api.answers.append(JSONResponse([{**one, "tags": tag} for one in found]))
        answer = await bench.call("parcels_create", key="one", body={"label": "x"})
        assert isinstance(answer.error, EffectAmbiguous) and words in answer.error.message


async def test_more_than_the_pages_bounds_take_is_no_proof(api: Parcels, tmp_path: Path) -> None:
    terms = {"reconcile": {**BY_TAG["reconcile"], "arguments": {}}, "mark": BY_TAG["mark"]}
    paging = {"parcels/list": {"style": "link", "pages": 1}}
    api.fill(5)
    async for bench in opened(api, tmp_path, terms={"parcels/create": terms}, paging=paging):
        api.lost = 1
        await bench.call("parcels_create", key="one", body={"label": "x"})
        answer = await bench.call("parcels_create", key="one", body={"label": "x"})
        assert isinstance(answer.error, EffectAmbiguous) and len(api.parcels) == 6


@pytest.mark.parametrize("status", [401, 429, 500])
async def test_what_keeps_from_asking_is_no_proof(api: Parcels, tmp_path: Path, status: int) -> None:
    async for bench in opened(api, tmp_path, terms={"parcels/create": BY_TAG}):
        api.lost = 1
        await bench.call("parcels_create", key="one", body={"label": "x"})
        api.answers.append(JSONResponse({}, status))
        answer = await bench.call("parcels_create", key="one", body={"label": "x"})
        assert isinstance(answer.error, Unavailable) and answer.effect_possible and len(api.parcels) == 1
        assert "parcels cannot be asked now" in answer.error.message


@pytest.mark.parametrize("terms", [BY_KEY, BY_TAG])
async def test_such_a_tool_passes_the_conformance_suite(api: Parcels, terms: dict[str, Any]) -> None:
    offer = offered(DOCUMENT, "parcels", **config(api.url, terms={"parcels/create": terms}))

    async def standing(arguments: Mapping[str, Any]) -> int:
        return sum(parcel["label"] == arguments["body"]["label"] for parcel in api.parcels.values())

    world = World(
        settings=offer.settings,
        arguments=lambda number: {"body": {"label": f"parcel no {number}"}},
        standing=standing,
        secrets=SECRETS,
        invalid=[{"body": {"label": "<b>"}}],
    )
    report = await check_tool(offer.connector.tools["parcels.parcels_create"], world)
    print(report)
    report.assert_passed()
