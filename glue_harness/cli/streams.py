"""What goes into a verb and what comes out: files of the user's, JSON for programs, tables and lines for people."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import is_dataclass
from typing import Any, BinaryIO

import click

from glue_harness.core.errors import UsageError
from glue_harness.core.writing import json_text
from glue_harness.report.console import say, show

Shown = Iterator[Any]  # tables, texts, or a text and its style: a generator, so that nothing is drawn for a program
Names = tuple[str, ...]  # what an option that can be repeated was given


def emit(as_json: bool, facts: Any, shown: Shown, *, indent: int | None = None, by_line: bool = False) -> None:
    """The facts as JSON, on request a line for each, or what people are shown of them."""
    if as_json:
        for fact in facts if by_line else [facts]:
            click.echo(json_text(plain(fact), indent))
        return
    for part in shown:
        if isinstance(part, str):
            say(part)
        elif isinstance(part, tuple):
            say(*part)
        else:
            show(part)


def plain(value: Any) -> Any:
    """Records of all kinds as JSON has them: dataclasses and named tuples become objects."""
    if is_dataclass(value):
        value = vars(value)
    elif hasattr(value, "_asdict"):
        value = value._asdict()
    if isinstance(value, Mapping):
        return {key: plain(item) for key, item in value.items()}
    return [plain(item) for item in value] if isinstance(value, list | tuple) else value


def read_file(file: str, read: Callable[[BinaryIO, str], Any]) -> Any:
    """What `read` makes of a file and its name; - is stdin."""
    if file == "-":
        return read(sys.stdin.buffer, "stdin")
    try:
        with open(file, "rb") as content:
            return read(content, file)
    except OSError as error:
        raise UsageError(f"cannot read {file!r}: {error.strerror}") from None
