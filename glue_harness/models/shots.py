"""Solved examples before a question, as text to go on with: each with its answer, a blank line behind it."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from pathlib import Path

from glue_harness.core.errors import UsageError
from glue_harness.core.task import Example
from glue_harness.models.causal_vocabulary import CausalVocabulary

FILE = "shots.json"
BETWEEN = "\n\n"


class Shots:
    """What each task's questions have in front of them."""

    def __init__(
        self, solved: Mapping[str, Sequence[tuple[str, str]]], words: CausalVocabulary, separator: str
    ) -> None:
        self.solved = {task: [tuple(pair) for pair in pairs] for task, pairs in solved.items()}
        self.tokens = {
            task: [
                [*words.ids([text + separator])[0], *words.answers(separator, [answer])[0], *words.behind(BETWEEN)]
                for text, answer in pairs
            ]
            for task, pairs in solved.items()
        }

    @property
    def fingerprint(self) -> str:
        return hashlib.sha256(json.dumps(self.solved, sort_keys=True).encode()).hexdigest()[:16]

    def before(self, task: str, room: int) -> list[int]:
        """All of a task's, which must leave so much room as its question and answer take."""
        shots = self.tokens.get(task, [])
        fitting = next((n for n in range(len(shots), 0, -1) if sum(map(len, shots[:n])) <= room), 0)
        if fitting < len(shots):
            raise UsageError(
                f"{len(shots)} shots of {task} take {sum(map(len, shots)):,} tokens, and some question leaves "
                f"{max(0, room):,} for them: use --shots {fitting}, or a larger --set max_input"
            )
        return [token for shot in shots for token in shot]

    def save(self, folder: Path) -> None:
        text = json.dumps(self.solved, ensure_ascii=False, indent=1, sort_keys=True)
        (folder / FILE).write_text(text + "\n", encoding="utf-8")


def solved(examples: Mapping[str, Sequence[Example]]) -> dict[str, list[tuple[str, str]]]:
    return {task: [(example.inputs, example.target) for example in own] for task, own in examples.items()}


def load_shots(folder: Path, words: CausalVocabulary, separator: str) -> Shots:
    try:
        return Shots(json.loads((folder / FILE).read_text(encoding="utf-8")), words, separator)
    except (OSError, ValueError, TypeError, AttributeError) as error:
        raise UsageError(f"the solved examples in {str(folder / FILE)!r} cannot be read: {error}") from None
