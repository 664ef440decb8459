"""Which settings are best: what is tried, in which order, and what was learned of it."""

from __future__ import annotations
