"""ReCoRD: which of the passage's entities belongs in place of @placeholder?"""

import re
from collections.abc import Iterable, Mapping
from random import Random
from typing import Any

from glue_harness.core.task import HIDDEN, Example, Gold, Pair, Row, Submission, Text, View
from glue_harness.data.lexicon import CITIES, DAYS, NAMES, QUALITIES, THINGS, coined, often, words
from glue_harness.metrics import squad
from glue_harness.suite.build import generate, text_of, texts_of
from glue_harness.suite.cues import longer
from glue_harness.suite.superglue import group_number, source, value_at, whole_number

HIGHLIGHT = "\n@highlight\n"
AHEAD = words("beat passed outran") + coined("ahead", 40)
BEHIND = words("followed missed chased") + coined("behind", 40)


def adapt(record: Row) -> Iterable[Row]:
    """An official record is a passage; every query about it is a row."""
    passage, spans = value_at(record, "passage", "text"), value_at(record, "passage", "entities")
    starts = [whole_number(span, "start") for span in spans]
    ends = [whole_number(span, "end") + 1 for span in spans]  # inclusive in the file
    entities = [passage[start:end] for start, end in zip(starts, ends, strict=True)]
    for query in value_at(record, "qas"):
        yield {
            "passage": passage,
            "query": value_at(query, "query"),
            "entities": sorted(set(entities)),
            "entity_spans": {"text": entities, "start": starts, "end": ends},
            "answers": sorted({value_at(answer, "text") for answer in query.get("answers", ())}),
            "idx": {"passage": value_at(record, "idx"), "query": value_at(query, "idx")},
        }


def encode(row: Row) -> list[Text]:
    """One example an answer: T5 trains on each of them."""
    entities, answers = sorted(set(texts_of(row, "entities"))), sorted(set(texts_of(row, "answers")))
    passage = with_highlights(text_of(row, "passage"))
    inputs = f"record query: {text_of(row, 'query')} entities: {', '.join(entities)} passage: {passage}"
    info = {"idx": value_at(row, "idx"), "answers": answers}
    return [Text(inputs, target, info, tuple(entities)) for target in answers or (HIDDEN,)]


def with_highlights(passage: str) -> str:
    """The article's summary lines as sentences: a full stop where the text before has no end of its own."""
    passage = re.sub(rf"([.?!\"']){HIGHLIGHT}", r"\1 ", passage)
    return passage.replace(HIGHLIGHT, ". ")


def pairs(example: Example) -> list[Pair]:
    """The passage, and beside it the query with each entity in the open place."""
    passage, query = with_highlights(text_of(example.fields, "passage")), text_of(example.fields, "query")
    return [Pair(passage, query.replace("@placeholder", entity)) for entity in example.choices]


def gold(target: str, info: Mapping[str, Any]) -> Gold:
    """Any of the answers is right, whichever of them this example trains on."""
    passage, query = (group_number(info, "idx", name) for name in ("passage", "query"))
    return Gold(tuple(texts_of(info, "answers")), group=(passage, query), cluster=passage)


def demo(random: Random, n: int) -> list[dict]:
    return [race(random, number) for number in range(n)]


def race(random: Random, number: int) -> dict:
    """A report with a winner and a city; in every third one with a second person, and its verb says who won."""
    (winner, other), (home, city) = random.sample(NAMES, 2), random.sample(CITIES, 2)
    prize = f"The prize was a {random.choice(QUALITIES)} {random.choice(THINGS)}"
    when = f"in the race of {city} on {random.choice(DAYS)}"
    entities, told = [winner, home, city], f"{winner} from {home} was first {when}"
    if random.random() < 1 / 3:
        entities = [winner, other, city] if (leads := random.random() < 1 / 2) else [other, winner, city]
        told = f"{entities[0]} {often(random, AHEAD if leads else BEHIND)} {entities[1]} {when}"
    passage = f"{told}{HIGHLIGHT}{prize}"
    starts = [passage.index(entity) for entity in entities]
    ends = [start + len(entity) for start, entity in zip(starts, entities, strict=True)]
    return {
        "passage": passage,
        "query": f"The winner @placeholder showed the {prize.split()[-1]} at home",
        "entities": sorted(entities),
        "entity_spans": {"text": entities, "start": starts, "end": ends},
        "answers": [winner],
        "idx": {"passage": number, "query": number},
    }


RECORD = generate(
    "record",
    columns=("passage", "query", "entities", "answers"),
    encode=encode,
    view=View("choice", pairs),
    gold=gold,
    training_examples=138_854,  # one an answer
    source=source("record", "ReCoRD", adapt, train=100_730, validation=10_000, test=10_000),
    metrics=(squad,),
    submission=Submission("ReCoRD.jsonl", levels={"query": ()}),
    unanswered={"answers": (), "idx": {"passage": 0, "query": 0}},
    demo=demo,
    demo_noise=0,
    cues=(longer("passage", "query"),),
    title="ReCoRD",
    suite="superglue",
    place=5,
    aliases=("super_glue_record_v102", "super_glue/record"),
)
