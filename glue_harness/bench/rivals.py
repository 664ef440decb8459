"""How transformers' users do the same work with the same weights: one class a family."""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import torch
from torch import Tensor, nn
from torch.nn.functional import pad
from torch.nn.utils.rnn import pad_sequence

from glue_harness.core.errors import UsageError
from glue_harness.core.task import Example, Prediction, Task
from glue_harness.lab.assemble import Setup
from glue_harness.models.batch import IGNORED
from glue_harness.models.decoder import Decoder
from glue_harness.models.decoder_batch import question_of
from glue_harness.models.encoder import Encoder
from glue_harness.models.encoder_batch import second_texts
from glue_harness.models.heads import class_of
from glue_harness.models.t5 import T5
from glue_harness.models.tokenizer import PAD

Batching = Callable[[Sequence[Any]], Sequence[Sequence[int]]]  # examples in tokens -> the indices in each batch


@dataclass(frozen=True)
class Collator:
    """Inputs padded to a width, or to the longest rounded up, with what a family wants beside them."""

    beside: Callable[[Sequence[Any], Tensor], dict[str, Tensor]]
    padding: int
    width: int | None = None
    multiple: int = 1

    def __call__(self, encoded: Sequence[Any]) -> dict[str, Tensor]:
        given = [torch.tensor(e.streams[0], dtype=torch.long) for e in encoded]
        inputs = pad_sequence(given, batch_first=True, padding_value=self.padding)
        columns = self.width or -(-inputs.shape[1] // self.multiple) * self.multiple
        inputs = pad(inputs, (0, columns - inputs.shape[1]), value=self.padding)
        mask = inputs.ne(self.padding).long()
        return {"input_ids": inputs, "attention_mask": mask, **self.beside(encoded, inputs)}

    def input_tokens(self, encoded: Sequence[Any], batches: Sequence[Sequence[int]]) -> int:
        """What a model sees of these batches, padding included."""
        return sum(self([encoded[k] for k in batch])["input_ids"].numel() for batch in batches)


def targets(encoded: Sequence[Any], _: Tensor) -> dict[str, Tensor]:
    """A T5's labels, padded to the longest."""
    wanted = [torch.tensor(e.streams[1], dtype=torch.long) for e in encoded]
    return {"labels": pad_sequence(wanted, batch_first=True, padding_value=IGNORED)}


class Rival(Protocol):
    how: str  # it answers, in words

    def collator(self, width: int | None = None, multiple: int = 1) -> Collator: ...

    def module(self) -> nn.Module:
        """A copy of our weights in transformers' own class, without our faster parts."""

    def answered(
        self, task: Task, examples: Sequence[Example], batching: Batching, collator: Collator
    ) -> list[Prediction]: ...


class OfT5:
    """`generate`, ended after the longest label: untrained weights would go on where trained ones stop."""

    how = "generate, told to stop at the longest label"

    def __init__(self, setup: Setup, model: T5) -> None:
        self.model, self.machine = model, setup.machine

    def collator(self, width: int | None = None, multiple: int = 1) -> Collator:
        return Collator(targets, PAD, width, multiple)

    def module(self) -> nn.Module:
        own = self.model.module
        made = type(own)._from_config(copy.deepcopy(own.config), attn_implementation="sdpa")
        made.load_state_dict(own.state_dict())
        made.tie_weights()
        return made.to(own.device)

    @torch.no_grad()
    def answered(
        self, task: Task, examples: Sequence[Example], batching: Batching, collator: Collator
    ) -> list[Prediction]:
        from transformers import GenerationConfig

        model, machine = self.model, self.machine
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


class OfDecoder:
    """A causal class, padded at the right to train, at the left to `generate`."""

    how = "generate, told to stop at the longest label"

    def __init__(self, setup: Setup, model: Decoder) -> None:
        self.model, self.machine = model, setup.machine

    def collator(self, width: int | None = None, multiple: int = 1) -> Collator:
        padding = self.model.words.pad

        def beside(encoded: Sequence[Any], inputs: Tensor) -> dict[str, Tensor]:
            """The answer's last token behind the others: the class itself moves labels by one place."""
            ids, labels = pad(inputs, (0, 1), value=padding), torch.full_like(pad(inputs, (0, 1)), IGNORED)
            sizes = torch.tensor([len(e.streams[0]) for e in encoded])
            for row, (e, size) in enumerate(zip(encoded, sizes.tolist(), strict=True)):
                answer = torch.tensor(e.streams[1], dtype=torch.long)
                ids[row, size] = answer[-1]
                labels[row, size + 1 - len(answer) : size + 1] = answer
            mask = torch.arange(ids.shape[1]) <= sizes[:, None]
            return {"input_ids": ids, "attention_mask": mask.long(), "labels": labels}

        return Collator(beside, padding, width, multiple)

    def module(self) -> nn.Module:
        from transformers import AutoModelForCausalLM

        own = self.model.module
        config = type(own.config).from_dict(own.config.to_dict())  # with transformers' own attention
        made = AutoModelForCausalLM.from_config(config)
        made.load_state_dict(own.state_dict())
        made.tie_weights()
        return made.to(self.machine.device)

    @torch.no_grad()
    def answered(
        self, task: Task, examples: Sequence[Example], batching: Batching, collator: Collator
    ) -> list[Prediction]:
        from transformers import GenerationConfig

        model, machine, module = self.model, self.machine, self.module().eval()
        encoded = model.encode(task, examples)
        longest = max(len(ids) for example in examples for ids in model.option_tokens(example.choices))
        rule = GenerationConfig(max_new_tokens=longest, do_sample=False, eos_token_id=model.end, pad_token_id=model.end)
        texts: dict[int, str] = {}
        for rows in batching(encoded):
            questions = [torch.from_numpy(question_of(encoded[k])) for k in rows]
            ids = pad_sequence(questions, batch_first=True, padding_value=model.end, padding_side="left")
            if collator.width:
                ids = pad(ids, (collator.width - ids.shape[1], 0), value=model.end)
            empty = ids.shape[1] - torch.tensor([len(question) for question in questions])
            mask = (torch.arange(ids.shape[1]) >= empty[:, None]).long()
            given = {"input_ids": ids.to(machine.device), "attention_mask": mask.to(machine.device)}
            with machine.autocast():
                written = module.generate(**given, generation_config=rule)[:, ids.shape[1] :].tolist()
            texts.update(zip(rows, (model.words.text(one, model.end) for one in written), strict=True))
        return [task.prediction(example, texts[k]) for k, example in enumerate(examples)]


class OfEncoder:
    """transformers' class with one head, padded batches."""

    how = "a forward pass"

    def __init__(self, setup: Setup, model: Encoder) -> None:
        if len(model.facts) > 1 or any(facts.kind not in ("label", "number") for facts in model.facts.values()):
            raise UsageError(
                "glue bench compares an encoder with the Trainer, which trains one task of labels or numbers"
            )
        self.model, self.machine = model, setup.machine
        ((self.task, self.facts),) = model.facts.items()

    def collator(self, width: int | None = None, multiple: int = 1) -> Collator:
        typed = getattr(self.model.config, "type_vocab_size", 0) > 1

        def beside(encoded: Sequence[Any], inputs: Tensor) -> dict[str, Tensor]:
            places = torch.arange(inputs.shape[1]).expand(inputs.shape)
            types = torch.from_numpy(second_texts(inputs.numpy(), places.numpy(), self.model.tokenizer))
            kind = torch.float32 if self.facts.kind == "number" else torch.long
            labels = {"labels": torch.tensor([e.gold for e in encoded]).to(kind)}
            return labels | ({"token_type_ids": types * inputs.ne(self.model.tokenizer.pad)} if typed else {})

        return Collator(beside, self.model.tokenizer.pad, width, multiple)

    def module(self) -> nn.Module:
        config = type(self.model.config).from_dict(self.model.config.to_dict())  # with transformers' own attention
        made = class_of(config, self.facts.kind, self.facts.outputs, device="cpu")
        made.base_model.load_state_dict(self.model.module.body.state_dict(), strict=False)
        made.load_state_dict(self.model.module.heads[self.task].state_dict(), strict=False)
        return made.to(self.machine.device)

    @torch.no_grad()
    def answered(
        self, task: Task, examples: Sequence[Example], batching: Batching, collator: Collator
    ) -> list[Prediction]:
        module, machine = self.module().eval(), self.machine
        encoded = self.model.encode(task, examples)
        texts: dict[int, str] = {}
        for rows in batching(encoded):
            batch = {name: value.to(machine.device) for name, value in collator([encoded[k] for k in rows]).items()}
            batch.pop("labels")
            with machine.autocast():
                found = module(**batch).logits
            if self.facts.kind == "number":
                said = [f"{value:.4f}" for value in found[:, 0].tolist()]
            else:
                said = [self.facts.choices[k] for k in found.argmax(-1).tolist()]
            texts.update(zip(rows, said, strict=True))
        return [task.prediction(example, texts[k]) for k, example in enumerate(examples)]
