"""Our training and answers, and transformers' Trainer and `generate` on the same weights and examples."""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from tempfile import gettempdir
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import pad
from torch.nn.utils.rnn import pad_sequence

from glue_harness.bench.measure import Contestant, now
from glue_harness.core.errors import UsageError
from glue_harness.core.plan import Plan
from glue_harness.core.task import Example, Prediction, Task
from glue_harness.lab.assemble import Setup
from glue_harness.models.batch import IGNORED
from glue_harness.models.t5 import T5
from glue_harness.train import loop
from glue_harness.train.answers import answer, batches_of, token_budget
from glue_harness.train.optimizers import make_optimizer

CUDA_MULTIPLE = 8  # tensor cores like lengths that are multiples of it
PADDING = 0  # every T5's
QUIET = {"save_strategy": "no", "logging_strategy": "no", "disable_tqdm": True}
ONCE = {"num_train_epochs": 1, "optim": "adamw_torch_fused", "remove_unused_columns": False}

Asked = Sequence[tuple[Task, Sequence[Example]]]  # the questions to each task
Batching = Callable[[Sequence[Any]], Sequence[Sequence[int]]]  # examples in tokens -> the indices in each batch


@dataclass(frozen=True)
class Collator:
    """Inputs padded to a width, or to the longest rounded up; targets to the longest."""

    width: int | None = None
    multiple: int = 1

    def __call__(self, encoded: Sequence[Any]) -> dict[str, Tensor]:
        given = [torch.tensor(e.streams[0], dtype=torch.long) for e in encoded]
        wanted = [torch.tensor(e.streams[1], dtype=torch.long) for e in encoded]
        inputs = pad_sequence(given, batch_first=True, padding_value=PADDING)
        labels = pad_sequence(wanted, batch_first=True, padding_value=IGNORED)
        columns = self.width or -(-inputs.shape[1] // self.multiple) * self.multiple
        inputs = pad(inputs, (0, columns - inputs.shape[1]), value=PADDING)
        return {"input_ids": inputs, "attention_mask": inputs.ne(PADDING).long(), "labels": labels}

    def input_tokens(self, encoded: Sequence[Any], batches: Sequence[Sequence[int]]) -> int:
        """What a model sees of these batches, padding included."""
        return sum(self([encoded[k] for k in batch])["input_ids"].numel() for batch in batches)


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

    batches, grouped = slices(len(encoded), plan.batch_size), grouped_by_length(encoded, plan)
    fixed, longest = Collator(plan.max_input), Collator(multiple=CUDA_MULTIPLE if on_gpu else 1)
    padded = trainer(setup, encoded, fixed, "random")
    tuned = trainer(setup, grouped, longest, "sequential", compiled=on_gpu, logging_nan_inf_filter=False)
    how = f"Trainer as in run_glue.py: every input padded to {plan.max_input}, shuffled"
    best = "Trainer at its best: all examples sorted into batches by length, padded to the longest of a batch"
    best += ", torch.compile" if on_gpu else ""  # on a CPU it is slower than without
    seen = sum(setup.feed.update(step).padded for step in range(plan.steps))
    return [
        Contestant("glue", "glue run's own loop", seen, ours),
        Contestant("padded", how, fixed.input_tokens(encoded, batches), padded[1]),
        Contestant("tuned", best, longest.input_tokens(grouped, batches), tuned[1]),
    ]


def as_transformers_makes_it(module: nn.Module) -> nn.Module:
    """The same weights without our faster parts."""
    made = type(module)._from_config(copy.deepcopy(module.config), attn_implementation="sdpa")
    made.load_state_dict(module.state_dict())
    made.tie_weights()
    return made.to(module.device)


def trainer(
    setup: Setup, encoded: Sequence[Any], collator: Collator, sampling: str, compiled: bool = False, **others: Any
) -> tuple[Any, Callable[[], float]]:
    """A Trainer with our optimiser, rate, clipping and precision, that neither evaluates nor saves nor prints.

    With it comes what runs it, again and again, since a new one would compile again.
    """
    from transformers import PrinterCallback, Trainer, TrainingArguments

    plan, machine = setup.request.plan, setup.machine
    module = as_transformers_makes_it(setup.learner.model.module)
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

    def contestant(name: str, does: str, batching: Batching, collator: Collator) -> Contestant:
        def run() -> float:
            began = now(machine.device)
            for task, examples in questions:
                if name == "glue":
                    answer(model, task, examples, plan, machine)
                else:
                    generated(setup, task, examples, batching, collator)
            return now(machine.device) - began

        tokens = [model.encode(task, examples) for task, examples in questions]
        return Contestant(name, does, sum(collator.input_tokens(e, batching(e)) for e in tokens), run)

    ends = "told to stop at the longest label"
    padded = f"generate, every input padded to {width}, {size} at a time, {ends}"
    in_order = f"generate in our batches, sorted by length, padded to the longest, {ends}"
    return [
        contestant("glue", "glue run's own answers", by_length, Collator()),
        contestant("padded", padded, lambda encoded: slices(len(encoded), size), Collator(width)),
        contestant("sorted", in_order, by_length, Collator()),
    ]


@torch.no_grad()
def generated(
    setup: Setup, task: Task, examples: Sequence[Example], batching: Batching, collator: Collator
) -> list[Prediction]:
    """Greedy decoding, ended after the longest label: untrained weights would go on where trained ones stop."""
    from transformers import GenerationConfig

    model, machine = setup.learner.model, setup.machine
    if not isinstance(model, T5):
        raise UsageError("glue bench compares answers with those of transformers' T5: the model is of another family")
    model.module.eval()
    encoded = model.encode(task, examples)
    labels = model.tokenizer.encode(sorted({choice for example in examples for choice in example.choices}))
    names = ("decoder_start_token_id", "eos_token_id", "pad_token_id")
    special = {name: getattr(model.module.config, name) for name in names}
    rule = GenerationConfig(max_new_tokens=1 + max(map(len, labels)), do_sample=False, **special)
    texts: dict[int, str] = {}
    for rows in batching(encoded):
        batch = collator([encoded[k] for k in rows])
        inputs = {name: batch[name].to(machine.device) for name in ("input_ids", "attention_mask")}
        with machine.autocast():
            ids = model.module.generate(**inputs, generation_config=rule)
        texts.update(zip(rows, map(model.tokenizer.decode, ids[:, 1:].tolist()), strict=True))
    return [task.prediction(example, texts[k]) for k, example in enumerate(examples)]
