"""T5's scores for users of `evaluate`: `evaluate.load(EVALUATE_MODULE, "mrpc").compute(predictions=, references=)`.

`evaluate` runs this file as a script of its own; nothing in the package imports it.
"""

import json
from typing import Any

import datasets
import evaluate

from glue_harness.metrics import measure
from glue_harness.metrics.answers import answered
from glue_harness.suite.registry import load_tasks

INPUTS = """
predictions: the model's texts.
references: the target texts; where scoring needs more, a dict {"target": text, "idx" / "answers" / "label": ...}.
"""


class T5(evaluate.Metric):
    """All metrics of the task that `config_name` names, with T5's own post-processing."""

    def _info(self) -> evaluate.MetricInfo:
        self.task = load_tasks().task(self.config_name)
        text = datasets.Value("string")
        return evaluate.MetricInfo(
            description=f"{', '.join(self.task.keys)} of {self.task.name}, x100, as T5 computes them.",
            citation="",
            inputs_description=INPUTS,
            features=datasets.Features({"predictions": text, "references": text}),
        )

    def add_batch(self, *, predictions: Any = None, references: Any = None, **inputs: Any) -> None:
        """References travel as JSON: their shape differs from task to task, and Arrow wants one."""
        super().add_batch(predictions=predictions, references=[json.dumps(r) for r in references], **inputs)

    def add(self, *, prediction: Any = None, reference: Any = None, **inputs: Any) -> None:
        """One answer; `evaluate` needs this docstring, to which it appends the inputs."""
        super().add(prediction=prediction, reference=json.dumps(reference), **inputs)

    def _compute(self, predictions: list[str], references: list[str]) -> dict[str, float]:
        found = []
        for number, (text, reference) in enumerate(zip(predictions, map(json.loads, references), strict=True)):
            info = reference if isinstance(reference, dict) else {"target": reference}
            found.append(answered(self.task, info["target"], text, info, str(number)))
        return measure(self.task.metrics, found)
