"""A pre-trained encoder fine-tuned on real rows, by glue and by transformers' Trainer with the same recipe.

python tests/benchmarks/encoder_scores.py MODEL_DIR DATA_DIR RESULTS_DIR [--task cola ...] [--seeds 3] [--trainer 1] [--together]

Every run is kept in RESULTS_DIR (glue's as runs, Trainer's as lines of trainer.jsonl); started again, it does what is
missing. At the end it prints a table in Markdown. Scores are those of the last step: nothing is chosen on validation.
`--together` is one model of all the tasks instead, a head for each, mixed at temperature 2.
"""

from __future__ import annotations

import argparse
import json
import time
from pathlib import Path
from statistics import fmean, stdev
from tempfile import TemporaryDirectory

from glue_harness import Plan, load_tasks, run
from glue_harness.bench.contestants import slices
from glue_harness.bench.rivals import OfEncoder
from glue_harness.data import load
from glue_harness.lab.assemble import assemble
from glue_harness.lab.request import make_request
from glue_harness.runs.evidence import score
from glue_harness.runs.store import Store

EPOCHS = {"rte": 5, "mrpc": 5, "cola": 5, "stsb": 4, "sst2": 2, "qnli": 1, "qqp": 1, "mnli": 1}
BATCH, RATE, WARM_UP, LENGTH = 32, 5e-5, 0.06, 128
REGISTRY = load_tasks()


def plan_of(tasks: tuple[str, ...], steps: int, model: Path, data: Path, seed: int) -> Plan:
    mix = {"mixing": "temperature", "temperature": 2.0} if len(tasks) > 1 else {}
    return Plan(
        tasks, model=str(model), data=str(data), seed=seed, steps=steps, batch_size=BATCH, lr=RATE,
        warmup=round(WARM_UP * steps), max_input=LENGTH, eval_every=steps, precision="bf16", weight_decay=0.0, **mix,
    )  # fmt: skip


def by_trainer(plan: Plan) -> dict:
    """One run of the Trainer: its scores by our metrics, and the seconds that training took."""
    from transformers import Trainer, TrainingArguments

    setup = assemble(make_request(plan, REGISTRY))
    rival = OfEncoder(setup, setup.learner.model)
    (name,) = setup.data.training
    tokens = setup.data.training[name]
    with TemporaryDirectory() as folder:
        arguments = TrainingArguments(
            output_dir=folder, max_steps=plan.steps, per_device_train_batch_size=BATCH, learning_rate=RATE,
            lr_scheduler_type="linear", warmup_steps=plan.warmup, bf16=True, use_cpu=True, seed=plan.seed,
            save_strategy="no", logging_strategy="no", disable_tqdm=True, remove_unused_columns=False,
            weight_decay=0.0,
        )  # fmt: skip
        module = rival.module().train()
        trainer = Trainer(module, arguments, rival.collator(), train_dataset=[tokens[k] for k in range(len(tokens))])
        began = time.perf_counter()
        trainer.train()
        seconds = time.perf_counter() - began
    rival.module = lambda: module  # its answers are those of what it trained
    scores = {}
    for task in setup.request.scored:
        asked = setup.data.scoring[task.name].examples
        predictions = rival.answered(task, asked, lambda e: slices(len(e), BATCH), rival.collator())
        scores[task.name] = score(task, predictions, plan.steps, [m.tally(predictions) for m in task.metrics]).metrics
    return {"task": name, "seed": plan.seed, "scores": scores, "seconds": seconds}


def steps_of(task: str, data: Path) -> int:
    return EPOCHS[task] * -(-len(load(REGISTRY.task(task), "train", str(data))) // BATCH)


def spread(values: list[float]) -> str:
    return f"{fmean(values):.1f}" + (f" ± {stdev(values):.1f}" if len(values) > 1 else "")


def main() -> None:
    asked = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    asked.add_argument("model", type=Path)
    asked.add_argument("data", type=Path)
    asked.add_argument("results", type=Path)
    asked.add_argument("--task", action="append", choices=list(EPOCHS))
    asked.add_argument("--seeds", type=int, default=3)
    asked.add_argument("--trainer", type=int, default=0, help="seeds of the Trainer")
    asked.add_argument("--together", type=int, metavar="STEPS", help="one model of all the tasks, for so many steps")
    given = asked.parse_args()
    given.results.mkdir(parents=True, exist_ok=True)
    kept = given.results / "trainer.jsonl"
    rows = []
    tasks = given.task or list(EPOCHS)
    for group in [tuple(tasks)] if given.together else [(task,) for task in tasks]:
        steps = given.together or steps_of(*group, given.data)
        ours, theirs = [], []
        for seed in range(given.seeds):
            plan = plan_of(group, steps, given.model, given.data, seed)
            ours.append(Store(given.results).finished(plan.digest, seed) or run(plan, results=given.results))
            found = {name: of.metrics for name, of in ours[-1].scores.items()}
            print(*group, seed, found, f"{ours[-1].seconds:.0f} s", flush=True)
        for seed in range(0 if given.together else given.trainer):
            lines = [json.loads(line) for line in kept.read_text().splitlines()] if kept.exists() else []
            line = next((line for line in lines if (line["task"], line["seed"]) == (*group, seed)), None)
            if line is None:
                line = by_trainer(plan_of(group, steps, given.model, given.data, seed))
                with kept.open("a") as file:
                    file.write(json.dumps(line) + "\n")
            theirs.append(line)
            print(*group, "trainer", seed, line["scores"], f"{line['seconds']:.0f} s", flush=True)
        for name in ours[0].scores:
            for key in ours[0].scores[name].metrics:
                one = spread([record.scores[name].metrics[key] for record in ours])
                other = spread([line["scores"][name][key] for line in theirs]) if theirs else "-"
                rows.append(f"| {name} | {key} | {one} | {other} |")
    print("| task | metric | glue | Trainer |\n|---|---|---|---|")
    print("\n".join(rows))


if __name__ == "__main__":
    main()
