"""What tells nothing, and what only looks as if it did."""

import base64
import random
import string
from itertools import pairwise

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from factotum.memory.noise import is_noise, spoken

CHANCE = random.Random(5)
BYTES = CHANCE.randbytes(300)
BASE64 = base64.b64encode(BYTES).decode()


def letters(count: int) -> str:
    """Letters and digits by chance, with at least one digit."""
    return "".join(CHANCE.choices(string.ascii_letters + string.digits, k=count - 1)) + "7"


def part(value: str) -> str:
    return base64.urlsafe_b64encode(value.encode()).decode().rstrip("=")


HEAD, CLAIMS = part('{"alg":"HS256","typ":"JWT"}'), part('{"sub":"ada","iat":1516239022}')
TOKEN = f"{HEAD}.{CLAIMS}.{letters(43)}"
KEY = letters(40)


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
        f"-----BEGIN RSA PRIVATE KEY-----\n{base64.encodebytes(BYTES * 3).decode()}-----END RSA PRIVATE KEY-----",
        "no, no, no!",
        "Connection refused.\n" * 4,
        '  File "/srv/app.py", line 3, in descend\n    return descend(depth + 1)\n' * 40,
        "at com.acme.Main.run(Main.java:17)\n" * 5,
        "重试失败" * 6,
        TOKEN,
        f"Bearer {TOKEN}",
        f"ACCESS_TOKEN={TOKEN}",
        f'api_key: "{KEY}"',
        f"export OPENAI_API_KEY='sk-proj-{KEY}'",
        "\n".join(f"SERVICE_{n}_KEY={letters(40)}" for n in range(5)),
        "AKIAIOSFODNN7EXAMPLE",
        "0b4f6f2e-8c6e-4f7f-9d0a-3f0e1b2c3d4e",
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
        f"Invoice 4711 of Acme, 300 euros, due on Friday, approved by Grace Hopper. Attachment: {BASE64 * 8}",
        f"The key of the billing service, {KEY}, was revoked on Monday because it stood in a log.",
        "No. No!",
        "Tora! Tora! Tora? That was the film.",
        "papa papa",
        "Monday Tuesday Monday Tuesday Monday Tuesday Friday",
        "Line 1 is down\nLine 2 is down\nLine 3 is down\nLine 4 is down\nLine 5 is down",
        "Traceback (most recent call last):\n" + '  File "a.py", line 3, in f\n' * 40 + "RecursionError: too deep",
        "createPullRequestReviewComment2",
        "azure-mgmt-resource-v2-2026-preview.1",
        "identity.create_user.v2.schema.json",
        "EMPLOYEE-2026-0042-CONTRACT",
        "2026-11-24T12:00:00.123456Z: lunch",
        "DE89370400440532013000 belongs to Ada",
        "release-notes-2026-11-24-final-v3",
        "factotum-memory-7d9f8b6c5-x2x4z",
        "xn--p-8sbkgc5ag7bhce.xn--ba-lmcq",
        "ada.lovelace+travel2026@engineering.acme.example",
        "重试失败。重试失败。取消了",
        "Das das das Gleiche meint, ist klar.",
        "यह बैठक रद्द कर दी गई है",
        "الاجتماع ألغي",
        "회의가 취소되었습니다",
    ],
)
def test_what_says_something(text: str) -> None:
    assert not is_noise(text)


def test_letters_and_digits_are_counted() -> None:
    assert spoken(" a-1 é? 日") == 4
    assert spoken("_ -.!") == 0


@pytest.mark.parametrize(
    "alphabet", [string.ascii_letters + string.digits, string.ascii_letters + string.digits + "-_"]
)
def test_keys_are_told_by_their_letters(alphabet: str) -> None:
    """Not all of them: chance may spell a name."""
    keys = ["".join(CHANCE.choices(alphabet, k=32)) for _ in range(500)]
    assert sum(map(is_noise, keys)) >= 450


@given(
    words=st.lists(
        st.text(st.characters(categories=["Lu", "Ll", "Lo"]), min_size=2, max_size=9), min_size=3, unique=True
    ),
    number=st.integers(0, 10_000),
    mark=st.sampled_from([" ", ", ", ". ", "\n", " - "]),
)
def test_different_words_are_never_noise(words: list[str], number: int, mark: str) -> None:
    said = {word.casefold() for word in words}
    assume(len(said) >= 3 and not all(len(word) >= 5 and len(set(word.casefold())) == 1 for word in words))
    assume(all(any(c.isalpha() and d.isalpha() for c, d in pairwise(word)) for word in words))
    assert not is_noise(f"{mark.join(words)} {number}")
