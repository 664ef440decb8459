"""WNLI: does a sentence stay true when its pronoun is replaced? Also as T5 scores it: name the pronoun's noun."""

import re
from collections.abc import Sequence
from random import Random

from glue_harness.core.errors import RowError
from glue_harness.core.task import Row, Submission, Text
from glue_harness.data.lexicon import ADJECTIVES, PLACES, balanced_rows, words
from glue_harness.metrics import accuracy
from glue_harness.suite.build import classify, generate, label_name, text_of
from glue_harness.suite.cues import longer
from glue_harness.suite.glue import source
from glue_harness.suite.winograd import decode_referent, gold_label

LABELS = ("not_entailment", "entailment")
FIELDS = ("sentence1", "sentence2")
SIGNS = tuple(".,?!")
ARTICLES = ("a", "an", "the")
PRONOUNS = words("he she they it her his their them him")
SOURCE = source(
    "wnli",
    "WNLI",
    {"sentence1": "sentence1", "sentence2": "sentence2", "label": "label"},
    train=635,
    validation=71,
    test=146,
)
SUBMISSION = Submission("WNLI.tsv", words=(0, 1))


def encode_referent(row: Row) -> list[Text]:
    """The premise with its pronoun marked; the target is the noun phrase that the hypothesis puts there."""
    premise, hypothesis = (text_of(row, column) for column in FIELDS)
    label_name(LABELS, row.get("label"))  # refuses what is no label
    told, claimed = plain_words(premise), plain_words(hypothesis)
    places = [place for place, word in enumerate(told) if word in PRONOUNS]
    if not places:
        raise RowError(f"column 'sentence1' has no pronoun: {premise!r}")
    place = max(places, key=lambda place: sum(map(len, shared_context(told, place, claimed))))
    referent = noun_phrase(*shared_context(told, place, claimed), " ".join(claimed))
    target = as_written(from_last_article(referent), hypothesis)
    return [Text(f"wsc: {marked(premise, place)}", target, {"label": row["label"]})]


def plain_words(text: str) -> list[str]:
    """Lower-case words, each without one final sign."""
    plain = (re.sub(r"[.,?!]$", "", word) for word in text.strip().lower().split(" "))
    return [word for word in plain if word]


def shared_context(told: list[str], place: int, claimed: list[str]) -> tuple[list[str], list[str]]:
    """The words just before and just after the pronoun that the hypothesis has too."""
    before = shared_start(told[:place][::-1], " ".join(claimed[::-1]))
    after = shared_start(told[place + 1 :], " ".join(claimed))
    return before[::-1], after


def shared_start(words: list[str], text: str) -> list[str]:
    """The longest start of `words` that stands in `text`, where it may begin or end inside a word."""
    size = 0
    while size < len(words) and " ".join(words[: size + 1]) in text:
        size += 1
    return words[:size]


def noun_phrase(before: list[str], after: list[str], hypothesis: str) -> str:
    """What the hypothesis has between the shared words. T5 does not escape them in its patterns."""
    if not before and not after:
        return ""
    for pattern in ([*before, "(.+)", *after], ["^(.+)", *after], [*before, "(.+)$"]):
        try:
            found = re.search(" ".join(pattern), hypothesis)
        except re.error as error:
            raise RowError(f"its words make {' '.join(pattern)!r}, which is not a pattern: {error}") from None
        if found:
            return found[1]
    return ""


def from_last_article(phrase: str) -> list[str]:
    """The search may have caught too much at the front: a noun phrase starts at its article."""
    words = phrase.split(" ")
    return words[max((words.index(article) for article in ARTICLES if article in words), default=0) :]


def as_written(phrase: Sequence[str], hypothesis: str) -> str:
    """The phrase in the hypothesis' own spelling, without final sign and possessive."""
    pattern = " ".join(f"{re.escape(word)}[.,?!]?" for word in phrase)
    found = re.search(pattern, hypothesis, re.IGNORECASE)
    if not found:
        raise RowError(f"column 'sentence2' does not spell {' '.join(phrase)!r}: {hypothesis!r}")
    text = found[0][:-1] if found[0].endswith(SIGNS) else found[0]
    return text[:-1] if text.endswith("'") else text.removesuffix("'s")


def marked(premise: str, place: int) -> str:
    """Stars around the word that T5 takes for the pronoun: doubled spaces before it shift the count."""
    words = premise.split(" ")
    word = words[place]
    if not word:
        raise RowError(f"column 'sentence1' has a doubled space at word {place}: {premise!r}")
    words[place] = f"*{word[:-1]}* {word[-1]}" if word.endswith(SIGNS) else f"*{word}*"
    return " ".join(words)


HUNTERS = words("wolf lion fox hawk")
PREY = words("rabbit mouse hen deer")
CHASES = words("chased followed watched hunted")
ATTACKS = words("attacked growled pounced yawned")
ESCAPES = words("escaped fled hid trembled")


def demo(random: Random, n: int) -> list[dict]:
    """Hunter or prey: what it did in the end tells which of them the pronoun means."""

    def pair(label: int) -> dict:
        hunter, prey = random.choice(HUNTERS), random.choice(PREY)
        attacked = random.random() < 1 / 8  # an even chance leaves a small model nothing to begin with
        deed = f"{random.choice(ATTACKS if attacked else ESCAPES)} in the {random.choice(PLACES)}."
        named = hunter if attacked == bool(label) else prey
        story = f"The {random.choice(ADJECTIVES)} {hunter} {random.choice(CHASES)} the {prey}"
        return {"sentence1": f"{story} until it {deed}", "sentence2": f"The {named} {deed}"}

    return balanced_rows(random, n, (0, 1), pair)


WNLI = classify(
    "wnli",
    title="WNLI",
    suite="glue",
    part="extra",
    place=9,
    fields=FIELDS,
    labels=LABELS,
    metrics=(accuracy,),
    source=SOURCE,
    submission=SUBMISSION,
    demo=demo,
    demo_noise=0.05,
    cues=(longer(*FIELDS),),
    aliases=("glue_wnli_v002", "glue/wnli"),
)
REFERENT = generate(
    "wnli_referent",
    title="WNLI (referent)",
    suite="glue",
    part="extra",
    place=9,
    columns=(*FIELDS, "label"),
    encode=encode_referent,
    gold=gold_label,
    decode=decode_referent,
    labels=LABELS,
    metrics=(accuracy,),
    splits={"validation": "validation", "test": "test"},
    source=SOURCE,
    answered_by="wsc",
    submission=SUBMISSION,
    demo=demo,
    demo_noise=0.05,
    aliases=("glue_wnli_v002_simple_eval", "glue/wnli_simple"),
)
