"""`glue score --data`: plain answers to the rows of a split, and how they become a run."""

import json

import pytest
from conftest import golden
from records import runner

from glue_harness import load_results
from glue_harness.runs.store import Store
from glue_harness.suite.registry import load_tasks

LABELS = ("entailment", "not_entailment")
GOLD = [0, 1, 1, 0, 1, 0]
GIVEN = [0, 1, 0, 0, 1, 1]  # four of six are right
FIRST_IDX = 10  # the rows' own idx is not their place


@pytest.fixture
def glue(capsys):
    return runner(capsys)


def write(path, rows):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")


@pytest.fixture
def where(tmp_path):
    """Rows of RTE, whose numbers begin at 10."""
    rows = [
        {"sentence1": f"one {k}", "sentence2": f"two {k}", "idx": FIRST_IDX + k, "label": label}
        for k, label in enumerate(GOLD)
    ]
    write(tmp_path / "data" / "rte" / "validation.jsonl", rows)
    return tmp_path / "data"


@pytest.fixture
def score(glue, where, tmp_path):
    """Scores a text as a file of answers to these rows."""

    def run(text, *options, name="answers.txt", task="rte"):
        file = tmp_path / name
        file.write_text(text, encoding="utf-8")
        code, out, err = glue("score", "--task", task, "--data", where, file, *options)
        return code, out, err.replace(f"{tmp_path}/", "")

    return run


def lines(values):
    return "".join(f"{value}\n" for value in values)


def keyed(column="idx", first=FIRST_IDX, values=GIVEN):
    """In another order than the rows."""
    return lines([f"{column},prediction", *(f"{first + k},{LABELS[values[k]]}" for k in (3, 0, 5, 1, 4, 2))])


SAME = {
    "words": ("answers.txt", lines(LABELS[k] for k in GIVEN)),
    "numbers": ("answers.txt", lines(GIVEN)),
    "other case": ("answers.txt", lines(LABELS[k].upper() for k in GIVEN)),
    "table": ("answers.csv", lines(["answer", *GIVEN])),
    "by idx": ("answers.csv", keyed()),
    "index of a server's file": ("RTE.tsv", keyed("index").replace(",", "\t")),
    "by number of the row, where rows have no such column": ("answers.csv", keyed("id", 0)),
    "JSON lines": ("a.jsonl", lines(json.dumps({"idx": FIRST_IDX + k, "label": v}) for k, v in enumerate(GIVEN))),
}


@pytest.mark.parametrize(("name", "text"), SAME.values(), ids=SAME)
def test_answers_are_scored_however_they_are_written(score, name, text):
    code, out, err = score(text, "--json", name=name)
    assert (code, err) == (0, "")
    assert json.loads(out) == {"metrics": {"accuracy": pytest.approx(400 / 6)}, "n": 6, "invalid": 0}


def samples(answers) -> str:
    """As lm-evaluation-harness logs them, in another order than the rows."""
    rows = [{"doc_id": k, "doc": {}, "target": "0", "filtered_resps": own, "acc": 1.0} for k, own in enumerate(answers)]
    return lines(json.dumps(rows[k]) for k in (3, 0, 5, 1, 4, 2))


@pytest.mark.parametrize(
    "answers",
    [
        [[[-1.0 - (k == 1), False], [-1.0 - (k == 0), True]] for k in GIVEN],  # 0 is likelier where it was given
        [[[f"{-1.0 - (k == 1)}", "False"], [f"{-1.0 - (k == 0)}", "True"]] for k in GIVEN],
        [[f" {LABELS[k]}\n"] for k in GIVEN],
    ],
    ids=["numbers", "numbers as texts", "what was generated"],
)
def test_samples_of_lm_evaluation_harness_are_scored(score, answers):
    code, out, err = score(samples(answers), "--json", "--format", "lm-eval", name="samples_rte.jsonl")
    assert (code, err) == (0, "")
    assert json.loads(out) == {"metrics": {"accuracy": pytest.approx(400 / 6)}, "n": 6, "invalid": 0}


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ('{"prediction": 1}', "line 1: no doc_id and filtered_resps: is this a file of lm_eval --log_samples?"),
        ('{"doc_id": 0, "filtered_resps": [[-1.0, true]]}', "line 1: one choice only: there is nothing that could be"),
        (
            '{"doc_id": 0, "filtered_resps": [["x", 1], ["y", 1]]}',
            "line 1: filtered_resps is neither a text nor a log-",
        ),
    ],
)
def test_what_is_no_sample_is_one_line(score, line, message):
    code, out, err = score(line + "\n", "--format", "lm-eval", name="s.jsonl")
    assert (code, out) == (1, "")
    assert message in err
    assert err.count("\n") == 1


def test_the_table_says_what_the_score_stands_on(score):
    code, out, err = score(lines(GIVEN))
    assert (code, err) == (0, "")
    row = next(line.split() for line in out.splitlines() if line.startswith(" RTE"))
    assert row[:3] == ["RTE", "accuracy", "66.67"]
    assert row[-3:] == ["50.00", "6", "0"]
    assert "rte: 6 validation rows of folder data/rte/validation.jsonl; subset: 6 of 277 rows" in out


def test_the_task_may_stand_before_the_file_as_ever(glue, score, where, tmp_path):
    wanted = score(lines(GIVEN), "--json")
    assert glue("score", "rte", tmp_path / "answers.txt", "--data", where, "--json") == wanted


REFUSED = {
    "too few": (
        lines(GIVEN[1:]),
        "answers.txt: 5 answers to 6 validation rows of rte: give one to each in their order",
    ),
    "no label": (
        lines(["maybe", *GIVEN[1:]]),
        "answers.txt, line 1: 'maybe' is no answer to rte: entailment, not_entailment, or their numbers 0 to 1; "
        "--invalid counts such answers as wrong",
    ),
    "no such number": (lines([*GIVEN[:5], 2]), "answers.txt, line 6: '2' is no answer to rte: "),
    "unknown id": (
        keyed(first=0),
        "answers.txt, line 2: idx '3' names none of the 6 validation rows of rte, which are 10, ..., 15",
    ),
    "twice": (
        keyed() + "12,entailment\n",
        "answers.txt, line 8: row 12 is answered twice, first at answers.txt, line 7",
    ),
    "missing": (keyed().replace("12,entailment\n", ""), "answers.txt: no answer to 1 of 6 rows of rte: 12"),
    "some without id": (
        '{"idx": 10, "label": 1}\n{"label": 1}\n',
        "answers.txt, line 2: rows are named otherwise than at answers.txt, line 1: give each one its id",
    ),
}


@pytest.mark.parametrize(("text", "message"), REFUSED.values(), ids=REFUSED)
def test_what_does_not_fit_the_rows_is_one_line(score, text, message):
    code, out, err = score(text)
    assert (code, out) == (1, "")
    assert err.startswith(f"glue: {message}")
    assert err.count("\n") == 1


def test_answers_that_are_none_count_as_wrong_on_request(score):
    _, out, _ = score(lines(["maybe", *GIVEN[1:]]), "--invalid", "--json")
    assert json.loads(out) == {"metrics": {"accuracy": pytest.approx(50.0)}, "n": 6, "invalid": 1}
    _, out, _ = score(lines(["maybe", *GIVEN[1:]]), "--invalid")
    assert "  1 x 'maybe' is no answer" in out


def test_what_the_file_itself_calls_invalid_needs_no_option(score):
    answers = [{"answer": LABELS[k], "valid": True} for k in GIVEN[:5]] + [{"answer": "hm", "valid": False}]
    _, out, _ = score(lines(map(json.dumps, answers)), "--json")
    assert json.loads(out)["invalid"] == 1


def test_hidden_labels_cannot_be_scored(glue, where, tmp_path):
    write(where / "rte" / "test.jsonl", [{"sentence1": "a", "sentence2": "b", "idx": 0, "label": -1}])
    (tmp_path / "a.txt").write_text("1\n")
    code, _, err = glue("score", "-t", "rte", "--data", where, "--split", "test", tmp_path / "a.txt")
    assert (code, err) == (
        1,
        "glue: folder data/rte/test.jsonl: the labels of test are hidden: nothing can be scored on it\n",
    )


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("rte", "a.txt", "--as", "x"), "--as goes with --data WHERE, where the right answers are"),
        (("rte", "a.txt", "--split", "train"), "--split goes with --data WHERE, where the right answers are"),
        (("--task", "rte,cola", "a.txt"), "several tasks go with --data WHERE, where the right answers are"),
        (("--task", "rte", "x", "a.txt"), "tasks are named by --task or before FILE, not both: leave out 'x'"),
        (("--task", "rte", "--data", "demo"), "Missing argument 'FILE' (see glue score --help)"),
        (
            ("rte", "a.txt", "--data", "demo", "--seed", "1"),
            "--seed goes with --as NAME: it tells apart the runs of a system",
        ),
        (
            ("rte", "a.txt", "--data", "demo", "--as", "x", "--split", "train"),
            "--as keeps a run, which is scored on validation: leave out --split train",
        ),
        (
            ("rte", "a.txt", "--data", "demo", "--as", "  "),
            "--as '  ': name the system with at most 128 printable characters",
        ),
        (
            ("rte", "a.txt", "--data", "demo", "--format", "xml"),
            "unknown format 'xml': known: csv, jsonl, lm-eval, text, tsv",
        ),
        (("ax", "a.txt", "--data", "demo"), "task 'ax' cannot be scored: it has no metric"),
        (("wsc", "a.txt", "--data", "demo", "--split", "train"), "task 'wsc' cannot be scored: it has no train split"),
        (
            ("mnli", "a.txt", "--data", "demo"),
            "'a.txt' is one file: give a folder with mnli_matched.txt, .csv, .tsv or .jsonl, and so on",
        ),
        (
            ("rte", ".", "--data", "demo"),
            "'.' has no file of answers to rte: rte.jsonl, rte.json, rte.csv, rte.tsv, rte.txt",
        ),
    ],
)
def test_a_wrong_request_is_one_line(glue, tmp_path, monkeypatch, arguments, message):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "a.txt").write_text("1\n")
    assert glue("score", *arguments) == (2, "", f"glue: {message}\n")


def test_a_line_without_target_says_what_else_would_do(glue, tmp_path):
    (tmp_path / "a.jsonl").write_text('{"prediction": "entailment"}\n')
    code, _, err = glue("score", "rte", tmp_path / "a.jsonl")
    assert code == 1
    assert err.endswith("'target' is missing: if the data has it, name them with --data\n")


# Tasks of other kinds


def own_rows(task, n=8):
    """Some rows of a task's demo, and the folder they lie in."""
    from glue_harness import data

    return [dict(row) for row in data.load(task, "validation", "demo")][:n]


@pytest.mark.parametrize(
    ("name", "key", "answer"),
    [
        ("multirc", lambda row: row["idx"], lambda row: bool(row["label"])),  # as a server takes it, and flat
        ("multirc", lambda row: row["idx"]["answer"], lambda row: row["label"]),
        ("record", lambda row: row["idx"], lambda row: row["answers"][-1]),
        ("record", lambda row: row["idx"]["query"], lambda row: row["answers"][0]),
        ("boolq", lambda row: row["idx"], lambda row: "true" if row["label"] else "false"),
        ("wsc_eval", lambda row: row["idx"], lambda row: "True" if row["label"] else "False"),
        ("wsc_eval", lambda row: row["idx"], lambda row: row["label"]),
        ("stsb", lambda row: row["idx"], lambda row: row["label"]),
        ("squad", None, lambda row: row["answers"]["text"][0]),
    ],
)
def test_right_answers_of_every_kind_of_task_score_100(score, where, name, key, answer):
    rows = own_rows(load_tasks().tasks[name])
    rows = [{"idx": k, **row} for k, row in enumerate(rows)]
    write(where / name / "validation.jsonl", rows)
    answers = [{"answer": answer(row)} | ({"idx": key(row)} if key else {}) for row in rows]
    code, out, err = score(lines(map(json.dumps, answers[:: -1 if key else 1])), "--json", task=name)
    assert (code, err) == (0, "")
    assert [*json.loads(out)["metrics"].values()] == pytest.approx([100.0] * len(load_tasks().tasks[name].keys))


def test_wrong_booleans_of_a_task_of_referents_score_0(score, where):
    rows = own_rows(load_tasks().tasks["wsc_eval"])
    write(where / "wsc_eval" / "validation.jsonl", rows)
    _, out, _ = score(lines(1 - row["label"] for row in rows), "--json", task="wsc_eval")
    assert json.loads(out) == {"metrics": {"accuracy": 0.0}, "n": 8, "invalid": 0}


def test_one_answer_to_a_row_is_given_to_all_that_it_became(score, where):
    """T5 makes an example of each right answer to a query of ReCoRD; the query is scored once."""
    row = own_rows(load_tasks().tasks["record"], 1)[0]
    row = {**row, "answers": row["entities"][:2]}
    write(where / "record" / "validation.jsonl", [row])
    _, out, _ = score(f"{row['entities'][1]}\n", "--json", task="record")
    assert json.loads(out) == {"metrics": {"em": 100.0, "f1": 100.0}, "n": 2, "invalid": 0}


def test_labels_that_are_numbers_go_by_their_word(glue, tmp_path):
    """The label "1" is not the one in place 1."""
    (tmp_path / "stars.py").write_text(
        "from glue_harness.core.task import Source\n"
        "from glue_harness.metrics import accuracy\n"
        "from glue_harness.suite.build import classify\n"
        "STARS = classify('stars', fields=('text',), labels=('1', '2', '3'), metrics=(accuracy,), source=Source())\n"
    )
    write(tmp_path / "stars" / "validation.jsonl", [{"text": f"a {k}", "label": k} for k in range(3)])
    for text, value in (("1\n2\n3\n", 100.0), ("1.0\n2\n3\n", None), ("0\n1\n2\n", None)):
        (tmp_path / "a.txt").write_text(text)
        code, out, err = glue("score", "stars", tmp_path / "a.txt", "--data", tmp_path, "--tasks", tmp_path, "--json")
        assert (code, json.loads(out)["metrics"] if out else None) == (
            int(value is None),
            value and {"accuracy": value},
        )
    assert err.endswith("line 1: '0' is no answer to stars: 1, 2, 3; --invalid counts such answers as wrong\n")


def test_a_number_that_is_not_finite_answers_nothing(score, where):
    write(where / "stsb" / "validation.jsonl", own_rows(load_tasks().tasks["stsb"], 3))
    code, _, err = score("1.0\nnan\n2\n", task="stsb")
    assert (code, err) == (
        1,
        "glue: answers.txt, line 2: 'nan' is no answer to stsb: a number; --invalid counts such answers as wrong\n",
    )


# A run of it


def test_a_system_becomes_a_run_that_says_it_was_scored(score, where, tmp_path):
    code, out, err = score(lines(GIVEN), "--as", "big model", "--json")
    assert code == 0
    (record,) = load_results(tmp_path / "results")
    assert json.loads(out)["run"] == record.id
    assert err == f"recorded in results/{record.id}\n"
    assert record.plan == {
        "tasks": ["rte"],
        "data": str(where),
        "revision": None,
        "model": "big model",
        "method": "scored",
        "seed": 0,
    }
    assert (record.status, record.mix, record.history, record.parameters) == ("finished", {}, {}, {})
    assert record.notes == ["scored, not trained: the answers of big model"]
    assert record.environment["answers"] == {"file": "answers.txt"}
    scored = record.scores["rte"]
    assert (scored.step, scored.n, scored.invalid, scored.split) == (0, 6, 0, "validation")
    assert scored.metrics == scored.without_luck == {"accuracy": pytest.approx(400 / 6)}
    assert scored.baseline == {"accuracy": 50.0}
    assert record.data["rte"]["validation"]["rows"] == 6
    kept = Store(tmp_path / "results").read_predictions(record.id, load_tasks().tasks["rte"])
    assert [(p.example.id, p.text) for p in kept] == [(str(k), LABELS[v]) for k, v in enumerate(GIVEN)]


def test_its_kept_answers_score_the_same_again(score, glue, where, tmp_path):
    score(lines(GIVEN), "--as", "x")
    (record,) = load_results(tmp_path / "results")
    file = tmp_path / "results" / record.id / "predictions" / "rte.jsonl"
    wanted = {"metrics": {"accuracy": pytest.approx(400 / 6)}, "n": 6, "invalid": 0}
    for arguments in (("rte", file), ("rte", file, "--data", where)):
        assert json.loads(glue("score", *arguments, "--json")[1]) == wanted


def test_the_same_answers_again_are_said_and_not_kept_twice(score, where, tmp_path):
    run = json.loads(score(lines(GIVEN), "--as", "x", "--json")[1])["run"]
    where.rename(tmp_path / "moved")
    (tmp_path / "data").symlink_to(tmp_path / "moved")  # identical data in another folder are the same
    code, out, err = score(keyed(), "--as", "x", "--json", name="again.csv")
    assert (code, json.loads(out)["run"], json.loads(out)["new"]) == (0, run, False)
    assert err == f"results/{run} has these very answers already: nothing was written\n"
    assert len(load_results(tmp_path / "results")) == 1


def test_other_answers_under_a_name_that_is_taken_are_refused(score, tmp_path):
    run = json.loads(score(lines(GIVEN), "--as", "x", "--json")[1])["run"]
    code, _, err = score(lines(GOLD), "--as", "x")
    assert (code, err) == (
        2,
        f"glue: run {run} has other answers of 'x' to the same rows: give these another name, "
        "or --seed if they are of another seed, or remove that run\n",
    )
    assert score(lines(GOLD), "--as", "y")[0] == 0
    assert score(lines(GOLD), "--as", "x", "--seed", "1")[0] == 0
    assert len(load_results(tmp_path / "results")) == 3


def test_the_results_folder_is_made(score, tmp_path):
    assert score(lines(GIVEN), "--as", "x", "--results", tmp_path / "new" / "results")[0] == 0
    assert len(load_results(tmp_path / "new" / "results")) == 1


def test_a_folder_that_cannot_be_written_is_one_line(score, tmp_path):
    (tmp_path / "file").write_text("")
    code, _, err = score(lines(GIVEN), "--as", "x", "--results", tmp_path / "file")
    assert code == 1
    assert err.startswith("glue: results folder 'file' cannot be written: ")
    assert err.count("\n") == 1


def test_nothing_is_kept_of_answers_that_are_refused(score, tmp_path):
    assert score(lines(GIVEN[1:]), "--as", "x")[0] == 1
    assert not (tmp_path / "results").exists()


def test_a_folder_of_answers_to_several_tasks_is_one_run(glue, where, tmp_path):
    write(where / "cola" / "validation.jsonl", [{"sentence": f"a {k}", "label": k % 2, "idx": k} for k in range(4)])
    (tmp_path / "all").mkdir()
    (tmp_path / "all" / "rte.txt").write_text(lines(GIVEN))
    (tmp_path / "all" / "cola.csv").write_text(lines(["prediction", 0, 1, 0, 1]))
    code, out, _ = glue("score", "-t", "rte,cola", "--data", where, tmp_path / "all", "--as", "x", "--json")
    facts = json.loads(out)
    assert code == 0
    assert facts["tasks"]["cola"] == {"metrics": {"matthews_corrcoef": 100.0}, "n": 4, "invalid": 0}
    assert facts["tasks"]["rte"]["metrics"] == {"accuracy": pytest.approx(400 / 6)}
    (record,) = load_results(tmp_path / "results")
    assert (record.plan["tasks"], sorted(record.scores)) == (["rte", "cola"], ["cola", "rte"])
    (tmp_path / "all" / "rte.csv").write_text("prediction\n")
    code, _, err = glue("score", "-t", "rte,cola", "--data", where, tmp_path / "all")
    assert code == 2
    assert err.endswith("has several files of answers to rte: rte.csv, rte.txt\n")


def test_both_splits_of_mnli_come_from_a_folder(glue, tmp_path):
    for part in ("matched", "mismatched"):
        rows = [{"premise": f"p {k}", "hypothesis": f"h {part} {k}", "label": k % 3, "idx": k} for k in range(6)]
        write(tmp_path / "d" / f"mnli_{part}" / f"validation_{part}.jsonl", rows)
        (tmp_path / "d" / f"mnli_{part}.txt").write_text(lines(k % 3 for k in range(6)))
    code, out, err = glue("score", "mnli", tmp_path / "d", "--data", tmp_path / "d", "--as", "x", "--json")
    assert (code, list(json.loads(out)["tasks"])) == (0, ["mnli_matched", "mnli_mismatched"]), err


def test_scores_are_those_of_t5(glue, tmp_path):
    """The vectors of T5's own code, their targets as rows and their answers as a file."""
    line = next(line for line in golden("metric") if line["task"] == "glue/mrpc" and "metrics" in line["expect"])
    labels, raw = load_tasks().tasks["mrpc"].labels, line["raw"]
    kept = [(t, p) for t, p in zip(raw["targets"], raw["predictions"], strict=True)]
    rows = [{"sentence1": f"a {k}", "sentence2": "b", "label": labels.index(t)} for k, (t, _) in enumerate(kept)]
    write(tmp_path / "mrpc" / "validation.jsonl", rows)
    (tmp_path / "a.jsonl").write_text(lines(json.dumps({"prediction": p}) for _, p in kept))
    _, out, err = glue("score", "mrpc", tmp_path / "a.jsonl", "--data", tmp_path, "--invalid", "--json")
    assert json.loads(out)["metrics"] == pytest.approx(line["expect"]["metrics"], abs=1e-6), err
