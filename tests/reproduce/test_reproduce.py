"""The paper's tables made again: what is planned, how it shrinks, what stands in the table, and that it goes on."""

import csv
import math
import re
from dataclasses import replace

import pytest
import scipy.stats
from records import finished, runner

from glue_harness import Plan, load_tasks
from glue_harness.core.record import Score
from glue_harness.core.sealed import MARKER
from glue_harness.lab.request import canonical
from glue_harness.lab.strategy import Brief
from glue_harness.metrics.correlation import rank_correlations
from glue_harness.report.published import load_published
from glue_harness.reproduce.report import markdown, remarks
from glue_harness.reproduce.scale import PRETRAIN_STEPS, Scale, scale_of
from glue_harness.reproduce.t5 import CONFIGURATIONS, configurations_of, head
from glue_harness.reproduce.table import (
    Compared,
    ReproducedTable,
    TableRow,
    columns_of,
    compare,
    neighbours,
    same_order,
)
from glue_harness.runs.folder import RunFolder
from glue_harness.runs.store import Store

T_9 = 2.262  # Student's t, 97.5 %, for the paper's ten runs
REGISTRY, PUBLISHED = load_tasks(), load_published()
SMALL = {"tasks": ("rte", "cola"), "data": "demo:200", "model": "tiny", "steps": 2, "batch_size": 8, "device": "cpu"}
SMALL |= {"answers": "closed"}
OPTIONS = ["--task", "rte,cola", "--data", "demo:200", "--model", "tiny", "--steps", "2", "--batch-size", "8"]
OPTIONS += ["--device", "cpu", "--set", "answers=closed"]


def small(**changes) -> Scale:
    return scale_of({**SMALL, **changes}, 1.0, None, REGISTRY)


def planned(name: str, scale: Scale):
    return {one.name: one for one in configurations_of(PUBLISHED.tables[name].rows, scale, REGISTRY)}


@pytest.fixture
def glue(capsys):
    return runner(capsys)


# What is planned


def test_every_published_row_can_be_made_and_has_values():
    for table in PUBLISHED.tables.values():
        for row in table.rows:
            assert row in CONFIGURATIONS
            assert PUBLISHED.result(row).averages["glue"] > 60
    assert set(PUBLISHED.tables["table16"].rows) == set(CONFIGURATIONS)


def test_full_scale_is_the_papers():
    full = Scale(Plan(("rte",)), PRETRAIN_STEPS, False, {"rte": 2490}, True)
    assert full.limit(2.0**19) == 2**19
    assert small().is_full is False
    on_the_hub = scale_of({}, 1.0, None, REGISTRY)
    assert on_the_hub.is_full
    assert (on_the_hub.plan.steps, on_the_hub.pretrain_steps, on_the_hub.plan.batch_tokens) == (2**18, 2**19, 2**16)
    assert not scale_of({}, 0.5, None, REGISTRY).is_full
    assert on_the_hub.sizes["wmt_en_fr"] == 40_836_715


def test_the_help_shows_the_defaults_that_are_used(glue):
    """T5's, not those of `glue run`; where the paper's size takes another form, in words."""
    used = scale_of({}, 1.0, None, REGISTRY).plan
    out = " ".join(glue("reproduce", "--help")[1].partition("Options:")[2].split())
    shown = {}
    for option in ("data", "model", "steps", "batch-size", "device", "seed"):
        _, found, rest = out.partition(f" --{option} ")
        assert found
        of_option = re.split(r" --\w", rest, maxsplit=1)[0]
        shown[option] = re.search(r"\[default: (\S+)\]", of_option)
    values = {option: found and found[1] for option, found in shown.items()}
    assert values == {
        "data": used.data,
        "model": used.model,
        "steps": None,
        "batch-size": None,
        "device": used.device,
        "seed": str(used.seed),
    }
    assert (used.steps, used.batch_tokens) == (2**18, 2**16)
    assert "instead of 2^18 x --scale" in out
    assert "instead of 2^16 tokens" in out


def test_a_model_from_scratch_reads_text_before_it_is_tuned():
    lines = planned("table10", small())
    assert [stage.plan.tasks for stage in lines["Baseline"].stages] == [("span_corruption",), ("rte",), ("cola",)]
    assert [stage.plan.steps for stage in lines["Baseline"].stages] == [4, 2, 2]
    narrow = lines["Adapter d=32"]
    assert [stage.plan.method for stage in narrow.stages] == ["full", "adapter", "adapter"]
    assert narrow.stages[0].plan.digest == lines["Baseline"].stages[0].plan.digest  # made once for all rows
    assert narrow.settings == "pretrain-finetune, d=5"


def test_a_pretrained_model_is_tuned_as_it_is(tmp_path):
    (tmp_path / "model").mkdir()
    lines = planned("table16", small(model=str(tmp_path / "model")))
    assert [stage.plan.tasks for stage in lines["Baseline"].stages] == [("rte",), ("cola",)]
    assert "No pre-training" not in lines


def test_mixing_rows_are_as_long_as_both_parts_and_hold_text():
    lines = planned("table11", small())
    (equal,) = lines["Equal"].stages
    assert (equal.plan.mixing, equal.plan.steps) == ("equal", 6)
    assert equal.plan.tasks == ("rte", "cola", "span_corruption")
    (tempered,) = lines["Temp. T=4"].stages
    assert (tempered.plan.mixing, tempered.plan.temperature) == ("temperature", 4.0)
    assert tempered.plan.limit == lines["Prop. K=2^21"].stages[0].plan.limit


def test_supervised_pre_training_holds_no_text():
    lines = planned("table12", small())
    assert lines["Supervised multi-task pre-training"].stages[0].plan.tasks == ("rte", "cola")
    assert "span_corruption" in lines["Multi-task pre-training + fine-tuning"].stages[0].plan.tasks
    assert [stage.plan.tasks for stage in lines["Leave-one-out multi-task training"].stages][:2] == [
        ("cola", "span_corruption"),
        ("rte",),
    ]


def test_a_limit_keeps_its_place_between_the_smallest_and_the_largest_task():
    small_mix = replace(small(), sizes={"small": 10, "large": 1000})
    assert small_mix.limit(250) == 10
    assert small_mix.limit(40_836_715) == 1000
    assert small_mix.limit(math.sqrt(250 * 40_836_715)) == 100
    assert replace(small_mix, sizes={"only": 500}).limit(2**19) == 500


def test_a_width_keeps_its_proportion_to_the_models():
    of_models = [
        Scale(Plan(("rte",), model=model), 4, False, {}, False) for model in ("tiny", "t5:base", "google-t5/t5-base")
    ]
    assert [scale.width(2048) for scale in of_models] == [341, 2048, 2048]


# What stands in the table


def score(**metrics) -> Score:
    around = {key: (value - 2, value + 2) for key, value in metrics.items()}
    return Score("validation", 1, metrics, around, 100, 0, [])


def columns(*tasks: str, by_value: bool = False):
    return columns_of(Brief(canonical(Plan(tasks), REGISTRY), REGISTRY, 0), by_value)


def test_a_suites_column_is_its_printed_average():
    (glue, squad) = columns("glue", "squad")
    cells = compare("Adapter d=2048", (), (glue, squad), PUBLISHED, REGISTRY)
    assert [cell.theirs for cell in cells] == [82.62, 79.40]
    assert cells[0].their_half == pytest.approx(T_9 * 0.235, rel=1e-3)
    assert cells[0].difference is None


def test_the_baselines_mean_over_ten_runs_is_surer():
    (rte,) = columns("rte", by_value=True)
    baseline, adapter = (
        compare(name, [{"rte": score(accuracy=60.0)}], (rte,), PUBLISHED, REGISTRY)[0]
        for name in ("Baseline", "Adapter d=32")
    )
    assert adapter.their_half == pytest.approx(T_9 * 1.393, rel=1e-3)
    assert baseline.their_half == pytest.approx(T_9 * 1.393 / math.sqrt(10), rel=1e-3)
    assert baseline.difference == pytest.approx(60 - 76.28)
    assert baseline.difference_half == pytest.approx(math.hypot(2, baseline.their_half))


def test_the_interval_is_over_seeds_and_examples_and_that_of_one_seed_over_examples():
    (rte,) = columns("rte")
    seeds = [{"rte": score(accuracy=value)} for value in (50.0, 60.0, 70.0)]
    three = compare("Baseline", seeds, (rte,), PUBLISHED, REGISTRY)[0]
    of_seeds, of_examples = 100 / 3, (2 / 1.959964) ** 2
    variance = of_seeds + of_examples
    df = variance**2 / (of_seeds**2 / 2)
    assert (three.ours, three.half) == (60, pytest.approx(scipy.stats.t.ppf(0.975, df) * math.sqrt(variance)))
    assert compare("Baseline", seeds[:1], (rte,), PUBLISHED, REGISTRY)[0].half == pytest.approx(2)
    alike = compare("Baseline", [seeds[0]] * 9, (rte,), PUBLISHED, REGISTRY)[0]
    assert alike.half == pytest.approx(2)  # more seeds on the same examples do not make these more
    without = {"rte": replace(seeds[0]["rte"], intervals={"accuracy": (None, None)})}
    assert math.isnan(compare("Baseline", [without], (rte,), PUBLISHED, REGISTRY)[0].half)


def test_a_task_without_a_value_leaves_its_cell_open():
    (stsb,) = columns("stsb")
    scores = {"stsb": score(pearson_corrcoef=10.0)}
    assert compare("Baseline", [scores], (stsb,), PUBLISHED, REGISTRY)[0].ours is None


def test_the_head_names_no_machine(tmp_path):
    (tmp_path / "rows").mkdir()
    scale = small()
    moved = Scale(scale.plan.replace(data=str(tmp_path / "rows")), 4, False, {"rte": 10}, False)
    said = " ".join(head(moved, configurations_of(["Equal"], moved, REGISTRY), "recipe t5", 1))
    assert "data rows," in said
    assert str(tmp_path) not in said
    assert said.startswith("A scaled run: it compares the order")
    assert "every row starts from random weights" in said


def test_a_suite_of_ones_own_heads_its_column():
    assert [column.title for column in columns("qa", "rte", "cnn_dailymail")] == ["qa", "RTE", "CNNDM"]


def test_table_16_has_every_value():
    titles = [column.title for column in columns("glue", "superglue", "squad", by_value=True)]
    assert len(titles) == 12 + 11 + 2
    assert {"MRPC F1", "MNLI-mm", "SQuAD EM"} <= set(titles)


def test_rank_correlation_is_that_of_the_text_books():
    import numpy as np
    from scipy.stats import spearmanr

    random = np.random.default_rng(0)
    a, b = random.integers(0, 6, (5, 12)), random.integers(0, 6, (5, 12))
    assert rank_correlations(a, b) == pytest.approx([spearmanr(x, y).statistic for x, y in zip(a, b, strict=True)])


def test_an_order_has_the_p_value_of_permutations_and_no_interval():
    def order(ours, half, theirs):
        return same_order([Compared(a, half, b, 0.01) for a, b in zip(ours, theirs, strict=True)])

    theirs = [1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0]
    sure = order(theirs, 0.01, theirs)
    assert (sure.rho, sure.n) == (1, 8)
    assert sure.p < 0.01
    assert order(theirs, 20.0, theirs) == sure  # noise that ranks have already is not added again
    assert order(theirs[::-1], 1.0, theirs)._replace(rho=1) == sure
    assert order([3.0, 1.0, 2.0], 0, [1.0, 2.0, 3.0]).p == pytest.approx(1, abs=0.02)  # 4 of 6 are as far, 2 further
    assert order([1.0, 2.0], 0, [1.0, 2.0]) is None
    assert order([1.0] * 3, 0, [1.0, 2.0, 3.0]) is None


def test_neighbouring_rows_have_the_probability_of_their_order():
    half = 1.959964
    rows = [
        ("a", Compared(1.0, half, 3.0, 1.0)),
        ("b", Compared(2.0, half, 2.0, 1.0)),
        ("c", Compared(0.0, math.nan, 1.0, 1.0)),
    ]
    first, second = neighbours(rows)
    assert (first.better, first.worse, first.is_theirs) == ("b", "a", False)
    assert first.probability == pytest.approx(scipy.stats.norm.cdf(1 / math.sqrt(2)))
    assert (second.better, second.worse, second.is_theirs) == ("a", "c", True)
    assert math.isnan(second.probability)  # noise that is not known is not none
    equal = [("a", Compared(1.0, 0.0, 1.0, 0.0)), ("b", Compared(1.0, 0.0, 1.0, 0.0))]
    assert neighbours(equal)[0][2:] == (0.5, None)


def test_a_table_says_whether_the_order_is_the_papers():
    cells = [(Compared(float(k), 0.1, float(-k), 0.1),) for k in range(4)]
    rows = tuple(TableRow(f"*{k}*", "single", 1, ("run",), cell) for k, cell in enumerate(cells))
    table = ReproducedTable("t", "T", ("A scaled run",), ("Average",), rows, ("note",))
    assert "Spearman's rank correlation with the paper is -1.00, n = 4 rows, p = " in remarks(table)[0]
    assert "95 %" not in remarks(table)[0]
    assert "*3* over *2* 1.00 (the paper: under); *2* over *1* 1.00 (the paper: under)" in remarks(table)[1]
    text = markdown(table)
    assert text.index("A scaled run") < text.index("\\*0\\*") < text.index("note")


def test_titles_of_tasks_and_names_of_folders_are_text_in_markdown():
    row = TableRow("r", "single", 1, ("run",), (Compared(1.0, 0.1, 2.0, 0.1),))
    text = markdown(ReproducedTable("t", "T", ("data <b>\n\n# x",), ("a|b\n<i>",), (row,), ()))
    assert "| Row | As run | Seeds | a\\|b &lt;i&gt; |" in text
    assert "\n\ndata &lt;b&gt; \\# x\n\n" in text


# What is carried out


def test_a_table_goes_on_where_it_stopped(tmp_path, glue):
    results, out = tmp_path / "results", tmp_path / "boards"
    command = ("reproduce", "table12", *OPTIONS, "--results", results, "--out", out)
    code, listed, _ = glue(*command, "--dry-run")
    assert (code, "14 runs, 42 steps to go" in listed) == (0, True)
    code, shown, err = glue(*command)
    assert code == 0, err
    assert err.count("seed 0:") == 14
    assert shown.startswith("A scaled run: it compares the order of the rows with the paper's, not the level")
    assert "Spearman's rank correlation" in shown
    lost = Store(results).load_all()[0][-1]
    Store(results).discard(lost.id)
    code, again, err = glue(*command)
    assert (code, err.count("seed 0:")) == (0, 1)
    assert again == shown  # the same bits
    rows = list(csv.DictReader((out / "table12-scaled.csv").open()))
    assert len(rows) == 5 * 3  # average, RTE, CoLA
    baseline = next(row for row in rows if (row["row"], row["column"]) == ("Baseline", "RTE"))
    assert float(baseline["published"]) == 76.28
    assert float(baseline["difference"]) == pytest.approx(float(baseline["ours"]) - 76.28, abs=1e-3)
    assert len(baseline["runs"].split()) == 3
    assert "# Table 12" in (out / "table12-scaled.md").read_text()


def test_the_latest_run_is_one_run_for_all_rows(tmp_path, glue):
    record = finished(Store(tmp_path), steps=3)
    RunFolder(tmp_path / record.id).checkpoint(3).mkdir(parents=True)
    (RunFolder(tmp_path / record.id).checkpoint(3) / MARKER).touch()
    command = (
        "reproduce",
        "table12",
        "--task",
        "rte,cola",
        "--data",
        "demo",
        "--results",
        tmp_path,
        "--dry-run",
        "--model",
    )
    code, latest, err = glue(*command, "run:latest")
    assert code == 0, err
    assert latest == glue(*command, f"run:{record.id}")[1]


def test_tables_are_listed_without_torch(glue):
    code, out, _ = glue("reproduce", "--list")
    assert (code, "table10" in out, "1910.10683" in out) == (0, True, True)


def test_the_misprint_has_its_footnote(tmp_path, glue):
    table = PUBLISHED.tables["table10"]
    assert "misprint" in table.footnotes["Adapter d=2048"]
    assert PUBLISHED.result("Adapter d=2048").averages["glue"] == 82.62


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((), "no table: glue reproduce --list"),
        (("table13",), "unknown table 'table13': did you mean table1"),
        (("table11", "--demo", "--task", "mnlii"), "did you mean mnli?"),
        (("table10", "--demo", "--text", "nowhere"), "--text 'nowhere' is neither a file nor a folder"),
    ],
)
def test_mistakes_are_one_line(arguments, message, glue, tmp_path):
    code, _, err = glue("reproduce", *arguments, "--results", tmp_path / "results")
    assert code == 2
    assert message in err.splitlines()[-1]
    assert not (tmp_path / "results").exists()
