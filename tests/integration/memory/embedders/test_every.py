"""What `port.Embedder` promises, on every embedder."""

import asyncio

import numpy as np

from factotum.memory.embedders.port import Embedder

TEXTS = [
    "a",
    "Onboarding of Ada Lovelace (ada.lovelace@acme.example, engineering) completed.",
    "Ünïcödé, 漢字 and 🙂 in one line",
    "E-4711: printer on fire\n\tcall the fire brigade",
    "many words " * 300,
    "The quick brown fox jumps over the lazy dog. " * 9,
]


async def test_a_row_a_text_each_of_length_one(every: Embedder) -> None:
    vectors = await every.embed(TEXTS)
    assert vectors.shape == (len(TEXTS), every.dimension)
    assert vectors.dtype == np.float32
    assert np.abs(np.linalg.norm(vectors, axis=1) - 1).max() < 1e-5


async def test_a_vector_does_not_depend_on_its_batch(every: Embedder) -> None:
    together = await every.embed(TEXTS * 2)
    alone = np.concatenate([await every.embed([text]) for text in TEXTS])
    # Sums are made in another order, which may move an 8-bit value to the one beside it.
    assert (together * np.tile(alone, (2, 1))).sum(1).min() > 0.999
    assert (await every.embed([])).shape == (0, every.dimension)


async def test_a_query_lies_where_its_text_lies(every: Embedder) -> None:
    (vector,) = await every.embed([TEXTS[1]])
    query = await every.embed_query(TEXTS[1])
    assert query.shape == (every.dimension,)
    assert query.dtype == np.float32
    assert vector @ query > 0.999


async def test_nearness_is_nearness_of_meaning(every: Embedder) -> None:
    question, answer, other = await every.embed(
        [
            "How many days off do I get?",
            "Employees are entitled to thirty days of paid vacation.",
            "The printer on the second floor is out of toner.",
        ]
    )
    assert question @ answer > 0.3 > 0.15 > question @ other


async def test_the_event_loop_stays_free(every: Embedder) -> None:
    work = asyncio.ensure_future(every.embed(["a rather long text about nothing " * 20] * 16))
    longest = 0.0
    while not work.done():
        began = asyncio.get_running_loop().time()
        await asyncio.sleep(0.005)
        longest = max(longest, asyncio.get_running_loop().time() - began)
    await work
    assert longest < 0.5


async def test_a_query_overtakes_a_long_batch(every: Embedder) -> None:
    work = asyncio.ensure_future(every.embed(["a rather long text about nothing " * 20] * 24))
    await asyncio.sleep(0)
    await every.embed_query("short")
    assert not work.done()
    await work


async def test_tokens_are_counted_whole(every: Embedder) -> None:
    few, many, none = every.count_tokens(["How many days off do I get?", "many words " * 300, ""])
    assert 4 <= few <= 12
    assert 500 <= many <= 900  # more than are embedded
    assert none == 0


async def test_its_fingerprint_says_what_it_is(every: Embedder) -> None:
    assert str(every.dimension) in every.fingerprint
    assert 0 < len(every.fingerprint) <= 200
    assert not any(character.isspace() for character in every.fingerprint)
