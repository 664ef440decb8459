"""Pairs of texts as an encoder's tokens, between the separators that its own vocabulary puts there."""

from __future__ import annotations

import hashlib
import string
from collections.abc import Iterable, Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from glue_harness.core.errors import DataError, RowError, UsageError
from glue_harness.core.task import Example, Mark, Pair, Task
from glue_harness.models.fast_vocabulary import SPACE
from glue_harness.models.tokenizer import UNK, train_tokenizer

if TYPE_CHECKING:
    from tokenizers import Encoding

SPECIAL = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]")  # BERT's, in this order
FIRST_PIECE = UNK + 1  # the ids before it mean no text
LEARNED = 8192  # pieces of a vocabulary that is learned from the tasks' texts, at most


class NoSeparator(Exception):
    """A pair of texts for a vocabulary that has nothing to put between them."""


class Laid(NamedTuple):
    """A pair as tokens, and where each of its marks begins and ends among them."""

    ids: list[int]
    marks: list[tuple[int, int]]
    lost: int  # tokens that there was no room for
    second: int  # where the second text begins, or would


class PairTokenizer:
    """A fast tokenizer, which never reads a special token out of a text."""

    def __init__(self, tokenizer: Any) -> None:
        from tokenizers import Tokenizer

        self.tokenizer = tokenizer  # transformers' own, to be saved with the model
        self.fast = Tokenizer.from_str(tokenizer.backend_tokenizer.to_str())  # a copy: that one may be told to cut
        self.fast.no_padding()
        self.fast.no_truncation()
        self.fast.encode_special_tokens = True  # "[SEP]" in a text is text
        self.size = self.fast.get_vocab_size(with_added_tokens=True)
        self.pad = tokenizer.pad_token_id if tokenizer.pad_token_id is not None else 0
        self.before, self.after = _specials(self.fast, ("a",))
        self.before_pair, self.between, self.after_pair = _specials(self.fast, ("a", "b"))

    @property
    def fingerprint(self) -> str:
        return hashlib.sha256(self.fast.to_str().encode()).hexdigest()[:16]

    def ids(self, texts: Sequence[str]) -> list[list[int]]:
        """Texts alone, with nothing around them."""
        return [encoding.ids for encoding in self.fast.encode_batch_fast(list(texts), add_special_tokens=False)]

    @cached_property
    def mask(self) -> int:
        if self.tokenizer.mask_token_id is None:
            raise UsageError("this vocabulary has no mask, which hides a token: use another model")
        return int(self.tokenizer.mask_token_id)

    @cached_property
    def plain(self) -> list[int]:
        """Ids that mean text."""
        return [k for k in range(self.size) if k not in set(self.tokenizer.all_special_ids)]

    @cached_property
    def goes_on(self) -> list[bool]:
        """Of each id, whether it goes on with a word: WordPiece marks these, other vocabularies what begins one."""
        texts = [self.fast.id_to_token(k) or "" for k in range(self.size)]
        if any(text.startswith("##") for text in texts):
            return [text.startswith("##") for text in texts]
        return [not text.startswith((SPACE, "\u0120")) for text in texts]

    def separators(self, pair: Pair) -> int:
        if pair.second is not None and not self.between:
            raise NoSeparator
        return len(self.before) + len(self.after) if pair.second is None else self._around_pair

    @property
    def _around_pair(self) -> int:
        return len(self.before_pair) + len(self.between) + len(self.after_pair)

    def lay(self, pairs: Sequence[Pair], length: int) -> list[Laid]:
        """At most `length` tokens of each pair; what does not fit goes from the ends, of the longer text first."""
        marked = any(pair.marks for pair in pairs)
        texts = [text for pair in pairs for text in pair[:2] if text is not None]
        encode = self.fast.encode_batch if marked else self.fast.encode_batch_fast  # only the first tells places
        encodings = iter(encode(texts, add_special_tokens=False))
        return [
            self._laid(pair, next(encodings), None if pair.second is None else next(encodings), length)
            for pair in pairs
        ]

    def _laid(self, pair: Pair, first: Encoding, second: Encoding | None, length: int) -> Laid:
        room = length - self.separators(pair)
        a, b = first.ids, second.ids if second else []
        kept_a, kept_b = kept(len(a), len(b), room) if second else (min(len(a), room), 0)
        lost = len(a) + len(b) - kept_a - kept_b
        if second is None:
            ids = [*self.before, *a[:kept_a], *self.after]
            starts = (len(self.before), len(ids))
        else:
            ids = [*self.before_pair, *a[:kept_a], *self.between, *b[:kept_b], *self.after_pair]
            starts = (len(self.before_pair), len(self.before_pair) + kept_a + len(self.between))
        limits, encodings = (kept_a, kept_b), (first, second)
        marks = [placed(mark, encodings[mark.text], starts[mark.text], limits[mark.text]) for mark in pair.marks]
        return Laid(ids, marks, lost, starts[1])

    def windows(self, pair: Pair, length: int, stride: int) -> tuple[list[list[int]], list[int], Encoding, int]:
        """A pair whose second text is too long in overlapping windows of it, each beside the first text.

        Also where in the second text's tokens each window begins, its encoding, and where it begins in a window.
        """
        self.separators(pair)
        first, second = self.fast.encode_batch([pair.first, pair.second or ""], add_special_tokens=False)
        asked = first.ids[: max(1, (length - self._around_pair) // 2)]
        room = length - self._around_pair - len(asked)
        step = max(1, room - stride)
        begins = list(range(0, max(1, len(second.ids) - room + step), step))
        head = [*self.before_pair, *asked, *self.between]
        found = [[*head, *second.ids[k : k + room], *self.after_pair] for k in begins]
        return found, begins, second, len(head)

    def save(self, folder: Path) -> None:
        try:
            self.tokenizer.save_pretrained(folder)
        except Exception as error:
            if type(error) is Exception:  # all that the library says of a disk that is full
                raise OSError(str(error)) from None
            raise


def pairs_of(task: Task, example: Example) -> Sequence[Pair]:
    """What a head reads of an example; a row that it cannot read is named."""
    assert task.view, "only what has a view is read by heads"
    try:
        found = task.view.pairs(example)
        if not found:
            raise RowError("there is nothing to choose from")
        return found
    except RowError as error:
        raise DataError(f"{task.name}: row {int(example.id.partition('.')[0]) + 1}: {error}") from None


def kept(first: int, second: int, room: int) -> tuple[int, int]:
    """How many tokens of each text stay: the longer one loses until both are equal, as transformers does it."""
    if first + second <= room:
        return first, second
    short = min(first, second, room // 2)
    return (short, room - short) if first <= second else (room - short, short)


def placed(mark: Mark, encoding: Encoding | None, start: int, limit: int) -> tuple[int, int]:
    """The tokens that a mark touches; of what was cut off, the last one that is left of its text."""
    assert encoding is not None, "a mark is in a text that is there"
    touched = [k for k, (a, b) in enumerate(encoding.offsets[:limit]) if a < mark.end and b > mark.start]
    first, last = (touched[0], touched[-1]) if touched else (max(0, limit - 1), max(0, limit - 1))
    return start + first, start + last + 1


def _specials(fast: Any, texts: tuple[str, ...]) -> list[list[int]]:
    """What the vocabulary puts before, between and after texts."""
    encoding = fast.encode(*texts, add_special_tokens=True)
    found: list[list[int]] = [[] for _ in range(len(texts) + 1)]
    seen = 0
    for token, sequence in zip(encoding.ids, encoding.sequence_ids, strict=True):
        if sequence is None:
            found[seen].append(token)
        else:
            seen = sequence + 1
    return found


def load_pair_tokenizer(folder: Path, name: str) -> PairTokenizer:
    return PairTokenizer(load_fast(folder, name))


def load_fast(folder: Path, name: str) -> Any:
    """transformers' tokenizer in a model's folder, under the name that the plan has for the model."""
    from transformers import AutoTokenizer
    from transformers.utils import logging

    logging.set_verbosity_error()
    try:
        tokenizer = AutoTokenizer.from_pretrained(folder, local_files_only=True, trust_remote_code=False)
    except Exception as error:  # the libraries raise what they like
        reason = " ".join(str(error).split())[:200]
        raise UsageError(f"model {name!r}: its vocabulary in {str(folder)!r} cannot be read: {reason}") from None
    if not getattr(tokenizer, "is_fast", False):
        raise UsageError(f"model {name!r}: its vocabulary has no fast form: add its tokenizer.json")
    for how in ("is_local", "local_files_only"):  # would be saved: a resumed run's files would be others
        tokenizer.init_kwargs.pop(how, None)
    return tokenizer


def learn_pair_tokenizer(texts: Iterable[str], size: int = LEARNED) -> PairTokenizer:
    """BERT's kind of vocabulary, WordPiece on lower case, learned of the tasks' own texts.

    Its pieces are those of SentencePiece's BPE: the tokenizers library's own trainer breaks ties another way each time.
    """
    from tokenizers import normalizers, pre_tokenizers
    from transformers import BertTokenizer

    lower, split = normalizers.BertNormalizer(lowercase=True), pre_tokenizers.BertPreTokenizer()
    words = (" ".join(word for word, _ in split.pre_tokenize_str(lower.normalize_str(text))) for text in texts)
    letters = sorted(set(string.printable.strip().lower()))  # a task that is tuned later may have others
    learned = train_tokenizer(words, size, spells="".join(letters)).processor
    pieces = [learned.id_to_piece(k) for k in range(FIRST_PIECE, learned.get_piece_size())]
    pieces += [f"{start}{letter}" for letter in letters for start in (SPACE, "")]
    named = [piece.removeprefix(SPACE) if piece.startswith(SPACE) else f"##{piece}" for piece in pieces]
    vocabulary = dict.fromkeys((*SPECIAL, *filter(None, named)))
    return PairTokenizer(BertTokenizer(vocab={piece: k for k, piece in enumerate(vocabulary)}, do_lower_case=True))
