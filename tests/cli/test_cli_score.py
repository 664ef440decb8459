"""`glue score`: the exact JSON that scripts read, the table that people read, and every refusal's one line."""

import json
import os
import subprocess
import sys

import pytest
from conftest import golden

from glue_harness.cli import main

GOOD = [("entailment", "entailment"), ("neutral", "neutral"), ("entailment", "neutral"), ("neutral", "maybe")]
QUESTIONS = [
    {"target": "True", "prediction": "True", "example": {"idx": {"paragraph": 0, "question": 0, "answer": 0}}},
    {"target": "False", "prediction": "no", "example": {"idx": {"paragraph": 0, "question": 0, "answer": 1}}},
    {"target": "True", "prediction": "True", "example": {"idx": {"paragraph": 0, "question": 1, "answer": 2}}},
]


@pytest.fixture
def score(tmp_path, capsys):
    """Runs `glue score TASK` on lines and gives exit code, stdout and stderr."""

    def run(task, lines, *options):
        file = tmp_path / "answers.jsonl"
        text = "".join(line if isinstance(line, str) else json.dumps(line) + "\n" for line in lines)
        file.write_text(text, encoding="utf-8")
        return call(task, str(file), *options)

    def call(*arguments):
        code = 0
        try:
            main(["score", *arguments])
        except SystemExit as stop:
            code = stop.code
        output = capsys.readouterr()
        return code, output.out, output.err.replace(str(tmp_path) + os.sep, "")

    run.call = call
    return run


def pairs(*found):
    return [{"target": target, "prediction": prediction} for target, prediction in found]


def test_json_is_one_line_with_metrics_count_and_invalid(score):
    code, out, err = score("mnli_matched", pairs(*GOOD), "--json")
    assert (code, out, err) == (0, '{"metrics": {"accuracy": 50.0}, "n": 4, "invalid": 1}\n', "")


def test_t5_names_work(score):
    assert score("glue_mnli_matched_v002", pairs(*GOOD), "--json") == score("mnli_matched", pairs(*GOOD), "--json")


def test_undefined_is_null(score):
    _, out, _ = score("stsb", pairs(("1.0", "2.0"), ("3.0", "2.0")), "--json")
    assert json.loads(out)["metrics"] == {"pearson_corrcoef": None, "spearman_corrcoef": None}


def test_groups_come_from_example(score):
    _, out, _ = score("multirc", QUESTIONS, "--json")
    assert json.loads(out) == {"metrics": {"f1": 80.0, "exact_match": 50.0}, "n": 3, "invalid": 1}


@pytest.mark.parametrize("task", ["glue/mrpc", "glue/wnli_simple", "super_glue/record", "squad", "wmt/en-ro"])
def test_equals_t5_on_whole_files(score, task):
    line = next(line for line in golden("metric") if line["task"] == task and "metrics" in line["expect"])
    raw = line["raw"]
    infos = raw.get("examples", [{}] * len(raw["targets"]))
    lines = [
        {"target": t, "prediction": p, "example": e}
        for t, p, e in zip(raw["targets"], raw["predictions"], infos, strict=True)
    ]
    _, out, _ = score(line["t5_task"], lines, "--json")
    assert json.loads(out)["metrics"] == pytest.approx(line["expect"]["metrics"], abs=1e-6)


def test_table_shows_interval_share_and_invalid_answers(score):
    found = pairs(*GOOD, ("neutral", "maybe"), ("neutral", "a\x1b[31m\n" + "b" * 80))
    code, out, err = score("mnli_matched", found)
    lines = [line.split() for line in out.splitlines() if line.strip()]
    assert (code, err) == (0, "")
    assert lines[0] == ["MNLI-m"]
    assert lines[1] == ["metric", "x100", "95", "%", "interval"]
    assert lines[3][:2] == ["accuracy", "33.33"]
    low, to, high = lines[3][2:]
    assert to == "to"
    assert 0 <= float(low) < 33.33 < float(high) <= 100
    assert "6 answers, 3 invalid (50.0 %)" in out
    assert "  2 x 'maybe'" in out
    assert "\x1b" not in out
    assert max(map(len, out.splitlines())) < 80


def test_an_undefined_score_is_called_undefined(score):
    _, out, _ = score("stsb", pairs(("1.0", "2.0"), ("3.0", "2.0")))
    rows = [line.split() for line in out.splitlines() if "_corrcoef" in line]
    assert rows == [["pearson_corrcoef", "undefined", "-"], ["spearman_corrcoef", "undefined", "-"]]
    assert "undefined: no value for some answers, as a correlation has none of equal ones" in out


def test_one_answer_that_is_no_number_leaves_a_correlation_without_value_and_interval(score):
    _, out, _ = score("stsb", pairs(("1.0", "1.2"), ("3.0", "nan"), ("4.0", "4.2"), ("2.0", "2.2")))
    assert [line.split()[1:] for line in out.splitlines() if "_corrcoef" in line] == 2 * [["undefined", "-"]]


def test_a_task_without_metric_says_so(score):
    code, out, _ = score("ax", pairs(("neutral", "neutral")))
    assert code == 0
    assert out.splitlines()[0] == "ax has no metric: its labels are not public"


def test_blank_lines_and_a_byte_order_mark_are_no_fault(score):
    _, out, _ = score("mnli_matched", ["\ufeff", *pairs(*GOOD[:1]), "\n", *pairs(*GOOD[1:2]), "\n"], "--json")
    assert json.loads(out)["n"] == 2


LINE = {"target": "neutral", "prediction": "neutral"}
BAD = {
    "not JSON": ("mnli_matched", [LINE, "{oops\n"], "answers.jsonl, line 2: not JSON: "),
    "not an object": ("mnli_matched", ["[1]\n"], "answers.jsonl, line 1: a JSON list, not an object"),
    "no prediction": ("mnli_matched", [LINE, {"target": "neutral"}], "answers.jsonl, line 2: 'prediction' is missing"),
    "no target": ("mnli_matched", [{"prediction": "x"}], "answers.jsonl, line 1: 'target' is missing"),
    "number": (
        "stsb",
        [{"target": "1.0", "prediction": 1.0}],
        "answers.jsonl, line 1: 'prediction' must be text, not 1.0",
    ),
    "example": ("mnli_matched", [{**LINE, "example": 3}], "answers.jsonl, line 1: 'example' must be an object, not 3"),
    "empty": ("mnli_matched", [], "answers.jsonl is empty: expected lines of "),
    "hidden": (
        "mnli_matched",
        [LINE, {**LINE, "target": "<unk>"}],
        "answers.jsonl, line 2: the target '<unk>' hides its label: it cannot be scored",
    ),
    "hidden number": ("stsb", pairs(("-1.0", "2.0")), "answers.jsonl, line 1: the target '-1.0' hides its label"),
    "hidden referent": (
        "wsc_eval",
        [{"target": "Ann", "prediction": "Ann", "example": {"label": -1}}],
        "answers.jsonl, line 1: the target 'Ann' hides its label",
    ),
    "hidden answers": (
        "record",
        [{"target": "<unk>", "prediction": "Ann", "example": {"idx": {"passage": 0, "query": 0}, "answers": []}}],
        "answers.jsonl, line 1: the target '<unk>' hides its label",
    ),
    "not a label": (
        "mnli_matched",
        [{**LINE, "target": "yes"}],
        "answers.jsonl, line 1: target 'yes' is not a label: entailment, neutral, contradiction",
    ),
    "not a number": (
        "stsb",
        pairs(("good", "2.0")),
        "answers.jsonl, line 1: it does not fit task stsb: could not convert",
    ),
    "no label": (
        "wsc_eval",
        pairs(("Ann", "Ann")),
        "answers.jsonl, line 1: 'example' has no 'label', which scoring wsc_eval needs",
    ),
}


@pytest.mark.parametrize(("task", "lines", "message"), BAD.values(), ids=BAD)
def test_wrong_data_is_one_line_with_file_and_line(score, task, lines, message):
    code, out, err = score(task, lines, "--json")
    assert (code, out) == (1, "")
    assert err.startswith(f"glue: {message}")
    assert err.count("\n") == 1


def test_not_utf8_names_the_line(score, tmp_path):
    file = tmp_path / "latin.jsonl"
    file.write_bytes(json.dumps(LINE).encode() + b'\n{"target": "\xe9"}\n')
    code, _, err = score.call("mnli_matched", str(file))
    assert (code, err) == (
        1,
        "glue: latin.jsonl, line 2: not UTF-8: invalid continuation byte at byte 12 of the line\n",
    )


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("mnli_matched", "nowhere.jsonl"), "cannot read 'nowhere.jsonl': No such file or directory"),
        (("mnli_matched", "."), "cannot read '.': Is a directory"),
        (("mnli_matche", "-"), "unknown task 'mnli_matche': did you mean mnli_matched?"),
        (("mnli_matched",), "Missing argument 'FILE' (see glue score --help)"),
    ],
)
def test_a_wrong_request_is_one_line(score, arguments, message):
    assert score.call(*arguments) == (2, "", f"glue: {message}\n")


def test_stdin_is_read_without_torch():
    code = (
        "import sys; from glue_harness.cli import main; main(['score', 'mnli_matched', '-'])\n"
        "print(sorted({'torch', 'transformers', 'datasets', 'evaluate', 'pandas'} & {*sys.modules}))"
    )
    text = "".join(json.dumps(line) + "\n" for line in pairs(*GOOD))
    out = subprocess.run([sys.executable, "-c", code], input=text, capture_output=True, text=True, check=True).stdout
    assert "4 answers, 1 invalid (25.0 %)" in out
    assert out.splitlines()[-1] == "[]"
