"""What an export is and reads, and the lines of Python that put it to use."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from random import Random
from typing import Any, NamedTuple

from glue_harness.core.task import Example, Pair, Task
from glue_harness.models.windows import LONGEST

TEXTS = "AutoModelForSequenceClassification"  # the one class that transformers has a pipeline for
SPANS = "AutoModelForQuestionAnswering"
WRITES = "AutoModelForSeq2SeqLM"
GOES_ON = "AutoModelForCausalLM"
ASK = """read = tokenizer({texts}, padding=True, truncation=True, return_tensors="pt")
scores = model(**{{name: values[None] for name, values in read.items()}}).logits
scores.argmax().item()  # which choice"""
FIND = """question, context = {texts}
read = tokenizer(question, context, truncation="only_second", return_tensors="pt")
found = model(**read)
inside = torch.tensor([part == 1 for part in read.sequence_ids()])  # the tokens of the context
spans = found.start_logits[0][:, None] + found.end_logits[0]
possible = inside[:, None] & inside & torch.ones_like(spans).triu().tril({longest}).bool()
first, last = divmod(spans.where(possible, -torch.inf).argmax().item(), len(inside))
context[read.token_to_chars(first).start : read.token_to_chars(last).end]"""
WRITE = """read = tokenizer({texts}, truncation=True, return_tensors="pt")
tokenizer.decode(model.generate(**read{how})[0], skip_special_tokens=True)"""
GO_ON = """read = tokenizer({texts}, return_tensors="pt")
written = model.generate(**read{how})[0, read["input_ids"].shape[1] :]
tokenizer.decode(written, skip_special_tokens=True).strip()"""
BODIES = {
    "AutoModelForMultipleChoice": ASK,
    SPANS: FIND,
    WRITES: WRITE,
    GOES_ON: GO_ON,
}


class Exported(NamedTuple):
    """What was made."""

    reader: str  # the class of transformers that loads it
    base: str | None  # the model that it changes; None: it is whole
    answers: Mapping[int, str]  # what a classifier calls its outputs; empty for other classes
    number: bool  # the one output is the answer itself
    length: int  # tokens of an input at most
    example: Example | None  # a synthetic row, where the task makes such
    behind: str  # what stands behind each question
    remark: str  # what else there is to know of the model
    columns: Pair | None  # which columns of a row are read as `text` and `text_pair`, where that can be told

    def to_facts(self) -> dict[str, Any]:
        text, pair, _ = self.columns or (None, None, ())
        facts = {"class": self.reader, "base": self.base, "max_length": self.length}
        return {**facts, "labels": list(self.answers.values()), "text": text, "text_pair": pair}


def example_of(task: Task) -> Example | None:
    rows = task.demo(Random(0), 4) if task.demo else []
    return next((example for row in rows for example in task.examples(row)), None)


def columns_of(task: Task) -> Pair | None:
    """The pair that a row makes whose every value is its column's name."""
    named = {name: name for name in task.columns}
    try:
        (pair,) = task.view.pairs(Example("0", "", "", named, None)) if task.view else ()
    except Exception:  # a task's own function may want more of a row than names
        return None
    return pair


def usage(made: Exported, task: Task, folder: str) -> str:
    """Python that loads an export and asks it the example."""
    of_hub = ["AutoTokenizer", made.reader]
    lines = [f"tokenizer = AutoTokenizer.from_pretrained({quoted(folder)})"]
    if made.base:
        lines += [f"base = {made.reader}.from_pretrained({quoted(made.base)}{meanings(made)})"]
        lines += [f"model = PeftModel.from_pretrained(base, {quoted(folder)})"]
        if made.reader in (WRITES, GOES_ON):  # else it would generate as its base does
            lines += [f"greedy = GenerationConfig.from_pretrained({quoted(folder)})"]
            of_hub += ["GenerationConfig"]
    else:
        lines += [f"model = {made.reader}.from_pretrained({quoted(folder)})"]
    if made.reader != TEXTS:
        how = ", generation_config=greedy" if made.base else ""
        body = BODIES[made.reader].format(texts=", ".join(texts_of(made, task)), longest=LONGEST - 1, how=how)
        return joined(made, of_hub, [*lines, body])
    given = "model=model, tokenizer=tokenizer"
    if not made.base:
        lines, given, of_hub = [], f"model={quoted(folder)}", []
    (asked,) = texts_of(made, task)
    lines += [f'ask = pipeline("text-classification", {given})', f"ask({asked}, truncation=True)"]
    return joined(made, [*of_hub, "pipeline"], lines)


def joined(made: Exported, imported: Sequence[str], lines: Sequence[str]) -> str:
    needed = ["import torch"] * (made.reader == SPANS) + ["from peft import PeftModel"] * bool(made.base)
    return "\n".join([*needed, f"from transformers import {', '.join(sorted(imported))}", "", *lines])


def meanings(made: Exported) -> str:
    """What the base must be told, since peft keeps no configuration."""
    if not made.answers:
        return ""
    named = ", ".join(f"{number}: {quoted(answer)}" for number, answer in made.answers.items())
    return f", id2label={{{named}}}" + (', problem_type="regression"' if made.number else "")


def texts_of(made: Exported, task: Task) -> list[str]:
    """The example as the class takes it, in Python; a task that makes no rows has dots there."""
    example, view = made.example, task.view
    if made.reader in (WRITES, GOES_ON):
        return [quoted((example.inputs if example else "...") + made.behind)]
    assert view, "what heads answer has a view"
    pairs = view.pairs(example) if example else [Pair("...", "...")]
    if made.reader == TEXTS:
        (pair,) = pairs
        named = {"text": pair.first, "text_pair": pair.second}
        return [quoted(pair.first if pair.second is None else named)]
    if made.reader == "AutoModelForMultipleChoice":
        return [quoted([pair.first for pair in pairs]), quoted([pair.second for pair in pairs])]
    return [quoted(pairs[0].first), quoted(pairs[0].second)]


def quoted(value: Any) -> str:
    """A value in Python."""
    text = json.dumps(value, ensure_ascii=False)
    return text if text.isprintable() else repr(value)
