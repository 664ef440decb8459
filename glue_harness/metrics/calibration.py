"""Whether an answer's share of probability is how often such answers are right."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

BINS = 10


class Bin(NamedTuple):
    """The answers whose share lies in one tenth of 0 to 1."""

    share: float  # mean
    right: float  # part of them
    n: int


def reliability(shares: Sequence[float], rights: Sequence[bool]) -> list[Bin]:
    """Bins from the least share to the largest, without empty ones; a share of 1 is in the last."""
    groups: dict[int, list[tuple[float, bool]]] = {}
    for share, right in zip(shares, rights, strict=True):
        groups.setdefault(min(int(share * BINS), BINS - 1), []).append((share, right))
    return [
        Bin(sum(share for share, _ in group) / len(group), sum(right for _, right in group) / len(group), len(group))
        for _, group in sorted(groups.items())
    ]


def expected_error(bins: Sequence[Bin]) -> float | None:
    """ECE = sum over bins of n_b/n |right_b - share_b|; None of no answers."""
    n = sum(found.n for found in bins)
    return sum(found.n * abs(found.right - found.share) for found in bins) / n if n else None
