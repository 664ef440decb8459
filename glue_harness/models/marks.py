"""What a folder of weights says was done to them, read without torch."""

from __future__ import annotations

import json
from pathlib import Path

from glue_harness.core.errors import UsageError
from glue_harness.core.plan import GENERAL

MARK = "glue_weights"  # in config.json: see models/compressed.py


def kind_in(folder: Path) -> str | None:
    """What glue compress made of the weights in a folder; None: nothing."""
    try:
        kind = json.loads((folder / "config.json").read_text(encoding="utf-8")).get(MARK)
    except (OSError, ValueError, AttributeError):
        return None
    known = GENERAL["weights"].choices
    if kind is not None and kind not in known:
        raise UsageError(f"model {str(folder)!r} has weights of the kind {kind!r}; known: {', '.join(known)}")
    return kind
