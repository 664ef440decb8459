"""What pruning adds to a step: `python tests/benchmarks/pruning.py MODEL [--rounds N]`.

Milliseconds of one process's own time, medians, for each score and scope: forward and backward passes of 32 sentences,
the optimiser, and what the method does before it, after it, and in the steps that choose weights anew.
"""

import argparse
from collections import defaultdict
from random import Random
from statistics import median
from time import process_time

import torch

from glue_harness import Plan, load_tasks
from glue_harness.methods import prune
from glue_harness.models.families import load_model
from glue_harness.train.optimizers import make_optimizer

BATCH = 32


def timed(model_name: str, score: str, scope: str, rounds: int) -> dict[str, float]:
    task = load_tasks().tasks["sst2"]
    how = {"method": "prune", "keep": 0.1, "score": score, "prune_scope": scope, "steps": 10 * rounds}
    plan = Plan(("sst2",), model=model_name, device="cpu", precision="fp32", **how)
    model = load_model(plan, [task], ())
    parameters = prune.prepare(model, plan)
    optimizer = make_optimizer(plan, parameters, model.parts())
    examples = [e for number, row in enumerate(task.demo(Random(0), BATCH)) for e in task.examples(row, number)]
    batch = model.lay([model.encode(task, examples)], torch.device("cpu"))
    model.module.train()
    seen: dict[str, list[float]] = defaultdict(list)

    def clocked(name, do, *given):
        began = process_time()
        done = do(*given)
        seen[name].append(1000 * (process_time() - began))
        return done

    first = 5 * rounds  # half of the weights and more are gone by then
    for step in range(first, first + rounds):
        loss = clocked("forward", model.loss, batch).total / BATCH
        clocked("backward", loss.backward)
        clocked("before", prune.on_gradients, model, plan, step)
        clocked("optimiser", optimizer.step)
        optimizer.zero_grad()
        clocked("after", prune.after_step, model, plan.replace(prune_every=10**6), step)
        clocked("choice", prune.after_step, model, plan.replace(prune_every=1), step)
    return {name: median(values) for name, values in seen.items()}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("model")
    parser.add_argument("--rounds", type=int, default=9)
    given = parser.parse_args()
    torch.set_num_threads(1)
    for score in ("magnitude", "movement"):
        for scope in ("layer", "global"):
            found = timed(given.model, score, scope, given.rounds)
            print(f"{score:9} {scope:6}", *(f"{name} {value:5.0f} ms" for name, value in found.items()), sep="  ")


if __name__ == "__main__":
    main()
