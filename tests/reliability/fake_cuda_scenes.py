"""`python fake_cuda_scenes.py GUARD FOLDER`: what the harness does on a device that is not there, told as JSON. See fake_cuda.py."""

from __future__ import annotations

import ctypes
import json
import sys
from pathlib import Path

ctypes.CDLL(sys.argv[1], ctypes.RTLD_GLOBAL)  # before torch looks for what it is built for
import contextlib  # noqa: E402
from collections.abc import Callable, Sequence  # noqa: E402
from dataclasses import replace  # noqa: E402
from typing import Any  # noqa: E402
from unittest.mock import patch  # noqa: E402

import torch  # noqa: E402
from fake_cuda import Watch, fake_cuda  # noqa: E402
from torch import Tensor, distributed  # noqa: E402
from torch._inductor.runtime.cache_dir_utils import cache_dir  # noqa: E402
from torch.testing._internal.distributed.fake_pg import FakeStore  # noqa: E402
from toys import NEEDED, vocabulary  # noqa: E402

from glue_harness.core.plan import Plan  # noqa: E402
from glue_harness.core.settings import plugin_files  # noqa: E402
from glue_harness.lab.assemble import Setup, assemble  # noqa: E402
from glue_harness.lab.predict import Trained  # noqa: E402
from glue_harness.lab.request import make_request  # noqa: E402
from glue_harness.lab.run import run  # noqa: E402
from glue_harness.lab.school import School  # noqa: E402
from glue_harness.models import batch as batches  # noqa: E402
from glue_harness.models import stacks  # noqa: E402
from glue_harness.models.t5 import T5  # noqa: E402
from glue_harness.runs.store import Store  # noqa: E402
from glue_harness.suite.registry import load_tasks  # noqa: E402
from glue_harness.train.answers import answer  # noqa: E402
from glue_harness.train.arrangement import Pass  # noqa: E402
from glue_harness.train.loop import Hook, State, train  # noqa: E402
from glue_harness.train.ranks import Several  # noqa: E402

FOLDER = Path(sys.argv[2])
REGISTRY = load_tasks()
BERT = {"model": "bert:tiny", "tokenizer": None, "max_input": 128}
GPT, CBOW = ({**BERT, "model": model} for model in ("gpt:tiny", "cbow"))  # of a BiLSTM torch makes no fake
HEADS = {"label": "rte", "number": "stsb", "choice": "copa", "marks": "wic", "span": "squad"}
STEPS = 2  # the first and the last wait for their loss; those between for nothing


def plan_of(**changes: Any) -> Plan:
    values = {"data": "demo:200", "model": "tiny", "tokenizer": str(FOLDER / "vocabulary"), "steps": STEPS}
    values |= {"batch_size": 8, "device": "cuda", "dropout": 0.1, "max_answer": 4}
    return Plan(**{"tasks": ("rte",), **values, **changes})


def assembled(watch: Watch, **changes: Any) -> Setup:
    setup = assemble(make_request(plan_of(**changes), REGISTRY, Store(FOLDER / "results")))
    watch.forget()
    return setup


def trained(watch: Watch, setup: Setup) -> dict[str, Any]:
    """Waits of each step, and launches of the last one."""
    waits: list[dict[str, int]] = []
    launches: list[int] = []

    def look(_: State) -> None:
        waits.append(dict(watch.waits))
        launches.append(watch.launches)
        watch.waits.clear()

    train(setup.learner, setup.feed, setup.machine, [Hook(1, look)], setup.fit)
    return {
        "waits": waits,
        "launches": launches[-1] - launches[-2] if len(launches) > 1 else None,
        "wrong_types": dict(watch.wrong_types),
        "devices": devices(setup),
        "notes": setup.fit.notes,
    }


def devices(setup: Setup) -> list[str]:
    """Where the weights and the optimiser's state are."""
    held = [*setup.learner.model.module.parameters()]
    held += [t for state in setup.learner.optimizer.state.values() for t in state.values() if isinstance(t, Tensor)]
    return sorted({tensor.device.type for tensor in held})


def step(**changes: Any) -> Callable[[Watch], dict[str, Any]]:
    return lambda watch: trained(watch, assembled(watch, **changes))


def taught_step(**changes: Any) -> Callable[[Watch], dict[str, Any]]:
    """Steps of a student. What its teacher makes of the rows is known: nothing could be read from this device."""

    def scene(watch: Watch) -> dict[str, Any]:
        teacher = FOLDER / "teacher"
        teacher.mkdir(exist_ok=True)
        (teacher / "config.json").write_text("{}")
        with patch.object(
            School, "answers", lambda self, task, asked: [[1 / len(e.choices) for _ in e.choices] for e in asked]
        ):
            return trained(watch, assembled(watch, method="distil", teacher=str(teacher), **changes))

    return scene


def lean_step(watch: Watch) -> dict[str, Any]:
    setup = assembled(watch)
    setup.fit.lean = True
    return trained(watch, setup)


def recorded_step(**changes: Any) -> Callable[[Watch], dict[str, Any]]:
    """Steps whose passes become CUDA graphs, and how much one of them holds."""

    def scene(watch: Watch) -> dict[str, Any]:
        found = trained(watch, assembled(watch, steps=10, cuda_graphs="on", bf16_weights="on", **changes))
        return {**found, "recorded": watch.recorded}

    return scene


def step_of_two(**changes: Any) -> Callable[[Watch], dict[str, Any]]:
    """Steps of the first of two processes; what the other one sends is not there either."""

    def scene(watch: Watch) -> dict[str, Any]:
        store = FakeStore()
        distributed.init_process_group("fake", store=store, rank=0, world_size=2)
        try:
            setup = assembled(watch, **changes)
            return trained(watch, replace(setup, machine=replace(setup.machine, ranks=Several(0, 2, store))))
        finally:
            distributed.destroy_process_group()

    return scene


def step_out_of_memory(watch: Watch) -> dict[str, Any]:
    """Memory ends in the first step, in the middle of its forward pass."""
    setup = assembled(watch)
    setup.fit.key = None  # what is learned here is not for other scenes
    watch.fails_at = {100}
    return trained(watch, setup)


def probed(watch: Watch) -> dict[str, Any]:
    """The whole assembly, which tries the largest pass out."""
    setup = assemble(make_request(plan_of(), REGISTRY, Store(FOLDER / "results")))
    return {
        "waits": dict(watch.waits),
        "tried": setup.fit.tried,
        "cudnn": torch.backends.cuda.cudnn_sdp_enabled(),
        "wrong_types": dict(watch.wrong_types),
    }


def answered(kind: str, free: bool = False, task: str = "rte", **changes: Any) -> Callable[[Watch], dict[str, Any]]:
    def scene(watch: Watch) -> dict[str, Any]:
        setup = assembled(watch, answers=kind, tasks=(task,), **changes)
        asked = setup.data.asked[task]
        examples = [replace(e, choices=()) for e in asked.examples] if free else asked.examples
        given = (setup.learner.model, REGISTRY.task(task), examples[:40], setup.request.plan, setup.machine)
        found = answer(*given, asked.tokens)
        return {"waits": dict(watch.waits), "answers": len(found), "wrong_types": dict(watch.wrong_types)}

    return scene


def doubted(watch: Watch) -> dict[str, Any]:
    """Strict answers of which the whole vocabulary would have given every other one differently."""
    own = T5.agrees

    def agrees(model: T5, batch: Any, texts: Sequence[str]) -> list[bool]:
        return [sure and k % 2 == 0 for k, sure in enumerate(own(model, batch, texts))]

    with patch.object(T5, "agrees", agrees):
        return answered("strict")(watch)


def shared(watch: Watch) -> dict[str, Any]:
    """The probability of every choice, as `glue predict` tells it."""
    setup = assembled(watch)
    model, plan, machine = setup.learner.model, setup.request.plan, setup.machine
    found = Trained(plan, model, machine).shares(REGISTRY.task("rte"), setup.data.asked["rte"].examples[:40])
    return {"waits": dict(watch.waits), "answers": len(found), "wrong_types": dict(watch.wrong_types)}


class Watcher:
    """Sees a run go by, and may stop it at a step, as Ctrl-C does."""

    def __init__(self, stops_at: int | None = None) -> None:
        self.stops_at = stops_at

    def assembled(self, setup: Setup, *_: Any) -> None:
        self.setup = setup

    def scored(self, *_: Any) -> None: ...

    def stepped(self, setup: Setup, state: State) -> None:
        if state.step == self.stops_at:
            raise KeyboardInterrupt


def resumed(optimizer: str) -> Callable[[Watch], dict[str, Any]]:
    """A run with a checkpoint after each step that is stopped in its second step, and goes on."""

    def scene(watch: Watch) -> dict[str, Any]:
        plan = plan_of(optimizer=optimizer, steps=3, eval_every=3, eval_limit=8)
        results = FOLDER / "results" / optimizer
        with contextlib.suppress(KeyboardInterrupt):
            run(plan, results=results, registry=REGISTRY, watcher=Watcher(2), checkpoint_every=1)
        watcher = Watcher()
        record = run(None, results=results, registry=REGISTRY, resume="latest", watcher=watcher)
        return {
            "status": record.status,
            "resumed": record.resumed,
            "waits": dict(watch.waits),
            "devices": devices(watcher.setup),
            "wrong_types": dict(watch.wrong_types),
        }

    return scene


def graphs(watch: Watch) -> dict[str, Any]:
    """How many graphs there are after each of two passes: two of every shape, one for each stack."""
    setup = assembled(watch)
    model, machine, made = setup.learner.model, setup.machine, []
    model.compile(lambda graph, _: made.append(graph) or graph.forward)
    model.module.train()
    counts = []
    for rows, size in ((8, 200), (12, 300)):
        part = Pass([[model.filler(size)]] * rows, [0] * rows, setup.feed.grid)
        with machine.autocast():
            model.loss(model.lay(part.rows, machine.device, part.grid)).total.backward()
        counts.append(len(made))
    return {"graphs": counts, "folder": cache_dir()}


def planted(target: Any, name: str, fault: Callable[[Any], Any]) -> Callable[[Watch], dict[str, Any]]:
    """A step with a fault in it, which must be seen."""

    def scene(watch: Watch) -> dict[str, Any]:
        setup = assembled(watch, steps=1)
        with patch.object(target, name, fault(getattr(target, name))):
            return trained(watch, setup)

    return scene


def unpinned(_: Any) -> Any:
    return lambda tensor, device: tensor.to(device, non_blocking=True)


def read(own: Any) -> Any:
    def encode(module: Any, ids: Tensor, *rest: Any) -> Tensor:
        assert ids.sum().item() != -1
        return own(module, ids, *rest)

    return encode


def elsewhere(own: Any) -> Any:
    return lambda *arguments, **named: own(*arguments, **named).cpu()


def exact(own: Any) -> Any:
    return lambda x: x.float()


def attended(own: Any) -> Any:
    def attend(attention: Any, x: Tensor, *rest: Any) -> Tensor:
        with torch.autocast("cuda", enabled=False):
            lost = x.float() @ attention.q.weight.T
        return own(attention, x, *rest) + 0 * lost.sum().to(x.dtype)

    return attend


def scenes() -> dict[str, Callable[[Watch], dict[str, Any]]]:
    kinds = [(method, optimizer) for method in plugin_files("method") for optimizer in plugin_files("optimizer")]
    return {
        **{
            f"{method} {optimizer}": step(method=method, optimizer=optimizer, **NEEDED.get(method, {}))
            for method, optimizer in kinds
        },
        **{f"distil {optimizer}": taught_step(optimizer=optimizer) for optimizer in plugin_files("optimizer")},
        "bert, distil": taught_step(**BERT),
        "gpt, distil": taught_step(**GPT),
        "full adamw": step(steps=3),
        "accumulation": step(micro_batch=4),
        "z_loss": step(z_loss=1e-4),
        "lean": lean_step,
        "copies": step(bf16_weights="on"),
        "copies of several passes": step(bf16_weights="on", micro_batch=4),
        "graphs of passes": recorded_step(),
        "bert, every head": step(**BERT, tasks=tuple(HEADS.values()), mixing="equal", batch_size=16),
        "two processes": step_of_two(steps=3),
        "bert, two processes": step_of_two(**BERT, tasks=tuple(HEADS.values()), mixing="equal", batch_size=16, steps=3),
        "gpt": step(**GPT),
        "cbow": step(**CBOW),
        "bert, frozen": step(**BERT, method="frozen", optimizer="adafactor"),
        "bert, copies": step(**BERT, bf16_weights="on"),
        "graphs of bert's passes": recorded_step(**BERT),
        **{f"bert, {head}": answered("closed", task=task, **BERT) for head, task in HEADS.items()},
        "gpt, closed": answered("closed", **GPT),
        "gpt, strict": answered("strict", **GPT),
        "cbow, label": answered("closed", **CBOW),
        "out of memory": step_out_of_memory,
        "probe": probed,
        "closed": answered("closed"),
        "strict": answered("strict"),
        "free": answered("closed", free=True),
        "doubted": doubted,
        "shares": shared,
        "resume adamw": resumed("adamw"),
        "resume adafactor": resumed("adafactor"),
        "graphs": graphs,
        "planted: a copy that is not pinned": planted(batches, "moved", unpinned),
        "planted: a value read": planted(stacks, "encode", read),
        "planted: a bias on the CPU": planted(stacks, "_buckets", elsewhere),
        "planted: a product in fp32": planted(stacks, "_attend", attended),
    }


def main(chosen: Sequence[str]) -> None:
    vocabulary().save(FOLDER / "vocabulary")
    told: dict[str, Any] = {}
    for name, scene in scenes().items():
        if chosen and name not in chosen:
            continue
        watch = Watch()
        stacks._buckets.cache_clear()
        try:
            with fake_cuda(watch, watched=name != "graphs"):
                told[name] = scene(watch)
        except Exception as error:  # a scene that fails says so, and the others go on
            if chosen:
                raise
            told[name] = {"error": f"{type(error).__name__}: {error}"}
        if chosen:
            print(watch.kernels.most_common(25), file=sys.stderr)
    print(json.dumps(told, indent=1))


if __name__ == "__main__":
    main(sys.argv[3:])
