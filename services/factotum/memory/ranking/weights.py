"""Every number that the order of an answer depends on. Decision 39 tells how each was found."""

from __future__ import annotations

from typing import Final

# How many records each of the two searches contributes. What stands below the last of a list counts as far away as it.
CANDIDATES: Final = 100
# Of the sum of both lists; words have the rest.
MEANING: Final = 0.45
# A list's scores, in standard deviations above its last, are divided by this: the best of a usual list has about 1.
DEVIATIONS: Final = 4.0
# Of a list's standard deviation: cosine, and BM25. Lists of 100 are seldom below, lists of a few often.
LEAST_OF_MEANING: Final = 0.03
LEAST_OF_WORDS: Final = 0.2
# A record with a smaller cosine and no word of the question answers nothing. Of other embedders than MiniLM two texts
# may have nothing to do with each other and never stand as far apart: there nothing is left out by it.
FAR: Final = 0.03
# The sum of both is raised to this power: one strong record counts for more than many middling ones.
SHARPNESS: Final = 1.5

# A question of several sentences or clauses is searched for as a whole and in so many parts of at least so many words.
PARTS: Final = 4
PART_WORDS: Final = 3

# What a record gains from one at a distance of n in its sequence: NEIGHBOUR * exp(-(n - 1) / REACH) of its relevance.
# People answer each other, so what is said around a turn tells much of it; chunks and tools side by side tell less.
NEIGHBOUR: Final = 0.4
NEIGHBOUR_UNSPOKEN: Final = 0.1
REACH: Final = 2.0
FARTHEST: Final = 6
# What it gains from the best of its whole sequence: this share of the mean relevance of the best few.
SEQUENCE: Final = 0.3
BEST_OF_SEQUENCE: Final = 2
# Hits whose neighbours are looked up in the store, where the searches did not find them, and how far.
LOOKED_UP_HITS: Final = 10
LOOKED_UP_DISTANCE: Final = 2

# What a turn has because the question names who said it, where two talk; the best hits have about 1.
SPEAKER: Final = 0.15
# The share of its score that a turn loses which only asks, and how many are read beyond the answer to take their place.
ASKING: Final = 0.3
SPARE: Final = 5

# Gentle: they decide among records that answer equally well.
RECENCY: Final = 0.02
RECENCY_HALF_LIFE_DAYS: Final = 30.0
IMPORTANCE: Final = 0.02
