"""SQuAD v1.1: answer a question from a paragraph, or, as `squad_trivia`, from memory alone."""

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from random import Random
from typing import Any

from glue_harness.core.errors import RowError
from glue_harness.core.task import Example, Gold, Mark, Pair, Row, Source, Task, Text, View, jsonl
from glue_harness.data.lexicon import coined, often
from glue_harness.metrics import squad
from glue_harness.suite.build import generate, key_of, text_of, texts_of

PUNCTUATION = re.compile(r"([!-/:-@\[-`{-~])")  # the 32 signs of ASCII
SPACES = re.compile(r"[\t\n\f\r ]+")  # T5's regular expressions know no other white space


def adapt(record: Row) -> Iterable[Row]:
    """The official file is one object that holds every article; a line in the Hub's schema stays as it is."""
    if "data" not in record:
        yield record
        return
    for article in record["data"]:
        for paragraph in article["paragraphs"]:
            for question in paragraph["qas"]:
                answers = [answer["text"] for answer in question["answers"]]
                yield {**question, "context": paragraph["context"], "answers": {"text": answers}}


SOURCE = Source(
    hub="rajpurkar/squad",
    config="plain_text",
    rows={"train": 87_599, "validation": 10_570},
    folder="SQuAD",
    files={
        "train": jsonl("train-v1.1.json", "train.jsonl"),
        "validation": jsonl("dev-v1.1.json", "validation.jsonl"),
    },
    adapt=adapt,
)


def padded(text: str) -> str:
    """Every sign stands alone, so that an answer is made of whole words of its context. Never stripped."""
    return collapsed(PUNCTUATION.sub(r" \1 ", text))


def collapsed(text: str) -> str:
    return SPACES.sub(" ", text)


def padded_answers(row: Row) -> list[str]:
    answers = row.get("answers")
    texts = answers.get("text") if isinstance(answers, Mapping) else None
    if not texts or not all(isinstance(text, str) for text in texts):
        raise RowError(f"column 'answers' must hold at least one answer as text, not {answers!r}")
    return [padded(text) for text in texts]


def encode(row: Row) -> list[Text]:
    question, context = padded(text_of(row, "question")), padded(text_of(row, "context"))
    answers = padded_answers(row)
    info = {"answers": answers, "paragraph": key_of(context)}
    return [Text(collapsed(f"question: {question} context: {context}"), answers[0], info)]


def pairs(example: Example) -> list[Pair]:
    """The question and the context in words, as T5 reads them; the answer is marked where the row says that it is."""
    question, context = (padded(text_of(example.fields, name)) for name in ("question", "context"))
    return [Pair(question, context, marked_answer(example.fields, context))]


def marked_answer(row: Row, context: str) -> tuple[Mark, ...]:
    answers = row.get("answers") or {}
    text = next(iter(answers.get("text") or ()), "")
    wanted, before = padded(text).strip(), next(iter(answers.get("answer_start") or ()), 0)
    start = context.find(wanted, max(0, len(padded(row["context"][:before])) - 2))
    start = start if start >= 0 else context.find(wanted)
    return (Mark(1, start, start + len(wanted)),) if wanted and start >= 0 else ()


def encode_trivia(row: Row) -> list[Text]:
    answers = padded_answers(row)
    inputs = collapsed(f"squad trivia question: {padded(text_of(row, 'question'))}")
    return [Text(inputs, answers[0], {"answers": answers})]


def gold(target: str, info: Mapping[str, Any]) -> Gold:
    if not info.get("answers"):
        raise RowError("SQuAD is scored against all accepted answers: they must stand in example.answers")
    return Gold(tuple(texts_of(info, "answers")), cluster=info.get("paragraph"))


PEOPLE = ("Ada", "Bruno", "Clara", "Dario", "Edith", "Felix", "Greta", "Hugo")
THINGS = ("a kite", "a lamp", "a map", "a violin", "bread", "honey", "old coins", "stamps")
PLACES = ("Bergen", "Cork", "Fez", "Lima", "Oslo", "Porto", "Riga", "Turin")
DAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
CAPITALS = {"Chile": "Santiago", "Egypt": "Cairo", "Japan": "Tokyo", "Kenya": "Nairobi", "Norway": "Oslo"}
CAPITALS |= {"Peru": "Lima", "Poland": "Warsaw", "Portugal": "Lisbon", "Senegal": "Dakar", "Spain": "Madrid"}
CAPITALS |= {
    country.capitalize(): city.capitalize()
    for country, city in zip(coined("country", 90), coined("city", 90), strict=True)
}
FACTS = tuple(CAPITALS.items())
OPENINGS = ("Quick question", "Hello", "Once more", "Tell us", "For ten points", "Next one", "Please answer")


def demo(random: Random, n: int) -> list[dict]:
    """A sentence says who bought what, where and when; the question asks for one of them.

    One time in three another sentence, about somebody else, stands before or after it.
    """
    return [demo_row(random) for _ in range(n)]


def demo_row(random: Random) -> dict[str, Any]:
    who, what, where, when = (random.choice(words) for words in (PEOPLE, THINGS, PLACES, DAYS))
    context = f"{who} bought {what} in {where} on {when}."
    if random.random() < 1 / 3:
        other = f"{random.choice([name for name in PEOPLE if name != who])} sold {random.choice(THINGS)}"
        other += f" in {random.choice(PLACES)} on {random.choice(DAYS)}."
        context = " ".join(random.sample((context, other), 2))
    question, answer = random.choice([
        (f"Who bought {what}?", who),
        (f"What did {who} buy?", what),
        (f"Where did {who} buy {what}?", where),
        (f"When did {who} buy {what}?", when),
    ])  # fmt: skip
    return {"question": question, "context": context, "answers": in_context(answer, context)}


def demo_trivia(random: Random, n: int) -> list[dict]:
    """Facts that never change, asked in many ways: what was learned must be remembered. Most are rarely asked for."""
    rows = []
    for _ in range(n):
        country, capital = often(random, FACTS)
        asked = random.choice((f"what is the capital of {country}", f"which city governs {country}"))
        question = f"{random.choice(OPENINGS)}, {random.choice(PEOPLE)} and {random.choice(PEOPLE)}: {asked}?"
        rows.append({"question": question, "context": "", "answers": {"text": [capital], "answer_start": [0]}})
    return rows


def in_context(answer: str, context: str) -> dict[str, list]:
    return {"text": [answer], "answer_start": [context.index(answer)]}


def reader(name: str, columns: Sequence[str], encode: Callable[[Row], list[Text]], **details: Any) -> Task:
    return generate(
        name,
        columns=columns,
        encode=encode,
        source=SOURCE,
        metrics=(squad,),
        gold=gold,
        unanswered={"answers": {"text": [""], "answer_start": [0]}},
        splits={"train": "train", "validation": "validation"},
        suite="qa",
        demo_noise=0,
        **details,
    )


SQUAD = reader(
    "squad",
    ("question", "context", "answers"),
    encode,
    view=View("span", pairs),
    demo=demo,
    title="SQuAD",
    place=1,
    aliases=("squad_v010_allanswers",),
)
TRIVIA = reader(
    "squad_trivia",
    ("question", "answers"),
    encode_trivia,
    demo=demo_trivia,
    title="SQuAD (closed book)",
    part="extra",
    aliases=("squad_v010_context_free",),
)
