"""What a job needs of a cluster, as it stands behind the place: `ray?cpus=2&gpus=1&memory=8`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from urllib.parse import parse_qsl

from glue_harness.core.errors import UsageError

LARGEST = 1e6


def needs_of(on: str, known: Mapping[str, Any]) -> tuple[str, dict[str, Any]]:
    """The place without its needs, and these: what was asked for, and else what is usual. Numbers, or names."""
    place, _, asked = on.partition("?")
    needs = dict(known)
    for name, text in parse_qsl(asked, keep_blank_values=True):
        if name not in known:
            raise UsageError(f"--on {on}: it takes {', '.join(known)} behind the ?, not {name}")
        needs[name] = text if isinstance(known[name], str) else _number(text, name, on)
    return place, needs


def _number(text: str, name: str, on: str) -> float:
    try:
        number = float(text)
    except ValueError:
        number = -1.0
    if not 0 <= number < LARGEST:
        raise UsageError(f"--on {on}: {name} is a number, 0 or more, not {text!r}")
    return number
