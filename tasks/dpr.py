"""Definite pronoun resolution: T5 trains on it beside WSC, which has few rows of its own."""

from random import Random

from glue_harness.core.task import Row, Source, Text
from glue_harness.data.lexicon import balanced_rows, pronoun_scene
from glue_harness.metrics import accuracy
from glue_harness.suite.build import generate, label_name, text_of, texts_of
from glue_harness.suite.winograd import PREFIX, replace_first


def encode(row: Row) -> list[Text]:
    pronoun, candidates = text_of(row, "pronoun"), texts_of(row, "candidates")
    marked = replace_first(pronoun, rf" ({pronoun})([ .,])", r" *\1*\2", text_of(row, "sentence"))
    return [Text(PREFIX + marked, label_name(candidates, row.get("label")))]


def demo(random: Random, n: int) -> list[dict]:
    def sentence(label: int) -> dict:
        text, names, pronoun = pronoun_scene(random, referent=label)
        return {"sentence": text, "pronoun": pronoun, "candidates": names}

    return balanced_rows(random, n, (0, 1), sentence)


DPR = generate(
    "dpr",
    columns=("sentence", "pronoun", "candidates", "label"),
    encode=encode,
    source=Source(
        hub="community-datasets/definite_pronoun_resolution",
        config="plain_text",
        revision="0fdf659653e37a0a3bf8af0909a43969304b2b19",
        rows={"train": 1_322, "test": 564},
    ),
    metrics=(accuracy,),
    splits={"train": "train", "test": "test"},
    demo=demo,
    title="DPR",
    suite="superglue",
    part="companion",
    aliases=("dpr_v001_simple",),
)
