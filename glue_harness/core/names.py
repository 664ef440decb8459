"""Names of runs, tasks and suites become names of files and folders."""

from __future__ import annotations

import re

PLAIN = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")
LATEST = "latest"  # names the newest run
LONGEST_NAME = 128
DEVICES = {"CON", "PRN", "AUX", "NUL", *(f"{port}{n}" for port in ("COM", "LPT") for n in range(10))}  # on Windows
SAFE_NAMES = f"use at most {LONGEST_NAME} letters, digits, '.', '_' and '-', and no name of a Windows device"


def is_safe_name(name: str) -> bool:
    """Whether a name stays inside its folder, as itself, on every system."""
    device = name.partition(".")[0].upper() in DEVICES
    return bool(PLAIN.fullmatch(name)) and len(name) <= LONGEST_NAME and not name.endswith(".") and not device
