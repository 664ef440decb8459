"""Weights of a run: written beside, synced, renamed; only a folder with the marker counts."""

from __future__ import annotations

import os
import shutil
from collections.abc import Collection
from pathlib import Path

from glue_harness.errors import GlueError
from glue_harness.models import Model

MARKER = "complete"  # written last


def folder_of(run_folder: Path, step: int) -> Path:
    return run_folder / "checkpoints" / f"step-{step:08d}"


def save(run_folder: Path, step: int, model: Model) -> None:
    """The model at a step. A crash while writing leaves a draft that nobody reads."""
    target = folder_of(run_folder, step)
    draft = target.with_name(f".{target.name}.tmp")
    try:
        shutil.rmtree(draft, ignore_errors=True)
        draft.mkdir(parents=True)
        model.save(draft)
        for file in draft.iterdir():
            _sync(file)
        (draft / MARKER).touch()
        shutil.rmtree(target, ignore_errors=True)
        os.replace(draft, target)
        _sync(target.parent)
    except OSError as error:
        shutil.rmtree(draft, ignore_errors=True)
        raise GlueError(f"cannot save checkpoint {str(target)!r}: {error.strerror or error}; free some space") from None


def load(run_folder: Path, step: int, model: Model) -> None:
    """A step's weights into a model of the same shape."""
    folder = folder_of(run_folder, step)
    if not (folder / MARKER).exists():
        raise GlueError(f"no complete checkpoint at {str(folder)!r}")
    model.load_weights(folder)


def prune(run_folder: Path, keep: Collection[int]) -> None:
    """Removes the checkpoints of all other steps."""
    wanted = {folder_of(run_folder, step).name for step in keep}
    for folder in (run_folder / "checkpoints").glob("step-*"):
        if folder.name not in wanted:
            shutil.rmtree(folder, ignore_errors=True)


def _sync(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
