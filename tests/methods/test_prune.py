"""Pruning: how many weights are left after every step, which ones, and models with fewer heads and layers."""

import json
import math
from random import Random

import pytest
import torch
from encoders import encoder_run, write_encoder
from records import runner
from test_methods import prepared
from toys import CPU, toy_examples, toy_feed, toy_model, toy_plan, toy_task
from transformers import AutoModelForSequenceClassification, AutoTokenizer

from glue_harness import load_tasks
from glue_harness.core.errors import UsageError
from glue_harness.core.plan import Plan, plan_from
from glue_harness.data import load as load_rows
from glue_harness.lab.predict import load
from glue_harness.methods import prune
from glue_harness.models.attention_heads import groups_of, keep_heads
from glue_harness.models.families import load_model
from glue_harness.models.t5_weights import read_module
from glue_harness.runs.store import Store
from glue_harness.train.answers import answer
from glue_harness.train.learner import Learner
from glue_harness.train.loop import Hook, train
from glue_harness.train.optimizers import make_optimizer

REGISTRY = load_tasks()
RTE = REGISTRY.tasks["rte"]


def trained(hook=lambda state, model: None, **changes):
    """A toy that was pruned as it learned."""
    model, plan, parameters = prepared("prune", **{"steps": 20, "prune_every": 1, "lr": 1e-2, **changes})
    learner = Learner(plan, model, prune, parameters, 0, make_optimizer(plan, parameters))
    train(learner, toy_feed(model, 8), CPU, [Hook(1, lambda state: hook(state, model))])
    return model, plan


def share_of_zeros(model) -> list[float]:
    return [1 - float(part.weight.count_nonzero()) / part.weight.numel() for part in prune.parts_of(model)]


@pytest.mark.parametrize("score", ["magnitude", "movement"])
@pytest.mark.parametrize("optimizer", ["adamw", "adafactor"])
def test_after_every_step_the_cubic_share_is_left_of_each_matrix(score, optimizer):
    seen = {}
    changes = {"keep": 0.1, "score": score, "prune_begin": 0.2, "prune_end": 0.8, "optimizer": optimizer}
    model, _ = trained(lambda state, model: seen.update({state.step: share_of_zeros(model)}), **changes)
    sizes = [part.weight.numel() for part in prune.parts_of(model)]
    assert len(sizes) == 2 * 6 + 2 * 10  # of four (of eight) matrices of attention and two of feed-forward
    for step, found in seen.items():
        way = min(1, max(0, (step / 20 - 0.2) / 0.6))
        left = 0.1 + 0.9 * (1 - way) ** 3
        assert found == pytest.approx([1 - round(left * size) / size for size in sizes], abs=1e-9), step
    assert seen[4] == [0] * len(sizes)  # it begins behind this step
    assert seen[16] == seen[20] == pytest.approx([0.9] * len(sizes), abs=1e-3)


def test_in_all_matrices_at_once_the_share_is_that_of_all():
    model, _ = trained(keep=0.25, prune_scope="global")
    sizes = [part.weight.numel() for part in prune.parts_of(model)]
    left = [(1 - zeros) * size for zeros, size in zip(share_of_zeros(model), sizes, strict=True)]
    assert sum(left) == pytest.approx(round(0.25 * sum(sizes)))
    assert len({round(zeros, 2) for zeros in share_of_zeros(model)}) > 3


def test_choices_are_made_every_so_many_steps_and_after_the_last():
    seen = []
    trained(lambda state, model: seen.append(share_of_zeros(model)[0]), keep=0.5, prune_every=8, prune_end=1.0)
    changed = [step for step, (before, now) in enumerate(zip([0.0, *seen], seen, strict=False), 1) if now != before]
    assert changed == [8, 16, 20]
    assert seen[-1] == pytest.approx(0.5, abs=1e-3)


def test_what_is_left_whole():
    model, _ = trained(keep=0.1)
    pruned = {id(part.weight) for part in prune.parts_of(model)}
    whole = [name for name, weight in model.module.named_parameters() if id(weight) not in pruned]
    assert whole
    assert all("norm" in name or "bias" in name or name == "shared.weight" for name in whole)
    assert model.module.state_dict().keys() == toy_model().module.state_dict().keys()  # nothing was added to save


# which ones


class Toy(torch.nn.Module):
    """A block of one matrix, as a model that methods take hold of."""

    def __init__(self, weights):
        super().__init__()
        self.block = torch.nn.ModuleList([torch.nn.Linear(len(weights[0]), len(weights), bias=False)])
        self.block[0].weight.data = torch.tensor(weights)

    @property
    def weight(self):
        return self.block[0].weight


class OfToy:
    def __init__(self, weights):
        self.module = Toy(weights)
        self.plain = {name for name, _ in self.module.named_parameters()}

    def parts(self):
        plain = toy_model().parts()
        return type(plain)((list(self.module.block),), (), (), (), plain.embeddings, self.module)


def stepped(model, plan, step, gradient, rate=0.1):
    """One step of plain descent."""
    weight = model.module.weight
    weight.grad = torch.tensor(gradient)
    prune.on_gradients(model, plan, step)
    seen = weight.grad.clone()
    weight.data -= rate * weight.grad
    prune.after_step(model, plan, step)
    return seen


def toy_of(weights, **changes):
    changes = {"steps": 4, "keep": 0.5, "prune_every": 1, "prune_begin": 0, "prune_end": 0.25, **changes}
    model, plan = OfToy(weights), toy_plan(method="prune", **changes)
    prune.prepare(model, plan)
    return model, plan


def by_hand(weights, gradients):
    """Half of the weights after each step, number by number: S hears of all, and only what is left moves."""
    whole, left, scores, squares = [*weights], [True] * len(weights), [0.0] * len(weights), [0.0] * len(weights)
    for step, row in enumerate(gradients, 1):
        for k, gradient in enumerate(row):
            moved = gradient * whole[k]
            squares[k] = 0.999 * squares[k] + 0.001 * moved**2
            scores[k] -= moved * math.sqrt(1 - 0.999**step) / (math.sqrt(squares[k]) + 1e-8)
            whole[k] -= 0.1 * gradient * left[k]
        best = sorted(range(len(weights)), key=lambda k: -scores[k])[: len(weights) // 2]
        left = [k in best for k in range(len(weights))]
        yield [w * is_left for w, is_left in zip(whole, left, strict=True)], scores


def test_movement_is_what_a_hand_computes_and_pruned_weights_come_back_as_they_were():
    random = Random(4)
    weights = [random.gauss(0, 1) for _ in range(8)]
    gradients = [[random.gauss(0, 1) for _ in weights] for _ in range(12)]
    model, plan = toy_of([weights], score="movement", steps=12, prune_end=1e-9)
    came_back, before = 0, weights
    for step, (expected, scores) in enumerate(by_hand(weights, gradients)):
        seen = stepped(model, plan, step, [gradients[step]])
        assert seen.tolist()[0] == pytest.approx([g * bool(w) for g, w in zip(gradients[step], before, strict=True)])
        assert model.module.block[0].movement.tolist()[0] == pytest.approx(scores, rel=1e-4, abs=1e-5)
        assert model.module.weight.tolist()[0] == pytest.approx(expected, rel=1e-5)
        came_back += sum(not old and bool(new) for old, new in zip(before, expected, strict=True))
        before = expected
    assert came_back > 3


def test_by_magnitude_a_weight_comes_back_when_another_has_become_smaller():
    model, plan = toy_of([[1.0, 2.0, 3.0, 4.0]])
    stepped(model, plan, 0, [[0.0, 0.0, 0.0, 0.0]])
    assert model.module.weight.tolist() == [[0.0, 0.0, 3.0, 4.0]]
    stepped(model, plan, 1, [[5.0, 5.0, 15.0, 0.0]])  # 3 becomes 1.5; of what is pruned nothing moves
    assert model.module.weight.tolist() == [[0.0, 2.0, 0.0, 4.0]]


def test_momentum_moves_no_pruned_weight():
    seen = []

    def hook(state, model):
        now = [(part.left.clone(), part.pruned.clone()) for part in prune.parts_of(model)]
        for (left, pruned), (left_now, pruned_now) in zip(seen[-1] if seen else now, now, strict=True):
            still = (left == 0) & (left_now == 0)
            assert torch.equal(pruned[still], pruned_now[still])
        for part in prune.parts_of(model):
            assert not part.weight[part.left == 0].any()
        seen.append(now)

    trained(hook, keep=0.3, optimizer="adamw", weight_decay=0.1)
    assert len(seen) == 20


@pytest.mark.parametrize("share", [0.001, 0.1, 0.5, 0.9, 1.0])
def test_exactly_so_many_are_largest_whatever_is_equal(share):
    scores = torch.randint(0, 4, (999,), generator=torch.Generator().manual_seed(0)).float()
    count = max(1, round(share * 999))
    best = sorted(range(999), key=lambda k: (-scores[k], k))[:count]
    assert prune.largest(scores, share).nonzero()[:, 0].tolist() == sorted(best)
    different = torch.randperm(999, generator=torch.Generator().manual_seed(1)).float()
    assert sorted(different[prune.largest(different, share)].tolist()) == list(range(999 - count, 999))


# runs


@pytest.fixture(scope="module")
def encoder(tmp_path_factory):
    return write_encoder(tmp_path_factory.mktemp("encoder"), "bert")


@pytest.fixture(scope="module")
def folders(encoder, tmp_path_factory):
    t5 = tmp_path_factory.mktemp("t5")
    toy_model().save(t5)
    return {"encoder": encoder, "t5": t5}


@pytest.fixture(scope="module")
def results(tmp_path_factory):
    return tmp_path_factory.mktemp("results")


@pytest.fixture(scope="module")
def runs(encoder, results):
    """A pruned run of each kind, made when it is asked for."""
    made = {}

    def of(pruned, model=encoder):
        if (pruned, model) not in made:
            steps = {"steps": 10, "eval_every": 2, "prune_every": 1} if pruned == "weights" else {}
            changes = {"method": "prune", "keep": 0.5, "pruned": pruned, **steps}
            made[pruned, model] = encoder_run(results, model, "rte", **changes)
        return made[pruned, model]

    return of


def test_only_steps_with_the_share_that_was_asked_for_are_scored(runs, results):
    """The model before would win by having more."""
    record = runs("weights")
    assert [step for step, _ in record.history["rte"]] == [8, 10]
    model = load(record, results / record.id, record.scores["rte"].step).model
    blocks = [part.weight for part in prune.matrices(model, plan_from(record.plan)).values()]
    assert sum(int(weight.count_nonzero()) for weight in blocks) * 2 == sum(weight.numel() for weight in blocks)
    zeros = record.parameters["total"] - record.parameters["nonzero"]
    assert zeros >= sum(weight.numel() for weight in blocks) // 2


KINDS = ["weights", "heads", "layers"]


@pytest.mark.parametrize("pruned", KINDS)
@pytest.mark.parametrize("model", ["encoder", "t5"])
def test_a_pruned_run_answers_as_it_was_scored_and_others_start_from_it(pruned, model, runs, results, folders):
    record = runs(pruned, folders[model])
    folder = results / record.id
    at = load(record, folder, record.scores["rte"].step)
    stored = Store(results).read_predictions(record.id, RTE)
    rows = load_rows(RTE, "validation", "demo:100")
    again = at.answers(RTE, [RTE.examples(rows[int(p.example.id)], int(p.example.id))[0] for p in stored])
    assert [p.text for p in again] == [p.text for p in stored]
    assert [p.scores for p in again] == [pytest.approx(p.scores, abs=1e-5) for p in stored]
    further = encoder_run(results, f"run:{record.id}", "rte", steps=2)
    assert further.parameters["total"] == record.parameters["total"]


def test_heads_and_layers_make_the_model_smaller(runs):
    """Of a block of width 32: 4 matrices of 32 x 32 with biases, half of them without a head; 2 of 32 x 48; norms."""
    whole, fewer_heads, fewer_layers = (runs(pruned).parameters["total"] for pruned in KINDS)
    assert whole - fewer_heads == 2 * (4 * 32 * 16 + 3 * 16)
    assert whole - fewer_layers == 4 * (32 * 32 + 32) + 2 * 32 * 48 + 48 + 32 + 4 * 32


@pytest.mark.parametrize("pruned", KINDS)
def test_transformers_answers_from_an_export_as_the_run_does(pruned, runs, results, tmp_path, capsys):
    record = runs(pruned)
    code, _, error = runner(capsys)("export", record.id, "--out", tmp_path / "out", "--results", results)
    assert code == 0, error
    whole = AutoModelForSequenceClassification.from_pretrained(tmp_path / "out").eval()
    assert "glue_attention_heads" not in json.loads((tmp_path / "out" / "config.json").read_text())
    assert whole.config.num_hidden_layers == (1 if pruned == "layers" else 2)
    card = (tmp_path / "out" / "README.md").read_text()
    there = record.parameters
    assert f"{there['nonzero']:,} of {there['total']:,} parameters are not zero" in card
    said = "1 of 2 heads are left in each attention: the others are zeros here, as this class has no place for fewer."
    assert (said in card) == (pruned == "heads")
    tokenizer = AutoTokenizer.from_pretrained(tmp_path / "out")
    at = load(record, results / record.id, record.scores["rte"].step)
    examples = [RTE.examples(row, number)[0] for number, row in enumerate(RTE.demo(Random(0), 5))]
    for example, shares in zip(examples, at.shares(RTE, examples), strict=True):
        (pair,) = RTE.view.pairs(example)
        with torch.no_grad():
            logits = whole(**tokenizer(pair.first, pair.second, return_tensors="pt")).logits[0]
        found = dict(zip(whole.config.id2label.values(), logits.softmax(-1).tolist(), strict=True))
        assert found == pytest.approx(shares, abs=1e-5)


@pytest.mark.parametrize("kind", ["bert", "roberta", "electra", "distilbert"])
def test_a_head_that_adds_nothing_can_go(kind, tmp_path):
    """It is the one that goes, and all answers stay; the folder of what is left gives them too."""
    (tmp_path / "less").mkdir()
    write_encoder(tmp_path, kind)
    plan = Plan(("rte",), model=str(tmp_path), device="cpu", precision="fp32")
    model = load_model(plan, [RTE], ())
    for number, (attention,) in enumerate(groups_of(model)):
        with torch.no_grad():
            attention.output.weight.view(32, 2, 16)[:, number % 2] = 0  # another head in each layer
    assert all(heads_seen(model, keep) for keep in (1.0, 0.5))
    model.save(tmp_path / "less")
    again = load_model(plan.replace(model=str(tmp_path / "less")), [RTE], ())
    assert torch.equal(losses(again), losses(model))
    keep_heads(again, 0.1)  # one is left
    assert torch.equal(losses(again), losses(model))


def heads_seen(model, keep) -> bool:
    before = losses(model)
    keep_heads(model, keep)
    return torch.allclose(losses(model), before, atol=1e-5)


def losses(model):
    examples = [RTE.examples(row, number)[0] for number, row in enumerate(RTE.demo(Random(0), 3))]
    model.module.eval()
    with torch.no_grad():
        return model.loss(model.lay([[e] for e in model.encode(RTE, examples)], CPU.device)).each


def test_a_t5_without_heads_is_an_ordinary_smaller_t5(tmp_path):
    model = toy_model()
    encoder, decoder, *across = groups_of(model)
    assert [len(encoder), len(decoder), len(across)] == [2, 2, 2]
    with torch.no_grad():
        for group, head in ((encoder, 1), (decoder, 3), (across[0], 0), (across[1], 2)):
            for attention in group:
                attention.output.weight.view(32, 4, 8)[:, head] = 0
    before = answers(model)
    keep_heads(model, 0.75)
    assert answers(model) == [(text, pytest.approx(shares, abs=1e-5)) for text, shares in before]
    model.save(tmp_path)
    module = read_module(tmp_path, "toy")
    assert module.config.num_heads == 3
    assert module.encoder.block[0].layer[0].SelfAttention.relative_attention_bias.weight.shape[1] == 3
    ids = torch.arange(4, 12)[None]
    ours, theirs = (m.generate(ids, max_new_tokens=4, do_sample=False) for m in (model.module, module))
    assert ours.tolist() == theirs.tolist()


def answers(model):
    found = answer(model, toy_task(), toy_examples(20, seed=5), toy_plan(), CPU)
    return [(p.text, p.scores) for p in found]


@pytest.mark.parametrize(("left", "expected"), [("bottom", [0, 1, 2]), ("top", [3, 4, 5]), ("spread", [0, 2, 4])])
def test_which_layers_stay(left, expected):
    plan = toy_plan(method="prune", keep=0.5, pruned="layers", layers_left=left)
    assert prune.places_left(6, plan) == expected
    assert len(prune.places_left(6, plan.replace(keep=0.01))) == 1
    assert prune.places_left(6, plan.replace(keep=1.0)) == list(range(6))


@pytest.mark.parametrize("model", [None, "tiny"])
def test_what_is_left_may_learn_of_a_teacher_too(model, results, encoder):
    """Of its share 0 the run is the same to the bit; the zeros are as many whatever is learned."""
    model = model or encoder
    teacher = encoder_run(results, model, "rte")
    how = {"method": "prune", "keep": 0.3, "score": "movement", "prune_every": 1}
    taught = {"teacher": teacher.id, "alpha": 1.0}
    alone, same, other = (
        encoder_run(results, f"run:{teacher.id}", "rte", **how, **more)
        for more in ({}, {**taught, "alpha": 0.0}, taught)
    )
    weights = [load(record, results / record.id, 6).model.module.state_dict() for record in (alone, same, other)]
    assert all(torch.equal(weight, weights[1][name]) for name, weight in weights[0].items())
    assert not all(torch.equal(weight, weights[2][name]) for name, weight in weights[0].items())
    assert other.environment["teacher"]["fingerprint"]
    assert abs(other.parameters["nonzero"] - alone.parameters["nonzero"]) < 10


# what is refused

REFUSED = {
    ("--keep", "0"): "keep must be above 0 and at most 1, not 0.0",
    ("--keep", "1.5"): "keep must be above 0 and at most 1, not 1.5",
    (): "method prune needs keep (--keep): Share that is left of what is pruned, for --method prune.",
    ("--keep", "0.5", "--model", "cbow"): "method prune needs blocks, of which model 'cbow' has none",
    ("--keep", "0.5", "--model", "gpt:tiny", "--pruned", "heads"): "heads cannot be taken out of model 'gpt:tiny'",
    ("--keep", "0.5", "--pruned", "heads", "--score", "movement"): "score is movement but heads are pruned: leave it",
    ("--keep", "0.5", "--set", "layers_left=top"): "layers_left is top but weights are pruned: leave it out",
    ("--keep", "0.5", "--set", "prune_begin=0.8"): "prune_begin 0.8 must be below prune_end 0.7",
    ("--keep", "0.5", "--set", "prune_end=1.2"): "prune_end must be above 0 and at most 1, not 1.2",
    ("--keep", "0.5", "--alpha", "0.3"): "alpha is 0.3 but nobody teaches: add --teacher RUN, or leave it out",
    ("--keep", "0.5", "--steps", "0"): "method is 'prune' but steps is 0",
}


@pytest.mark.parametrize("given", REFUSED)
def test_what_cannot_be_pruned_is_refused_in_one_line(given, capsys, tmp_path):
    chosen = () if "--model" in given else ("--model", "tiny")
    common = ("run", "--task", "rte", "--data", "demo:50", "--method", "prune", "--device", "cpu", *chosen)
    code, _, error = runner(capsys)(*common, *given, "--results", tmp_path)
    (line,) = error.strip().splitlines()
    assert (code, REFUSED[given] in line) == (2, True), line
    assert not list(tmp_path.iterdir())


def test_what_a_method_added_must_go_first(results, encoder):
    adapted = encoder_run(results, encoder, "rte", method="adapter", adapter_width=2, steps=2)
    with pytest.raises(UsageError, match=r"has body\..*adapter.*, which a method added to it: prune the model without"):
        encoder_run(results, f"run:{adapted.id}", "rte", method="prune", keep=0.5)


def test_all_of_it_is_a_run_of_the_method_full(results, encoder):
    """Of all that is left nothing is missing: the same weights to the bit."""
    runs = [encoder_run(results, encoder, "rte", **how) for how in ({}, {"method": "prune", "keep": 1.0})]
    weights = [load(r, results / r.id, 6).model.module.state_dict() for r in runs]
    assert all(torch.equal(weight, weights[1][name]) for name, weight in weights[0].items())
