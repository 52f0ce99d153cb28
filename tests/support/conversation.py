"""A long conversation of two people over many sessions, made from a seed; with questions and the turns that answer them.

What is told stands in two turns: one asks or begins, the other answers with few of the words that a question would use.
The rest is small talk. None of it was looked at while weights were chosen.
"""

# ruff: noqa: E501  what is said stands on one line
from __future__ import annotations

import random
from datetime import UTC, datetime, timedelta

from factotum.memory.bench.files import Passage, Question

NAMES = ("Mira", "Tobias")

# Who asks, what is asked, what the other answers, and how somebody asks for it later; {o} asks, {a} answers.
_FACTS = (
    (
        "Did you settle on a place for the summer?",
        "Yes! Two weeks in Galway, from the fourth.",
        "Where is {a} going in the summer, and for how long?",
    ),
    (
        "And the interview, how was it?",
        "They offered it to me on the spot. I start in March.",
        "When does {a} start after the interview?",
    ),
    (
        "What's that smell in your kitchen?",
        "Saffron. Grandma's rice, I finally got it right.",
        "What did {a} cook in the kitchen that smelled so strongly?",
    ),
    (
        "You sound out of breath.",
        "Just back from ten miles along the canal.",
        "How far did {a} run when {a} came back out of breath?",
    ),
    (
        "Who was that on the phone earlier?",
        "My cousin Leonie, she's expecting twins.",
        "Which relative of {a} who had been on the phone is pregnant?",
    ),
    (
        "Is the little one feeling any better?",
        "The vet says it's only an infected tooth.",
        "What was wrong with the pet of {a}?",
    ),
    (
        "Did the parcel ever arrive?",
        "It did, but the lamp inside was in pieces.",
        "What did {a} order that came broken?",
    ),
    (
        "What are you reading these days?",
        "A history of lighthouses, of all things.",
        "What is {a} reading about?",
    ),
    (
        "How did the recital go?",
        "I forgot the second page and improvised, nobody noticed.",
        "What went wrong at the recital that {a} gave?",
    ),
    (
        "Are you still taking those classes?",
        "Pottery? No, I switched to glassblowing in autumn.",
        "Which classes is {a} taking now?",
    ),
    (
        "Why did you miss dinner?",
        "The last train was cancelled, I slept at the station hotel.",
        "Why did {a} not make it to dinner?",
    ),
    (
        "Any luck with the flat hunt?",
        "We signed on Friday. Third floor, with a balcony.",
        "When did the flat hunt of {a} end?",
    ),
    (
        "So what did the doctor say?",
        "Less salt, more sleep, and come back in six months.",
        "What did the doctor advise {a}?",
    ),
    (
        "Did you tell your boss yet?",
        "This morning. She took it better than I feared.",
        "How did the boss of {a} take the news?",
    ),
    ("What did you get him in the end?", "A telescope, second hand, but it works.", "What present did {a} buy?"),
    (
        "Have you heard from your old roommate?",
        "He moved to Lisbon and opened a bakery there.",
        "What does the old roommate of {a} do now?",
    ),
    (
        "How's the garden coming along?",
        "Slugs got all of the lettuce again, so only beans this year.",
        "What did {a} lose in the garden?",
    ),
    ("Was the film any good?", "I walked out halfway, too much shouting.", "What did {a} think of the film?"),
    ("Did they fix your car?", "Needs a new gearbox, so I'm selling it.", "Why is {a} getting rid of the car?"),
    (
        "Are you going to the reunion?",
        "Only if Farid comes. Otherwise I'd know nobody.",
        "On whom does it depend whether {a} goes to the reunion?",
    ),
)

_OPENERS = (
    "Honestly,",
    "You know,",
    "By the way,",
    "I think",
    "Funny,",
    "Well,",
    "Oh,",
    "Anyway,",
    "Apparently",
    "So",
    "And then",
    "Still,",
)
_ABOUT = (
    "the weather", "my neighbour", "the coffee machine", "that old jacket", "our street", "the new bakery", "my phone", "the office", "the bus driver",
    "the market", "the stairwell", "that radio show", "the printer", "the swimming pool", "my umbrella", "the landlord", "the museum", "the dentist's assistant",
)  # fmt: skip
_HAPPENED = (
    "was quite a sight on {day}", "gave me a headache again", "made me laugh this morning", "is not what it used to be", "surprised everybody on {day}",
    "kept me busy until midnight", "needs some attention soon", "was closed for no reason", "cost more than I expected", "was in the local paper on {day}",
    "reminded me of last year", "turned out fine after all", "is getting worse every week", "was the talk of the town on {day}",
)  # fmt: skip
_DAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")


def conversation(seed: int, sessions: int = 24, turns: int = 22) -> tuple[list[Passage], list[Question]]:
    """`sessions` sequences of about `turns` turns; each fact is told by one of the two."""
    chance = random.Random(seed)
    passages: list[Passage] = []
    questions: list[Question] = []
    told = {number: chance.randrange(sessions) for number in range(len(_FACTS))}
    for session in range(sessions):
        begun = datetime(2026, 1, 5, 18, tzinfo=UTC) + timedelta(days=9 * session)
        lines: list[tuple[str, str, str]] = []
        facts = [number for number, where in told.items() if where == session]
        places = set(chance.sample(range(turns // 2), len(facts)))
        for place in range(turns // 2):
            asker, answerer = chance.sample(NAMES, 2)
            if place in places:
                asked, answered, question = _FACTS[facts.pop()]
                lines += [(asker, asked, ""), (answerer, answered, question.format(a=answerer))]
            else:
                for speaker in (asker, answerer):
                    lines.append((speaker, _small_talk(chance), ""))
        for position, (speaker, text, question) in enumerate(lines):
            identity = f"{session}:{position}"
            passages.append(Passage(identity, text, f"session {session}", position, begun, speaker))
            if question:
                questions.append(Question(question, frozenset({f"{session}:{position - 1}", identity})))
    return passages, questions


def _small_talk(chance: random.Random) -> str:
    about, happened = chance.choice(_ABOUT), chance.choice(_HAPPENED).format(day=chance.choice(_DAYS))
    return f"{chance.choice(_OPENERS)} {about} {happened}."
