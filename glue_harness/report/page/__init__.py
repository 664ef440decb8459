"""One HTML file that shows results: its parts are inlined, so it opens from disk and asks for nothing."""

from __future__ import annotations

import base64
import gzip
import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from glue_harness.core.writing import json_text

FOLDER = Path(__file__).parent
SCRIPTS = ("dom", "state", "charts", "board", "run", "compare", "many", "sweeps", "main")  # one scope, in this order


def render(facts: Mapping[str, Any], packed: Mapping[str, Any]) -> str:
    """The page. `facts` are read when it opens; each of `packed`, by its id, when it is first looked at."""
    style = _part("style.css")
    script = "\n".join(_part(f"{name}.js") for name in SCRIPTS)
    script = f'"use strict";\n{{\n{script}}}\n'
    parts = {
        # Only these very texts run or style: whatever got into the page from data could do neither.
        "style_hash": _hash(style),
        "script_hash": _hash(script),
        "style": style,
        "script": script,
        "facts": inert(json_text(facts)),
        "packed": "\n".join(
            f'<script type="text/plain" id="{name}">{_packed(value)}</script>' for name, value in packed.items()
        ),
    }
    page = _part("page.html")
    for name, text in parts.items():
        before, mark, after = page.partition(f"@@{name}@@")  # once, and never in what was put in before
        assert mark, name
        page = before + text + after
    return page


def inert(json: str) -> str:
    """JSON that ends no script element and begins no comment, whatever its texts hold: it is ASCII already."""
    return json.replace("&", "\\u0026").replace("<", "\\u003c").replace(">", "\\u003e")


def _part(name: str) -> str:
    return (FOLDER / name).read_text(encoding="utf-8")


def _hash(text: str) -> str:
    return "sha256-" + base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()


def _packed(value: Any) -> str:
    """Base64 of gzip, without a date: the same results make the same page."""
    return base64.b64encode(gzip.compress(json_text(value).encode(), mtime=0)).decode()
