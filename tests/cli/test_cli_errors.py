"""`glue errors`: which examples are shown, what stands beside them, and what is said where the texts are gone."""

import json
import subprocess
import sys

import pytest
from records import finished, narrow_screen, runner

from glue_harness.cli import errors as verb
from glue_harness.core.task import Text
from glue_harness.metrics import measure
from glue_harness.report import errors as report
from glue_harness.runs.store import Store
from glue_harness.suite.registry import load_tasks

REGISTRY = load_tasks()
RTE = REGISTRY.tasks["rte"]
GOLD = "eennen"  # entailment or not, of six rows
FIRST = "ennenx"  # wrong in 1, 3, 4 and (none at all) in 5
OTHER = "eeneen"  # wrong in 3
WORDS = {"e": "entailment", "n": "not_entailment", "x": "maybe"}


@pytest.fixture
def glue(capsys):
    return runner(capsys)


@pytest.fixture
def where(tmp_path):
    folder = tmp_path / "data" / "rte"
    folder.mkdir(parents=True)
    rows = [
        {
            "sentence1": f"Premise {k}.",
            "sentence2": f"Claim {k}, {'about cats' if k % 2 else 'about dogs'}.",
            "label": "en".index(c),
        }
        for k, c in enumerate(GOLD)
    ]
    (folder / "validation.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    return tmp_path / "data"


@pytest.fixture
def keep(glue, where, tmp_path):
    """Answers as a run, whose id it gives."""

    def run(answers, name, shares=None):
        lines = [{"answer": WORDS[c]} | ({"shares": shares[k]} if shares else {}) for k, c in enumerate(answers)]
        (tmp_path / "a.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
        options = ("--as", name, "--invalid", "--json")
        code, out, err = glue("score", "rte", tmp_path / "a.jsonl", "--data", where, *options)
        assert code == 0, err
        return json.loads(out)["run"]

    return run


def cases(glue, *arguments):
    code, out, err = glue("errors", *arguments, "--json")
    assert (code, err) == (0, "")
    return [json.loads(line) for line in out.splitlines()]


def ids(found):
    return [(case["kind"], case["id"]) for case in found]


def test_of_one_run_all_that_is_wrong_with_its_texts(glue, keep):
    run = keep(FIRST, "first")
    found = cases(glue, run)
    assert ids(found) == [("wrong", "1"), ("wrong", "3"), ("wrong", "4"), ("wrong", "5")]
    answer = {"run": run, "answer": "not_entailment", "valid": True, "right": False, "loss": 1.0, "shares": {}}
    assert found[0] == {
        "task": "rte",
        "id": "1",
        "kind": "wrong",
        "fields": {"sentence1": "Premise 1.", "sentence2": "Claim 1, about cats."},
        "gold": "entailment",
        "target": "entailment",
        "answers": [answer],
    }
    assert found[3]["answers"][0]["valid"] is False
    assert ids(cases(glue, run, "--only", "right")) == [("right", "0"), ("right", "2")]


def test_of_two_runs_what_one_has_right(glue, keep):
    first, other = keep(FIRST, "first"), keep(OTHER, "other")
    wanted = [("fixed", "1"), ("fixed", "4"), ("fixed", "5"), ("both", "3")]
    assert ids(cases(glue, first, other)) == wanted
    assert ids(cases(glue, first, other, "--only", "wrong")) == wanted
    swapped = cases(glue, other, first)
    assert ids(swapped) == [("broke", "1"), ("broke", "4"), ("broke", "5"), ("both", "3")]
    assert [answer["run"] for answer in swapped[0]["answers"]] == [other, first]
    for only, expected in {"fixed": "145", "both": "3", "right": "02", "broke": ""}.items():
        assert ids(cases(glue, first, other, "--only", only)) == [(only, number) for number in expected]


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        (("--label", "entailment"), "14"),
        (("--label", "1"), "35"),
        (("--answer", "not_entailment"), "14"),
        (("--text", "ABOUT CATS"), "135"),
        (("--text", "Premise 4"), "4"),
        (("--invalid",), "5"),
        (("--label", "n", "--text", "cats"), None),
        (("--label", "NOT_entailment", "--text", "cats", "--limit", "1"), "3"),
        (("--limit", "2"), "13"),
    ],
)
def test_filters(glue, keep, options, expected):
    run = keep(FIRST, "first")
    if expected is None:
        message = "glue: unknown label 'n': known: entailment, not_entailment\n"
        assert glue("errors", run, *options) == (2, "", message)
    else:
        assert [case["id"] for case in cases(glue, run, *options)] == list(expected)


def test_the_surest_mistakes_come_first(glue, keep):
    shares = [{"entailment": p, "not_entailment": 1 - p} for p in (0.9, 0.4, 0.3, 0.7, 0.1, 0.5)]
    run = keep("ennene", "sure", shares)
    found = cases(glue, run)
    assert [case["id"] for case in found] == ["4", "3", "1", "5"]
    assert [round(case["answers"][0]["loss"], 6) for case in found] == [0.9, 0.7, 0.6, 0.5]
    assert found[0]["answers"][0]["shares"] == {"entailment": 0.1, "not_entailment": 0.9}


def test_counts_are_one_object_a_task(glue, keep):
    first, other = keep(FIRST, "first"), keep(OTHER, "other")
    (found,) = cases(glue, first, other, "--count")
    assert found["kinds"] == {"fixed": 3, "broke": 0, "both": 1, "right": 2}
    assert (found["examples"], found["chosen"], found["runs"]) == (6, 6, [first, other])
    cell = {"gold": "not_entailment", "answer": "(invalid)", "count": 1}
    assert cell in found["confusion"][0]
    assert sum(cell["count"] for cell in found["confusion"][1]) == 6
    assert found["invalid"] == [{"maybe": 1}, {}]
    (score,) = found["scores"]
    assert (score["name"], score["values"]) == ("rte.accuracy", pytest.approx([200 / 6, 500 / 6]))
    _, out, _ = glue("compare", first, other, "--json")
    assert score["difference"]["p"] == json.loads(out)["scores"][0]["differences"][1]["p"]


def test_what_a_person_sees_of_two_runs(glue, keep, monkeypatch):
    monkeypatch.setattr("glue_harness.report.console.console", narrow_screen)
    first, other = keep(FIRST, "first"), keep(OTHER, "other")
    code, out, err = glue("errors", first, other, "--limit", "1")
    assert (code, err) == (0, "")
    rows = [line.split() for line in out.splitlines()]
    assert ["A", f"{first}:", "4", "wrong,", "Acc", "33.33"] in rows
    assert ["A", "right", "2", "0"] in rows  # both right, only A
    assert ["A", "wrong", "3", "1"] in rows
    assert any(row[:6] == ["RTE,", "B", "less", "A:", "+50.00", row[5]] for row in rows if len(row) > 6)
    assert ["not_entailment", "1", "1", "1"] in rows  # answered entailment, not_entailment, none of both
    assert "  1 x 'maybe' is no answer" in out
    assert "A wrong, B right: 3" in out
    shown = out.partition("example 1")[2].splitlines()[1:6]
    assert [line.strip().split(maxsplit=1) for line in shown] == [
        ["sentence1", "Premise 1."],
        ["sentence2", "Claim 1, about cats."],
        ["right", "entailment"],
        ["A", "not_entailment"],
        ["B", "entailment"],
    ]
    assert "2 more: --limit N shows more of each kind, --json all of them" in out
    tables = [line for line in out.splitlines() if line.startswith(" ")]  # prose is broken on a terminal only
    assert max(map(len, tables)) <= 80


def test_counts_alone_show_no_example(glue, keep):
    _, out, _ = glue("errors", keep(FIRST, "first"), "--count", "--label", "entailment")
    assert "RTE: 3 of 6 examples" in out
    assert "Premise" not in out
    assert "Acc" not in out  # the score is of all examples


def test_a_matrix_that_is_too_wide_becomes_a_list_of_mistakes(glue, keep, monkeypatch):
    monkeypatch.setattr(verb, "screen_width", lambda: 30)
    _, out, _ = glue("errors", keep(FIRST, "first"), "--count")
    rows = [line.split() for line in out.splitlines()]
    assert ["entailment", "not_entailment", "2"] in rows
    assert not [row for row in rows if row and row[:1] == row[1:2]]


# Where the texts come from


def test_texts_that_are_gone_are_said_and_the_rest_is_shown(glue, keep, where, tmp_path):
    run = keep(FIRST, "first")
    where.rename(tmp_path / "moved")
    code, out, err = glue("errors", run)
    assert (code, err) == (0, "")
    assert f"Note: without texts: the rows are not here ({str(where)!r}): say where they are with --data" in out
    assert "entailment" in out
    assert cases(glue, run)[0]["fields"] is None
    assert cases(glue, run, "--data", tmp_path / "moved")[0]["fields"]["sentence1"] == "Premise 1."
    code, _, err = glue("errors", run, "--text", "cats")
    assert (code, err) == (1, f"glue: the rows are not here ({str(where)!r}): say where they are with --data\n")


def test_other_rows_are_never_shown_for_those_that_were_scored(glue, keep, where):
    run = keep(FIRST, "first")
    file = where / "rte" / "validation.jsonl"
    file.write_text(file.read_text().replace("Premise 1", "Another"))
    reason = (
        "the rows of folder data/rte/validation.jsonl are not those that were scored: say where these are with --data"
    )
    _, out, _ = glue("errors", run)
    assert f"Note: without texts: {reason}" in out
    assert "Another" not in out
    assert glue("errors", run, "--data", where) == (1, "", f"glue: {reason}\n")


def test_a_wrong_folder_is_an_error(glue, keep):
    code, out, err = glue("errors", keep(FIRST, "first"), "--data", "nowhere")
    assert (code, out) == (2, "")
    assert err.startswith("glue: --data 'nowhere' is not a folder")


# Other tasks and several of them


def answered(store, name, answers, **plan):
    """A run with predictions of (target, answer, info), whose rows are nowhere."""
    task = REGISTRY.tasks[name]
    examples = [task.example(Text("", target, info), str(k), {}) for k, (target, _, info) in enumerate(answers)]
    predictions = [task.prediction(e, text) for e, (_, text, _) in zip(examples, answers, strict=True)]
    run = finished(store, {name: measure(task.metrics, predictions)}, tasks=(name,), data="gone", **plan)
    store.run(run.id).write_predictions(name, predictions)
    return run.id


@pytest.fixture
def store(tmp_path):
    return Store(tmp_path / "results")


def test_numbers_go_by_their_distance(glue, store):
    targets = ("1.0", "2.0", "3.0", "4.0")
    first = answered(store, "stsb", [(t, a, {}) for t, a in zip(targets, ("1.0", "4.0", "3.4", "5.0"), strict=True)])
    other = answered(
        store, "stsb", [(t, a, {}) for t, a in zip(targets, ("1.0", "2.4", "0.0", "3.0"), strict=True)], steps=7
    )
    assert [case["id"] for case in cases(glue, first)] == ["1", "3", "2"]
    found = cases(glue, first, other)
    assert ids(found) == [("broke", "2"), ("fixed", "1"), ("both", "3")]
    _, out, _ = glue("errors", first, other)
    assert "B better 1, B worse 1, both right 1, equally wrong 1" in out
    assert "off by 0.85 on average" in out
    assert "A 3.4 (off by 0.40)" in out
    code, _, err = glue("errors", first, "--label", "1.0")
    assert (code, err) == (2, "glue: stsb has no labels to choose by: leave out --label and --answer\n")


def test_free_text_goes_by_its_own_score(glue, store):
    info = {"answers": ["red house", "house"]}
    run = answered(
        store, "squad", [("red house", "the house", info), ("red house", "red barn", info), ("red house", "", info)]
    )
    found = cases(glue, run)
    assert ids(found) == [("wrong", "2"), ("wrong", "1")]
    assert found[0]["gold"] == "red house | house"
    _, out, _ = glue("errors", run)
    assert "off by: 100 less the mean of EM, F1 of one answer alone" in out
    assert "red barn (off by 75.00)" in out
    assert "(no text) (off by 100.00)" in out


def test_a_referent_is_right_if_it_is_the_candidate(glue, store):
    run = answered(store, "wsc_eval", [("Ann", "Bob", {"label": 1}), ("Bob", "Bob", {"label": 0})])
    _, out, _ = glue("errors", run)
    shown = [line.split(maxsplit=1) for line in out.partition("wrong: 2")[2].splitlines()]
    answers = [[name, value.strip()] for name, value in filter(None, shown) if name in ("right", "answered")]
    assert answers == [
        ["right", "True: Ann"],
        ["answered", "Bob (False)"],
        ["right", "False: Bob"],
        ["answered", "Bob (True)"],
    ]


def test_answers_to_one_question_of_multirc_are_single_cases(glue, store):
    def info(question, answer):
        return {"idx": {"paragraph": 0, "question": question, "answer": answer}}

    run = answered(
        store, "multirc", [("True", "True", info(0, 0)), ("False", "True", info(0, 1)), ("True", "True", info(1, 2))]
    )
    assert ids(cases(glue, run)) == [("wrong", "1")]
    _, out, _ = glue("errors", run, "--count")
    assert "1 wrong, F1 80.00, EM 50.00" in out


def test_several_tasks_are_counted_and_named(glue, store):
    both = finished(store, {"rte": {"accuracy": 50.0}, "cola": {"matthews_corrcoef": 0.0}}, tasks=("rte", "cola"))
    for name, label in (("rte", "entailment"), ("cola", "acceptable")):
        task = REGISTRY.tasks[name]
        examples = [task.example(Text("", target), str(k), {}) for k, target in enumerate(task.labels)]
        store.run(both.id).write_predictions(name, [task.prediction(e, label) for e in examples])
    _, out, _ = glue("errors", both.id)
    rows = [line.split() for line in out.splitlines()]
    assert ["RTE", "2", "1", "1", "0"] in rows
    assert ["CoLA", "2", "1", "1", "0"] in rows
    assert "--task rte shows the examples" in out
    assert [(case["task"], case["id"]) for case in cases(glue, both.id)] == [("rte", "1"), ("cola", "0")]
    assert glue("errors", both.id, "--data", "x") == (2, "", "glue: --data goes with one --task\n")
    _, out, _ = glue("errors", both.id, "--task", "cola")
    assert "CoLA: 2 examples" in out


def test_a_task_also_stands_for_those_that_score_it(glue, store):
    run = answered(store, "mnli_matched", [("neutral", "neutral", {}), ("neutral", "entailment", {})])
    assert ids(cases(glue, run, "--task", "mnli_matched")) == [("wrong", "1")]
    code, _, err = glue("errors", run, "--task", "mnli")
    assert (code, err) == (2, f"glue: run {run} has no answers to mnli_mismatched: there are mnli_matched\n")


def test_of_a_plan_with_several_seeds_one_is_shown_and_said(glue, store):
    wrong = [("entailment", "not_entailment", {})]
    runs = [answered(store, "rte", wrong, seed=seed) for seed in (0, 1)]
    digest = store.find(runs[0]).digest
    code, out, err = glue("errors", digest, "--json")
    assert (code, json.loads(out)["answers"][0]["run"]) == (0, runs[0])
    assert err == f"{digest} has 2 seeds: shown is seed 0, {runs[0]}; also {runs[1]}\n"


# Refusals


def test_runs_that_cannot_be_paired(glue, keep, store, where, tmp_path):
    run = keep(FIRST, "first")
    elsewhere = answered(store, "rte", [("entailment", "entailment", {})])
    code, _, err = glue("errors", run, elsewhere)
    reason = "cannot be held against each other: they were scored on different data"
    assert (code, err) == (1, f"glue: rte: {run} and {elsewhere} {reason}\n")
    squad = answered(store, "squad", [("a", "b", {"answers": ["a"]})])
    assert glue("errors", run, squad) == (2, "", f"glue: {run} and {squad} have no task in common\n")
    fewer = answered(store, "rte", [("entailment", "entailment", {})] * 2, steps=9)
    code, _, err = glue("errors", elsewhere, fewer)
    assert (code, err) == (1, "glue: the runs answered different examples of rte: compare runs on the same ones\n")


def test_answers_that_are_not_there_are_one_line(glue, store):
    run = finished(store, {"rte": {"accuracy": 50.0}})
    code, _, err = glue("errors", run.id)
    path = store.folder / run.id / "predictions" / "rte.jsonl"
    assert (code, err) == (1, f"glue: {path}: it cannot be read: No such file or directory\n")
    scoreless = finished(store, {}, steps=3)
    assert glue("errors", scoreless.id) == (2, "", f"glue: run {scoreless.id} has no scores\n")


def test_wrong_requests(glue, keep):
    run = keep(FIRST, "first")
    assert glue("errors") == (
        2,
        "",
        "glue: errors takes one run or two, not 0: glue errors RUN, or glue errors RUN RUN\n",
    )
    assert glue("errors", run, run) == (2, "", f"glue: run {run!r} is named twice: name each run once\n")
    message = "glue: --only fixed is about two runs: glue errors RUN RUN --only fixed\n"
    assert glue("errors", run, "--only", "fixed") == (2, "", message)


def test_the_kinds_of_the_option_are_those_of_the_report():
    assert sorted(verb.KINDS) == sorted({*report.WORTH_READING, report.RIGHT})


def test_torch_is_not_loaded(keep, tmp_path):
    arguments = ["errors", keep(FIRST, "first"), "--results", str(tmp_path / "results")]
    code = (
        f"import sys; from glue_harness.cli import main; main({arguments!r})\n"
        "print(sorted({'torch', 'transformers', 'datasets', 'pandas'} & {*sys.modules}))"
    )
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert "Premise 1." in out
    assert out.splitlines()[-1] == "[]"
