"""Rows from the Hugging Face Hub, at a pinned revision. What is in the local cache needs no network."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from pathlib import Path

from glue_harness.core.errors import DataError, UsageError
from glue_harness.core.hub import check_address
from glue_harness.core.task import Row, Source, Task
from glue_harness.data.folder import arrow_rows, read_arrow
from glue_harness.data.rows import Unchecked

PROBE_SECONDS = 10
OFFLINE = ("HF_HUB_OFFLINE", "HF_DATASETS_OFFLINE", "TRANSFORMERS_OFFLINE")
CONVERTED = "refs/convert/parquet"  # the Hub's own conversion of data sets that need a script


class NeedsScript(Exception):
    """A revision that can only be read by running code from the Hub."""


def read(task: Task, split: str, revision: str | None) -> Unchecked:
    """The split at the revision asked for, or else the one its task pins: from the cache, or downloaded.

    `load_dataset` alone would not do: without network it retries for half a minute, and then silently takes
    whatever revision was cached last.
    """
    source = task.source
    if not source.hub:
        or_demo = "--data demo, or " if task.demo else ""
        raise UsageError(f"task {task.name!r} is not on the Hub: use {or_demo}--data DIR with your own")
    wanted = revision or source.revision
    if wanted and (files := cached_files(source, split, wanted)):
        return found(source, wanted, read_arrow(files))
    try:
        commit = commit_of(source, wanted)
    except DataError:
        files = [] if revision else cached_files(source, split, "*")
        if not files:
            raise
        commit = files[0].parent.name
        note = f"the Hub was not reached: the newest cached revision, {commit}, stands in for {wanted or 'the newest'}"
        return found(source, commit, read_arrow(files), note)
    try:
        return found(source, commit, download(source, split, commit))
    except NeedsScript:
        commit = commit_of(source, CONVERTED)
        note = f"revision {wanted} needs a script, which is never run: read from {CONVERTED} ({commit})"
        return found(source, commit, download(source, split, commit), note)


def found(source: Source, commit: str, rows: Sequence[Row], *notes: str) -> Unchecked:
    return Unchecked(rows, " ".join(("hub", f"{source.hub}@{commit[:7]}", source.config or "")).rstrip(), notes)


def cached_files(source: Source, split: str, revision: str) -> list[Path]:
    """The Arrow files that `datasets` keeps of a split, of the newest revision that matches; it is not imported."""
    general = Path(os.environ.get("XDG_CACHE_HOME", "~/.cache")) / "huggingface"
    home = Path(os.environ.get("HF_HOME", general))
    cache = Path(os.environ.get("HF_DATASETS_CACHE", home / "datasets")).expanduser()
    owner, _, name = source.hub.rpartition("/")
    folder = cache / f"{owner}___{name.lower()}"
    commits = sorted(folder.glob(f"{source.config or 'default'}/*/{revision}"), key=lambda path: path.stat().st_mtime)
    for commit in reversed(commits):
        if files := [*commit.glob(f"*-{split}.arrow"), *sorted(commit.glob(f"*-{split}-*-of-*.arrow"))]:
            return files
    return []


def commit_of(source: Source, revision: str | None) -> str:
    """The commit that a revision names. One request with one timeout: this is where a missing network shows."""
    for name in OFFLINE:
        if os.environ.get(name, "").upper() in ("1", "ON", "YES", "TRUE"):
            raise unreachable(source, f"{name} is set")
    check_address()
    from huggingface_hub import HfApi

    try:
        return HfApi().dataset_info(source.hub, revision=revision, timeout=PROBE_SECONDS).sha
    except Exception as error:  # its HTTP client, its own errors and OSError have nothing else in common
        raise unreachable(source, error) from error


def download(source: Source, split: str, commit: str) -> Sequence[Row]:
    import datasets

    if Path(source.hub).is_dir():
        raise DataError(f"folder {source.hub!r} here hides the Hub's data set of that name: run glue from elsewhere")
    if not sys.stderr.isatty():
        datasets.disable_progress_bars()
    try:
        return arrow_rows(datasets.load_dataset(source.hub, source.config, split=split, revision=commit).data.table)
    except Exception as error:  # of the network, the disk, the format, in the types of as many libraries
        if "scripts are no longer supported" in str(error):
            raise NeedsScript from error
        raise unreachable(source, error) from error


def unreachable(source: Source, reason: str | Exception) -> DataError:
    if isinstance(reason, Exception):
        first_line = str(reason).strip().partition("\n")[0]
        reason = f"{type(reason).__name__}: {first_line}"
    return DataError(
        f"cannot get {source.hub!r} from the Hub ({reason}): without network use --data demo or --data DIR, "
        "or try glue run --task mnli --demo"
    )
