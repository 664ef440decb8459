"""`glue vocab`: learns a vocabulary, and shows how it and others suit tasks and texts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from glue_harness.cli.options import data_option, json_option, open_registry, split_names, task_folders_option
from glue_harness.cli.streams import Shown, emit
from glue_harness.core.errors import UsageError, unknown

if TYPE_CHECKING:
    from glue_harness.lab.vocabulary import Fit, Vocabulary

MOST = 4  # vocabularies side by side
SAMPLE = 20_000  # texts of a task that a vocabulary is measured on


@click.command()
@click.argument("folders", nargs=-1, metavar="[FOLDER]...")
@click.option("--kind", metavar="NAME", help="Learn one: sentencepiece-unigram, sentencepiece-bpe, wordpiece or bpe.")
@click.option("--size", type=click.IntRange(min=10), metavar="N", default=8000, show_default=True, help="Its pieces.")
@click.option("--out", type=click.Path(path_type=Path), help="Folder that it is written to, for --tokenizer.")
@click.option("-t", "--task", "names", multiple=True, metavar="NAME", help="Tasks or suites whose texts are read.")
@data_option("demo")
@click.option("--text", metavar="WHERE", help="File or folder of plain text that is read, too.")
@task_folders_option
@json_option
def command(
    folders: tuple[str, ...],
    kind: str | None,
    size: int,
    out: Path | None,
    names: tuple[str, ...],
    data: str,
    text: str | None,
    task_folders: tuple[str, ...],
    as_json: bool,
) -> None:
    """Learn a vocabulary of tasks or text, and hold it beside those in FOLDERs.

    Printed for each task: the share of its words that are written without an unknown token, tokens per word, and the
    share of unknown tokens. What is written is read by --tokenizer and by AutoTokenizer.

    \b
    glue vocab --kind wordpiece --size 8000 --task glue --data DIR --out words
    glue vocab --kind bpe --size 4000 --text DIR --out pieces
    glue vocab words pieces --task rte,sst2 --data DIR
    glue run --task rte --data DIR --model bert:mini --tokenizer words
    """
    from itertools import islice

    from glue_harness.lab.vocabulary import KINDS, fit, learned, opened, texts_in, texts_of

    if kind is not None and kind not in KINDS:
        raise unknown("kind", kind, KINDS)
    if kind is None and not folders:
        raise UsageError("nothing to learn or to show: give --kind NAME, or a folder with a vocabulary")
    if (kind is None) != (out is None):
        raise UsageError("--kind NAME and --out FOLDER go together: what is learned is written")
    if len(folders) + (kind is not None) > MOST:
        raise UsageError(f"{MOST} vocabularies stand side by side at most: leave out {folders[-1]!r}")
    if not names and text is None:
        raise UsageError("no text: name tasks with --task, or give some with --text")
    if out is not None and out.exists() and any(out.iterdir()):
        raise UsageError(f"--out {str(out)!r} is not empty: name another folder")
    registry = open_registry(task_folders, split_names(names))
    read = {task.name: list(islice(texts_of(task, data), SAMPLE)) for task in registry.select(split_names(names))}
    if text is not None:
        read["text"] = texts_in(text)
    known = [opened(folder) for folder in folders]
    if kind is not None and out is not None:
        made = learned(kind, size, (one for texts in read.values() for one in texts))
        out.mkdir(parents=True, exist_ok=True)
        made.save(out)
        known.append(made._replace(name=out.name))
    found = {name: {one.name: fit(one, texts[:SAMPLE]) for one in known} for name, texts in read.items()}
    facts = {name: {own: value._asdict() for own, value in of.items()} for name, of in found.items()}
    emit(as_json, {"sizes": {one.name: one.size for one in known}, "texts": facts}, drawn(known, found))


def drawn(known: Sequence[Vocabulary], found: Mapping[str, Mapping[str, Fit]]) -> Shown:
    from glue_harness.report.console import table

    rows = [
        (
            name if not k else "",
            one.name,
            f"{one.size:,}",
            f"{of[one.name].coverage:.2%}",
            f"{of[one.name].tokens_a_word:.2f}",
            f"{of[one.name].unknown:.2%}",
        )
        for name, of in found.items()
        for k, one in enumerate(known)
    ]
    headings = ("texts", "vocabulary", "pieces", "coverage", "tokens a word", "unknown")
    yield table(headings, rows, right=headings[2:])
