"""GLUE and SuperGLUE as T5 defines them: `from glue_harness import Plan, run, compare`."""

from __future__ import annotations

from typing import Any

__version__ = "0.1.0"
HOMES = {
    "Plan": "core.plan",
    "Record": "core.record",
    "board": "report.public",
    "compare": "report.public",
    "load_results": "report.public",
    "load_tasks": "suite.registry",
    "run": "lab.run",
}
__all__ = ["Plan", "Record", "board", "compare", "load_results", "load_tasks", "run"]


def __getattr__(name: str) -> Any:
    """The public names, imported when first asked for: `run` brings torch with it."""
    if name not in HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(f"{__name__}.{HOMES[name]}"), name)
