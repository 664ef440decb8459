"""Training: ours against transformers' Trainer, as run_glue.py sets it up and as well as it can be tuned."""

from __future__ import annotations

import contextlib
import copy
import importlib.util
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import torch
from torch import Tensor, nn

from glue_harness.bench.contest import Side, Stopwatch
from glue_harness.bench.features import Collator, Feature, features_of, padded_tokens
from glue_harness.core.errors import UsageError
from glue_harness.core.plan import Plan
from glue_harness.lab.assemble import Setup
from glue_harness.train.feed import Update
from glue_harness.train.loop import train
from glue_harness.train.optimizers import make_optimizer

CUDA_MULTIPLE = 8  # tensor cores like lengths that are multiples of it


def require_accelerate() -> None:
    if importlib.util.find_spec("accelerate") is None:
        raise UsageError(
            "glue bench compares with transformers' Trainer, which needs accelerate: pip install 'glue-harness[bench]'"
        )


@contextlib.contextmanager
def training_sides(setup: Setup, updates: Sequence[Update], encoded: Sequence[Any]) -> Iterator[list[Side]]:
    """Ours first. All train copies of the same weights on the same examples, in as many updates of the same size."""
    on_gpu = setup.machine.device.type == "cuda"
    padded_module, tuned_module = (as_transformers_makes_it(setup.model.module) for _ in range(2))
    features = features_of(encoded)
    grouped = grouped_by_length(features, setup.plan)
    fixed, longest = Collator(width=setup.plan.max_input), Collator(multiple=CUDA_MULTIPLE if on_gpu else 1)
    with TemporaryDirectory() as folder:
        padded = trainer(setup, padded_module, features, fixed, "random", Path(folder))
        tuned_model = torch.compile(tuned_module) if on_gpu else tuned_module  # on a CPU it is slower than without
        tuned = trainer(setup, tuned_model, grouped, longest, "sequential", Path(folder), logging_nan_inf_filter=False)
        yield [
            Side("glue", "glue run's own loop", sum(update.padded for update in updates), our_run(setup)),
            Side(
                "padded",
                f"Trainer as in run_glue.py: every input padded to {setup.plan.max_input}, shuffled",
                len(features) * setup.plan.max_input,
                trainer_run(padded, padded_module, setup.machine.device),
            ),
            Side(
                "tuned",
                "Trainer at its best: all examples sorted into batches by length, padded to the longest of a batch"
                + (", torch.compile" if on_gpu else ""),
                padded_tokens(grouped, longest, setup.plan.batch_size),
                trainer_run(tuned, tuned_module, setup.machine.device),
            ),
        ]


def as_transformers_makes_it(module: nn.Module) -> nn.Module:
    """The same weights without our faster parts."""
    made = type(module)._from_config(copy.deepcopy(module.config), attn_implementation="sdpa")
    made.load_state_dict(module.state_dict())
    made.tie_weights()
    return made.to(module.device)


def our_run(setup: Setup) -> Callable[[], float]:
    start = starting_point(setup.model.module)

    def run() -> float:
        setup.model.module.load_state_dict(start)
        optimizer = make_optimizer(setup.plan, setup.parameters)
        with Stopwatch(setup.machine.device) as watch:
            train(
                setup.model,
                setup.method,
                setup.parameters,
                optimizer,
                setup.feed,
                setup.plan,
                setup.machine,
                hooks=(),
                fit=setup.fit,
            )
        return watch.seconds

    return run


def trainer(
    setup: Setup,
    model: nn.Module,
    features: Sequence[Feature],
    collator: Collator,
    sampling: str,
    folder: Path,
    **others: Any,
) -> Any:
    """A Trainer with our optimiser, rate, clipping and precision, that neither evaluates nor saves nor prints."""
    from transformers import Trainer, TrainingArguments
    from transformers.trainer_callback import PrinterCallback

    plan, machine = setup.plan, setup.machine
    arguments = TrainingArguments(
        output_dir=str(folder),
        per_device_train_batch_size=plan.batch_size,
        num_train_epochs=1,
        train_sampling_strategy=sampling,
        learning_rate=plan.lr,
        lr_scheduler_type=plan.schedule,
        weight_decay=plan.weight_decay,
        max_grad_norm=plan.clip,
        optim="adamw_torch_fused",
        bf16=machine.precision == "bf16",
        use_cpu=machine.device.type == "cpu",
        seed=plan.seed,
        save_strategy="no",
        logging_strategy="no",
        report_to="none",
        disable_tqdm=True,
        remove_unused_columns=False,
        **others,
    )
    made = Trainer(model=model, args=arguments, train_dataset=features, data_collator=collator)
    made.remove_callback(PrinterCallback)
    return made


def trainer_run(made: Any, module: nn.Module, device: torch.device) -> Callable[[], float]:
    """One Trainer runs again and again, since a new one would compile again."""
    from transformers import TrainerCallback

    start = starting_point(module)
    watch = Stopwatch(device)

    class Times(TrainerCallback):
        """Counts neither what stands before the first epoch nor what follows the last."""

        def on_train_begin(self, *_: Any, **__: Any) -> None:
            watch.__enter__()

        def on_train_end(self, *_: Any, **__: Any) -> None:
            watch.__exit__()

    made.add_callback(Times())

    def run() -> float:
        module.load_state_dict(start)
        torch.manual_seed(made.args.seed)  # the same batches each time
        made.train()
        made.optimizer.state.clear()
        module.zero_grad(set_to_none=True)
        return watch.seconds

    return run


def grouped_by_length(features: Sequence[Feature], plan: Plan) -> list[Feature]:
    """Trainer's own grouping, over all examples at once.

    Its sampler groups 50 batches where there are 200 or more, but a quarter of a shorter run: that would be unfair.
    """
    from transformers.trainer_pt_utils import get_length_grouped_indices

    lengths = [len(f["input_ids"]) for f in features]
    generator = torch.Generator().manual_seed(plan.seed)
    order = get_length_grouped_indices(lengths, plan.batch_size, mega_batch_mult=plan.steps, generator=generator)
    return [features[k] for k in order]


def starting_point(module: nn.Module) -> dict[str, Tensor]:
    return {name: weights.clone() for name, weights in module.state_dict().items()}
