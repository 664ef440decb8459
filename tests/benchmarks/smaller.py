"""What smallness costs a real encoder: distilled, pruned and in eight bits, beside the model it came from.

python tests/benchmarks/smaller.py MODEL_DIR DATA_DIR RESULTS_DIR [--task rte ...] [--only TEXT ...]

The teacher of a task is the run of encoder_scores.py with seed 0, which is looked for in RESULTS_DIR and made if it is
not there. Started again, it does what is missing. At the end all models of a task take turns to be timed, and a table
in Markdown is printed: one seed each, the score of the last step with the interval of its rows.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from encoder_scores import EPOCHS as TEACHERS
from encoder_scores import REGISTRY, WARM_UP, plan_of, steps_of

from glue_harness import Plan, run
from glue_harness.bench.cost import costs
from glue_harness.core.cost import Cost
from glue_harness.core.record import Record
from glue_harness.lab.compression import compressed_plan
from glue_harness.runs.costs import save
from glue_harness.runs.store import Store

EXAMPLES, ROUNDS = 128, 3
EPOCHS = {"rte": 5, "mrpc": 5, "sst2": 1}  # as long as their teachers learned, but for SST-2, whose had two
WORDS = {"model": "bilstm", "lstm_size": 128, "precision": "fp32", "lr": 1e-3}


def students(base: Plan, teacher: str) -> dict[str, Plan]:
    """By name, in the order of the table. Pruned models learn from the labels alone."""
    taught = {"method": "distil", "teacher": teacher}
    pruned = {"method": "prune", "score": "magnitude"}
    fewer = {"method": "prune", "pruned": "layers", "layers_left": "spread"}
    return {
        "3 of 6 layers": base.replace(**fewer, keep=0.5),
        "3 of 6 layers, distilled": base.replace(student="every-other-layer", **taught),
        "2 of 6 layers": base.replace(**fewer, keep=1 / 3),
        "BiLSTM of 128": base.replace(**WORDS),
        "BiLSTM of 128, distilled": base.replace(**WORDS, **taught),
        "half of the weights, magnitude": base.replace(**pruned, keep=0.5),
        "a tenth, magnitude": base.replace(**pruned, keep=0.1),
        "a tenth, movement": base.replace(**pruned | {"score": "movement"}, keep=0.1),
    }


def made(plan: Plan, store: Store) -> Record:
    return store.finished(plan.digest, plan.seed) or run(plan, results=store.folder, registry=REGISTRY)


def row(name: str, record: Record, cost: Cost, first: Cost) -> str:
    (score,) = record.scores.values()
    key = next(iter(score.metrics))
    low, high = score.intervals[key]
    cells = [name, f"{score.metrics[key]:.1f} ({low:.1f} to {high:.1f})", f"{cost.bytes / 1e6:.1f}"]
    cells += [f"{cost.nonzero / 1e6:.1f}", f"{cost.milliseconds:.1f}"]
    cells.append(f"{cost.examples_per_second / first.examples_per_second:.2f}x")
    return f"| {' | '.join(cells)} |"


def main() -> None:
    asked = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name in ("model", "data", "results"):
        asked.add_argument(name, type=Path)
    asked.add_argument("--task", action="append", choices=list(EPOCHS))
    asked.add_argument("--only", action="append", default=[], metavar="TEXT", help="students whose names hold it")
    given = asked.parse_args()
    store = Store(given.results)
    for task in given.task or list(EPOCHS):
        base = plan_of((task,), steps_of(task, given.data), given.model, given.data, 0)
        teacher = made(base, store)
        steps = base.steps * EPOCHS[task] // TEACHERS[task]
        shorter = base.replace(steps=steps, eval_every=steps, warmup=round(WARM_UP * steps))
        found = {"MiniLM, 6 layers": teacher}
        for name, plan in students(shorter, f"run:{teacher.id}").items():
            if given.only and not any(text in name for text in given.only):
                continue
            found[name] = made(plan, store)
            print(task, name, [score.metrics for score in found[name].scores.values()], flush=True)
        for weights in ("int8-dynamic", "int8-weight-only", "bf16"):
            found[weights] = made(compressed_plan(teacher, weights, task, store, REGISTRY), store)
        measured = costs(list(found.values()), REGISTRY.task(task), store, REGISTRY, EXAMPLES, ROUNDS)
        for cost in measured:
            save(cost, store)
        print(f"| {task} | score (95 %) | MB | million not zero | ms alone | examples/s |\n|---|---|---|---|---|---|")
        for (name, record), cost in zip(found.items(), measured, strict=True):
            print(row(name, record, cost, measured[0]), flush=True)


if __name__ == "__main__":
    main()
