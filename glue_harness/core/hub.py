"""The Hub's address, which data and models are asked for alike."""

from __future__ import annotations

import os

from glue_harness.core.errors import UsageError


def check_address() -> None:
    """What the Hub's own library says of an address that is none does not name the variable that it came from."""
    endpoint = os.environ.get("HF_ENDPOINT", "")
    if endpoint and not endpoint.startswith(("http://", "https://")):
        raise UsageError(f"HF_ENDPOINT is {endpoint!r}: it must be an address that begins with https://")
