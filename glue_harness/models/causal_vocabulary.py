"""The vocabulary of a decoder: fast, never reading a special token out of a text, with the end that answers have."""

from __future__ import annotations

import string
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from glue_harness.core.errors import UsageError
from glue_harness.models.fast_vocabulary import SPECIAL, fast_tokenizer
from glue_harness.models.pairs import PairTokenizer, load_fast
from glue_harness.models.tokenizer import train_tokenizer

LEARNED = 8192  # pieces of a vocabulary that is learned from the tasks' texts, at most


class CausalVocabulary(PairTokenizer):
    """`before` stands at the start of every text: what the vocabulary itself puts there, such as Llama's <s>."""

    def __init__(self, tokenizer: Any, name: str) -> None:
        super().__init__(tokenizer)
        if tokenizer.eos_token_id is None:
            raise UsageError(f"model {name!r}: its vocabulary has no end of text, with which answers end")
        self.end = int(tokenizer.eos_token_id)

    def answers(self, separator: str, texts: Sequence[str]) -> list[list[int]]:
        """The tokens of answers as they go on behind the separator, without its own: one space is between the two.

        Read together, as a vocabulary's tokens may begin with the space, or put one in front of every text.
        """
        (alone,) = self.ids([separator])
        together = self.ids([f"{separator} {text}" for text in texts])
        apart = self.ids([f" {text}" for text in texts])
        return [
            whole[len(alone) :] if whole[: len(alone)] == alone else own
            for whole, own in zip(together, apart, strict=True)
        ]

    def behind(self, text: str) -> list[int]:
        """The tokens of a text that follows a word; none where the vocabulary does not see it, as a line's end."""
        (word,), (both,) = self.ids(["a"]), self.ids(["a" + text])
        return both[len(word) :]

    def text(self, ids: Sequence[int], end: int) -> str:
        """What was written before the end."""
        written = list(ids[: ids.index(end)]) if end in ids else list(ids)
        return str(self.fast.decode(written, skip_special_tokens=True)).strip()


def load_causal_vocabulary(folder: Path, name: str) -> CausalVocabulary:
    return CausalVocabulary(load_fast(folder, name), name)


def learn_causal_vocabulary(texts: Iterable[str], size: int = LEARNED) -> CausalVocabulary:
    """Byte-pair encoding, learned of the tasks' own texts by SentencePiece, whose trainer gives the same every time."""
    from tokenizers import processors
    from transformers import PreTrainedTokenizerFast

    learned = train_tokenizer(texts, size, spells=string.printable.strip())
    made = fast_tokenizer(learned.model)
    made.post_processor = processors.TemplateProcessing("$A", "$A $B", [])  # no end: an answer follows
    made.add_special_tokens(list(SPECIAL.values()))
    return CausalVocabulary(PreTrainedTokenizerFast(tokenizer_object=made, **SPECIAL), "gpt")
