"""Vocabularies: learned of a user's own text or of tasks, and held beside others."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from glue_harness.core.errors import UsageError
from glue_harness.core.task import Task
from glue_harness.data import load
from glue_harness.data.own import read_text
from glue_harness.data.rows import examples_of
from glue_harness.models.causal_vocabulary import learn_causal_vocabulary
from glue_harness.models.pairs import PairTokenizer, learn_pair_tokenizer, load_fast
from glue_harness.models.tokenizer import SPIECE, UNK, SentencePiece, load_tokenizer, train_tokenizer

SENTENCEPIECE = "sentencepiece-"
NEARLY = 0.95  # of the size that is asked: unigram stops pruning a little below it
KINDS = ("sentencepiece-unigram", "sentencepiece-bpe", "wordpiece", "bpe")
LETTERS = "abcdefghijklmnopqrstuvwxyz"  # a task that is tuned later may have labels with others than the text


class Vocabulary(NamedTuple):
    """What is asked of one: its name, its pieces, the tokens of texts, and the id of what it does not know."""

    name: str
    size: int
    encode: Callable[[Sequence[str]], list[list[int]]]
    unknown: int | None
    save: Callable[[Path], None]


class Fit(NamedTuple):
    """How a vocabulary suits texts."""

    coverage: float  # share of the words that it writes without an unknown token
    tokens_a_word: float
    unknown: float  # share of the tokens


def learned(kind: str, size: int, texts: Iterable[str]) -> Vocabulary:
    """Always the same one for the same texts. A size that these do not give is refused, with the one that they do."""
    if kind.startswith(SENTENCEPIECE):
        made = _of_pieces(kind, train_tokenizer(texts, size, LETTERS, kind.removeprefix(SENTENCEPIECE)))
    elif kind == "wordpiece":
        made = _fast(kind, learn_pair_tokenizer(texts, size))
    else:
        made = _fast(kind, learn_causal_vocabulary(texts, size))
    if made.size < NEARLY * size:
        raise UsageError(f"a vocabulary of {size:,} is larger than the text allows: use --size {made.size}")
    return made


def opened(folder: str) -> Vocabulary:
    """The vocabulary in a folder, as `--tokenizer` takes it."""
    if not Path(folder).is_dir():
        raise UsageError(f"there is no folder {folder!r} with a vocabulary")
    name = Path(folder).resolve().name
    if any((Path(folder) / file).is_file() for file in SPIECE):
        found = load_tokenizer(Path(folder))
        return Vocabulary(name, found.size, found.encode, UNK, found.save)
    return _fast(name, PairTokenizer(load_fast(Path(folder), folder)))


def _of_pieces(name: str, found: SentencePiece) -> Vocabulary:
    return Vocabulary(name, found.size, found.encode, UNK, found.save)


def _fast(name: str, found: PairTokenizer) -> Vocabulary:
    return Vocabulary(name, found.size, found.ids, found.tokenizer.unk_token_id, found.save)


def texts_of(task: Task, where: str) -> Iterator[str]:
    """What a model reads and writes of a task's train split, or of the one that it has."""
    role = "train" if "train" in task.splits else next(iter(task.splits))
    for example in examples_of(task, load(task, role, where)):
        yield from filter(None, (example.inputs, example.target))


def texts_in(where: str) -> list[str]:
    return [row["text"] for row in read_text(where).rows]


def fit(vocabulary: Vocabulary, texts: Sequence[str]) -> Fit:
    """Words are what spaces separate."""
    words = Counter(word for text in texts for word in text.split())
    tokens = [token for ids in vocabulary.encode(texts) for token in ids]
    lacking = [vocabulary.unknown in ids for ids in vocabulary.encode(list(words))]
    unwritten = sum(count for count, lacks in zip(words.values(), lacking, strict=True) if lacks)
    total = words.total() or 1
    unknown = tokens.count(vocabulary.unknown) if vocabulary.unknown is not None else 0
    return Fit(1 - unwritten / total, len(tokens) / total, unknown / max(1, len(tokens)))
