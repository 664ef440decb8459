"""Does pre-training on the tasks' own text help? From scratch against pre-trained here, family by family.

python tests/benchmarks/transfer.py DATA_DIR RESULTS_DIR [--family bert ...] [--seeds 3]

The text is that of GLUE's train splits, without labels and without the sentences that score. A family is pre-trained on
it once; then both arms are fine-tuned alike, with one vocabulary, and scored at the last step: nothing is chosen on
validation. Every run is kept in RESULTS_DIR; started again, it does what is missing. At the end it prints a table in
Markdown: means over seeds with 95 % intervals, and the two-way test of `glue compare`, Holm-corrected over the table.
The intervals know the luck of fine-tuning and of the examples, not that of the one pre-training.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

from glue_harness import Plan, data, load_tasks, run
from glue_harness.core.record import Record
from glue_harness.lab.assemble import settle
from glue_harness.lab.request import make_request
from glue_harness.report.comparison import ComparedScore, corrected, scores_of
from glue_harness.report.experiments import Experiment, Stat
from glue_harness.runs.store import Store

REGISTRY = load_tasks()
TEXTS = ("cola", "sst2", "mrpc", "stsb", "qqp", "mnli", "qnli", "rte", "wnli")
TASKS = {"sst2": 4_000, "cola": None}  # rows of train to fine-tune on, None: all
FINE = {
    "steps": 600, "batch_size": 32, "lr": 5e-4, "warmup_share": 0.06, "max_input": 64, "eval_every": 600,
}  # fmt: skip
PRETRAINING = {"batch_size": 64, "lr": 2e-3, "warmup_share": 0.05, "max_input": 64}


class Family(NamedTuple):
    model: str
    objective: str
    steps: int  # of pre-training
    made: dict[str, int]  # settings of the model, in both arms
    learned: dict[str, int]  # those that the vocabulary of the pre-trained run brings along
    whole: dict[str, str]  # settings by which the pre-trained model learns whole too


FAMILIES = {  # about five minutes of one core each
    "bert": Family("bert:tiny", "mlm", 4_000, {}, {}, {}),
    "gpt": Family("gpt:tiny", "causal", 1_500, {}, {}, {}),
    "t5": Family("tiny", "span_corruption", 2_000, {}, {}, {}),
    "bilstm": Family("bilstm", "bilm", 800, {"lstm_size": 128}, {"word_size": 96, "words": 5_000}, {"tune_bilm": "on"}),
}


def texts(folder: Path) -> Iterator[str]:
    """Every sentence of the train splits once, but none that a fine-tuned model is scored on."""
    seen = {text for task in TASKS for row in data.load(REGISTRY.task(task), "validation", str(folder))
            for text in sentences(row)}  # fmt: skip
    for task in TEXTS:
        for row in data.load(REGISTRY.task(task), "train", str(folder)):
            for text in sentences(row):
                if text not in seen:
                    seen.add(text)
                    yield text


def sentences(row: dict) -> Iterator[str]:
    return (" ".join(value.split()) for value in row.values() if isinstance(value, str) and value.strip())


def finished(plan: Plan, results: Path) -> Record:
    """The run of a plan, made if it is not there yet: found by its digest, in which the precision that is used stands."""
    plan = settle(make_request(plan, REGISTRY, Store(results))).plan
    found = Store(results).finished(plan.digest, plan.seed) or run(plan, results=results)
    scores = {name: {key: round(value, 2) for key, value in own.metrics.items()} for name, own in found.scores.items()}
    print(plan.model, *plan.tasks, f"seed {plan.seed}", scores, f"{found.seconds:.0f} s", flush=True)
    return found


def arms(family: Family, text: Path, given: argparse.Namespace) -> Iterator[tuple[str, list[Experiment]]]:
    """Of each task its runs from scratch and those that start pre-trained."""
    plan = Plan((family.objective,), model=family.model, text=str(text), data="demo", steps=family.steps,
                eval_every=family.steps, **PRETRAINING, **family.learned)  # fmt: skip
    before = finished(plan, given.results)
    vocabulary = Store(given.results).run(before.id).checkpoint(before.last_step)
    starts = {
        "scratch": {"model": family.model, "tokenizer": str(vocabulary)},
        "pre-trained": {"model": f"run:{before.id}", **family.whole},
    }
    for task, limit in TASKS.items():
        of_start = {
            name: [
                finished(
                    Plan((task,), data=str(given.data), seed=seed, train_limit=limit, **start, **family.made, **FINE),
                    given.results,
                )
                for seed in range(given.seeds)
            ]
            for name, start in starts.items()
        }
        yield task, [Experiment(name, tuple(records)) for name, records in of_start.items()]


def spread(stat: Stat | None) -> str:
    assert stat, "every arm is scored"
    return f"{stat.mean:.1f}" + ("" if stat.low is None else f" ({stat.low:.1f} to {stat.high:.1f})")


def line(family: Family, score: ComparedScore) -> str:
    difference = score.differences[1]
    assert difference, "both arms are scored"
    value, between, p, verdict = difference.written
    cells = [family.model, family.objective, score.label, *map(spread, score.stats), f"{value} ({between})", p, verdict]
    return f"| {' | '.join(cells)} |"


def main() -> None:
    asked = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    asked.add_argument("data", type=Path)
    asked.add_argument("results", type=Path)
    asked.add_argument("--family", action="append", choices=list(FAMILIES))
    asked.add_argument("--seeds", type=int, default=3)
    given = asked.parse_args()
    text = given.results / "text" / "glue.txt"
    if not text.exists():
        text.parent.mkdir(parents=True, exist_ok=True)
        text.write_text("\n\n".join(texts(given.data)) + "\n", encoding="utf-8")
    found: list[tuple[Family, ComparedScore]] = []
    for name in given.family or list(FAMILIES):
        for task, pair in arms(FAMILIES[name], text, given):
            of_task = scores_of(task, pair, Store(given.results), REGISTRY, ())
            found += [(FAMILIES[name], replace(score, name=f"{name} {score.name}")) for score in of_task]
    families, scores = zip(*found, strict=True)
    print(
        "| model | objective | task | from scratch | pre-trained | difference | p | |\n|---|---|---|---|---|---|---|---|"
    )
    print("\n".join(map(line, families, corrected(scores))))


if __name__ == "__main__":
    main()
