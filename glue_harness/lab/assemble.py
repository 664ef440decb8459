"""From a request to everything that a run needs: rows, examples, model, machine, feed."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, cast

import torch
from torch import nn

from glue_harness.core.errors import UsageError
from glue_harness.core.plan import Plan, default_of
from glue_harness.data import mixing
from glue_harness.data.sampler import Sampler
from glue_harness.lab import room
from glue_harness.lab.request import Request
from glue_harness.lab.rundata import RunData, cut_off, encode_rows, read_rows
from glue_harness.lab.school import School
from glue_harness.lab.shots import draw_shots
from glue_harness.lab.trial import try_out
from glue_harness.methods import Method, load_method
from glue_harness.models.compressed import compress, is_int8, kind_of
from glue_harness.models.families import millions_of
from glue_harness.models.interface import Model, Prompted, count_parameters
from glue_harness.train import device
from glue_harness.train.arrangement import arrangement
from glue_harness.train.checkpoints import build
from glue_harness.train.copies import Copies
from glue_harness.train.device import Machine
from glue_harness.train.feed import Feed, PackedFeed
from glue_harness.train.learner import Learner
from glue_harness.train.memory import Fit, find_fit
from glue_harness.train.optimizers import make_optimizer
from glue_harness.train.passes import Run, one_pass, passing, probe
from glue_harness.train.replays import Replays
from glue_harness.train.weights import WHOLE

WORTH_SAYING = 0.01  # of a split's examples: if more are cut, it is said


@dataclass(frozen=True)
class Setup:
    """All that is made before the first step."""

    request: Request
    data: RunData
    learner: Learner
    machine: Machine
    feed: Feed
    fit: Fit
    teacher: dict[str, Any] | None = None  # who it is, for the record

    @property
    def mix(self) -> dict[str, dict[str, Any]]:
        """What the plan's steps will see of each task."""
        examples = round(self.request.plan.steps * self.feed.examples_an_update())
        found = mixing.shares(self.data.sizes, self.data.rates, examples)
        return {name: share._asdict() for name, share in found.items()}

    @property
    def truncations(self) -> list[str]:
        """What of the examples the model never sees, where that is worth a warning."""
        found = self.data.lengths.items()
        return [f"{task} {role}: {cut_off(seen)}" for (task, role), seen in found if seen.share > WORTH_SAYING]


def settle(request: Request) -> Request:
    """The request with the precision that its plan will be run in: from here on torch is there."""
    plan = device.settled(request.plan, millions_of(request.origin.source))
    return replace(request, plan=plan)


def assemble(request: Request, vocabulary: str | None = None, told: Callable[[str, int], None] | None = None) -> Setup:
    """Loads and builds in the order in which mistakes are cheapest.

    `vocabulary`: where the one lies that the model's weights know, if it was learned from the tasks. `told` hears when
    a teacher begins to read so many examples of a task.
    """
    request = settle(request)
    plan = request.plan
    method = load_method(plan.method)
    machine = device.set_up(plan)
    device.check(plan, machine)
    rows = read_rows(request)
    room.check_model(plan, request.origin.source)
    known = plan.replace(tokenizer=vocabulary or plan.tokenizer)
    model = build(request.origin, known, (*rows.trained, *request.scored), rows.texts())
    rows = rows.read_by(model)
    if plan.shots is not None:
        cast(Prompted, model).show(draw_shots(plan, rows, request))
    total = count_parameters(model.module.parameters())
    added, tokens = method.added(model, plan) if hasattr(method, "added") else (0, 0)
    model.prompt_length = max(model.prompt_length, tokens)  # before inputs are encoded: there is less room for them
    model.check(rows.trained)
    room.check_method(plan, total, added, tokens, model.token_bytes, bool(model.parts().attention))
    data = encode_rows(rows, request, model)
    if request.teacher and not hasattr(method, "loss"):
        raise UsageError(f"method {plan.method} learns nothing of a teacher: leave out --teacher")
    school = School(request, request.teacher, told) if request.teacher else None
    data = school.teach(data, model) if school else data
    feed = make_feed(request, data, model, machine)
    if plan.epochs:
        plan = plan.lasting(mixing.steps_of(plan.epochs, data.sizes, data.rates, feed.examples_an_update()))
        request, machine = replace(request, plan=plan), device.set_up(plan)
    trained = [found for (_, role), found in data.lengths.items() if role == "train"]
    room.check_update(plan, sum(data.sizes.values()), sum(found.tokens for found in trained))
    for name, asked in data.scoring.items():
        try_out(request.registry.task(name), asked.examples)
    set_dropout(model.module, plan.dropout)
    if school:
        school.sit_beside(model)
    if plan.weights != default_of("weights"):
        refuse_added_parts(model, plan)
        compress(model, plan.weights, plan.model)
    # what is kept in fewer bits only answers
    parameters = list(model.module.parameters()) if kind_of(model) else method.prepare(model, plan)
    refuse_int8_on_gpu(model, plan, machine)
    data.rows.notes.extend(school.size_note(model) if school else ())
    learn_at_first = count_parameters(p for p in parameters if p.requires_grad)
    weights = WHOLE
    if machine.sharded:  # before it moves, so that blocks come to the device one by one
        from glue_harness.train.shards import spread  # importing it takes a while

        machine.ranks.compare(model.module, "at first")  # of parts put together nobody could tell
        weights, parameters = spread(plan, model, method, machine, parameters)
    model.module.to(machine.device)
    room.refuse_what_cannot_fit(
        f"training {count_parameters(parameters):,} parameters with {plan.optimizer}",
        room.state_bytes(plan.optimizer, 0, weights.kept(parameters)),
        "use a smaller --model, --optimizer adafactor or a --method that trains less",
        torch.cuda.mem_get_info(machine.device)[0] if machine.on_gpu else None,
    )
    optimizer = make_optimizer(plan, parameters, model.parts())
    way = way_of_passes(plan, model, method, parameters)
    learner = Learner(plan, model, method, parameters, learn_at_first, optimizer, way, weights)
    fit = find_fit(model, machine, learn_at_first)
    untried = machine.ranks.agree(not fit.tried) if machine.sharded else not fit.tried
    if machine.on_gpu and untried:  # elsewhere nothing fails for want of memory, or all does
        probe(model, machine, fit, feed, model.lengths[0])
    if machine.sharded and fit.most:  # all of them cut an update in the same way
        fit.most = -machine.ranks.agree(-fit.most)
    return Setup(request, data, learner, machine, feed, fit, school.evidence if school else None)


def refuse_added_parts(model: Model, plan: Plan) -> None:
    if {name for name, _ in model.module.named_parameters()} != model.plain:
        raise UsageError(
            f"model {plan.model!r} has parts that its method added: glue export RUN --merged makes one model of a lora "
            "run, and glue run --steps 0 --model DIR a run of it, which can be compressed"
        )


def refuse_int8_on_gpu(model: Model, plan: Plan, machine: Machine) -> None:
    if machine.on_gpu and is_int8(model):
        raise UsageError(f"8-bit weights of model {plan.model!r} are for CPUs: use --device cpu")


def plain_pass(plan: Plan, method: Method) -> Run:
    return passing(partial(method.loss, plan)) if hasattr(method, "loss") else one_pass


def way_of_passes(plan: Plan, model: Model, method: Method, parameters: Sequence[nn.Parameter]) -> Run:
    run = plain_pass(plan, method)
    run = Copies(model.module, run).run if plan.bf16_weights == "on" else run
    return Replays(run, parameters).run if plan.cuda_graphs == "on" else run


def set_dropout(module: nn.Module, rate: float | None) -> None:
    if rate is not None:
        for part in module.modules():
            if isinstance(part, nn.Dropout):
                part.p = rate


def make_feed(request: Request, data: RunData, model: Model, machine: Machine) -> Feed:
    """Updates of so many examples, or of so many tokens in T5's own rows."""
    plan, shares = request.plan, mixing.probabilities(data.rates)
    sampler = Sampler(plan.seed, list(data.sizes.values()), [shares[name] for name in data.sizes])
    arrange, grid = arrangement(plan.packing, machine.on_gpu, plan.micro_batch)
    noise = {task.name: task.noise for task in data.rows.trained if task.noise}
    common = (model, data.training, sampler, plan.batch_size, arrange, grid, noise)
    if plan.batch_tokens is None:
        return Feed(*common)
    return PackedFeed(*common, height=plan.batch_tokens // plan.max_input)
