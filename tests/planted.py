"""Small data in the official layout of GLUE, for tests to spoil, and ways to spoil it."""

from __future__ import annotations

from itertools import islice, permutations
from pathlib import Path
from random import Random

from glue_harness.doctor import FAIL, Finding
from glue_harness.doctor.data import choose, examine
from glue_harness.suite.cues import words_of
from glue_harness.suite.registry import load_tasks

TASKS = load_tasks()
WRITTEN = ("qqp", "stsb", "rte", "qnli")
MNLI_LABELS = TASKS.task("mnli").labels
WRONG_ORDERS = [order for order in permutations(MNLI_LABELS) if order != MNLI_LABELS]
SIZES = {"train": 400, "validation": 100, "test": 100}


def write_tsv(path: Path, header: list[str], rows: list[list[str]]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join("\t".join(row) + "\n" for row in [header, *rows]), encoding="utf-8")


def read_tsv(path: Path) -> tuple[list[str], list[list[str]]]:
    header, *rows = (line.split("\t") for line in path.read_text(encoding="utf-8").split("\n") if line)
    return header, rows


def write_official(root: Path, name: str) -> None:
    """Demo rows of a GLUE task as its official files; no input is in two of them."""
    task = TASKS.task(name)
    rows = iter(task.demo(Random(1), sum(SIZES.values())))
    for role, split in task.splits.items():
        columns = task.source.files[split].columns
        cells = [[str(row[column]) for column in columns] for row in islice(rows, SIZES[role])]
        write_tsv(root / task.source.folder / task.source.files[split].names[0], list(columns.values()), cells)


def write_data(root: Path) -> Path:
    for name in WRITTEN:
        write_official(root, name)
    return root


def copy_into_dev(train: Path, dev: Path, header: int = 1) -> None:
    lines = train.read_text(encoding="utf-8").splitlines()[header + 7 : header + 57]
    with dev.open("a", encoding="utf-8") as file:
        file.write("\n" * (not dev.read_text(encoding="utf-8").endswith("\n")) + "\n".join(lines) + "\n")


def only(findings: list[Finding], state: str) -> Finding:
    (found,) = (finding for finding in findings if finding.state == state)
    return found


def examined(root: Path | str, *names: str) -> list[Finding]:
    sets, _ = choose(TASKS, names, str(root))
    return list(examine(sets, str(root), TASKS.tasks.values()))


def faults(root: Path, *names: str) -> set[tuple[str, str]]:
    return {(finding.where, finding.check) for finding in examined(root, *names) if finding.state == FAIL}


def swap(root: Path, first: str, second: str) -> None:
    (root / first).rename(root / "aside")
    (root / second).rename(root / first)
    (root / "aside").rename(root / second)


def permute(file: Path, order: tuple[str, ...]) -> None:
    header, rows = read_tsv(file)
    renamed = dict(zip(MNLI_LABELS, order, strict=True))
    write_tsv(file, header, [[*cells, renamed[label]] for *cells, label in rows])


def write_mnli(root: Path) -> None:
    """Pairs with the marks of the real ones: entailed texts are copied, contradictions say no, neutral texts are new."""
    random = Random(2)
    words = words_of("river stone window garden letter doctor summer engine music village bridge winter")
    splits = {"train.tsv": 300, "dev_matched.tsv": 200, "dev_mismatched.tsv": 200}
    for name, size in splits.items():
        rows = []
        for number in range(size):
            premise = random.sample(words, 8)
            said = {
                "entailment": premise[:4],
                "neutral": random.sample(words, 4),
                "contradiction": ["never", *premise[1:3], random.choice(words)],
            }
            label = MNLI_LABELS[number % 3]
            rows.append([f"{' '.join(premise)} {name} {number}", " ".join(said[label]), label])
        write_tsv(root / "MNLI" / name, ["sentence1", "sentence2", "gold_label"], rows)


def cut(file: Path, share: float) -> None:
    content = file.read_bytes()
    end = content.rindex(b"\n", 0, int(len(content) * share)) - 3  # never at the end of a line
    file.write_bytes(content[:end])


def label_the_test_split(file: Path, labels: list[str]) -> None:
    header, rows = read_tsv(file)
    write_tsv(file, [*header, "label"], [[*row, labels[k % len(labels)]] for k, row in enumerate(rows)])


def exchange(file: Path, first: str, second: str) -> None:
    header, rows = read_tsv(file)
    names = {first: second, second: first}
    write_tsv(file, [names.get(name, name) for name in header], rows)
