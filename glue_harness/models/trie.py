"""A closed set of answers as a trie of tokens. Only its branches are decisions; the rest is forced."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field


@dataclass
class Node:
    """A prefix that several answers share."""

    prefix: tuple[int, ...] = ()
    children: dict[int, Node] = field(default_factory=dict)
    answer: str | None = None  # at a leaf: the answer that ends here

    def forced(self) -> Node:
        """The next node at which there is something to decide, or the leaf."""
        node = self
        while len(node.children) == 1:
            (node,) = node.children.values()
        return node

    @property
    def only_answer(self) -> str | None:
        """The answer below this node, if there is just one."""
        return self.forced().answer


def build_trie(answers: Sequence[str], sequences: Sequence[Sequence[int]]) -> Node:
    """Sequences end with the end of sequence, so that one answer may be the beginning of another.

    Two answers with the same tokens cannot be told apart by any decoder: the first one stands for both.
    """
    root = Node()
    for answer, sequence in zip(answers, sequences, strict=True):
        node = root
        for k, token in enumerate(sequence):
            node = node.children.setdefault(token, Node(tuple(sequence[: k + 1])))
        node.answer = node.answer if node.answer is not None else answer
    return root
