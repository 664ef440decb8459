"""`glue board` as a user sees it."""

import json
import subprocess
import sys

import pytest
from records import AVERAGE, GLUE, finished, narrow_screen, runner

from glue_harness.runs.store import Store


@pytest.fixture
def store(tmp_path) -> Store:
    return Store(tmp_path / "results")


@pytest.fixture
def glue(capsys):
    return runner(capsys)


def test_the_board_is_shown_and_written(store, glue, tmp_path):
    finished(store, seed=0)
    finished(store, seed=1, shift=2)
    code, out, err = glue("board")
    assert code == 0
    assert f"{AVERAGE + 1:.2f} σ1.41" in out
    assert "tiny, full, proportional K=2^19" in out
    assert "2 seeds, demo" in out
    assert max(map(len, out.splitlines())) <= 120
    folder = tmp_path / "leaderboards"
    assert sorted(file.name for file in folder.iterdir()) == ["glue-demo.csv", "glue-demo.md"]
    assert err.splitlines() == [f"wrote {folder}/glue-demo.csv", f"wrote {folder}/glue-demo.md"]


def test_demo_and_real_runs_are_written_to_different_files(store, glue, tmp_path):
    demo, real = finished(store), finished(store, data="hub")
    glue("board", "--format", "csv", "--out", tmp_path / "here")
    texts = {file.name: file.read_text() for file in (tmp_path / "here").iterdir()}
    assert texts.keys() == {"glue.csv", "glue-demo.csv"}
    assert demo.id in texts["glue-demo.csv"]
    assert demo.id not in texts["glue.csv"]
    assert real.id in texts["glue.csv"]
    assert real.id not in texts["glue-demo.csv"]


def test_json_is_all_there_is_on_stdout(store, glue, tmp_path):
    finished(store)
    finished(store, data="hub")
    finished(store, status="failed")
    code, out, _ = glue("board", "--format", "json")
    assert code == 0
    assert [(board["name"], len(board["rows"])) for board in json.loads(out)] == [("glue", 1), ("glue-demo", 1)]
    assert not (tmp_path / "leaderboards").exists()


@pytest.mark.parametrize("options", [(), ("--format", "json")])
def test_without_a_finished_run_one_line_says_what_to_do(store, glue, tmp_path, options):
    code, out, err = glue("board", *options)
    assert code == 0
    assert out == ("[]\n" if options else "")
    line = f"no finished run of glue in '{store.folder}': make one with glue run --task glue --demo\n"
    assert err == line
    assert not (tmp_path / "leaderboards").exists()


def test_published_rows_need_no_run_and_are_marked(glue, tmp_path):
    code, out, _ = glue("board", "--published")
    assert code == 0
    assert "83.28 σ0.2" in out
    assert out.count("published, T5 baseline (220M)") == 20
    assert "Raffel et al." in out
    assert "misprint" in out
    assert max(len(line) for line in out.splitlines() if "T5 baseline" in line) <= 120
    assert "published: Raffel et al. 2020, Table 16" in (tmp_path / "leaderboards" / "glue.csv").read_text()


def test_superglue_fits_the_terminal(glue):
    _, out, _ = glue("board", "--suite", "superglue", "--published")
    assert max(len(line) for line in out.splitlines() if "T5 baseline" in line) <= 120
    assert "71.36 σ0.4" in out


def test_one_table_at_every_width(store, glue, monkeypatch):
    """How sure a value is stands beside it, on a narrow screen below it; what a row is has a line of its own."""
    runs = [finished(store, seed=seed, shift=seed) for seed in (0, 1, 2)]
    _, wide, _ = glue("board", "--task", "rte,mrpc")
    monkeypatch.setattr("glue_harness.report.console.console", narrow_screen)
    _, narrow, _ = glue("board")
    for out, expected in (
        (wide, (["#", "average", "Acc", "RTE"], ["63.50", "±1.92", "81.00", "±1.86", "56.00", "±1.86"])),
        (
            narrow,
            (
                ["#", "average", "CoLA", "SST-2", "Acc", "Spearman", "Acc", "mm", "QNLI", "RTE"],
                ["±2.24"] + ["±1.86"] * 8,
            ),
        ),
    ):
        lines = [line.split() for line in out.splitlines()]
        assert all(line in lines for line in expected), out
        assert [
            "1",
            "tiny,",
            "full:",
            "3",
            "seeds,",
            "demo,",
            "plan",
            f"{runs[0].digest},",
            "0.0",
            "%",
            "invalid",
        ] in lines
        assert sum("─" in line for line in out.splitlines()) == 1
        assert "± half of the 95 % interval, over examples (one seed)" in out
    assert max(map(len, wide.splitlines())) <= 120
    assert max(map(len, narrow.splitlines())) <= 80


def test_tasks_that_do_not_fit_beside_each_other_become_the_rows(store, glue, monkeypatch):
    monkeypatch.setattr("glue_harness.report.console.console", narrow_screen)
    monkeypatch.setattr("glue_harness.report.screen.GAP", " " * 9)
    finished(store)
    _, out, _ = glue("board")
    lines = [line.split() for line in out.splitlines()]
    assert all(
        line in lines for line in (["#", "task", "score"], ["average", "50.00", "±0.34"], ["RTE", "55.00", "±1.00"])
    )
    assert max(map(len, out.splitlines())) <= 80


def test_rows_are_named_by_what_differs(store, glue, tmp_path):
    finished(store, lr=1e-3, steps=30)
    finished(store, lr=3e-4, steps=30, shift=-1)
    finished(store, {"rte": GLUE["rte"]}, lr=3e-4, steps=30, tasks=("rte",), method="adapter")
    _, out, _ = glue("board", "--format", "csv", "--format", "md", "--format", "latex", "--format", "html")
    assert out.startswith("glue-demo: tiny, proportional K=2^19, 30 steps\n")
    names = ["glue, full, lr 0.001", "glue, full, lr 0.0003", "rte, adapter, lr 0.0003"]
    assert [name for name in names if f" {name}: 1 seed, demo" in out] == names
    assert "No average for rte, adapter, lr 0.0003: not scored: CoLA, SST-2, MRPC, STS-B, QQP, MNLI, QNLI" in out
    for suffix, text in (
        ("csv", '"glue, full, lr 0.0003"'),
        ("md", "| glue, lr 0.0003 |"),
        ("html", "<td>glue, lr 0.0003</td>"),
        ("latex", "& glue, lr 0.0003 &"),
        ("latex", "% glue, full, lr 0.0003: "),  # which runs a row is of
    ):
        assert text in (tmp_path / "leaderboards" / f"glue-demo.{suffix}").read_text(), suffix


def test_an_average_over_the_tasks_that_were_asked_for(store, glue, tmp_path):
    finished(store, {"rte": GLUE["rte"], "cola": GLUE["cola"]}, tasks=("rte", "cola"))
    code, out, _ = glue("board", "--task", "cola", "--task", "rte", "--format", "csv", "--format", "latex")
    assert code == 0
    assert "32.50 ±0.71" in out  # (10 + 55) / 2, half of sqrt(1 + 1)
    head = (tmp_path / "leaderboards" / "glue-demo.csv").read_text().splitlines()[0]
    assert {name for name in head.split(",") if name.endswith(("accuracy", "corrcoef"))} == {
        "rte.accuracy",
        "cola.matthews_corrcoef",
    }
    assert glue("board", "--task", "boolq") == (
        2,
        "",
        "glue: boolq is not scored in glue: its tasks are cola, sst2, mrpc, stsb, qqp, mnli, qnli, rte\n",
    )


def test_no_more_rows_than_anyone_reads(store, glue, tmp_path, monkeypatch):
    monkeypatch.setattr("glue_harness.report.screen.MOST_ROWS", 2)
    for steps in (10, 20, 30):
        finished(store, steps=steps)
    _, out, _ = glue("board")
    assert out.count("plan ") == 2
    assert "1 more row: in the files" in out
    assert len((tmp_path / "leaderboards" / "glue-demo.csv").read_text().splitlines()) == 4


def test_broken_records_are_named_and_the_board_goes_on(store, glue):
    run = finished(store)
    for name, text in {"cut": '{"id": "cut", ', "empty": "", "foreign": '{"model": "x"}'}.items():
        (store.folder / name).mkdir()
        (store.folder / name / "record.json").write_text(text)
    code, out, err = glue("board")
    assert code == 0
    assert run.digest in out
    assert f"skipped {store.folder}/cut/record.json: it is not complete JSON: " in err
    assert f"skipped {store.folder}/empty/record.json: it is empty\n" in err
    assert f"skipped {store.folder}/foreign/record.json: it is not a record of glue\n" in err


def test_runs_that_did_not_finish_are_named(store, glue):
    finished(store)
    failed = finished(store, status="failed", error="loss is nan")
    _, _, err = glue("board")
    assert f"glue-demo leaves out {failed.id}: failed: loss is nan\n" in err


def test_text_from_data_is_no_markup_and_steers_no_terminal(store, glue):
    finished(store, {"rte": GLUE["rte"]}, model="[bold]m[/bold]\x1b[31m")
    _, out, _ = glue("board")
    assert "[bold]m[/bold]\\x1b[31m" in out


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        (("--suite", "gleu"), "glue: unknown suite 'gleu': did you mean glue?\n"),
        (("--format", "cvs"), "glue: unknown format 'cvs': did you mean csv?\n"),
    ],
)
def test_a_typo_is_one_line(glue, arguments, line):
    assert glue("board", *arguments) == (2, "", line)


def test_a_file_in_the_way_of_the_leaderboards_is_one_line(store, glue, tmp_path):
    finished(store)
    (tmp_path / "taken").write_text("mine")
    code, _, err = glue("board", "--out", tmp_path / "taken" / "deeper")
    assert code == 1
    assert err.splitlines()[-1].startswith(f"glue: cannot save '{tmp_path}/taken/deeper/glue-demo.csv': ")


HEAVY = {"torch", "transformers", "datasets", "pandas"}
LOADED = (
    "import sys; from glue_harness.cli import main; main(sys.argv[1:]); print(*sorted({*sys.modules}), file=sys.stderr)"
)


@pytest.mark.parametrize("verb", ["board", "compare"])
def test_neither_boards_nor_comparisons_load_torch(store, verb):
    runs = [finished(store, steps=steps).id for steps in (10, 20)]
    command = [sys.executable, "-c", LOADED, verb, *(runs if verb == "compare" else ())]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    loaded = set(done.stderr.splitlines()[-1].split())
    assert "rich" in loaded
    assert not loaded & HEAVY
