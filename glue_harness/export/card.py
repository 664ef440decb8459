"""The card of an exported model: what it answers, how well, what that rests on, and how to make it again."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

from glue_harness.core.plan import Plan, default_of
from glue_harness.core.record import Score
from glue_harness.core.task import Task
from glue_harness.core.writing import json_text
from glue_harness.export import Chosen
from glue_harness.export.usage import GOES_ON, SPANS, TEXTS, WRITES, Exported, usage
from glue_harness.models.families import looks_like_hub_id
from glue_harness.report.console import one_line, or_dash

FOLDERS = ("data", "model", "teacher", "tokenizer", "text")  # settings that may name a folder of one machine
BACKTICK = "\\u0060"
SOFTWARE = ("glue", "commit", "python", "torch", "transformers", "device", "precision")


def card_of(chosen: Chosen, plan: Plan, made: Exported, folder: str) -> str:
    """In Markdown, headed by what the Hub reads of it."""
    task = chosen.task
    sections = {
        "Use": [block("python", usage(made, task, folder)), "", *reading(made, task)],
        "Scores": scores(chosen, plan, made),
        "Data": data(chosen),
        "How to repeat": repeating(chosen, plan),
        "Remarks": [f"- {plain(text)}" for text in chosen.record.notes],
    }
    parts = [["---", *heading(made, task, plan), "---"], [f"# {plain(task.title or task.name)}"]]
    parts += [opening(chosen, plan, made)]
    parts += [[f"## {title}", "", *lines] for title, lines in sections.items() if lines]
    return "\n\n".join("\n".join(lines) for lines in parts) + "\n"


def heading(made: Exported, task: Task, plan: Plan) -> list[str]:
    """YAML, whose values may be written as JSON's."""
    facts: dict[str, object] = {"library_name": "peft" if made.base else "transformers"}
    if made.reader == TEXTS:
        facts["pipeline_tag"] = "text-classification"
    if looks_like_hub_id(plan.model) and not Path(plan.model).is_dir():
        facts["base_model"] = plan.model
    if task.source.hub and not plan.is_demo:
        facts["datasets"] = [task.source.hub]
    facts["tags"] = ["glue", task.name]
    return [f"{name}: {json_text(value)}" for name, value in facts.items()]


def opening(chosen: Chosen, plan: Plan, made: Exported) -> list[str]:
    record, task, step, _ = chosen
    what = f"What method {plan.method} trained of" if made.base else "The whole of"
    title = plain(task.title or task.name)
    when = f"as it was at step {step:,} of {record.last_step:,} of run `{record.id}`"
    said = [f"{what} `{one_line(shown(plan).model).replace('`', '')}`, fine-tuned on {title}, {when}."]
    if plan.is_demo:
        said += ["**It learned synthetic rows: it knows nothing of real texts.**"]
    if record.status != "finished":
        said += [f"**Its run is {record.status}, not finished.**"]
    start = record.environment.get("model", {})
    if start.get("run"):
        said += [f"The run began with the weights of run {plain(str(start['run']))} at step {start.get('step')}."]
    if "nonzero" in record.parameters:
        there = f"{record.parameters['nonzero']:,} of {record.parameters['total']:,} parameters are not zero"
        said += [f"It was pruned: {there}."]
    if made.remark:
        said += [made.remark]
    if others := [name for name in record.mix if name != task.name]:
        said += [f"The same model was trained on {', '.join(others)} too."]
    if teacher := record.environment.get("teacher"):
        run = teacher.get("run")
        who = f"run {plain(str(run))} at step {teacher.get('step')}" if run else plain(str(shown(plan).teacher))
        said += [f"Beside the labels it learned what {who} makes of the training rows."]
    return ["\n\n".join(said)]


def reading(made: Exported, task: Task) -> list[str]:
    """What it takes, and what its answers mean."""
    lines = []
    if made.columns:
        text, pair, _ = made.columns
        lines += [f"- `text` is {plain(text)}" + (f", `text_pair` is {plain(pair)}." if pair else ".")]
    if made.number:
        lines += ["- The score is the answer itself, a number."]
    elif made.answers or task.choices:
        lines += [f"- Answers: {', '.join(plain(answer) for answer in made.answers.values() or task.choices)}."]
    lines += [f"- An input has {made.length:,} tokens at most; what is too long is cut."]
    if made.example:
        row = {name: value for name, value in made.example.fields.items() if name != "label"}
        lines += ["- The texts above are made of this synthetic row:", "", block("json", json_text(row))]
    return lines


def scores(chosen: Chosen, plan: Plan, made: Exported) -> list[str]:
    """Each value with what it rests on."""
    record, task, _, found = chosen
    headings = ("split", "metric", "score", "95 % interval", "without luck", "one answer to all", "examples")
    lines = table(headings, (row for score in found.values() for row in values_of(score)))
    remarks = []
    tried = {step for name in (task.name, *found) for step, _ in record.history.get(name, ())}
    if len(tried) > 1:
        chose = [facts["split"] for name, facts in record.selected_on.items() if name in (task.name, *found)]
        by = f"by its scores on {plain(' and '.join(chose))}"
        remarks += [f"The step was chosen among {len(tried)} {by}; `without luck`: without the luck of that choice."]
    remarks += [f"One seed, {plan.seed}: another gives another model."]
    if made.reader in (WRITES, GOES_ON) and plan.answers == "closed":
        remarks += ["Scored with only the valid answers to choose from, to which `generate` is not held."]
    if made.reader == SPANS:
        remarks += ["Scored over windows of a context that is too long, which the lines above cut."]
    if (precision := record.environment.get("precision", "fp32")) != "fp32":
        remarks += [f"Scored in {precision}; these weights are fp32."]
    if plan.weights != default_of("weights"):
        remarks += [f"Scored with {plan.weights} weights; these are the numbers that they stand for."]
    for score in found.values():
        split = plain(score.split)
        if score.invalid:
            remarks += [f"Not a valid answer: {score.invalid:,} of {score.n:,} on {split}."]
        if score.clean and (values := score.clean.get("metrics")):
            clean = ", ".join(f"{key} {or_dash(value, '.2f')}" for key, value in values.items())
            shared = f"{score.clean['shared']:,} rows of {split} that share a text with rows trained on"
            remarks += [f"Without the {shared}: {clean}."]
    return [*lines, "", *(f"- {remark}" for remark in remarks)]


def values_of(score: Score) -> list[list[str]]:
    rows = []
    for key, value in score.metrics.items():
        low, high = score.intervals.get(key) or (None, None)
        numbers = [
            or_dash(one, ".2f") for one in (value, low, high, score.without_luck.get(key), score.baseline.get(key))
        ]
        rows.append([score.split, key, numbers[0], " to ".join(numbers[1:3]), *numbers[3:], f"{score.n:,}"])
    return rows


def data(chosen: Chosen) -> list[str]:
    """The rows of its own task, by fingerprints that other copies of them have too."""
    found = [(name, chosen.record.data.get(name, {})) for name in dict.fromkeys((chosen.task.name, *chosen.scores))]
    rows = [
        [role, *(str(facts.get(name) or "") for name in ("split", "rows", "origin", "fingerprint"))]
        for _, roles in found
        for role, facts in roles.items()
    ]
    return table(("for", "split", "rows", "from", "fingerprint"), rows) if rows else []


def repeating(chosen: Chosen, plan: Plan) -> list[str]:
    """The plan, and the software that carried it out."""
    record, ours = chosen.record, shown(plan)
    lines = [block("sh", f"glue run --plan plan.toml\nglue export latest --task {chosen.task.name}"), ""]
    lines += [f"plan.toml, whose digest is {record.digest}:", "", block("toml", ours.to_toml().rstrip())]
    if ours != plan:
        lines += ["", "Folders go by the last part of their names there: put your own."]
    used = record.environment
    facts = [f"{name} {used[name]}" for name in SOFTWARE if used.get(name)]  # type: ignore[literal-required]
    return [*lines, "", f"Made with {plain(', '.join(facts))}."] if facts else lines


def shown(plan: Plan) -> Plan:
    """The plan for others: a folder goes by its name, not by where it lay."""
    folders = {name: str(getattr(plan, name) or "") for name in FOLDERS}
    return plan.replace(**{name: Path(at).name for name, at in folders.items() if Path(at).is_absolute()})


def table(headings: Sequence[str], rows: Iterable[Sequence[str]]) -> list[str]:
    lines = [headings, ["---"] * len(headings), *([plain(cell) for cell in row] for row in rows)]
    return [f"| {' | '.join(line)} |" for line in lines]


def block(language: str, text: str) -> str:
    """Code. What could end it is written by its number, which strings of Python, JSON and TOML know."""
    return f"```{language}\n{text.replace('`', BACKTICK)}\n```"


def plain(text: str) -> str:
    """A text in one line that is no Markdown, whatever it holds."""
    return "".join(f"\\{sign}" if sign in "\\`*_[]<>|#" else sign for sign in one_line(text))
