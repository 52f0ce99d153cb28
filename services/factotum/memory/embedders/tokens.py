"""Texts to the numbers that the model reads."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from tokenizers import Tokenizer

from factotum.memory.embedders.minilm import MAX_TOKENS

Sentence = Sequence[int]


def tokenizer(path: Path) -> Tokenizer:
    """Cuts nothing and fills nothing up, whatever its file says."""
    it = Tokenizer.from_file(str(path))
    it.no_truncation()
    it.no_padding()
    return it


def cut(tokenizer: Tokenizer, texts: Sequence[str]) -> list[list[int]]:
    """The token ids of each text, with the special ones; of longer texts the first `MAX_TOKENS`, the end mark among
    them."""
    sentences: list[list[int]] = [encoding.ids for encoding in tokenizer.encode_batch(list(texts))]
    return [ids if len(ids) <= MAX_TOKENS else [*ids[: MAX_TOKENS - 1], ids[-1]] for ids in sentences]


def batches(sentences: Sequence[Sentence], most: int) -> Iterator[list[int]]:
    """The indices of the sentences in batches of at most `most` tokens with their padding (or of one sentence).

    Sentences of like length stand together, so that little padding is multiplied; the longest come first, so that the
    last batch, for which nobody else works, is a short one.
    """
    batch: list[int] = []
    for index in sorted(range(len(sentences)), key=lambda index: -len(sentences[index])):
        if batch and (len(batch) + 1) * len(sentences[batch[0]]) > most:
            yield batch
            batch = []
        batch.append(index)
    if batch:
        yield batch


def padded(sentences: Sequence[Sentence]) -> dict[str, NDArray[np.int64]]:
    """The graph's inputs: int64 [len(sentences), longest]."""
    ids = np.zeros((len(sentences), max(map(len, sentences))), np.int64)
    mask = np.zeros_like(ids)
    for row, sentence in enumerate(sentences):
        ids[row, : len(sentence)] = sentence
        mask[row, : len(sentence)] = 1
    return {"input_ids": ids, "attention_mask": mask}
