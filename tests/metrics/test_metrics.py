"""T5's metrics: its own numbers, other libraries' numbers, and the same numbers from resampled lists."""

import json
import os
import subprocess
import sys
from collections.abc import Callable
from functools import cache

import numpy as np
import pytest
import sacrebleu
import scipy.stats
import sklearn.metrics
from conftest import golden

from glue_harness import metrics
from glue_harness.core.errors import DataError, GlueError
from glue_harness.core.task import Example, Metric, Prediction
from glue_harness.metrics import EVALUATE_MODULE, measure
from glue_harness.metrics.answers import answered
from glue_harness.metrics.correlation import spearman
from glue_harness.metrics.generation import bleu_signature
from glue_harness.suite.build import parse_number
from glue_harness.suite.registry import Registry, load_tasks
from glue_harness.suite.text_alone import Told

T5 = [line for line in golden("metric") if "targets" in line["raw"]]
POSTPROCESSED = [line for line in golden("metric") if "postprocessed" in line["expect"]]
ALL = {name: metric for name, metric in vars(metrics).items() if isinstance(metric, Metric)}
SENTENCES = (
    "the cat sat on the mat . it slept .",
    "a dog , barks at night",
    "",
    "nobody knows the answer to this",
    "yes",
)


def predictions(pairs, groups=None) -> list[Prediction]:
    """Predictions from (gold label, answered label)."""
    groups = groups or [None] * len(pairs)
    return [
        Prediction(Example(str(k), "", str(gold), {}, gold, group), str(answer), answer)
        for k, ((gold, answer), group) in enumerate(zip(pairs, groups, strict=True))
    ]


def value(metric: Metric, made: list[Prediction]) -> float:
    (key,) = metric.keys
    return measure([metric], made)[key]


@cache
def registry() -> Registry:
    return load_tasks()


def answers_of(line: dict) -> list[Prediction]:
    raw, task = line["raw"], registry().task(line["t5_task"])
    infos = raw.get("examples", [{}] * len(raw["targets"]))
    answers = zip(raw["targets"], raw["predictions"], infos, strict=True)
    return [answered(task, target, text, info, str(k)) for k, (target, text, info) in enumerate(answers)]


@pytest.mark.parametrize("line", T5, ids=lambda line: f"{line['task']}-{line['id']}")
def test_equals_t5(line):
    task = registry().task(line["t5_task"])
    if "error" in line["expect"]:
        with pytest.raises(GlueError):
            measure(task.metrics, answers_of(line))
        return
    expected = {key: np.nan if v is None else v for key, v in line["expect"]["metrics"].items()}
    assert measure(task.metrics, answers_of(line)) == pytest.approx(expected, abs=1e-6, nan_ok=True)


@pytest.mark.parametrize("line", POSTPROCESSED, ids=lambda line: line["id"])
def test_numbers_are_read_as_t5_reads_them(line):
    number = parse_number(line["raw"]["prediction"])
    expected = line["expect"]["postprocessed"]
    assert (-1.0 if number is None else number) == pytest.approx(float(expected), nan_ok=True)


@pytest.fixture(params=range(20))
def labels(request) -> tuple[list[int], list[int]]:
    """Targets and answers of a few classes, -1 among the answers; often only one class occurs."""
    random = np.random.default_rng(request.param)
    classes = [[0, 1], [1], [0], [0, 1, 2]][request.param % 4]
    return random.choice(classes, 12).tolist(), random.choice([*classes, -1], 12).tolist()


def as_predictions(labels) -> list[Prediction]:
    return predictions([(gold, None if guess == -1 else guess) for gold, guess in zip(*labels, strict=True)])


def test_accuracy_and_matthews_equal_scikit_learn(labels):
    made = as_predictions(labels)
    assert value(metrics.accuracy, made) == pytest.approx(100 * sklearn.metrics.accuracy_score(*labels))
    assert value(metrics.matthews, made) == pytest.approx(100 * sklearn.metrics.matthews_corrcoef(*labels))


def test_f1_equals_scikit_learn_with_invalid_answers_reversed(labels):
    golds, guesses = ([min(label, 1) for label in side] for side in labels)
    reversed_ = [1 - gold if guess == -1 else guess for gold, guess in zip(golds, guesses, strict=True)]
    expected = 100 * sklearn.metrics.f1_score(golds, reversed_, zero_division=0)
    assert value(metrics.f1, as_predictions((golds, guesses))) == pytest.approx(expected)


def test_mean_3class_f1_equals_scikit_learn(labels):
    scores = sklearn.metrics.f1_score(*labels, labels=[0, 1, 2], average=None, zero_division=0)
    assert value(metrics.mean_3class_f1, as_predictions(labels)) == pytest.approx(100 * sum(scores) / 3)


@pytest.mark.parametrize("seed", range(20))
def test_correlations_equal_scipy(seed):
    random = np.random.default_rng(seed)
    golds = random.integers(0, 26, 15) / 5
    guesses = (golds + random.normal(size=15)).round(seed % 3) + random.choice([0, 1e6])
    made = predictions(list(zip(golds.tolist(), guesses.tolist(), strict=True)))
    assert value(metrics.pearson, made) == pytest.approx(100 * scipy.stats.pearsonr(golds, guesses)[0], abs=1e-6)
    assert value(metrics.spearman, made) == pytest.approx(100 * scipy.stats.spearmanr(golds, guesses)[0])


def test_rounding_takes_no_correlation_beyond_its_range():
    for seed in range(100):
        golds = np.random.default_rng(seed).normal(size=12)
        for sign in (1, -1):
            made = predictions(list(zip(golds.tolist(), (sign * golds).tolist(), strict=True)))
            assert value(metrics.pearson, made) == pytest.approx(sign * 100)
            assert -100 <= value(metrics.pearson, made) <= 100


def test_spearman_of_lines_equals_scipy():
    xs, ys = np.random.default_rng(0).integers(0, 4, size=(2, 50, 9))
    expected = [scipy.stats.spearmanr(x, y)[0] for x, y in zip(xs, ys, strict=True)]
    assert spearman(xs, ys) == pytest.approx(expected)


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize(
    "guesses",
    [
        [0.1, 0.1, 0.1, 0.1],
        [1, np.inf, 2, 3],
        [1, -np.inf, 2, np.inf],
        [1, np.nan, 2, 3],
        [1e300, 1, 2, 3],
        [-1, 2, 2, 5],
    ],
    ids=str,
)
def test_correlations_of_odd_numbers_equal_scipy(guesses):
    golds = [0.2, 1.4, 1.4, 5.0]
    made = predictions(list(zip(golds, guesses, strict=True)))
    expected = scipy.stats.pearsonr(golds, guesses)[0], scipy.stats.spearmanr(golds, guesses)[0]
    got = value(metrics.pearson, made), value(metrics.spearman, made)
    assert got == pytest.approx([100 * r for r in expected], nan_ok=True)


def test_an_answer_that_is_no_number_counts_as_minus_one():
    golds = [1.0, 2.0, 4.0]
    for metric in (metrics.pearson, metrics.spearman):
        without, with_number = (predictions(list(zip(golds, [1.5, x, 3], strict=True))) for x in (None, -1.0))
        assert value(metric, without) == value(metric, with_number)


def test_f1_refuses_hidden_targets():
    with pytest.raises(DataError, match=r"f1 needs targets 0 and 1: example '1' has -1 \(hidden\?\)"):
        measure([metrics.f1], predictions([(1, 1), (-1, 1)]))


def test_exact_match_wants_all_answers_of_a_group():
    made = predictions([(1, 1), (0, 0), (1, 1), (0, None)], groups=["a", "b", "a", "b"])
    assert measure([metrics.exact_match, metrics.accuracy], made) == {"exact_match": 50, "accuracy": 75}


def test_squad_counts_the_first_answer_of_a_group_against_all_accepted_ones():
    gold = ("The U . S .", "America")
    made = predictions([(gold, "u s"), (gold, "nothing"), (("one two",), "two")], groups=["q1", "q1", "q2"])
    assert measure([metrics.squad], made) == pytest.approx({"em": 50, "f1": 100 * (1 + 2 / 3) / 2})


def test_squad_refuses_a_question_without_answers():
    with pytest.raises(DataError, match="example '0' has no accepted answer"):
        measure([metrics.squad], predictions([((), "x")]))


def test_nothing_to_score_is_an_error():
    for metric in ALL.values():
        with pytest.raises(DataError, match="no predictions to score"):
            measure([metric], [])


@pytest.mark.parametrize("seed", range(10))
def test_bleu_equals_sacrebleu(seed):
    random = np.random.default_rng(seed)
    n = random.integers(1, 5)
    golds, guesses = random.choice(SENTENCES, n).tolist(), random.choice(SENTENCES, n).tolist()
    expected = sacrebleu.corpus_bleu(guesses, [golds], tokenize="intl").score
    assert value(metrics.bleu, predictions(list(zip(golds, guesses, strict=True)))) == pytest.approx(expected)


def test_the_signature_of_bleu_names_its_settings():
    assert bleu_signature() == f"nrefs:1|case:mixed|eff:no|tok:intl|smooth:exp|version:{sacrebleu.__version__}"


def binary(random) -> tuple:
    return int(random.integers(2)), random.choice([0, 1, None])


def numbers(random) -> tuple:
    return float(random.integers(5)), random.choice([0.5, 1.0, 2.0, np.inf, None], p=[0.3, 0.3, 0.3, 0.05, 0.05])


def texts(random) -> tuple:
    return tuple(random.choice(SENTENCES, 2).tolist())


def questions(random) -> tuple:
    return tuple(random.choice(SENTENCES, 2).tolist()), str(random.choice(SENTENCES))


def tellings(random) -> tuple:
    tokens = int(random.integers(1, 9))
    return None, Told(float(random.random() * tokens), int(random.integers(0, tokens + 1)), tokens, 1, 1)


MAKERS = {
    "told": tellings,
    "told_pairs": tellings,
    "pearson": numbers,
    "spearman": numbers,
    "squad": questions,
    "rouge": texts,
    "bleu": texts,
}


@pytest.mark.parametrize("grouped", [False, True], ids=["examples", "groups"])
@pytest.mark.parametrize("name", ALL)
def test_weights_equal_scoring_the_resampled_list(name, grouped):
    random = np.random.default_rng(3)
    make: Callable = MAKERS.get(name, binary)
    groups = [k // 2 for k in range(12)] if grouped else None
    made = predictions([make(random) for _ in range(12)], groups)
    units, score, *_ = ALL[name].tally(made)
    weights = random.multinomial(len(units), [1 / len(units)] * len(units), size=30)
    weights[0] = 0
    weights[0, 3] = len(units)  # one unit only: every correlation is undefined
    scores = score(weights.astype(float))
    assert scores.keys() == set(ALL[name].keys)
    for draw, of_draw in enumerate(weights):
        resampled = [
            copy for k, unit in enumerate(units) for c in range(of_draw[k]) for copy in copies(made, unit, (k, c))
        ]
        expected = measure([ALL[name]], resampled)
        assert {key: values[draw] for key, values in scores.items()} == pytest.approx(expected, abs=1e-6, nan_ok=True)


def copies(made: list[Prediction], unit, mark) -> list[Prediction]:
    """The predictions of a unit as a unit of their own."""
    of_unit = [p for p in made if unit in (p.example.id, p.example.group)]
    return [
        Prediction(
            Example(
                f"{p.example.id}{mark}", "", "", {}, p.example.label, mark if p.example.group is not None else None
            ),
            p.text,
            p.label,
        )
        for p in of_unit
    ]


def test_declaring_metrics_imports_nothing_heavy():
    code = "import sys, glue_harness.metrics; print({'numpy', 'sacrebleu', 'rouge_score'} & {*sys.modules})"
    assert subprocess.check_output([sys.executable, "-c", code], text=True).strip() == "set()"


EVALUATE = """
import json, sys, evaluate
for task, predictions, references in json.load(sys.stdin):
    module = evaluate.load(sys.argv[1], task)
    found = [module.compute(predictions=predictions, references=references)]
    for prediction, reference in zip(predictions, references):
        module.add(prediction=prediction, reference=reference)
    print(json.dumps([*found, module.compute()]))
"""


def test_evaluate_loads_the_module_offline(tmp_path):
    wanted = {"glue_mrpc_v002", "glue_stsb_v002", "super_glue_multirc_v102", "super_glue_record_v102"}
    lines = {line["t5_task"]: line for line in T5 if line["t5_task"] in wanted and "metrics" in line["expect"]}
    jobs = [(name, line["raw"]["predictions"], references(line["raw"])) for name, line in lines.items()]
    environment = {**os.environ, "HF_HOME": str(tmp_path), "HF_HUB_OFFLINE": "1", "HF_EVALUATE_OFFLINE": "1"}
    printed = subprocess.run(
        [sys.executable, "-c", EVALUATE, EVALUATE_MODULE],
        input=json.dumps(jobs),
        env=environment,
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    assert set(lines) == wanted
    for line, job in zip(lines.values(), printed.splitlines(), strict=True):
        for found in json.loads(job):
            assert found == pytest.approx(line["expect"]["metrics"], abs=1e-6)


def references(raw: dict) -> list:
    if "examples" not in raw:
        return raw["targets"]
    return [{"target": target, **info} for target, info in zip(raw["targets"], raw["examples"], strict=True)]
