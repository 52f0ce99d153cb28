"""What tells nothing, and what only looks as if it did."""

import base64
import random

import pytest

from factotum.memory.noise import is_noise, spoken

CHANCE = random.Random(5)
BYTES = CHANCE.randbytes(300)
BASE64 = base64.b64encode(BYTES).decode()


@pytest.mark.parametrize(
    "text",
    [
        "...",
        "1 2 3",
        "-----=====-----",
        "a b c",
        "ha ha ha ha",
        "Test test TEST",
        "aaaaaaaaaa",
        "aaaaaa bbbbbbb",
        BASE64,
        base64.encodebytes(BYTES).decode(),
        f"data:image/png;base64,{BASE64}",
        BYTES.hex(),
        f"sha {BYTES.hex()[:64]}",
        BYTES[:64].hex(" "),
        "\n".join(f"{n:08x}: {BYTES[n : n + 16].hex(' ', 2)}" for n in range(0, 160, 16)),
        f"-----BEGIN CERTIFICATE-----\n{base64.encodebytes(BYTES * 3).decode()}-----END CERTIFICATE-----",
    ],
)
def test_noise(text: str) -> None:
    assert is_noise(text)


@pytest.mark.parametrize(
    "text",
    [
        "no",
        "Thanks!",
        "no no",
        "Er war da.",
        "こんにちは",
        "会议 取消",
        "Привет, как дела?",
        "E-4711 fuser",
        "call 4711",
        "very very very good",
        "/usr/share/python3/dist-packages/factotum/memory/Store2/collection/generations",
        "https://acme.example/a/very/long/path/with/many/Parts/2026/and-dashes_and_underscores",
        "Donaudampfschifffahrtselektrizitätenhauptbetriebswerkbauunterbeamtengesellschaft",
        f"The release is commit {BYTES.hex()[:40]}, signed by Ada.",
        "hex dead beef cafe: a bad bed, an old cab, a faded facade, be added to the feed, a deaf dad",
        "10 20 30 40 50 60 70 80 90 10 20 30 40 50 60 70 euros each month for the team",
        f"identity.create_user with token {BASE64[:60]}. Answered: id 99.",
    ],
)
def test_what_says_something(text: str) -> None:
    assert not is_noise(text)


def test_letters_and_digits_are_counted() -> None:
    assert spoken(" a-1 é? 日") == 4
    assert spoken("_ -.!") == 0
