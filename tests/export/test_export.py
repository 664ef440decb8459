"""Exports: what transformers and peft load from them answers as our runs do; what cannot be exported says so."""

import errno
import json
import re
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import pytest
import torch
import transformers
from decoders import write_decoder
from encoders import encoder_run, write_encoder
from records import finished, runner
from toys import CPU

from glue_harness import Plan, load_tasks, run
from glue_harness.core.plan import plan_from
from glue_harness.core.record import Record
from glue_harness.core.settings import PLUGINS
from glue_harness.core.task import Example, Task
from glue_harness.data import load as load_rows
from glue_harness.lab.predict import Trained, load
from glue_harness.models.families import load_model
from glue_harness.runs.store import Store

ROOT = Path(__file__).resolve().parent.parent.parent
REGISTRY = load_tasks()
HEADS = ("mnli", "sst2", "stsb", "copa", "squad", "wic", "record")


class Made(NamedTuple):
    """A run, its model at a task's best step, and the folder that it was exported to."""

    record: Record
    task: Task
    trained: Trained
    folder: Path

    def examples(self, n: int) -> list[Example]:
        scorer = REGISTRY.scorers(self.task)[0]
        rows = [row for row, _ in zip(load_rows(scorer, "validation", "demo:100"), range(n), strict=False)]
        return [example for number, row in enumerate(rows) for example in self.task.examples(row, number)]

    def read(self, example: Example) -> dict[str, torch.Tensor]:
        """The example as a user of transformers gives it to a model."""
        tokenizer = transformers.AutoTokenizer.from_pretrained(self.folder)
        view = self.task.view
        if view is None or self.trained.plan.model == "tiny":
            return tokenizer(example.inputs, truncation=True, return_tensors="pt")
        texts = [[pair.first for pair in view.pairs(example)], [pair.second for pair in view.pairs(example)]]
        texts = texts if texts[1][0] is not None else texts[:1]
        read = tokenizer(*texts, padding=True, truncation=True, return_tensors="pt")
        return {name: values[None] for name, values in read.items()} if view.head == "choice" else dict(read)

    def logits(self, example: Example) -> torch.Tensor:
        """What our model has for the example before any answer is made of it."""
        model = self.trained.model
        model.module.eval()
        batch = model.lay([model.encode(self.task, [example])], CPU.device)
        with torch.no_grad():
            states, group = model._states(batch), batch.groups[0]
            return model._scores(group, states)[0] if group.kind == "span" else model._logits(group, states)


@pytest.fixture(scope="module")
def results(tmp_path_factory):
    return tmp_path_factory.mktemp("results")


@pytest.fixture(scope="module")
def encoder_folder(tmp_path_factory):
    return write_encoder(tmp_path_factory.mktemp("encoder"), "bert")


@pytest.fixture(scope="module")
def gpt2_folder(tmp_path_factory):
    return write_decoder(tmp_path_factory.mktemp("gpt2"), "gpt2")


@pytest.fixture(scope="module")
def llama_folder(tmp_path_factory):
    return write_decoder(tmp_path_factory.mktemp("llama"), "llama")


@pytest.fixture(scope="module")
def t5_folder(results, tmp_path_factory):
    """A T5 as transformers writes it, for methods that train a part of it."""
    record = run(Plan(("rte",), model="tiny", data="demo:100", steps=2, device="cpu"), results=results)
    folder = tmp_path_factory.mktemp("t5")
    load(record, results / record.id, record.scores["rte"].step, REGISTRY).model.save(folder)
    return folder


@pytest.fixture(scope="module")
def record(results, encoder_folder):
    return encoder_run(results, encoder_folder, *HEADS)


@pytest.fixture(scope="module")
def t5(results):
    plan = Plan(("rte", "stsb"), model="tiny", data="demo:100", steps=20, lr=3e-3, eval_every=10, device="cpu")
    return run(plan, results=results)


@pytest.fixture
def glue(results, capsys):
    call = runner(capsys)
    return lambda *given: call("export", *given, "--results", results)


@pytest.fixture
def export(glue, results, tmp_path, request):
    """Exports a task of a run as a user does, and loads what it was made of."""

    def made(record: Record, name: str, *options: str) -> Made:
        folder = tmp_path / name
        code, out, err = glue(record.id, "--task", name, "--out", folder, *options)
        assert (code, err) == (0, "")
        assert str(folder) in out
        task = REGISTRY.trainer(REGISTRY.tasks[name])
        step = json.loads((folder / "glue_export.json").read_text())["step"]
        return Made(record, task, load(record, results / record.id, step, REGISTRY), folder)

    return made


def reader(found: Made) -> str:
    return json.loads((found.folder / "glue_export.json").read_text())["class"]


CLASSES = {
    "mnli": "AutoModelForSequenceClassification",
    "sst2": "AutoModelForSequenceClassification",
    "stsb": "AutoModelForSequenceClassification",
    "copa": "AutoModelForMultipleChoice",
    "record": "AutoModelForMultipleChoice",
    "squad": "AutoModelForQuestionAnswering",
}


@pytest.mark.parametrize("name", CLASSES)
def test_the_class_of_transformers_gives_our_logits(name, record, export):
    found = export(record, name)
    assert reader(found) == CLASSES[name]
    whole = getattr(transformers, CLASSES[name]).from_pretrained(found.folder)
    assert not whole.training
    for example in found.examples(6):
        with torch.no_grad():
            given = whole(**found.read(example))
        theirs = torch.stack([given.start_logits[0], given.end_logits[0]], -1) if name == "squad" else given.logits
        torch.testing.assert_close(theirs, found.logits(example), rtol=0, atol=1e-5)


def asked(found: Made, examples: Sequence[Example]) -> list[object]:
    """The rows as people give them to a pipeline, by the columns that the export names."""
    facts = json.loads((found.folder / "glue_export.json").read_text())
    text, pair = facts["text"], facts["text_pair"]
    if pair is None:
        return [example.fields[text] for example in examples]
    return [{"text": example.fields[text], "text_pair": example.fields[pair]} for example in examples]


@pytest.mark.parametrize("name", ["sst2", "mnli", "stsb"])
def test_a_pipeline_gives_our_answers(name, record, export):
    found = export(record, name)
    examples = found.examples(100)
    ours = found.trained.answers(found.task, examples)
    ask = transformers.pipeline("text-classification", model=str(found.folder))
    theirs = ask(asked(found, examples), truncation=True)
    assert len(ours) == len(theirs) == 100
    if name == "stsb":
        assert {answer["label"] for answer in theirs} == {"stsb"}
        assert [answer["score"] for answer in theirs] == pytest.approx([answer.label for answer in ours], abs=1e-4)
        return
    assert [answer["label"] for answer in theirs] == [answer.text for answer in ours]
    for answer, shares in zip(ours, ask(asked(found, examples), truncation=True, top_k=None), strict=True):
        assert {share["label"]: share["score"] for share in shares} == pytest.approx(answer.scores, abs=1e-5)


def test_texts_are_cut_and_read_as_we_do_it(record, export):
    """As long as the run read them, and no special token is read out of a text."""
    found = export(record, "mnli")
    tokenizer = transformers.AutoTokenizer.from_pretrained(found.folder)
    for first in ("the river " * 40, "a [SEP] b [CLS] c"):
        (example,) = found.task.examples({"premise": first, "hypothesis": "some animals sleep", "label": 0})
        (encoded,) = found.trained.model.encode(found.task, [example])
        assert tokenizer(first, "some animals sleep", truncation=True)["input_ids"] == list(encoded.streams[0])


def run_card(found: Made, monkeypatch) -> object:
    """The value of the last line of the card's Python."""
    (code,) = re.findall(r"^```python\n(.*?)^```$", (found.folder / "README.md").read_text(), re.M | re.S)
    *lines, last = code.splitlines()
    names: dict[str, object] = {}
    monkeypatch.chdir(found.folder.parent)
    exec("\n".join(lines), names)
    return eval(last, names)


def answer_to_example(found: Made) -> str:
    """Ours to the synthetic row of the card."""
    from glue_harness.export.usage import example_of

    (answer,) = found.trained.answers(found.task, [example_of(found.task)], how="strict" if writes(found) else None)
    return answer.text


def writes(found: Made) -> bool:
    return reader(found) in ("AutoModelForSeq2SeqLM", "AutoModelForCausalLM")


@pytest.mark.parametrize("name", CLASSES)
def test_the_python_of_the_card_gives_our_answer(name, record, export, monkeypatch):
    found = export(record, name)
    given, ours = run_card(found, monkeypatch), answer_to_example(found)
    given = given[0] if isinstance(given, list) else given
    if name == "stsb":
        assert given["score"] == pytest.approx(float(ours), abs=1e-4)
    elif name in ("copa", "record"):
        from glue_harness.export.usage import example_of

        assert example_of(found.task).choices[given] == ours
    else:
        assert (given["label"] if isinstance(given, dict) else given) == ours


@pytest.mark.parametrize("name", ["rte", "stsb"])
def test_a_t5_writes_our_strict_answers(name, t5, export):
    found = export(t5, name)
    whole = transformers.AutoModelForSeq2SeqLM.from_pretrained(found.folder)
    assert whole.generation_config.max_new_tokens == plan_from(t5.plan).max_answer
    tokenizer = transformers.AutoTokenizer.from_pretrained(found.folder)
    examples = found.examples(30)
    ours = found.trained.answers(found.task, examples, how="strict")
    theirs = [whole.generate(**found.read(example))[0] for example in examples]
    assert [tokenizer.decode(ids, skip_special_tokens=True) for ids in theirs] == [answer.text for answer in ours]


def test_the_python_of_a_t5s_card_gives_our_answer(t5, export, monkeypatch):
    found = export(t5, "rte")
    assert run_card(found, monkeypatch) == answer_to_example(found)


METHODS = [("encoder_folder", "unfreeze"), ("encoder_folder", "frozen"), ("encoder_folder", "lora"),
           ("t5_folder", "frozen"), ("t5_folder", "lora"), ("t5_folder", "prompt"),
           *(("gpt2_folder", method) for method in ("full", "frozen", "lora", "prompt")), ("llama_folder", "lora")]  # fmt: skip


@pytest.mark.parametrize(("model", "method"), METHODS)
def test_what_a_method_trained_gives_our_answers(model, method, results, export, request, monkeypatch):
    """Laid over its base by peft where the method adds something, else whole."""
    record = encoder_run(results, request.getfixturevalue(model), "rte", "stsb", "mrpc", method=method)
    for name in ("rte", "stsb"):
        found = export(record, name)
        assert (found.folder / "adapter_config.json").exists() == (method in ("lora", "prompt"))
        given, ours = run_card(found, monkeypatch), answer_to_example(found)
        if isinstance(given, str):
            assert given == ours
        elif name == "stsb":
            assert given["score"] == pytest.approx(float(ours), abs=1e-4)
        else:
            assert given["label"] == ours


@pytest.mark.parametrize(
    ("name", "kind"), [("rte", "SequenceClassification"), ("copa", "MultipleChoice"), ("squad", "QuestionAnswering")]
)
def test_peft_gives_the_logits_of_a_lora_run_with_each_head(name, kind, results, encoder_folder, export):
    from peft import PeftModel

    record = encoder_run(results, encoder_folder, "rte", "copa", "squad", method="lora")
    found = export(record, name)
    base = getattr(transformers, f"AutoModelFor{kind}").from_pretrained(encoder_folder)
    laid = PeftModel.from_pretrained(base, found.folder)
    for example in found.examples(3):
        with torch.no_grad():
            given = laid(**found.read(example))
        theirs = torch.stack([given.start_logits[0], given.end_logits[0]], -1) if name == "squad" else given.logits
        torch.testing.assert_close(theirs, found.logits(example), rtol=0, atol=1e-5)


@pytest.mark.parametrize("model", ["encoder_folder", "bert:tiny", "t5_folder"])
def test_a_lora_run_can_be_merged_into_its_base(model, results, export, request, monkeypatch):
    folder = model if ":" in model else request.getfixturevalue(model)
    record = encoder_run(results, folder, "rte", "stsb", "mrpc", method="lora")
    found = export(record, "rte", "--merged")
    assert not (found.folder / "adapter_config.json").exists()
    given = run_card(found, monkeypatch)
    assert (given if isinstance(given, str) else given["label"]) == answer_to_example(found)


def test_an_export_is_a_model_to_start_from_and_its_head_is_kept(record, export):
    found = export(record, "mnli")
    model = load_model(plan_from(record.plan).replace(model=str(found.folder)), [found.task], ())
    assert model.origin["heads"] == {"mnli": "of BertForSequenceClassification"}
    (example,) = found.examples(1)
    again = Made(record, found.task, Trained(found.trained.plan, model, CPU), found.folder)
    torch.testing.assert_close(again.logits(example), found.logits(example), rtol=0, atol=1e-6)


def test_an_export_says_nothing_of_how_we_computed(record, export):
    """Names of our attention or of our heads would mean nothing to transformers."""
    found = export(record, "mnli")
    config = json.loads((found.folder / "config.json").read_text())
    assert not [name for name in config if "glue" in name or "attn" in name]
    assert "glue" not in json.dumps(config)
    assert config["id2label"] == {"0": "entailment", "1": "neutral", "2": "contradiction"}
    assert config["label2id"] == {"entailment": 0, "neutral": 1, "contradiction": 2}
    assert config["architectures"] == ["BertForSequenceClassification"]
    assert (
        not {"local_files_only", "is_local"} & json.loads((found.folder / "tokenizer_config.json").read_text()).keys()
    )


def test_the_card_says_what_the_record_knows(record, export):
    found = export(record, "mnli")
    card = (found.folder / "README.md").read_text()
    score, data = record.scores["mnli_matched"], record.data
    low, high = score.intervals["accuracy"]
    assert f"| accuracy | {score.metrics['accuracy']:.2f} | {low:.2f} to {high:.2f} |" in card
    for task, role in (("mnli", "train"), ("mnli_matched", "validation"), ("mnli_mismatched", "validation")):
        assert data[task][role]["fingerprint"] in card
    assert "It learned synthetic rows" in card
    assert "`text` is premise, `text_pair` is hypothesis" in card
    assert "entailment, neutral, contradiction" in card
    assert f"step {score.step} of 6 of run `{record.id}`" in card
    assert record.digest in card
    assert 'pipeline_tag: "text-classification"' in card


def test_the_plan_of_the_card_is_the_runs_but_for_where_folders_lie(record, export, tmp_path, encoder_folder):
    import tomllib

    found = export(record, "sst2")
    card = (found.folder / "README.md").read_text()
    (toml,) = re.findall(r"^```toml\n(.*?)^```$", card, re.M | re.S)
    plan = plan_from(record.plan)
    assert plan_from(tomllib.loads(toml)) == plan.replace(model=encoder_folder.name)
    assert str(encoder_folder.parent) not in card


def test_a_run_of_epochs_that_ended_early_says_how_long_it_was(results, encoder_folder, export):
    import tomllib

    changes = {"epochs": 2, "patience": 1, "eval_every": 2, "lr": 1e-9}
    record = encoder_run(results, encoder_folder, "rte", **changes)
    assert record.stopped
    found = export(record, "rte")
    card = (found.folder / "README.md").read_text()
    assert f"step {record.scores['rte'].step} of {record.last_step} of run" in card
    (toml,) = re.findall(r"^```toml\n(.*?)^```$", card, re.M | re.S)
    assert plan_from(tomllib.loads(toml)).digest == plan_from(record.plan).replace(model=encoder_folder.name).digest


def test_a_task_that_another_answers_is_exported_under_its_name(record, export):
    found = export(record, "ax")
    assert json.loads((found.folder / "glue_export.json").read_text())["task"] == "mnli"


def test_the_only_task_need_not_be_named(results, encoder_folder, glue):
    record = encoder_run(results, encoder_folder, "mnli")
    code, out, err = glue(record.id, "--json")
    assert (code, err) == (0, "")
    said = json.loads(out)
    assert Path(said["folder"]) == results / record.id / "export" / "mnli"
    assert (said["task"], said["step"]) == ("mnli", record.scores["mnli_matched"].step)
    assert (Path(said["folder"]) / "model.safetensors").exists()


class TestRefusals:
    def refused(self, glue, *given) -> str:
        code, out, err = glue(*given)
        assert (code, out) == (2, "")
        assert err.count("\n") == 1
        return err

    def test_several_tasks_and_none_named(self, glue, record):
        learned = ", ".join(HEADS)
        assert f"learned {learned}: name one with --task" in self.refused(glue, record.id)

    def test_a_task_that_was_not_learned(self, glue, record):
        assert "did not learn cola: it learned mnli, " in self.refused(glue, record.id, "--task", "cola")
        assert "unknown task 'mnlii': did you mean mnli?" in self.refused(glue, record.id, "--task", "mnlii")

    def test_marked_words(self, glue, record, tmp_path):
        line = self.refused(glue, record.id, "--task", "wic", "--out", tmp_path / "x")
        assert "wic is answered from the states of marked words, which no class of transformers does" in line
        assert not list(tmp_path.glob("**/*.safetensors"))

    def test_a_run_without_scores(self, glue, results):
        record = finished(Store(results), {}, status="failed")
        assert "has no scores, so that no step is the best: it is failed" in self.refused(glue, record.id)
        Store(results).discard(record.id)

    def test_a_task_without_its_file(self, glue, results):
        record = finished(Store(results), {"headlines": {"accuracy": 50.0}})
        assert "unknown task 'headlines'" in self.refused(glue, record.id)
        Store(results).discard(record.id)

    def test_adapters(self, glue, results, encoder_folder, t5_folder):
        for folder in (encoder_folder, t5_folder):
            record = encoder_run(results, folder, "rte", method="adapter")
            assert re.search(r"no place for \S+\.adapter\.\w+\.weight; glue predict and", self.refused(glue, record.id))

    def test_what_two_methods_added(self, glue, results, t5_folder):
        first = encoder_run(results, t5_folder, "rte", method="prompt")
        record = encoder_run(results, f"run:{first.id}", "rte", method="lora")
        assert "AutoModelForSeq2SeqLM has no place for encoder.prompt; " in self.refused(glue, record.id)

    def test_answers_that_were_scored(self, glue, results):
        record = finished(Store(results), {"rte": {"accuracy": 50.0}}, method="scored")
        assert "there is no model to export" in self.refused(glue, record.id)
        Store(results).discard(record.id)

    def test_a_sum_of_layers(self, glue, results, encoder_folder):
        record = encoder_run(results, encoder_folder, "rte", method="frozen", frozen_layers="sum")
        assert "has no place for bert.layer_sum" in self.refused(glue, record.id)

    def test_a_prompt_of_an_encoder(self, glue, results, encoder_folder):
        record = encoder_run(results, encoder_folder, "rte", method="prompt")
        assert "a prompt in front of an encoder cannot be exported" in self.refused(glue, record.id)

    def test_a_base_that_nobody_else_has(self, glue, results):
        record = encoder_run(results, "bert:tiny", "rte", method="lora")
        assert "which 'bert:tiny' is not: --merged writes the whole model" in self.refused(glue, record.id)
        record = encoder_run(results, "tiny", "rte", method="prompt")
        assert "which 'tiny' is not: glue predict and glue submit serve" in self.refused(glue, record.id)

    def test_nothing_to_merge(self, glue, record, results, t5_folder):
        assert "trained the model's own weights: leave out --merged" in self.refused(
            glue, record.id, "--task", "mnli", "--merged"
        )
        prompted = encoder_run(results, t5_folder, "rte", method="prompt")
        assert "is no part of a matrix: leave out --merged" in self.refused(glue, prompted.id, "--merged")

    def test_a_family_that_transformers_does_not_know(self, glue, results, monkeypatch):
        monkeypatch.setenv(PLUGINS, str(ROOT / "tests" / "examples" / "plugins"))
        record = encoder_run(results, "bag", "rte")
        assert "a bag of words, which transformers has no class for" in self.refused(glue, record.id)

    def test_a_folder_with_something_else_in_it(self, glue, record, tmp_path):
        (tmp_path / "notes.txt").write_text("mine")
        line = self.refused(glue, record.id, "--task", "mnli", "--out", tmp_path, "--force")
        assert "holds 'notes.txt', which no export wrote: name another folder" in line
        assert (tmp_path / "notes.txt").read_text() == "mine"

    def test_a_file_where_the_folder_should_be(self, glue, record, tmp_path):
        (tmp_path / "file").write_text("mine")
        assert "Not a directory" in self.refused(glue, record.id, "--task", "mnli", "--out", tmp_path / "file")

    def test_the_folder_that_the_user_stands_in(self, glue, record, tmp_path, monkeypatch):
        monkeypatch.chdir(tmp_path)
        assert "'.' is where you are" in self.refused(glue, record.id, "--task", "mnli", "--out", ".")

    def test_an_earlier_export_is_replaced_by_force_only(self, glue, record, tmp_path, export):
        found = export(record, "mnli")
        before = (found.folder / "README.md").read_text()
        out = ("--out", found.folder)
        assert "holds an earlier export: --force replaces it" in self.refused(glue, record.id, "--task", "sst2", *out)
        assert (found.folder / "README.md").read_text() == before
        (found.folder / "mine.txt").write_text("mine")
        line = self.refused(glue, record.id, "--task", "sst2", *out, "--force")
        assert "holds 'mine.txt', which no export wrote" in line
        (found.folder / "mine.txt").unlink()
        assert glue(record.id, "--task", "sst2", *out, "--force")[0] == 0
        assert "# SST-2" in (found.folder / "README.md").read_text()


def test_a_full_disk_leaves_what_was_there(record, export, glue, monkeypatch):
    found = export(record, "mnli")
    before = {file.name: file.read_bytes() for file in found.folder.iterdir()}

    def full(*_, **__):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(transformers.PreTrainedModel, "save_pretrained", full)
    code, out, err = glue(record.id, "--task", "sst2", "--out", found.folder, "--force")
    assert (code, out) == (1, "")
    assert "No space left on device; free some space or choose another folder" in err
    assert {file.name: file.read_bytes() for file in found.folder.iterdir()} == before
    assert [path.name for path in found.folder.parent.iterdir()] == [found.folder.name]


def test_an_interrupted_run_is_exported_and_says_so(results, glue, tmp_path, encoder_folder):
    record = encoder_run(results, encoder_folder, "rte", seed=7)
    store = Store(results)
    changed = store.find(record.id)
    changed.status = "interrupted"
    store.save(changed)
    code, _, err = glue(record.id, "--out", tmp_path / "x")
    assert (code, err) == (0, f"run {record.id} is interrupted, not finished\n")
    assert "**Its run is interrupted, not finished.**" in (tmp_path / "x" / "README.md").read_text()


def test_a_card_is_text_whatever_the_record_holds(results, glue, tmp_path, encoder_folder):
    """Notes and names come from anywhere: they make neither headings, nor links, nor code."""
    from markdown_it import MarkdownIt

    record = encoder_run(results, encoder_folder, "rte", seed=8)
    store = Store(results)
    changed = store.find(record.id)
    hostile = "```\n# heading\n[a](http://x) <script>alert(1)</script> | `code` \x1b[31m"
    changed.notes = [hostile]
    changed.data["rte"]["train"]["origin"] = hostile
    store.save(changed)
    assert glue(record.id, "--out", tmp_path / "x")[0] == 0
    card = (tmp_path / "x" / "README.md").read_text()
    assert card.isprintable() or not re.search(r"[^\n\x20-\x7e]", card)
    tokens = MarkdownIt("commonmark").enable("table").parse(card.partition("---\n\n")[2])
    inner = [child for token in tokens for child in token.children or ()]
    assert not [token for token in (*tokens, *inner) if token.type in ("link_open", "html_block", "html_inline")]
    headings = [tokens[k + 1].content for k, token in enumerate(tokens) if token.type == "heading_open"]
    assert headings == ["RTE", "Use", "Scores", "Data", "How to repeat", "Remarks"]
    assert [token.info for token in tokens if token.type == "fence"] == ["python", "json", "sh", "toml"]


@pytest.mark.parametrize("given", [["--task", "cola"], [], ["--task", "mnlii"], ["--help"]])
def test_names_are_checked_before_torch_is_imported(results, record, given):
    code = (
        "import sys\nfrom glue_harness.cli import main\n"
        f"try: main(['export', {record.id!r}, '--results', {str(results)!r}, *{given!r}])\nexcept SystemExit: pass\n"
        "print('LOADED', sorted({'torch', 'transformers', 'datasets', 'pandas', 'numpy'} & sys.modules.keys()))"
    )
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert out.stdout.splitlines()[-1] == "LOADED []"
