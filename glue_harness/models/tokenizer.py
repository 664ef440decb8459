"""Text to token ids and back, exactly as T5's SentencePiece does it: text never spells a control token."""

from __future__ import annotations

import hashlib
import io
import json
import os
import re
from collections.abc import Iterable, Sequence
from pathlib import Path
from random import Random
from typing import Protocol

from glue_harness.core.errors import DataError, UsageError
from glue_harness.models.fast_vocabulary import is_complete, save_fast

PAD, EOS, UNK = 0, 1, 2
SENTINELS = 100
UNK_TEXT = " \u2047 "  # how SentencePiece prints a token it does not know
SAMPLE = 50_000  # texts that a vocabulary is learned from
TEXTS_A_THREAD = 500  # the library's own threads need no process, and no Python beside the lists they give
SPIECE = ("spiece.model", "sentencepiece.model")


class Tokenizer(Protocol):
    """What a model needs of a vocabulary. `encode` adds no end of sequence."""

    size: int  # ids that mean text; a model may have more (sentinels, padding)
    first_sentinel: int  # <extra_id_0>; the others are the ids below it

    def encode(self, texts: Sequence[str]) -> list[list[int]]: ...
    def decode(self, ids: Sequence[int]) -> str: ...
    def save(self, folder: Path) -> None: ...
    @property
    def fingerprint(self) -> str: ...


def cut(ids: Sequence[int], length: int) -> list[int]:
    """T5's trim: at most length - 1 tokens, and always one end of sequence."""
    return [*ids[: length - 1], EOS]


def excess(ids: Sequence[int], length: int) -> int:
    """How many tokens that trim takes away."""
    return max(0, len(ids) - (length - 1))


def until_end(ids: Iterable[int]) -> list[int]:
    """A generated sequence up to its first end of sequence."""
    kept: list[int] = []
    for token in ids:
        if token == EOS:
            break
        kept.append(token)
    return kept


class SentencePiece:
    """The native library on a `spiece.model`: it reads `</s>` and `<extra_id_0>` in a text as text."""

    def __init__(self, model: bytes) -> None:
        from sentencepiece import SentencePieceProcessor

        self.model = model
        self.processor = SentencePieceProcessor(model_proto=model)
        self.size = self.processor.get_piece_size()
        self.first_sentinel = self.size + SENTINELS - 1

    def encode(self, texts: Sequence[str]) -> list[list[int]]:
        return self.processor.encode(
            list(texts), num_threads=min(os.cpu_count() or 1, 1 + len(texts) // TEXTS_A_THREAD)
        )

    def decode(self, ids: Sequence[int]) -> str:
        return self.processor.decode([token if token < self.size else UNK for token in until_end(ids)])

    def save(self, folder: Path) -> None:
        (folder / SPIECE[0]).write_bytes(self.model)
        save_fast(self.model, SENTINELS, folder)

    @property
    def fingerprint(self) -> str:
        return hashlib.sha256(self.model).hexdigest()[:16]


class FastTokenizer:
    """A `tokenizer.json` without its `spiece.model`.

    Its special tokens stand in the vocabulary itself, where a text that spells one would match; they are
    renamed to what no normalised text can hold: a NUL, or a plain space (texts carry U+2581 instead).
    """

    def __init__(self, text: str) -> None:
        from tokenizers import Tokenizer as Fast

        self.text = text
        parts = json.loads(text)
        special = {token["id"] for token in parts.pop("added_tokens", [])} | {PAD, EOS, UNK}
        vocabulary = parts["model"].get("vocab")
        if parts["model"].get("type") != "Unigram":
            raise UsageError("tokenizer.json does not hold a SentencePiece vocabulary: add its spiece.model")
        for token in special & set(range(len(vocabulary))):
            vocabulary[token][0] = UNK_TEXT if token == UNK else f"\0{token}"
        self.size = next((k for k in range(UNK + 1, len(vocabulary)) if k in special), len(vocabulary))
        self.first_sentinel = self.size + SENTINELS - 1
        self.fast = Fast.from_str(json.dumps({**parts, "added_tokens": [], "post_processor": None}))
        self.fast.no_padding()
        self.fast.no_truncation()

    def encode(self, texts: Sequence[str]) -> list[list[int]]:
        return [encoding.ids for encoding in self.fast.encode_batch(list(texts))]

    def decode(self, ids: Sequence[int]) -> str:
        return self.fast.decode([token if token < self.size else UNK for token in until_end(ids) if token != PAD])

    def save(self, folder: Path) -> None:
        (folder / "tokenizer.json").write_text(self.text, encoding="utf-8")

    @property
    def fingerprint(self) -> str:
        return hashlib.sha256(self.text.encode()).hexdigest()[:16]


class Bytes:
    """ByT5's vocabulary: UTF-8 bytes after the three special ids."""

    size = 256 + 3
    first_sentinel = size - 1  # ByT5 has no ids of its own for them: the highest bytes serve
    fingerprint = "bytes"

    def encode(self, texts: Sequence[str]) -> list[list[int]]:
        return [[byte + 3 for byte in text.encode("utf-8")] for text in texts]

    def decode(self, ids: Sequence[int]) -> str:
        return bytes(token - 3 for token in until_end(ids) if 3 <= token < self.size).decode("utf-8", "ignore")

    def save(self, folder: Path) -> None:
        """There is no vocabulary; what says that the model reads bytes is its name for the tokenizer."""
        (folder / "tokenizer_config.json").write_text(json.dumps({"tokenizer_class": "ByT5Tokenizer"}))


def load_tokenizer(folder: Path) -> Tokenizer:
    """The vocabulary in a model's folder."""
    if reads_bytes(folder):
        return Bytes()
    file = next((folder / name for name in (*SPIECE, "tokenizer.json") if (folder / name).is_file()), None)
    if file is None:
        raise UsageError(f"no vocabulary in {str(folder)!r}: it needs {SPIECE[0]} or tokenizer.json")
    try:
        if file.name in SPIECE:
            model = file.read_bytes()
            if not is_complete(model):  # the library takes an empty file, and one that is cut off between two pieces
                raise ValueError("not complete")
            return SentencePiece(model)
        return FastTokenizer(file.read_text(encoding="utf-8"))
    except OSError as error:
        raise UsageError(f"vocabulary {str(file)!r} cannot be read: {error.strerror}") from None
    except UsageError:
        raise
    except Exception:  # the libraries raise what they like, down to Exception itself, and say nothing that helps
        raise UsageError(
            f"vocabulary {str(file)!r} is not complete, or none of SentencePiece: copy it again from where it came"
        ) from None


def reads_bytes(folder: Path) -> bool:
    """ByT5 says what it reads in its configuration only: there is no vocabulary file."""
    try:
        configured = json.loads((folder / "tokenizer_config.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):  # only a ByT5 needs it
        return False
    return isinstance(configured, dict) and configured.get("tokenizer_class") == "ByT5Tokenizer"


def train_tokenizer(texts: Iterable[str], size: int, spells: str = "", kind: str = "bpe") -> SentencePiece:
    """A vocabulary learned from the tasks' own text, with T5's special ids; smaller if the text is small.

    It can write the characters in `spells` even if they are not in the text.
    """
    import sentencepiece

    sample = sampled(texts, SAMPLE)  # sentencepiece's own sample differs from process to process, whatever its seed
    if not any(sample):
        raise DataError(
            "there is no text to learn a vocabulary from: no row became an example (see encode of its task)"
        )
    sentencepiece.set_random_generator_seed(0)
    written = io.BytesIO()
    try:
        sentencepiece.SentencePieceTrainer.train(
            sentence_iterator=iter(sample),
            model_writer=written,
            model_type=kind,  # on small text unigram prunes whole words, and sequences become 2.5 times longer
            vocab_size=size,
            hard_vocab_limit=False,
            character_coverage=1.0,
            required_chars=spells,
            pad_id=PAD,
            eos_id=EOS,
            unk_id=UNK,
            bos_id=-1,
            num_threads=1,
            input_sentence_size=SAMPLE,
            max_sentence_length=100_000,
            minloglevel=2,
        )
    except RuntimeError as error:
        if not (found := re.search(r"smaller than required_chars\. \d+ vs (\d+)", str(error))):
            raise
        raise UsageError(
            f"a vocabulary of {size:,} has no room for every letter and sign: it needs {found[1]} or more"
        ) from None
    return SentencePiece(written.getvalue())


def sampled(texts: Iterable[str], size: int) -> list[str]:
    """So many texts, each equally likely, and always the same ones; only these are ever in memory."""
    random, kept = Random(0), []
    for number, text in enumerate(texts):
        if number < size:
            kept.append(text)
        elif (place := random.randrange(number + 1)) < size:
            kept[place] = text
    return kept
