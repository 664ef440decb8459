"""A SentencePiece vocabulary as the `tokenizer.json` that transformers' AutoTokenizer reads, beside its own file.

transformers could convert the file itself, with protobuf, which few have installed.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tokenizers import Tokenizer

PIECES, TRAINER, NORMALIZER = 1, 2, 3  # fields of SentencePiece's ModelProto
PIECE, SCORE = 1, 2  # of a piece
MODEL_TYPE, BPE = 3, 2  # of the trainer's settings, and its value; 1 is Unigram
CHARACTERS = 2  # of the normaliser's settings: what each character becomes, compiled
SPACE = "\u2581"
SPECIAL = {"pad_token": "<pad>", "eos_token": "</s>", "unk_token": "<unk>"}  # of the ids 0, 1, 2
VARINT, FIXED64, BYTES, FIXED32 = 0, 1, 2, 5  # how protobuf writes a value


def save_fast(model: bytes, sentinels: int, folder: Path) -> None:
    """`tokenizer.json` and the class that reads it."""
    from transformers import PreTrainedTokenizerFast

    extra = [f"<extra_id_{k}>" for k in reversed(range(sentinels))]  # the last has the lowest id
    made = fast_tokenizer(model)
    made.add_special_tokens([*SPECIAL.values(), *extra])
    fast = PreTrainedTokenizerFast(tokenizer_object=made, **SPECIAL)
    try:
        fast.save_pretrained(folder)
    except Exception as error:
        if type(error) is Exception:  # all that the library says of a disk that is full
            raise OSError(str(error)) from None
        raise


def is_complete(model: bytes) -> bool:
    """Whether what stands behind the pieces is there too."""
    return {PIECES, TRAINER, NORMALIZER} <= {number for number, _ in fields(model)}


def fast_tokenizer(model: bytes) -> Tokenizer:
    """The same pieces under the same rules; texts get the end of sequence that T5's do."""
    from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, processors

    parts = list(fields(model))
    pieces = [dict(fields(value)) for number, value in parts if number == PIECES]
    texts = [piece[PIECE].decode() for piece in pieces]
    scores = [struct.unpack("<f", piece.get(SCORE, bytes(4)))[0] for piece in pieces]
    trained = dict(fields(next(value for number, value in parts if number == TRAINER)))
    if trained.get(MODEL_TYPE) == BPE:
        ids = {text: k for k, text in enumerate(texts)}
        made = Tokenizer(models.BPE(ids, merges(ids), unk_token=SPECIAL["unk_token"], fuse_unk=True))
    else:
        made = Tokenizer(models.Unigram(list(zip(texts, scores, strict=True)), unk_id=2, byte_fallback=False))
    compiled = dict(fields(next(value for number, value in parts if number == NORMALIZER))).get(CHARACTERS)
    if compiled:
        made.normalizer = normalizers.Precompiled(compiled)
    split = pre_tokenizers.Metaspace(replacement=SPACE, prepend_scheme="always", split=True)
    made.pre_tokenizer = pre_tokenizers.Sequence([pre_tokenizers.WhitespaceSplit(), split])
    made.decoder = decoders.Metaspace(replacement=SPACE, prepend_scheme="always", split=True)
    end = SPECIAL["eos_token"]
    made.post_processor = processors.TemplateProcessing(f"$A {end}", f"$A {end} $B {end}", [(end, 1)])
    return made


def merges(ids: dict[str, int]) -> list[tuple[str, str]]:
    """The pairs that make a piece, in the order in which SentencePiece learned the pieces: that of their ids."""
    found = []
    for text in ids:
        for at in range(1, len(text)):
            if text[:at] in ids and text[at:] in ids:
                found.append((text[:at], text[at:]))
    return sorted(found, key=lambda pair: (ids["".join(pair)], ids[pair[0]], ids[pair[1]]))


def fields(message: bytes) -> Iterator[tuple[int, Any]]:
    """Numbers and values of a protobuf message: integers, or the bytes as they stand."""
    at = 0
    while at < len(message):
        key, at = _varint(message, at)
        kind = key & 7
        if kind == VARINT:
            value, at = _varint(message, at)
            yield key >> 3, value
            continue
        length, at = _varint(message, at) if kind == BYTES else ({FIXED64: 8, FIXED32: 4}[kind], at)
        yield key >> 3, message[at : at + length]
        at += length


def _varint(message: bytes, at: int) -> tuple[int, int]:
    """Seven bits a byte, the lowest first; the eighth says that more follow."""
    value = shift = 0
    while True:
        byte, at = message[at], at + 1
        value |= (byte & 127) << shift
        shift += 7
        if byte < 128:
            return value, at
