"""WSC: which noun does the pronoun stand for? Trained on the true rows, scored on all."""

from collections.abc import Iterable
from dataclasses import replace
from hashlib import sha256
from random import Random

from glue_harness.core.errors import RowError
from glue_harness.core.task import Example, Mark, Pair, Row, Submission, Task, Text, View
from glue_harness.data.lexicon import balanced_rows, coined, often, pronoun_scene, words
from glue_harness.metrics import accuracy
from glue_harness.suite.build import classify, generate, key_of, label_id, label_name, text_of
from glue_harness.suite.superglue import BOOLEANS, official_label, source, value_at, whole_number
from glue_harness.suite.winograd import PREFIX, decode_referent, gold_label, replace_first

COLUMNS = ("text", "span1_index", "span1_text", "span2_index", "span2_text", "label")
WORD = r"[^\t\n\f\r ]+[\t\n\f\r ]"
# Texts (SHA-256) whose span2_index misses the pronoun: where it is, and what is glued to it there.
MISPLACED = {
    "ff12fea0d9c38a35d44cfb4e3cc0ed9236d1117f5ee3dd2c57e5d2368b6eda9a": (22, [',"']),
    "2254040d40a24356fc41d80d3506feb8082d271ca5f2aa474679433aa9293d38": (31, []),
}


def adapt(record: Row) -> Iterable[Row]:
    """The official record flattened, with the repairs that make the Hub's config `wsc.fixed`."""
    text, target = text_of(record, "text"), value_at(record, "target")
    row = {"text": text, "idx": value_at(record, "idx"), "label": official_label(record, BOOLEANS)}
    for span in ("span1", "span2"):
        index = whole_number(target, f"{span}_index")
        row[f"{span}_index"] = index
        row[f"{span}_text"] = as_in_text(text_of(target, f"{span}_text"), text, index)
    yield row


def as_in_text(span: str, text: str, index: int) -> str:
    """A span that the text does not contain takes the case of the word it points at."""
    words = text.split()
    if span in text:
        return span
    if not 0 <= index < len(words):
        raise RowError(f"span {span!r} points at word {index} of a text of {len(words)} words")
    first = span[:1].lower() if words[index][0].islower() else span[:1].upper()
    return (first + span[1:]).rstrip(".").replace("\n", " ")


def encode(row: Row) -> list[Text]:
    label = label_id(BOOLEANS, label_name(BOOLEANS, row.get("label")))
    prompt = marked_pronoun(row)
    info = {"label": label, "idx": row.get("idx"), "prompt": key_of(prompt)}
    return [Text(PREFIX + prompt, text_of(row, "span1_text"), info)]


def encode_true(row: Row) -> list[Text]:
    """Only a right referent is worth generating; as in T5, a hidden label counts as true."""
    return encode(row) if row.get("label") != 0 else []


def marked_pronoun(row: Row) -> str:
    """T5 puts X in the pronoun's place and then replaces every X, be it the text's own."""
    before, after = around_pronoun(row)
    return f"{before} X {after}".replace(" X ", f" *{text_of(row, 'span2_text')}* ")


def around_pronoun(row: Row) -> tuple[str, str]:
    """The texts before and after the pronoun's word."""
    text, pronoun, place = text_of(row, "text"), text_of(row, "span2_text"), whole_number(row, "span2_index")
    words = text.split(" ")
    if not 0 < place < len(words):
        raise RowError(f"span2_index {place} must be within words 1 to {len(words) - 1} of the text")
    digest = sha256(text.encode()).hexdigest()
    if digest in MISPLACED:
        place, glued = MISPLACED[digest]
        return " ".join(words[:place]), " ".join(glued + words[place + 1 :]).removesuffix(" ")
    if words[place] != pronoun:
        raise RowError(f"word {place} of the text is {words[place]!r}, not span2_text {pronoun!r}")
    return " ".join(words[:place]), " ".join(words[place + 1 :])


def marked_spans(row: Row) -> str:
    """T5's earlier form, never registered there: stars around the noun, hashes around the pronoun."""
    first, second = whole_number(row, "span1_index"), whole_number(row, "span2_index")
    text = mark_span(text_of(row, "text"), text_of(row, "span1_text"), first, "*")
    second += 2 if first < second else 0  # the two stars are words now
    return mark_span(text, text_of(row, "span2_text"), second, "#")


def mark_span(text: str, span: str, index: int, sign: str) -> str:
    """Signs around the span if it stands after so many words, else the text as it is."""
    if index > len(text):  # also beyond what a pattern may count
        return text
    return replace_first(span, rf"\A((?:{WORD}){{{index}}})({span})", rf"\1{sign} \2 {sign}", text)


LINKS = (words("although though but") + coined("although", 40), words("because as for") + coined("because", 40))


def demo(random: Random, n: int) -> list[dict]:
    return balanced_rows(random, n, range(len(BOOLEANS)), lambda label: candidate(random, label))


def demo_marked(random: Random, n: int) -> list[dict]:
    """With a cue in the text: to compare the marked name with the pronoun is too hard for a tiny model."""
    return balanced_rows(
        random, n, range(len(BOOLEANS)), lambda label: candidate(random, label, often(random, LINKS[label]))
    )


def candidate(random: Random, label: int, link: str = "because") -> dict:
    """A true row names the person whom the pronoun means, a false one the other."""
    place = random.randrange(2)
    text, names, pronoun = pronoun_scene(random, referent=place if label else 1 - place, link=link)
    words = text.split(" ")
    return {
        "text": text,
        "span1_index": words.index(names[place]),
        "span1_text": names[place],
        "span2_index": words.index(pronoun),
        "span2_text": pronoun,
    }


def pairs(example: Example) -> list[Pair]:
    """The text, with the places of the noun and of the pronoun."""
    text = text_of(example.fields, "text")
    return [Pair(text, None, tuple(mark(text, example.fields, span) for span in ("span1", "span2")))]


def mark(text: str, row: Row, span: str) -> Mark:
    """Where a span stands: from the word on that its index names, or else where it is first found."""
    named, index = text_of(row, f"{span}_text"), whole_number(row, f"{span}_index")
    start = len(" ".join(text.split(" ")[:index])) + (index > 0)
    found = text.lower().find(named.lower(), max(0, start - 2))
    start = found if found >= 0 else max(0, text.lower().find(named.lower()))
    return Mark(0, start, min(start + len(named), len(text)))


NOT_IT = "(another)"  # the answer of a head that says no, as a text that no candidate matches
REFERS = View(
    "marks",
    pairs,
    choices=lambda example: (NOT_IT, example.target),
    gold=lambda example: float(example.label == 1),
    encode=encode,
)
COMMON = {
    "source": source("wsc.fixed", "WSC", adapt, train=554, validation=104, test=146),
    "labels": BOOLEANS,
    "metrics": (accuracy,),
    "demo_noise": 0.05,
    "suite": "superglue",
    "place": 8,
}
REFERENT = {**COMMON, "view": REFERS, "columns": COLUMNS, "gold": gold_label, "decode": decode_referent, "demo": demo}


def with_marks(task: Task) -> Task:
    """The task on the text with both spans marked; its prompt is the text and the place of the pronoun."""

    def encode(row: Row) -> list[Text]:
        text = marked_spans(row)
        asked = f"{row['text']} #{row['span2_index']}"  # T5 also takes rows whose pronoun is not at its place
        return task.encode({**row, "text": text, "prompt": key_of(asked)})

    return replace(task, columns=COLUMNS[:-1], encode=encode, view=View("marks", pairs))


WSC = generate(
    "wsc",
    **REFERENT,
    encode=encode_true,
    splits={"train": "train"},
    training_examples=259,  # the true rows
    scored_by=("wsc_eval",),
    title="WSC",
    aliases=("super_glue_wsc_v102_simple_train", "super_glue/wsc_simple_train"),
)
WSC_EVAL = generate(
    "wsc_eval",
    **REFERENT,
    encode=encode,
    splits={"validation": "validation", "test": "test"},
    submission=Submission("WSC.jsonl", words=("false", "true")),
    title="WSC",
    part="extra",
    aliases=("super_glue_wsc_v102_simple_eval", "super_glue/wsc_simple_eval"),
)
WSC_MARKED = with_marks(
    classify(
        "wsc_marked",
        **COMMON,
        prefix="wsc",
        fields=("text",),
        info=lambda row: {"prompt": row["prompt"]},
        cluster=lambda info: info.get("prompt"),
        demo=demo_marked,
        title="WSC (marked)",
        part="apart",
        aliases=("super_glue/wsc_marked",),
    )
)
