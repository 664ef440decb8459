"""Where a sentence model's words and vectors come from: the tasks' texts, a file, or the folder of an earlier run."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, NamedTuple
from zlib import crc32

import numpy as np
import torch
from torch import Tensor

from glue_harness.core.errors import UsageError
from glue_harness.core.plan import Plan
from glue_harness.models.vectors import take_vectors
from glue_harness.models.words import PAD, Words, frequent, load_words, words_in

WEIGHTS, HEADS = "model.safetensors", "glue_heads"
MADE, WIDTH, READS = "made", "word_width", "bilm"  # in config.json
SHARED = ("vectors", "tune_vectors", "word_size", "words")  # that a model is made with, beside its reader's
USUAL = 300  # numbers of a word vector that is learned
SPREAD = 0.1  # of new word vectors


class Table(NamedTuple):
    """A vocabulary, its vectors, and where they came from."""

    words: Words
    vectors: Tensor
    origin: dict[str, Any]


def learned_table(plan: Plan, made: Mapping[str, Any], texts: Iterable[str]) -> Table:
    """A vocabulary of the tasks' words, or the one in a folder, with vectors from a file, or new ones that learn."""
    known = load_words(Path(plan.tokenizer)) if plan.tokenizer else None
    if not made["vectors"]:
        words = known or frequent(words_in(texts), made["words"])
        vectors = SPREAD * torch.randn(words.size, made["word_size"] or USUAL)
        vectors[PAD] = 0
        return Table(words, vectors, {"kind": "from scratch"})
    notes: list[str] = []
    wanted = set(known.words) if known else words_in(texts).keys()
    found = take_vectors(made["vectors"], {*wanted, *(word.lower() for word in wanted)}, notes)
    width = found.matrix.shape[1]
    if made["word_size"] not in (None, width):
        raise UsageError(
            f"word_size is {made['word_size']} but the vectors of {made['vectors']!r} have {width} numbers: "
            "leave word_size out"
        )
    words = known or Words(found.words)
    rows = {word: row for row, word in enumerate(found.words)}
    if lacking := [word for word in words.words if word not in rows]:
        raise UsageError(f"--vectors {made['vectors']!r} has no vector of {lacking[0]!r}: it is not the file it was")
    matrix = found.matrix[[rows[word] for word in words.words]]
    unknown = np.stack([np.zeros(width, np.float32), matrix.mean(0)])  # padding, and what the file does not have
    digest = f"{crc32(matrix.tobytes()):08x}"
    origin = {"kind": "from scratch", "vectors": {"file": Path(made["vectors"]).name, "width": width, "crc32": digest}}
    return Table(words, torch.from_numpy(np.concatenate([unknown, matrix])), origin)


def known_table(source: Path, config: Mapping[str, Any]) -> Table:
    """The words of an earlier run; their vectors come with its weights."""
    words = load_words(source)
    return Table(words, torch.zeros(words.size, config[WIDTH]), {"kind": "pretrained"})


def made_of(plan: Plan, names: Iterable[str], config: Mapping[str, Any]) -> dict[str, Any]:
    """The settings that a model was made with, which later ones must not contradict; else the plan's own."""
    there = config.get(MADE, {})
    for name, value in plan.own.items():
        if name in there and value != there[name]:
            raise UsageError(f"{name} is {value} but the model that it starts from has {there[name]}: leave it out")
    return {name: there.get(name, getattr(plan, name)) for name in names}  # of text alone there is no reader yet


def config_in(folder: Path | None) -> dict[str, Any]:
    """What `save_vocabulary` wrote; nothing where a folder has only a vocabulary."""
    try:
        found = json.loads((folder / "config.json").read_text(encoding="utf-8")) if folder else {}
    except FileNotFoundError:
        return {}
    except (OSError, ValueError) as error:
        raise UsageError(f"config.json in {str(folder)!r} cannot be read: {error}") from None
    if found and not {MADE, WIDTH, HEADS} <= found.keys():
        raise UsageError(f"config.json in {str(folder)!r} is not one of a CBOW or BiLSTM that glue trained")
    return found


def read_weights(folder: Path) -> dict[str, Tensor]:
    """By the names that they have in a model."""
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    try:
        found = load_file(str(folder / WEIGHTS))
    except (OSError, SafetensorError) as error:
        raise UsageError(f"weights in {str(folder)!r} cannot be read: {' '.join(str(error).split())[:200]}") from None
    return {name.replace(f"{HEADS}.", "heads.", 1) if name.startswith(HEADS) else name: w for name, w in found.items()}
