"""The folder of an export: weights, configuration and vocabulary as transformers or peft read them, and a card."""

from __future__ import annotations

import json
import warnings
from importlib.util import find_spec
from pathlib import Path
from typing import Any, NamedTuple

from glue_harness.core.errors import UsageError
from glue_harness.core.plan import EARLIER, Plan, plan_from
from glue_harness.core.task import Task
from glue_harness.core.writing import cannot_save, json_text, whole
from glue_harness.export import FACTS, Chosen, eval_results
from glue_harness.export.card import card_of
from glue_harness.export.usage import GOES_ON, TEXTS, WRITES, Exported, columns_of, example_of
from glue_harness.lab.predict import rebuilt
from glue_harness.methods import load_method
from glue_harness.models.compressed import undo
from glue_harness.models.families import is_from_scratch
from glue_harness.models.interface import Export
from glue_harness.runs.store import Store
from glue_harness.suite.registry import Registry

# Its names for what a class answers. Its class for questions and contexts drops their token types, and for choices it
# has none: there its plain class passes on all that it is given.
PEFT = {TEXTS: "SEQ_CLS", WRITES: "SEQ_2_SEQ_LM", GOES_ON: "CAUSAL_LM"}
VOCABULARY = "tokenizer_config.json"
OF_LOADING = ("is_local", "local_files_only")  # how we read the vocabulary, which transformers keeps with it


class Form(NamedTuple):
    """What is saved of a model: all of it, or what was trained beside a base that others have."""

    model: Any  # of transformers or peft
    base: str | None = None


def write(chosen: Chosen, store: Store, registry: Registry, out: Path, merged: bool) -> Exported:
    """Complete, or what was there before."""
    record, task, step, _ = chosen
    plan = plan_from(record.plan)
    model = rebuilt(record, store.run_folder(record.id), step, plan, registry)
    undo(model)  # transformers reads no 8-bit weights of ours: it gets the floats that they stand for
    made = model.export(task)
    form = form_of(made, plan, merged)
    exported = described(made, form, task, model.lengths[0])
    try:
        with whole(out.resolve()) as draft:
            draft.mkdir()
            save(form, made, exported.length, draft)
            card = card_of(chosen, plan, exported, out.resolve().name)
            (draft / "README.md").write_text(card, encoding="utf-8")
            eval_results.write(chosen, draft)
            facts = {"run": record.id, "task": task.name, "step": step, "plan": record.digest, **exported.to_facts()}
            facts["files"] = sorted(file.name for file in draft.iterdir())
            (draft / FACTS).write_text(json_text(facts, indent=1) + "\n", encoding="utf-8")
            usual = (draft / FACTS).stat().st_mode  # as the umask says; safetensors gives its files 0600
            for file in draft.rglob("*"):
                if file.is_file():
                    file.chmod(usual)
    except OSError as error:
        raise cannot_save(out, error) from None
    return exported


def described(made: Export, form: Form, task: Task, length: int) -> Exported:
    """What cards, programs and people are told of it."""
    classifies, config = made.reader == TEXTS, made.whole.config
    return Exported(
        reader=made.reader,
        base=form.base,
        answers=dict(config.id2label) if classifies else {},
        number=classifies and config.problem_type == "regression",
        length=length,
        example=example_of(task),
        behind=made.behind,
        remark=made.remark,
        columns=columns_of(task) if classifies else None,
    )


def form_of(made: Export, plan: Plan, merged: bool) -> Form:
    """The whole model where its weights have their places there; else what its method added, as peft has it."""
    method, added = load_method(plan.method), made.weights.keys() - made.whole.state_dict().keys()
    if not added or not hasattr(method, "as_peft"):
        made.fill(made.weights)
        if merged:
            raise UsageError(f"method {plan.method} trained the model's own weights: leave out --merged")
        return Form(made.whole)
    if find_spec("peft") is None:
        raise UsageError(f"what method {plan.method} adds is saved by peft: pip install 'glue-harness[lora]'")
    with warnings.catch_warnings(action="ignore"):  # peft asks transformers in ways that this is giving up
        found = method.as_peft(made, plan, PEFT.get(made.reader))
    merge = getattr(found, "merge_and_unload", None)
    if merged:
        if not merge:
            raise UsageError(f"what method {plan.method} adds is no part of a matrix: leave out --merged")
        return Form(merge())
    if is_from_scratch(plan.model) or plan.model.startswith(EARLIER):
        fix = "--merged writes the whole model" if merge else "glue predict and glue submit serve this run"
        raise UsageError(
            f"peft lays what method {plan.method} adds over a base that others have, which {plan.model!r} is not: {fix}"
        )
    at = Path(plan.model)
    return Form(found, str(at.resolve()) if at.is_dir() else plan.model)


def save(form: Form, made: Export, length: int, folder: Path) -> None:
    """Weights and vocabulary, which cuts inputs where the run did and reads no special token out of a text."""
    from safetensors import SafetensorError
    from transformers.utils import logging

    logging.disable_progress_bar()
    try:
        if form.base:
            (config,) = form.model.peft_config.values()
            config.base_model_name_or_path = form.base
            form.model.save_pretrained(folder, save_embedding_layers=False)
            if made.whole.can_generate():
                if config.is_prompt_learning and not made.whole.config.is_encoder_decoder:
                    # peft 0.21 does not find what transformers 5.24 keeps of earlier tokens under a new name, and
                    # would put the prompt before every token again
                    made.whole.generation_config.use_cache = False
                made.whole.generation_config.save_pretrained(folder)
        else:
            form.model.save_pretrained(folder)
    except SafetensorError as error:
        raise OSError(str(error)) from None
    made.save_vocabulary(folder)
    file = folder / VOCABULARY
    facts = json.loads(file.read_text(encoding="utf-8")) if file.exists() else {}
    facts = {name: value for name, value in facts.items() if name not in OF_LOADING}
    facts |= {"model_max_length": length, "split_special_tokens": True}
    file.write_text(json.dumps(facts, indent=2, sort_keys=True) + "\n", encoding="utf-8")
