"""Forward and backward passes of an update: our stacks over packed rows, in buckets, and transformers' over the rows.

    python tests/benchmarks/stacks.py [t5:small] [ROUNDS]

Same weights, examples and precision; all take turns in one process; medians, and the median of ratios within rounds.
"""

from __future__ import annotations

import sys
import time
from statistics import median

import torch
from torch.nn import functional

from glue_harness.bench import prepared
from glue_harness.bench.contestants import rival_of
from glue_harness.bench.synthetic import without_data
from glue_harness.core.plan import Plan
from glue_harness.models.batch import Batch
from glue_harness.train.arrangement import arrangement, as_passes
from glue_harness.train.memory import Fit
from glue_harness.train.passes import accumulate

UPDATES = 3


def transformers_loss(module: torch.nn.Module, scale: float, batch: Batch) -> torch.Tensor:
    """Its stacks take 4-D masks when they are called one by one."""
    ours, theirs = batch.given_segments, batch.segments
    length = ours.shape[1]
    own = (ours[:, None, :, None] == ours[:, None, None, :]) & torch.ones(length, length, dtype=torch.bool).tril()
    memory = module.encoder(
        input_ids=batch.inputs, attention_mask=theirs[:, None, :, None] == theirs[:, None, None, :]
    ).last_hidden_state
    states = module.decoder(
        input_ids=batch.given,
        attention_mask=own,
        encoder_hidden_states=memory,
        encoder_attention_mask=ours[:, None, :, None] == theirs[:, None, None, :],
        use_cache=False,
    ).last_hidden_state
    logits = functional.linear(states.flatten(0, 1)[batch.places] * scale, module.lm_head.weight)
    return functional.cross_entropy(logits.float(), batch.labels)


def main(model: str, rounds: int) -> None:
    with without_data(Plan(("x",), data="demo", model=model, steps=UPDATES), 10) as (plan, registry):
        setup = prepared(plan, registry)
    module, machine = setup.learner.model.module, setup.machine
    other = rival_of(setup).module().train()
    module.train()

    def packed(step: int) -> None:
        accumulate(setup.learner.model, setup.feed.update(step), machine, Fit())

    setup.feed.update(0)
    buckets, grid = arrangement("buckets", machine.on_gpu, None)
    encoded = [setup.feed.drawn(step) for step in range(UPDATES)]

    def in_buckets(step: int) -> None:
        update = setup.feed.update(step)
        passes = as_passes(buckets(encoded[step]), encoded[step], [0] * len(encoded[step]), grid)
        accumulate(setup.learner.model, type(update)(**{**vars(update), "passes": passes}), machine, Fit())

    def theirs(step: int) -> None:
        (part,) = setup.feed.update(step).passes
        batch = setup.learner.model.lay(part.rows, machine.device, part.grid)
        with machine.autocast():
            loss = transformers_loss(other, setup.learner.model.scale, batch)
        loss.backward()

    sides = {"ours, rows": packed, "ours, buckets": in_buckets, "transformers, the same rows": theirs}
    seconds: dict[str, list[float]] = {name: [] for name in sides}
    for turn in range(rounds + 1):
        for step in range(UPDATES):
            for name, side in sides.items():
                began = time.perf_counter()
                side(step)
                taken = time.perf_counter() - began
                for part in (module, other):
                    part.zero_grad(set_to_none=True)
                if turn:
                    seconds[name].append(taken)
    first = seconds["ours, rows"]
    print(f"{model}, {machine.precision}, {torch.get_num_threads()} threads, updates of {plan.batch_size} examples")
    for name, taken in seconds.items():
        ratio = median(slow / fast for slow, fast in zip(taken, first, strict=True))
        print(f"{name:30} {1000 * median(taken):7.0f} ms  {ratio:5.2f} times as long")


if __name__ == "__main__":
    main(sys.argv[1] if len(sys.argv) > 1 else "t5:small", int(sys.argv[2]) if len(sys.argv) > 2 else 5)
