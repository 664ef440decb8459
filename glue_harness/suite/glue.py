"""What the GLUE tasks share: one data set on the Hub, one layout of the official download."""

from __future__ import annotations

from collections.abc import Mapping

from glue_harness.core.task import File, Source, tsv


def source(
    config: str,
    folder: str,
    columns: Mapping[str, str] | None = None,
    files: Mapping[str, File] | None = None,
    **rows: int,
) -> Source:
    """One task's part of GLUE; `rows` names its Hub splits and their official sizes.

    `columns` maps the Hub's columns to those of the official files, where these are train.tsv, dev*.tsv and test*.tsv.
    """
    return Source(
        hub="nyu-mll/glue",
        config=config,
        revision="bcdcba79d07bc864c1c254ccfcedcce55bcc9a8c",
        rows=rows,
        folder=folder,
        files=files or {split: split_file(split, columns or {}) for split in rows},
        hidden=tuple(split for split in rows if is_test(split)),
    )


def split_file(split: str, columns: Mapping[str, str]) -> File:
    """The official file of a Hub split; those of the test splits have no label."""
    named = {column: there for column, there in columns.items() if not (is_test(split) and column == "label")}
    return tsv(f"{split.replace('validation', 'dev')}.tsv", **named)


def is_test(split: str) -> bool:
    return split.startswith("test")
