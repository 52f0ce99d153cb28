from hypothesis import given
from hypothesis import strategies as st

from factotum.memory.embedders.tokens import batches, padded

lengths = st.lists(st.integers(1, 256), max_size=60)


@given(lengths, st.integers(1, 2000))
def test_each_sentence_is_in_one_batch_and_no_batch_is_too_large(lengths: list[int], most: int) -> None:
    sentences = [[1] * length for length in lengths]
    made = list(batches(sentences, most))
    assert sorted(index for batch in made for index in batch) == list(range(len(lengths)))
    for batch in made:
        assert len(batch) == 1 or len(batch) * max(lengths[index] for index in batch) <= most


@given(lengths)
def test_like_lengths_stand_together_the_long_ones_first(lengths: list[int]) -> None:
    order = [lengths[index] for batch in batches([[1] * length for length in lengths], 512) for index in batch]
    assert order == sorted(lengths, reverse=True)


def test_a_short_sentence_is_filled_up_and_the_mask_says_so() -> None:
    inputs = padded([[101, 7, 102], [101, 102]])
    assert inputs["input_ids"].tolist() == [[101, 7, 102], [101, 102, 0]]
    assert inputs["attention_mask"].tolist() == [[1, 1, 1], [1, 1, 0]]
