"""The nouns of a benchmark: where rows come from, what a row becomes, what a model answered."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import TYPE_CHECKING, Any, NamedTuple

from glue_harness.core.errors import DataError

if TYPE_CHECKING:
    import numpy

Row = Mapping[str, Any]  # one row in the Hub's schema, whatever it was read from
HIDDEN = "<unk>"  # T5's target for a row whose answer is not public
MOST_SHOWN = 100  # characters of what a task's function gave
HIDDEN_LABEL = -1  # and its label, also as STS-B's -1.0, and beside a referent


@dataclass(frozen=True)
class File:
    """One file of an official download and how its columns map to the Hub's."""

    names: tuple[str, ...]  # tried in order, relative to the task's folder
    columns: Mapping[str, str | int] = field(default_factory=dict)  # Hub column -> header name, or position
    header: bool = True
    also: Mapping[str, str] = field(default_factory=dict)  # the same of columns that it may lack


def tsv(*names: str, header: bool = True, **columns: str | int) -> File:
    """A tab-separated official file: Hub column = its column there (a position where there is no header)."""
    return File(names, columns, header)


def jsonl(*names: str) -> File:
    """An official file of JSON lines; `Source.adapt` turns its records into rows."""
    return File(names)


def txt(*names: str) -> File:
    """Plain text: every paragraph, up to a blank line, is a row with the column `text`."""
    return File(names)


@dataclass(frozen=True)
class Source:
    """Where a task's rows live: on the Hub, and in the official download."""

    hub: str = ""  # none: it is not there
    config: str | None = None
    revision: str | None = None
    rows: Mapping[str, int] = field(default_factory=dict)  # Hub split -> official number of rows
    folder: str = ""  # the task's folder in the official download
    files: Mapping[str, File] = field(default_factory=dict)  # Hub split -> file in that folder
    adapt: Callable[[Row], Iterable[Row]] | None = None  # official record -> rows in the Hub's schema
    hidden: tuple[str, ...] = ()  # Hub splits whose answers are not public


@dataclass(frozen=True)
class Cue:
    """What a task's real rows show of themselves: rows that show the opposite are not what they claim to be."""

    says: str
    strength: Callable[[Sequence[Row]], float]  # standard errors in its favour
    labelled: bool  # whether it reads labels


@dataclass(frozen=True)
class SpanNoise:
    """How much of a text is hidden, and in spans of what length."""

    density: float = 0.15
    mean_span: float = 3.0


@dataclass(frozen=True)
class Masking:
    """How many tokens of a text are to be told, and which part of these a mask or another token stands for."""

    share: float = 0.15
    masked: float = 0.8
    random: float = 0.1
    pairs: bool = False  # of two segments, half of them from two texts: whether the second follows is told too


@dataclass(frozen=True)
class Continuation:
    """Each token of a text is to be told from those before it."""


@dataclass(frozen=True)
class BothWays:
    """Each word of a text is to be told twice: from those before it, and from those behind it."""


@dataclass(frozen=True)
class Neighbours:
    """Words that stand near each other are to be told from words drawn by their frequency (word2vec)."""

    together: bool  # a word from the mean of its neighbours (CBOW), or each neighbour from the word (skip-gram)
    window: int = 5  # words to either side at most: how many is drawn anew for each word
    negatives: int = 5  # other words beside each right one
    power: float = 0.75  # of the frequency by which these are drawn
    sample: float = 1e-3  # words that are more than this share of the text are left out, the more the more frequent


@dataclass(frozen=True)
class Prefix:
    """The end of a text is to be told from its beginning, cut at random."""


@dataclass(frozen=True)
class Denoising:
    """A text is to be told of which a share of the tokens, drawn one by one, is hidden in one of these ways:

    masked: a sentinel for each, or for a part of them another token; what is told is the whole text.
    spans: a sentinel for each run of them; what is told are the runs, each behind its sentinel.
    dropped: nothing; what is told are the tokens.
    shuffled: all tokens change places; what is told is the whole text.
    """

    share: float = 0.15
    random: float = 0.1
    way: str = "masked"


Noise = SpanNoise | Masking | Continuation | BothWays | Neighbours | Prefix | Denoising  # what is asked of text alone


@dataclass(frozen=True)
class Submission:
    """A task's file in the zip that its suite's official server scores."""

    file: str  # .tsv or .jsonl
    words: tuple[str | int, ...] = ()  # what it calls each label; none: the answer itself, a number or a text
    # Names in a row's idx, each with the way to it from the record that encloses it; none: idx is a number.
    levels: Mapping[str, tuple[str, ...]] = field(default_factory=dict)


class Text(NamedTuple):
    """What `encode` makes of a row: T5's pair of strings and what scoring needs beside it."""

    inputs: str
    target: str
    info: Mapping[str, Any] = {}  # idx, answers, label: as T5 keeps them
    choices: tuple[str, ...] = ()  # a closed set of answers that differs from row to row


class Mark(NamedTuple):
    """A word or phrase that a question is about, in one of a pair's texts."""

    text: int  # 0 or 1
    start: int  # characters
    end: int


class Pair(NamedTuple):
    """What a model with heads reads at once: a text, or two that are held against each other."""

    first: str
    second: str | None = None
    marks: tuple[Mark, ...] = ()


HEADS = ("label", "number", "choice", "marks", "span")


@dataclass(frozen=True)
class View:
    """How models read a task that do not write: its texts apart, in the order of their own literature, and a head.

    Heads: `label` tells which of the choices, `number` gives a number, `choice` scores each choice beside the text,
    `marks` tells which of the choices from the states of marked words, `span` finds the answer in the second text.
    """

    head: str
    pairs: Callable[[Example], Sequence[Pair]]  # one, or for `choice` one for each choice
    choices: Callable[[Example], Sequence[str]] = lambda example: example.choices  # the texts that the head answers
    gold: Callable[[Example], float] | None = None  # a choice's number, or the number; None: by the target
    columns: tuple[str, ...] = ()  # of a row, beside the task's own, as far as they are there
    encode: Callable[[Row], Sequence[Text]] | None = None  # where T5 does not train on every row


class Gold(NamedTuple):
    """The right answer in the metrics' terms, and the group it is scored in."""

    label: Any
    group: Hashable = None
    cluster: Hashable = None  # of examples that are not independent, as questions about one passage; None: its group


@dataclass(frozen=True, slots=True)
class Example:
    """One thing to answer. `fields` are the raw texts, for models that do not read T5's one string."""

    id: str
    inputs: str
    target: str
    fields: Mapping[str, Any]
    label: Any
    group: Hashable = None
    choices: tuple[str, ...] = ()
    info: Mapping[str, Any] = field(default_factory=dict)
    cluster: Hashable = None  # as in Gold


@dataclass(frozen=True, slots=True)
class Prediction:
    """A model's answer. `label is None`: not a valid answer, scored as T5 scores it."""

    example: Example
    text: str
    label: Any
    scores: Mapping[str, float] = field(default_factory=dict)  # choice -> share of probability


class Tally(NamedTuple):
    """What a metric counted, kept apart by the units that a bootstrap may resample.

    `score(weights)` takes weights of shape [draws, units] and gives each value's array of [draws]:
    all ones give the metric itself, multinomial counts a bootstrap of it.
    """

    units: Sequence[Hashable]
    score: Callable[[numpy.ndarray], dict[str, numpy.ndarray]]
    clusters: Sequence[Hashable] | None = None  # of each unit; None: every unit is independent of the others
    kinds: Mapping[str, Any] = {}  # value -> its kind of interval (metrics/units.py); absent: a bootstrap


@dataclass(frozen=True)
class Metric:
    """A score of a list of predictions, x100 as T5 prints it."""

    keys: tuple[str, ...]
    tally: Callable[[Sequence[Prediction]], Tally]
    signature: Callable[[], str] | None = None  # how it was computed, where that has a notation
    limits: tuple[float, float] | None = None  # least and most that its values can be, where that is known


@dataclass(frozen=True)
class Task:
    """Everything the harness knows about one task. Mostly made by a builder of `build.py`."""

    name: str
    kind: str  # classify, regress or generate
    source: Source
    columns: tuple[str, ...]  # Hub columns that `encode` reads
    encode: Callable[[Row], Sequence[Text]]
    gold: Callable[[str, Mapping[str, Any]], Gold]  # (target, info) -> what metrics compare with
    decode: Callable[[str, Example], Any]  # (model's text, example) -> label, None when invalid
    metrics: tuple[Metric, ...]
    view: View | None = None  # none: only models that write can answer it
    noise: Noise | None = None  # of text alone: what is asked of it, drawn anew each time
    splits: Mapping[str, str] = field(  # role -> Hub split; a task without "train" is only scored
        default_factory=lambda: {"train": "train", "validation": "validation", "test": "test"}
    )
    labels: tuple[str, ...] = ()
    groups: tuple[
        str, ...
    ] = ()  # columns by which scores are told apart too, of rows that have them: a genre, a source
    choices: tuple[str, ...] = ()  # the closed set of answers, if every row has the same one
    demo: Callable[[Random, int], list[dict[str, Any]]] | None = None  # n synthetic rows, rightly labelled
    demo_noise: float | None = None  # share of them that get a wrong label before use; None: their ceiling is not known
    cues: tuple[Cue, ...] = ()  # of real rows: demo rows need not show them
    title: str = ""  # the name that leaderboards print
    suite: str = "custom"
    part: str = "member"  # member; companion: trained, not averaged; extra: in <suite>-all; apart: by name
    place: int = 99  # column order on the suite's official table
    training_examples: int | None = None  # that the official train rows become, where not one each
    scored_by: tuple[str, ...] = ()  # tasks that score what this one trains (MNLI: matched, mismatched)
    answered_by: str | None = None  # the task whose model answers this one, which trains none (AX: MNLI)
    submission: Submission | None = None
    unanswered: Mapping[str, Any] = field(  # what a row holds that asks only: no answer, and numbers that nobody needs
        default_factory=lambda: {"label": -1}
    )
    aliases: tuple[str, ...] = ()  # T5's registry name first
    file: Path | None = None  # set by the registry

    @property
    def needs(self) -> tuple[str, ...]:
        """Columns that every row must have."""
        return self.columns + (("label",) if self.kind != "generate" else ())

    @property
    def keys(self) -> tuple[str, ...]:
        """Names of the values that its metrics give."""
        return tuple(key for metric in self.metrics for key in metric.keys)

    def fields(self, row: Row) -> dict[str, Any]:
        """What of a row its examples carry."""
        seen = dict.fromkeys(self.columns + (self.view.columns if self.view else ()) + self.groups)
        return {name: row[name] for name in seen if name in row}

    def examples(self, row: Row, number: int | str = 0) -> list[Example]:
        """The examples that one row becomes: none if T5 drops it, several if T5 expands it."""
        texts = self.encode(row)
        if not isinstance(texts, list | tuple) or not all(isinstance(text, Text) for text in texts):
            raise self.nonsense("encode", texts, "a list of Text")
        fields = self.fields(row)
        return [
            self.example(text, f"{number}.{k}" if len(texts) > 1 else str(number), fields)
            for k, text in enumerate(texts)
        ]

    def example(self, text: Text, id: str, fields: Row) -> Example:
        if not isinstance(text.inputs, str) or not isinstance(text.target, str):
            raise self.nonsense("encode", text, "inputs and a target that are text")
        if not isinstance(text.info, dict | Mapping):
            raise self.nonsense("encode", text, "an info that is a dict")
        if text.choices and not (isinstance(text.choices, tuple) and all(isinstance(c, str) for c in text.choices)):
            raise self.nonsense("encode", text, "choices that are a tuple of texts")
        gold = self.gold(text.target, text.info)
        if not isinstance(gold, Gold):
            raise self.nonsense("gold", gold, "a Gold")
        choices = text.choices or self.choices
        return Example(id, text.inputs, text.target, fields, gold.label, gold.group, choices, text.info, gold.cluster)

    def prediction(self, example: Example, text: str, scores: Mapping[str, float] | None = None) -> Prediction:
        return Prediction(example, text, self.decode(text, example), scores or {})

    def nonsense(self, function: str, given: object, wanted: str) -> DataError:
        """A function of the task's file gave something that nothing can be done with."""
        where = f" ({self.file})" if self.file else ""
        shown = " ".join(repr(given).split())
        shown = shown if len(shown) <= MOST_SHOWN else f"{shown[:MOST_SHOWN]}..."
        return DataError(f"task {self.name!r}{where}: {function} gave {shown}: it must give {wanted}")
