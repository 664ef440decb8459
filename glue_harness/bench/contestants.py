"""Our training and answers, and transformers' Trainer and `generate` on the same weights and examples."""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from tempfile import gettempdir
from typing import Any

import torch

from glue_harness.bench import rivals
from glue_harness.bench.measure import Contestant, now
from glue_harness.bench.rivals import Batching, Collator, Rival
from glue_harness.core.errors import UsageError
from glue_harness.core.plan import Plan
from glue_harness.core.task import Example, Task
from glue_harness.lab.assemble import Setup
from glue_harness.models.decoder import Decoder
from glue_harness.models.encoder import Encoder
from glue_harness.models.t5 import T5
from glue_harness.train import loop
from glue_harness.train.answers import answer, batches_of, token_budget
from glue_harness.train.optimizers import make_optimizer
from glue_harness.train.replays import USES

CUDA_MULTIPLE = 8  # tensor cores like lengths that are multiples of it
QUIET = {"save_strategy": "no", "logging_strategy": "no", "disable_tqdm": True}
ONCE = {"num_train_epochs": 1, "optim": "adamw_torch_fused", "remove_unused_columns": False}

Asked = Sequence[tuple[Task, Sequence[Example]]]  # the questions to each task


def rival_of(setup: Setup) -> Rival:
    """How transformers does the same with the same weights."""
    model = setup.learner.model
    if isinstance(model, T5):
        return rivals.OfT5(setup, model)
    if isinstance(model, Encoder):
        return rivals.OfEncoder(setup, model)
    if isinstance(model, Decoder):
        return rivals.OfDecoder(setup, model)
    raise UsageError(f"glue bench compares with transformers, which has no model like {setup.request.plan.model!r}")


def slices(count: int, size: int) -> list[range]:
    return [range(k, min(k + size, count)) for k in range(0, count, size)]


def train_once(setup: Setup, hooks: Sequence[loop.Hook] = ()) -> float:
    """The plan's steps by our own loop, and the seconds that they took."""
    learner = setup.learner
    learner = replace(learner, optimizer=make_optimizer(learner.plan, learner.parameters))
    began = now(setup.machine.device)
    loop.train(learner, setup.feed, setup.machine, hooks, setup.fit)
    return now(setup.machine.device) - began


def training(setup: Setup, encoded: Sequence[Any]) -> list[Contestant]:
    """Ours first. All train copies of the same weights on the same examples, in as many updates of the same size."""
    plan, module, on_gpu = setup.request.plan, setup.learner.model.module, setup.machine.on_gpu
    start = copy.deepcopy(module.state_dict())

    def ours() -> float:
        module.load_state_dict(start)
        return train_once(setup)

    if plan.cuda_graphs == "on":  # in a run of some length shapes have come as often before long
        for _ in range(USES):
            ours()

    batches, grouped = slices(len(encoded), plan.batch_size), grouped_by_length(encoded, plan)
    rival = rival_of(setup)
    fixed, longest = rival.collator(plan.max_input), rival.collator(multiple=CUDA_MULTIPLE if on_gpu else 1)
    padded = trainer(setup, rival, encoded, fixed, "random")
    tuned = trainer(setup, rival, grouped, longest, "sequential", compiled=on_gpu, logging_nan_inf_filter=False)
    how = f"Trainer as in run_glue.py: every input padded to {plan.max_input}, shuffled"
    best = "Trainer at its best: all examples sorted into batches by length, padded to the longest of a batch"
    best += ", torch.compile" if on_gpu else ""  # on a CPU it is slower than without
    seen = sum(setup.feed.update(step).padded for step in range(plan.steps))
    return [
        Contestant("glue", own_loop(setup), seen, ours),
        Contestant("padded", how, fixed.input_tokens(encoded, batches), padded[1]),
        Contestant("tuned", best, longest.input_tokens(grouped, batches), tuned[1]),
    ]


def own_loop(setup: Setup) -> str:
    plan = setup.request.plan
    ways = {"torch.compile": setup.machine.compiled, "copies of weights in bf16": plan.bf16_weights == "on"}
    ways |= {"CUDA graphs": plan.cuda_graphs == "on"}
    return ", ".join(["glue run's own loop", *(name for name, used in ways.items() if used)])


def trainer(
    setup: Setup,
    rival: Rival,
    encoded: Sequence[Any],
    collator: Collator,
    sampling: str,
    compiled: bool = False,
    **others: Any,
) -> tuple[Any, Callable[[], float]]:
    """A Trainer with our optimiser, rate, clipping and precision, that neither evaluates nor saves nor prints.

    With it comes what runs it, again and again, since a new one would compile again.
    """
    from transformers import PrinterCallback, Trainer, TrainingArguments

    plan, machine = setup.request.plan, setup.machine
    module = rival.module()
    start = copy.deepcopy(module.state_dict())
    arguments = TrainingArguments(
        **(ONCE | QUIET | others),
        output_dir=gettempdir(),  # which must be there, though nothing is written
        per_device_train_batch_size=plan.batch_size,
        train_sampling_strategy=sampling,
        learning_rate=plan.lr,
        lr_scheduler_type=plan.schedule,
        weight_decay=plan.weight_decay,
        max_grad_norm=plan.clip,
        bf16=machine.precision == "bf16",
        use_cpu=not machine.on_gpu,
        seed=plan.seed,
    )
    model = torch.compile(module) if compiled else module
    made = Trainer(model, arguments, collator, train_dataset=encoded)
    made.remove_callback(PrinterCallback)

    def run() -> float:
        module.load_state_dict(start)
        torch.manual_seed(plan.seed)  # the same batches each time
        seconds = made.train().metrics["train_runtime"]  # of its steps alone, and it waits for a GPU
        made.optimizer.state.clear()
        module.zero_grad(set_to_none=True)
        return seconds

    return made, run


def grouped_by_length(encoded: Sequence[Any], plan: Plan) -> list[Any]:
    """Trainer's own grouping, over all examples at once.

    Its sampler groups 50 batches where there are 200 or more, but a quarter of a shorter run: that would be unfair.
    """
    from transformers.trainer_pt_utils import get_length_grouped_indices

    lengths, generator = [e.length for e in encoded], torch.Generator().manual_seed(plan.seed)
    order = get_length_grouped_indices(lengths, plan.batch_size, mega_batch_mult=plan.steps, generator=generator)
    return [encoded[k] for k in order]


def ask(setup: Setup, count: int) -> Asked:
    """About `count` validation examples with a closed set of answers, as many of each task."""
    scored = [(task, setup.data.scoring[task.name].examples) for task in setup.request.scored]
    closed = [(task, [example for example in examples if example.choices]) for task, examples in scored]
    closed = [(task, examples) for task, examples in closed if examples]
    if not closed:
        raise UsageError("glue bench measures answers to label tasks: name one that is scored, for example --task mnli")
    return [(task, examples[: max(1, count // len(closed))]) for task, examples in closed]


def answering(setup: Setup, questions: Asked) -> list[Contestant]:
    """Ours first. All tokenise, answer and decode the same examples, task by task, with the same weights."""
    model, plan, machine = setup.learner.model, setup.request.plan, setup.machine
    width, size = plan.max_input, max(1, token_budget(plan, machine) // plan.max_input)
    by_length: Batching = partial(batches_of, plan=plan, machine=machine)
    rival = rival_of(setup)

    def contestant(name: str, does: str, batching: Batching, collator: Collator) -> Contestant:
        def run() -> float:
            began = now(machine.device)
            for task, examples in questions:
                if name == "glue":
                    answer(model, task, examples, plan, machine)
                else:
                    rival.answered(task, examples, batching, collator)
            return now(machine.device) - began

        tokens = [model.encode(task, examples) for task, examples in questions]
        return Contestant(name, does, sum(collator.input_tokens(e, batching(e)) for e in tokens), run)

    padded = f"{rival.how}, every input padded to {width}, {size} at a time"
    in_order = f"{rival.how}, in our batches, sorted by length, padded to the longest"
    return [
        contestant("glue", "glue run's own answers", by_length, rival.collator()),
        contestant("padded", padded, lambda encoded: slices(len(encoded), size), rival.collator(width)),
        contestant("sorted", in_order, by_length, rival.collator()),
    ]
