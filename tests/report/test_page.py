"""`glue report`: what stands in the file, that nothing in it can act, and what is said of what is not in it."""

import base64
import gzip
import hashlib
import json
import re
import subprocess
import sys
import webbrowser

import pytest
from pages import FIRST, GOLD, HOSTILE, OTHER, answered, board, rows
from records import GLUE, finished, runner

from glue_harness.report.curves import Point
from glue_harness.report.page import SCRIPTS, chosen, inert, render
from glue_harness.report.page.chosen import MOST_DETAILED
from glue_harness.report.page.runs import MOST_POINTS, thinned
from glue_harness.report.published import load_published
from glue_harness.runs.store import Store

MOST_OF_ITS_OWN = 400_000  # bytes without data


@pytest.fixture
def glue(capsys):
    return runner(capsys)


@pytest.fixture
def store(tmp_path):
    return Store(tmp_path / "results")


def written(glue, tmp_path, *arguments):
    """The page as text, its facts, and its packed examples by id."""
    code, out, err = glue("report", *arguments, "--out", tmp_path / "page.html")
    assert (code, out) == (0, ""), err
    text = (tmp_path / "page.html").read_text(encoding="utf-8")
    (facts,) = re.findall(r'<script type="application/json" id="facts">(.*?)</script>', text, re.S)
    packed = re.findall(r'<script type="text/plain" id="([\w-]+)">(.*?)</script>', text, re.S)
    examples = {name: json.loads(gzip.decompress(base64.b64decode(content))) for name, content in packed}
    return text, json.loads(facts), examples


def test_the_page_without_data_is_small_and_asks_for_nothing():
    text = render({"boards": []}, {})
    assert len(text.encode()) < MOST_OF_ITS_OWN
    addresses = set(re.findall(r"\w+://[^\s\"'`)]*", text))
    assert addresses == {"http://www.w3.org/2000/svg"}  # the name of a language: nothing is fetched
    assert not re.search(r"\b(fetch|XMLHttpRequest|WebSocket|EventSource|sendBeacon|import)\s*\(", text)
    assert not re.search(r"\b(innerHTML|outerHTML|insertAdjacentHTML|document\.write|eval|new Function)\b", text)
    assert not re.search(r"<(link|iframe|object|embed|base)\b|\bsrc=|@import|url\(", text)


def test_only_its_own_script_and_style_may_act():
    text = render({"boards": []}, {})
    policy = re.search(r'Content-Security-Policy" content="([^"]*)"', text)[1]
    assert policy.startswith("default-src 'none'; ")
    assert "unsafe" not in policy
    for tag in ("script", "style"):
        (content,) = re.findall(rf"<{tag}>(.*?)</{tag}>", text, re.S)
        assert f"sha256-{base64.b64encode(hashlib.sha256(content.encode()).digest()).decode()}" in policy


def test_every_script_is_in_the_page():
    from glue_harness.report.page import FOLDER

    assert {file.stem for file in FOLDER.glob("*.js")} == set(SCRIPTS)


def test_json_cannot_leave_its_element():
    assert inert(json.dumps(["</script>", "<!--", "&lt;"])) == r'["\u003c/script\u003e", "\u003c!--", "\u0026lt;"]'


def test_hostile_texts_are_data_and_nothing_else(glue, tmp_path, store):
    board(store)
    data = rows(tmp_path / "data")
    first = answered(glue, data, FIRST, f"first {HOSTILE}".replace("\u2028", ""))
    text, facts, examples = written(glue, tmp_path, first, answered(glue, data, OTHER, "@@script@@"))
    assert text.count("<script") == 2 + len(examples)
    assert "<img" not in text
    assert "window.hacked=1</script>" not in text
    assert facts["runs"][first]["model"].startswith("first </script><script>")
    (found,) = examples.values()
    assert found[0][3][0] == ["sentence1", f"Premise 0 {HOSTILE}"]


def test_counts_are_those_of_glue_errors(glue, tmp_path):
    data = rows(tmp_path / "data")
    runs = [answered(glue, data, FIRST, "first"), answered(glue, data, OTHER, "other")]
    _, facts, examples = written(glue, tmp_path, *runs)
    (found,) = facts["sets"]
    (told,) = [json.loads(line) for line in glue("errors", *runs, "--count", "--json")[1].splitlines()]
    assert found["kinds"] == [[*runs, *(told["kinds"][kind] for kind in ("fixed", "broke", "both", "right"))]]
    assert found["total"] == found["kept"] == len(examples[found["id"]]) == len(GOLD)
    for run, confusion, invalid in zip(runs, told["confusion"], told["invalid"], strict=True):
        details = found["details"][run]
        assert sorted(details["confusion"]) == [[c["gold"], c["answer"], c["count"]] for c in confusion]
        assert dict(details["invalid"]) == invalid
    assert found["details"][runs[0]]["right"] == 2
    (difference,) = facts["pairs"]["scores"]
    (compared,) = json.loads(glue("compare", *runs, "--json")[1])["scores"]
    assert difference["pair"] == runs
    assert difference["difference"][0] == pytest.approx(compared["differences"][1]["value"], abs=1e-3)
    assert difference["p"] == pytest.approx(compared["differences"][1]["p_holm"], rel=1e-2)


def test_scores_by_genre_are_of_rows_that_have_one(glue, tmp_path):
    folder = tmp_path / "data" / "MNLI"
    folder.mkdir(parents=True)
    head = "index\tgenre\tsentence1\tsentence2\tgold_label\n"
    kinds = ["fiction", "travel", "fiction", "fiction"]
    lines = [f"{k}\t{kind}\tPremise {k}.\tClaim {k}.\tneutral\n" for k, kind in enumerate(kinds)]
    (folder / "dev_matched.tsv").write_text(head + "".join(lines))
    (tmp_path / "answers.txt").write_text("neutral\nneutral\nneutral\nentailment\n")
    data = tmp_path / "data"
    code, _, err = glue("score", "mnli_matched", tmp_path / "answers.txt", "--data", data, "--as", "a")
    assert code == 0, err
    _, facts, examples = written(glue, tmp_path, "latest")
    (found,) = facts["sets"]
    (details,) = found["details"].values()
    assert details["groups"] == [["genre", [["fiction", 3, 0.6667], ["travel", 1, 1.0]]]]
    assert "fiction" not in json.dumps(examples)  # it is no text that a model reads
    (folder / "dev_matched.tsv").write_text((head + "".join(lines)).replace("travel", "fiction"))
    _, facts, _ = written(glue, tmp_path, "latest")
    (details,) = facts["sets"][0]["details"].values()
    assert details["groups"] == []  # the same rows, all of one genre


def test_a_page_holds_as_many_examples_as_it_is_asked_to_and_says_what_it_leaves_out(glue, tmp_path):
    data = rows(tmp_path / "data")
    runs = [answered(glue, data, FIRST, "first"), answered(glue, data, OTHER, "other")]
    _, facts, examples = written(glue, tmp_path, *runs, "--examples", "4")
    (found,) = facts["sets"]
    assert [row[0] for row in examples[found["id"]]] == ["1", "3", "4", "5"]  # three differ, one is wrong twice
    assert found["notes"] == [
        "4 of 6 examples are in this page, those that its runs answered differently and those that they got wrong first; "
        "glue report --examples all takes all"
    ]
    _, facts, examples = written(glue, tmp_path, *runs, "--examples", "all")
    assert len(examples["examples-0"]) == 6
    assert facts["sets"][0]["notes"] == []
    _, facts, examples = written(glue, tmp_path, *runs, "--examples", "0")
    assert examples["examples-0"] == []
    assert facts["sets"][0]["details"][runs[0]]["right"] == 2  # counted of all


def test_texts_that_are_gone_are_said_to_be(glue, tmp_path):
    data = rows(tmp_path / "data")
    run = answered(glue, data, FIRST, "first")
    data.rename(tmp_path / "moved")
    code, _, err = glue("report", run, "--out", tmp_path / "page.html")
    assert code == 0
    assert f"RTE: without texts: the rows are not here ({str(data)!r}): say where they are with --data" in err
    _, facts, _ = written(glue, tmp_path, run, "--data", tmp_path / "moved")
    assert facts["sets"][0]["texts"] is True
    code, _, err = glue("report", run, "--data", tmp_path / "nowhere", "--out", tmp_path / "other.html")
    assert code == 1
    assert err.startswith(f"glue: --data {str(tmp_path / 'nowhere')!r}: RTE: without texts: ")
    assert not (tmp_path / "other.html").exists()


def test_answers_that_are_gone_are_told_in_one_line(glue, tmp_path, store):
    board(store)
    code, _, err = glue("report", "--out", tmp_path / "page.html")
    assert code == 0
    (line,) = [line for line in err.splitlines() if "answers;" in line]
    assert line.startswith("37 files of answers; the first: 2")
    assert str(tmp_path) not in line


def test_many_answers_are_read_of_fewer_plans(glue, tmp_path, store):
    for k in range(8):
        finished(store, {"rte": GLUE["rte"]}, tasks=("rte",), lr=1e-4 * (k + 1))
    _, facts, _ = written(glue, tmp_path)
    assert len(facts["detailed"]) == MOST_DETAILED
    assert "of the newest 6 of 8 plans: name others" in facts["notes"][0]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(chosen, "MOST_ANSWERS", 3 * 100 * 2)
        _, facts, _ = written(glue, tmp_path)
    assert len(facts["detailed"]) == 3


def test_demo_data_and_real_data_are_two_boards(glue, tmp_path, store):
    board(store)
    _, facts, _ = written(glue, tmp_path)
    assert [(found["name"], found["demo"], len(found["rows"])) for found in facts["boards"]] == [
        ("glue", False, 1 + len(load_published().results)),
        ("glue-demo", True, 4),
    ]
    real, demo = facts["boards"]
    assert [row["name"] for row in real["rows"] if not row["published"]] == ["tiny, full"]
    assert [row["rank"] for row in demo["rows"]] == [1, 1, 3, None]
    assert demo["rows"][0]["average"][0] == pytest.approx(50.1)
    assert demo["left_out"][0][1].startswith("failed: </script>")
    assert set(facts["runs"]) == {record.id for record in store.summaries()[0]}


def test_ranks_over_tasks_are_of_the_ranked_rows(glue, tmp_path, store):
    board(store)
    _, facts, _ = written(glue, tmp_path)
    real, demo = facts["boards"]
    assert real["over_tasks"] is None  # one row
    found = demo["over_tasks"]
    assert [rank for _, rank in found["means"]] == [1.0, 2.0, 3.0]  # as they lie apart in every task
    assert found["tasks"] == 8
    assert found["means"][2][0] not in found["groups"][0]


def test_profiles_are_over_the_tasks_and_seeds_that_the_best_rows_have(glue, tmp_path, store):
    board(store)
    _, facts, _ = written(glue, tmp_path)
    real, demo = facts["boards"]
    assert real["profiles"] is None  # one row
    found = demo["profiles"]
    assert len(found["tasks"]) == 8
    assert len(found["curves"]) == 3
    for _, parts, low, high in found["curves"]:
        assert (parts[0], parts[-1]) == (1.0, 0.0)
        assert low is high is None  # one seed each
    best, second, last = (sum(parts) for _, parts, _, _ in found["curves"])
    assert best > second > last  # as they lie apart in every task


def test_profiles_have_intervals_over_seeds(glue, tmp_path, store):
    for seed in range(3):
        finished(store, shift=seed, seed=seed)
        finished(store, shift=seed + 5, seed=seed, lr=2e-3, day=2)
    _, facts, _ = written(glue, tmp_path)
    (found,) = [one["profiles"] for one in facts["boards"]]
    assert found, facts["boards"][0]["left_out"]
    for _, parts, low, high in found["curves"]:
        assert all(a <= b <= c for a, b, c in zip(low, parts, high, strict=True))
        assert any(a < c for a, c in zip(low, high, strict=True))


def test_profiles_without_an_average_are_of_rows_on_the_same_data(glue, tmp_path, store):
    for seed in range(3):
        for k, lr in enumerate((1e-3, 2e-3)):
            finished(store, {"rte": {"accuracy": 50.0 + seed + k}}, tasks=("rte",), seed=seed, lr=lr)
        finished(store, {"rte": {"accuracy": 50.0}}, tasks=("rte",), seed=seed, data="demo:50", lr=3e-3)
    _, facts, _ = written(glue, tmp_path)
    (found,) = [one["profiles"] for one in facts["boards"]]
    assert found["tasks"] == ["RTE"]
    assert len({key for key, *_ in found["curves"]}) == 2


def test_tags_and_parents_are_told(glue, tmp_path, store):
    board(store)
    _, facts, _ = written(glue, tmp_path)
    demo = facts["boards"][1]
    assert {tuple(row["tags"]) for row in demo["rows"]} == {("paper",), ("paper", "lora"), ()}
    (child,) = [run for run in facts["runs"].values() if run["parents"]]
    assert facts["runs"][child["parents"][0]]["tags"] == ["paper", "lora"]
    assert child["note"] == HOSTILE


def test_the_probability_of_improvement_needs_three_seeds_a_side(glue, tmp_path, store):
    for seed in range(3):
        finished(store, {"rte": {"accuracy": 50.0 + seed}}, tasks=("rte",), seed=seed)
        finished(store, {"rte": {"accuracy": 51.5 + seed}}, tasks=("rte",), seed=seed, lr=2e-3, day=2)
    finished(store, {"rte": {"accuracy": 90.0}}, tasks=("rte",), lr=3e-3)
    _, facts, _ = written(glue, tmp_path)
    (found,) = facts["pairs"]["improvements"]
    first = facts["runs"][found["pair"][0]]["scores"][0]["value"]
    assert found["bounds"][0] == pytest.approx(8 / 9 if first == 50.0 else 1 / 9, abs=1e-4)  # one pair of nine is lost
    assert found["tasks"] == 1


def test_a_score_that_its_metric_does_not_give_is_called_undefined(glue, tmp_path, store):
    finished(store, {"stsb": {"pearson_corrcoef": None, "spearman_corrcoef": 40.0}}, tasks=("stsb",))
    _, facts, _ = written(glue, tmp_path)
    (row,) = facts["boards"][0]["rows"]
    assert row["undefined"] == ["stsb.pearson_corrcoef"]
    assert list(row["values"]) == ["stsb.spearman_corrcoef"]


def test_a_page_of_a_suite_holds_its_runs_only(glue, tmp_path, store):
    board(store)
    other = finished(store, {"boolq": {"accuracy": 60.0}}, tasks=("boolq",))
    _, facts, _ = written(glue, tmp_path, "superglue")
    assert [found["name"] for found in facts["boards"]] == ["superglue-demo"]
    assert set(facts["runs"]) == {other.id}
    _, facts, _ = written(glue, tmp_path)
    assert {found["name"] for found in facts["boards"]} == {"glue", "glue-demo", "superglue-demo"}


def test_curves_shares_and_settings_of_a_run(glue, tmp_path, store):
    record = finished(store, lr=2e-3, steps=600)
    store.run(record.id).append_train({"step": 1, "loss": 2.0, "lr": 0.002, "task_losses": {"rte": 2.0}})
    store.run(record.id).append_train({"step": 400, "loss": 1.0, "lr": 0.001, "task_losses": {"rte": 1.0}})
    _, facts, _ = written(glue, tmp_path, record.id)
    charts = {chart["y"]: chart for chart in facts["curves"][record.id]}
    assert charts["learning rate"]["curves"][0]["points"] == [[1.0, 0.002, None], [400.0, 0.001, None]]
    assert charts["training loss per target token"]["curves"][0]["points"] == [[1.0, 2.0, None], [400.0, 1.0, None]]
    plan = dict(facts["runs"][record.id]["plan"])
    assert plan["lr = 0.002"] is True
    assert plan['method = "full"'] is False


def test_long_curves_are_thinned_to_means():
    points = [Point(float(k), float(k % 2)) for k in range(10 * MOST_POINTS)]
    found = thinned(points)
    assert len(found) == MOST_POINTS
    assert found[0] == Point(4.5, 0.5)
    assert thinned(points[:3]) == points[:3]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--examples", "some"), "--examples 'some': write a number, 0 for none, or all"),
        (("--examples", "-1"), "--examples '-1': write a number, 0 for none, or all"),
        (("nothing",), "unknown run 'nothing'"),
        (("superglue",), "no finished run of superglue in "),
        (("latest", "latest"), " is named twice: name each run once"),
    ],
)
def test_what_cannot_be_done_is_one_line(glue, tmp_path, store, arguments, message):
    board(store)
    code, out, err = glue("report", *arguments, "--out", tmp_path / "page.html")
    assert (code, out) == (2, "")
    assert err.count("\n") == 1
    assert message in err
    assert not (tmp_path / "page.html").exists()


def test_no_runs_at_all(glue, tmp_path):
    code, _, err = glue("report", "--out", tmp_path / "page.html")
    assert code == 2
    assert err.startswith("glue: no run in ")


def test_a_file_that_cannot_be_written_is_one_line(glue, tmp_path, store):
    board(store)
    (tmp_path / "file").write_text("")
    code, _, err = glue("report", "--out", tmp_path / "file" / "page.html")
    assert code == 1
    assert "cannot save" in err.splitlines()[-1]


def test_it_is_opened_on_request(glue, tmp_path, store, monkeypatch):
    board(store)
    opened = []
    monkeypatch.setattr(webbrowser, "open", lambda address: opened.append(address) or True)
    code, _, err = glue("report", "--open", "--out", tmp_path / "page.html")
    assert code == 0, err
    assert opened == [(tmp_path / "page.html").as_uri()]
    monkeypatch.setattr(webbrowser, "open", lambda address: False)
    assert "no browser was found" in glue("report", "--open", "--out", tmp_path / "page.html")[2]


def test_a_page_with_answers_and_differences_loads_nothing_heavy(glue, tmp_path):
    data = rows(tmp_path / "data")
    runs = [answered(glue, data, FIRST, "first"), answered(glue, data, OTHER, "other")]
    code = (
        "import sys\nfrom glue_harness.cli import main\n"
        f"main({['report', *runs, '--results', str(tmp_path / 'results'), '--out', str(tmp_path / 'page.html')]!r})\n"
        "print('LOADED', sorted({'torch', 'transformers', 'datasets', 'pandas'} & sys.modules.keys()))"
    )
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=tmp_path, check=True)
    assert out.stdout.splitlines()[-1] == "LOADED []"
