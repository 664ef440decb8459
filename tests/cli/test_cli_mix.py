"""`glue mix`: exact JSON, true tables, one line for what is wrong."""

import json

import pytest
from conftest import golden

from glue_harness.cli import main
from glue_harness.suite.registry import load_tasks

VECTORS = [line for line in golden("mixing") if line["task"] in ("rate_num_examples", "equal")]
TASK = """
from glue_harness.suite.build import classify
from glue_harness.core.task import Source

LABELS = ("no", "yes")


def demo(random, n):
    return [{"text": f"row {k}", "label": k % 2} for k in range(n)]


def toy(name, rows, splits, **details):
    source = Source(hub="nobody/" + name, rows=rows)
    return classify(name, fields=("text",), labels=LABELS, source=source, metrics=(), splits=splits, **details)


BIG = toy("big", {"train": 8000}, {"train": "train"}, suite="toys", demo=demo)
SMALL = toy("small", {"train": 2000}, {"train": "train"}, suite="toys", demo=demo, aliases=("glue_cola_v002",))
PROBE = toy("probe", {"test": 9}, {"test": "test"}, suite="toys", part="extra")
VAGUE = toy("vague", {}, {"train": "train"}, suite="vague")
"""


@pytest.fixture
def toys(tmp_path, monkeypatch):
    """A folder with tasks of known sizes, beside no others."""
    (tmp_path / "tasks").mkdir()
    (tmp_path / "tasks" / "toys.py").write_text(TASK)
    monkeypatch.setattr("glue_harness.suite.registry.builtin_folder", lambda: tmp_path / "tasks")


@pytest.fixture
def mix(capfd):
    def run(*arguments):
        code = 0
        try:
            main(["mix", *map(str, arguments)])
        except SystemExit as stop:
            code = stop.code
        out, err = capfd.readouterr()
        return code, out, err

    return run


@pytest.fixture
def sizes(tmp_path):
    def write(value):
        file = tmp_path / "sizes.json"
        file.write_text(value if isinstance(value, str) else json.dumps(value))
        return file

    return write


@pytest.mark.parametrize("line", VECTORS, ids=lambda line: line["id"])
def test_sizes_to_json(line, mix, sizes):
    raw = line["raw"]
    mixing = "equal" if line["task"] == "equal" else "temperature" if raw["T"] != 1 else "proportional"
    options = [("--limit", raw.get("K")), ("--temperature", raw.get("T")), ("--scale", raw.get("scale"))]
    given = [text for name, value in options if value is not None for text in (name, value)]
    code, out, _ = mix("--sizes", sizes(raw["sizes"]), "--mixing", mixing, *given, "--json")
    assert code == 0
    found = json.loads(out)
    assert found == {key: pytest.approx(line["expect"][key], rel=1e-9, abs=0) for key in ("rates", "probabilities")}


def test_custom_rates_to_json(mix, sizes):
    file = sizes({"a": 10, "b": 5})
    code, out, _ = mix("--sizes", file, "--mixing", "custom", "--rate", "a=3", "--rate", "b=1", "--json")
    assert code == 0
    assert json.loads(out) == {"rates": {"a": 3.0, "b": 1.0}, "probabilities": {"a": 0.75, "b": 0.25}}


def test_a_planned_run_to_json(mix, toys):
    code, out, _ = mix("--task", "toys", "--steps", 100, "--batch-size", 50, "--json")
    assert code == 0
    assert json.loads(out) == {
        "rates": {"big": 8000.0, "small": 2000.0},
        "probabilities": {"big": 0.8, "small": 0.2},
        "examples": {"big": 4000.0, "small": 1000.0},
        "epochs": {"big": 0.5, "small": 0.5},
    }


def test_the_table_says_what_a_run_would_see(mix, toys):
    code, out, err = mix("--task", "toys", "--mixing", "temperature", "--temperature", 2, "--limit", 8000)
    assert code == 0
    lines = [line.split() for line in out.splitlines() if line.strip()]
    assert lines[0] == ["1,000", "steps", "of", "32", "examples"]
    assert ["big", "8,000", "89.4427", "66.67%", "21,333", "2.67"] in lines
    assert ["small", "2,000", "44.7214", "33.33%", "10,667", "5.33"] in lines
    assert "toys leaves out probe, as T5 does: neither trained on nor in the average" in err
    assert "official counts" in err


def test_data_at_hand_is_counted(mix, toys):
    code, out, _ = mix("--task", "big,small", "--data", "demo:40", "--steps", 10, "--batch-size", 8, "--json")
    assert code == 0
    assert json.loads(out)["rates"] == {"big": 40.0, "small": 40.0}


def test_a_task_without_training_data_is_only_scored(mix, toys):
    code, out, err = mix("--task", "small,probe", "--json")
    assert code == 0
    assert json.loads(out)["probabilities"] == {"small": 1.0}
    assert "probe has no train split: it is only scored" in err


def test_t5s_mixture_by_name(mix, toys):
    code, out, _ = mix("--mixture", "t5:glue", "--json")
    assert code == 0
    found = json.loads(out)
    assert found["rates"]["glue_mnli_v002"] == 392_702
    assert found["rates"]["glue_ax_v002"] == 0
    assert found["epochs"]["glue_cola_v002"] == pytest.approx(found["examples"]["glue_cola_v002"] / 2000)
    assert found["epochs"]["glue_mnli_v002"] is None  # no task file says how large it is


@pytest.mark.parametrize(
    "line", [v for v in golden("mixing") if v["task"] == "registered_mixture"], ids=lambda v: v["id"]
)
def test_t5s_mixtures_with_sizes_of_their_members(line, mix, sizes):
    raw = line["raw"]
    limit = [] if raw["K"] is None else ["--limit", raw["K"]]
    file = sizes(raw["sizes"] or {"unused": 1})
    code, out, _ = mix("--mixture", raw["mixture"], "--sizes", file, "--temperature", raw["T"], *limit, "--json")
    assert code == 0
    found = json.loads(out)
    assert set(found) == {"rates", "probabilities"}
    assert found["rates"] == pytest.approx(line["expect"]["rates"], rel=1e-9, abs=0)


def test_what_has_no_train_split_drops_out_of_a_mixture(mix):
    assert "train" not in load_tasks().task("super_glue_axb_v102").splits
    code, out, _ = mix("--mixture", "super_glue_axb_v102=5", "--mixture", "super_glue_cb_v102=1", "--json")
    assert code == 0
    assert json.loads(out)["rates"] == {"super_glue_axb_v102": 0.0, "super_glue_cb_v102": 1.0}


def test_a_mixture_of_mixtures(mix):
    code, out, _ = mix("--mixture", "t5:squad_trivia_qa_equal=4", "--mixture", "squad_v010_allanswers=1", "--json")
    assert code == 0
    assert json.loads(out)["rates"] == {"squad_v010_allanswers": 3.0, "trivia_qa_v010": 2.0}


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--task", "bgi"], "unknown task or suite 'bgi': did you mean big?"),
        (["--task", "big", "--mixing", "temprature"], "unknown mixing 'temprature': did you mean temperature?"),
        (["--task", "big", "--limit", "0"], "limit must be above 0, not 0.0"),
        (["--task", "big", "--temperature", "0"], "temperature must be above 0, not 0.0"),
        (["--task", "big", "--steps", "0"], "steps must be above 0, not 0"),
        (["--task", "big", "--rate", "big"], "--rate 'big': write it as NAME=VALUE"),
        (["--task", "big", "--rate", "big=much"], "--rate 'big=much': write it as NAME=VALUE"),
        (
            ["--task", "toys", "--mixing", "custom", "--rate", "big=-1", "--rate", "small=2"],
            "a custom rate must not be negative",
        ),
        (["--task", "big", "--rate", "big=1"], "rates are given but mixing is 'proportional': use --mixing custom"),
        (["--task", "big", "--mixing", "equal", "--limit", "9"], "--mixing equal does not look at sizes: leave out"),
        (["--task", "probe"], "the rates sum to 0: at least one task must be trained on"),
        (["--task", "vague"], "task 'vague' states no official number of rows: use --data DIR"),
        (["--task", "big", "--scale", "2"], "--scale goes with --sizes and a mixing"),
        (["--task", "big", "--mixture", "t5:glue"], "--task takes its sizes and rates from the tasks"),
        (["--mixture", "t5:gleu"], "unknown mixture or task 't5:gleu': did you mean t5:glue?"),
        (["--mixture", "t5:glue", "--mixing", "equal"], "a mixture has its own rates: leave out --mixing and --rate"),
        (["--mixture", "t5:all"], "how many training examples has 'cnn_dailymail_v002'? Say it in --sizes FILE"),
        ([], "nothing to mix: name tasks with --task, a mixture with --mixture, or give --sizes FILE"),
    ],
)
def test_what_cannot_be_mixed_is_one_line(arguments, message, mix, toys):
    code, out, err = mix(*arguments)
    assert (code, out) == (2, "")
    assert err.startswith(f"glue: {message}")
    assert err.count("\n") == 1


@pytest.mark.parametrize(
    ("content", "options", "message"),
    [
        ("{", [], "is not JSON"),
        ("[1, 2]", [], "must hold an object such as"),
        ({}, [], "must hold an object such as"),
        ({"a": -1}, [], "'a' must be a number of examples from 0 to 1e+15, not -1"),
        ('{"a": NaN}', [], "is not JSON: NaN is no JSON"),
        ({"a": 10**16}, [], "'a' must be a number of examples from 0 to 1e+15, not 1"),
        ('{"a": 1e999}', [], "is not JSON: number 1e999 is too large"),
        ({"a": True}, [], "'a' must be a number of examples from 0 to 1e+15, not True"),
        ({"a": "12"}, [], "'a' must be a number of examples from 0 to 1e+15, not 12"),
        ({"a": 0, "b": 0}, [], "the rates sum to 0: at least one task must be trained on"),
        ({"a": 1}, ["--limit", "-5"], "limit must be above 0, not -5.0"),
        ({"a": 1}, ["--temperature", "-1"], "temperature must be above 0, not -1.0"),
        ({"a": 1}, ["--scale", "0"], "scale must be above 0, not 0.0"),
        ({"a": 1}, ["--mixing", "custom", "--rate", "a=0"], "custom rates sum to 0"),
        ({"a": 1}, ["--mixing", "custom", "--rate", "b=1"], "unknown task in rates 'b'"),
        ({"a": 1}, ["--data", "demo"], "--data and --sizes both say how many examples there are"),
    ],
)
def test_bad_sizes_are_one_line(content, options, message, mix, sizes):
    code, out, err = mix("--sizes", sizes(content), *options)
    assert (code, out) == (2, "")
    assert message in err
    assert err.count("\n") == 1


def test_a_missing_sizes_file_is_one_line(mix, tmp_path):
    code, _, err = mix("--sizes", tmp_path / "none.json")
    assert code == 2
    assert err == f"glue: cannot read --sizes {str(tmp_path / 'none.json')!r}: No such file or directory\n"
