"""What the GLUE tasks share: one data set on the Hub, one layout of the official download."""

from __future__ import annotations

from collections.abc import Mapping

from glue_harness.core.task import File, Source


def source(
    config: str,
    folder: str,
    columns: Mapping[str, str] | None = None,
    files: Mapping[str, File] | None = None,
    also: Mapping[str, str] | None = None,
    **rows: int,
) -> Source:
    """One task's part of GLUE; `rows` names its Hub splits and their official sizes.

    `columns` maps the Hub's columns to those of the official files, where these are train.tsv, dev*.tsv and test*.tsv;
    `also` those that the Hub has not.
    """
    hidden = tuple(split for split in rows if split.startswith("test"))  # their files have no label
    if files is None:
        labelled = columns or {}
        unlabelled = {name: there for name, there in labelled.items() if name != "label"}
        files = {
            split: File(
                (f"{split.replace('validation', 'dev')}.tsv",),
                unlabelled if split in hidden else labelled,
                also=also or {},
            )
            for split in rows
        }
    return Source(
        hub="nyu-mll/glue",
        config=config,
        revision="bcdcba79d07bc864c1c254ccfcedcce55bcc9a8c",
        rows=rows,
        folder=folder,
        files=files,
        hidden=hidden,
    )
