"""Runs scenes on one process, on two and on four, and keeps the weights that each of them ends with.

    python rank_scenes.py FOLDER [PART_OF_NAMES]

Torch is imported once: the processes are forked, and meet by gloo as those of torchrun do.
"""

from __future__ import annotations

import json
import math
import os
import socket
import sys
import traceback
from pathlib import Path

import torch
from encoders import write_encoder
from safetensors.torch import save_file
from toys import toy_model

from glue_harness import Plan
from glue_harness.core.writing import json_text
from glue_harness.lab.assemble import assemble
from glue_harness.lab.request import make_request
from glue_harness.runs.store import Store
from glue_harness.suite.registry import load_tasks
from glue_harness.train.loop import Hook, State, train
from glue_harness.train.ranks import join

STEPS = 20
T5, WIDE, BERT = "toy-t5", "toy-wide-t5", "toy-bert"
SCENES: dict[str, dict] = {
    "full, two tasks, accumulated": {"model": T5, "tasks": ("rte", "stsb"), "micro_batch": 2},
    "one pass that is cut": {"model": T5},
    "buckets": {"model": T5, "packing": "buckets"},
    "rows of T5's packer, adafactor": {"model": T5, "batch_tokens": 512, "max_input": 128, "optimizer": "adafactor"},
    "adapters, adafactor": {"model": T5, "method": "adapter", "optimizer": "adafactor", "adapter_width": 4},
    "unfreezing": {"model": T5, "method": "unfreeze", "weight_decay": 0.1, "micro_batch": 2},
    "pruning by movement": {"model": T5, "method": "prune", "keep": 0.2, "score": "movement", "prune_every": 1},
    "heads without examples": {"model": BERT, "tasks": ("rte", "cola", "stsb"), "batch_size": 4, "micro_batch": 1},
    "a student whose teacher writes": {
        "model": BERT,
        "tasks": ("rte", "stsb"),
        "method": "distil",
        "teacher": T5,
        "alpha": 0.7,
    },
    "an encoder that is cut": {"model": BERT, "tasks": ("rte", "wsc", "stsb"), "optimizer": "adafactor"},
    "not finite in one process": {"model": T5, "on_nonfinite": "skip"},
    "out of memory in one process": {"model": T5, "batch_size": 16},
    "sharded, two tasks, accumulated": {"model": T5, "tasks": ("rte", "stsb"), "micro_batch": 3, "shard": "on"},
    "sharded, factored matrices": {"model": WIDE, "batch_size": 4, "shard": "on", "optimizer": "adafactor"},
    "sharded, prompt": {"model": T5, "method": "prompt", "shard": "on", "micro_batch": 4},
    "sharded, lora": {"model": T5, "method": "lora", "lora_rank": 3, "shard": "on"},
    "sharded, heads without examples": {
        "model": BERT,
        "tasks": ("rte", "cola", "stsb"),
        "batch_size": 4,
        "micro_batch": 1,
        "shard": "on",
        "layer_decay": 0.9,
    },
}
OF_FOUR = ("full, two tasks, accumulated", "one pass that is cut", "unfreezing", "an encoder that is cut")
OF_SIZE = {1: tuple(SCENES), 2: tuple(SCENES), 4: OF_FOUR}


def carry_out(name: str, folder: Path) -> None:
    """A scene in fp64; the first process keeps what came of it, all keep that they have the same."""
    ranks, changes = join(), {"tasks": ("rte",), "dropout": 0.1, **SCENES[name]}
    common = {"data": "demo:60", "steps": STEPS, "lr": 3e-3, "device": "cpu", "precision": "fp32", "seed": 3}
    if "batch_tokens" not in changes:
        common["batch_size"] = 8
    model = str(folder / changes.pop("model"))
    if "teacher" in changes:
        changes["teacher"] = str(folder / changes["teacher"])
    if ranks.size == 1:
        changes["shard"] = "off"
    plan = Plan(**{**common, "mixing": "equal", **changes, "model": model})
    setup = assemble(make_request(plan, load_tasks(), Store(folder)))
    setup.learner.model.module.double()
    setup.fit.key = None  # what one scene finds of memory, no other shall know
    hurt(name, setup, ranks)
    log: list[dict] = []

    def note(state: State) -> None:
        norm = state.gradient_norm if math.isfinite(state.gradient_norm) else -1.0
        log.append({"loss": state.loss, "norm": norm, "tasks": state.task_losses, "tokens": state.tokens})

    state = train(setup.learner, setup.feed, setup.machine, [Hook(1, note)], setup.fit)
    facts = {"log": log, "skipped": state.skipped, "seen": state.seen, "notes": ranks.gather(setup.fit.notes)}
    facts["kept"] = setup.learner.kept["total"]
    with setup.learner.weights.gathered():
        ranks.compare(setup.learner.model.module, "at the end")
        weights = {n: p.detach().clone() for n, p in setup.learner.model.module.named_parameters()}
    if ranks.leads:
        place = folder / f"{name}-{ranks.size}"
        save_file(weights, f"{place}.safetensors")
        Path(f"{place}.json").write_text(json_text(facts))


def hurt(name: str, setup, ranks) -> None:
    """What goes wrong goes wrong in one process alone."""
    calls, inner = [0], setup.learner.run

    def run(*given):
        calls[0] += 1
        if calls[0] == 5 and name.startswith("out of memory") and ranks.rank == ranks.size - 1:
            raise torch.OutOfMemoryError("planted")
        found = inner(*given)
        if calls[0] == 5 and name.startswith("not finite") and ranks.leads:
            setup.learner.parameters[0].grad.fill_(float("nan"))
        return found

    object.__setattr__(setup.learner, "run", run)


def forked(rank: int, size: int, port: int, folder: Path, scenes: str) -> int:
    pid = os.fork()
    if pid:
        return pid
    if size > 1:
        os.environ |= {"RANK": str(rank), "WORLD_SIZE": str(size), "MASTER_ADDR": "localhost", "MASTER_PORT": str(port)}
    try:
        for name in OF_SIZE[size]:
            if scenes in name:
                carry_out(name, folder)
    except BaseException:
        traceback.print_exc()
        os._exit(1)
    os._exit(0)


def free_port() -> int:
    with socket.socket() as found:
        found.bind(("localhost", 0))
        return found.getsockname()[1]


def main(folder: Path, scenes: str = "") -> None:
    torch.set_num_threads(1)
    (folder / T5).mkdir()
    toy_model(seed=4, dropout=0.1).save(folder / T5)
    (folder / WIDE).mkdir()
    toy_model(seed=4, d_model=128, d_ff=131).save(folder / WIDE)  # rows that two processes cannot share evenly
    write_encoder(folder / BERT, "bert")
    for size in OF_SIZE:
        port = free_port()
        children = [forked(rank, size, port, folder, scenes) for rank in range(size)]
        codes = [os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) for child in children]
        if any(codes):
            sys.exit(f"{size} processes: exit codes {json.dumps(codes)}")


if __name__ == "__main__":
    main(Path(sys.argv[1]), *sys.argv[2:])
