"""Recipes of pseudo-data, each in ``examples/pseudo``: they make what the documentation says."""

import shutil
from hashlib import sha256
from pathlib import Path

import pytest

from lingraft.core.files import read_lines, read_object
from lingraft.data.text import read_lines as read_text_lines
from lingraft.pseudo.translators.apertium import installed_modes
from lingraft.recipe.parsing import read_recipe
from lingraft.results.metrics.spans import spans_of
from lingraft.runs.augment import augment
from lingraft.tasks import tasks
from pseudo.fake_model import lines, numbered, serving
from quick_run import QUIET, run
from tiny import REPOSITORY

FOLDER = Path("examples") / "pseudo"
PAGE = (REPOSITORY / "docs" / "generators.md").read_text(encoding="utf-8")
SMALL = [
    *("train.num_train_epochs=1", "seeds=[1]", "device=cpu", "backbone.max_length=32"),
    *("prompt.name=deep", "prompt.length=2", "prompt.language_length=1"),
    *("adapter.name=bottleneck", "adapter.width=4", "adapter.language_width=2"),
]
APERTIUM = pytest.mark.skipif(
    shutil.which("apertium") is None or "eng-spa" not in installed_modes(), reason="apertium-eng-spa is not installed"
)


@pytest.fixture(autouse=True)
def _in_the_repository(request, monkeypatch, tmp_path):
    monkeypatch.chdir(REPOSITORY)
    if request.node.get_closest_marker("checkpoint") is None:  # those find the embedded one converted already
        monkeypatch.setenv("LINGRAFT_CACHE", str(tmp_path / "cache"))


def made(name, tmp_path, *overrides):
    """What a recipe makes, without a run, and what is written beside it."""
    augment(read_recipe(FOLDER / f"{name}.yaml", overrides), tmp_path / "pseudo.jsonl", QUIET)
    return list(read_lines(tmp_path / "pseudo.jsonl")), read_object(tmp_path / "pseudo.json")["lots"]


RECIPES = [path.stem for path in sorted((REPOSITORY / FOLDER).glob("*.yaml")) if not path.stem.startswith("study_")]
"""Studies compare many settings, and have a page of results."""


@pytest.mark.parametrize("name", RECIPES)
def test_a_recipe_is_short_and_has_a_section(name):
    """Ten lines at most."""
    assert len((FOLDER / f"{name}.yaml").read_text(encoding="utf-8").splitlines()) <= 10
    assert f"[recipe](../examples/pseudo/{name}.yaml)" in PAGE


@pytest.mark.shared
def test_sentences_are_translated_word_by_word(tmp_path):
    """Each of the 701 that passes the filters."""
    rows, (lot,) = made("word_translation", tmp_path)
    assert len(rows) == lot["made"]["word-translation"]
    assert len(rows) == 701 - sum(step["taken"] for step in lot["funnel"])
    assert 690 < len(rows) < 701
    assert {(row["weight"], row["language"]) for row in rows} == {(0.5, "grn-Latn")}


def test_templates_are_filled_and_learnt_from(tiny_checkpoint, tmp_path):
    """In a whole run."""
    small = [*SMALL, f"backbone.checkpoint={tiny_checkpoint}", f"output_dir={tmp_path / 'run'}"]
    folder = run(read_recipe(FOLDER / "templates.yaml", small))
    texts = {row["text_a"]: row["label"] for row in read_lines(folder / "pseudo.jsonl")}
    assert len(texts) == 3 * 4 + 4 + 3 * 4
    assert (texts["Bei ya mahindi imepanda leo."], texts["Osha uso kwa sabuni wiki hii."]) == ("market", "health")
    assert read_object(folder / "data.json")["languages"]["swh-Latn"]["pseudo"] == len(texts)


@pytest.mark.shared
def test_news_become_questions(tmp_path):
    """Whose answers stand in their contexts."""
    rows, _ = made("recurring_spans", tmp_path)
    assert len(rows) > 500
    assert {row["language"] for row in rows} == {"spa-Latn"}
    assert all("___" in row["question"] for row in rows)
    assert all(row["context"].startswith(one["text"], one["start"]) for row in rows for one in row["answers"])


@pytest.mark.shared
@APERTIUM
def test_questions_are_translated_with_their_answers(tmp_path):
    """Of twenty at least eighteen; each is in Spanish."""
    rows, _ = made("translated_questions", tmp_path, "shots.source_examples=20")
    assert len(rows) >= 18
    assert all(row["context"].startswith(one["text"], one["start"]) for row in rows for one in row["answers"])
    assert all({"de", "la", "el", "que", "en"} & set(row["context"].split()) for row in rows)


@pytest.mark.shared
@pytest.mark.checkpoint
def test_topics_of_translations_are_nine_times_in_ten_those_that_people_gave(tmp_path):
    """Six in ten translations of each topic are kept."""
    rows, (lot,) = made("projected_topics", tmp_path, "shots.draws=1")
    options = {"target_languages": ["grn-Latn"], "data_dir": "../shared/data/sib200"}
    gold = {e.texts[0]: e.gold for e in tasks.build("sib200", options).examples("grn-Latn", "train")}
    right = sum(gold[row["text_a"]] == row["label"] for row in rows)
    assert 150 < len(rows) == lot["made"]["label-projection"] < 250
    assert right >= 0.9 * len(rows)


@pytest.mark.shared
@pytest.mark.checkpoint
def test_names_of_translations_are_where_they_stand_in_both(tmp_path):
    """Those of persons are spelt alike more often than not, though little is learnt of them here."""
    small = ("task.train_from.examples=300", "parallel.pairs=80", "backbone.cut=9", "shots.k=0")
    rows, (lot,) = made("projected_entities", tmp_path, *small, "train.num_train_epochs=4")
    english = Path("../shared/data/ntrex/newstest2019-src.eng.txt.gz")
    sources = dict(read_text_lines(english))
    assert lot["dropped"]["too little of a span is aligned"] > 0
    spans = [
        (kind, " ".join(row["words"][start:end]), sources[int(row["group"])])
        for row in rows
        for kind, start, end in spans_of(row["tags"])
    ]
    assert {kind for kind, _, _ in spans} <= {"PER", "ORG", "LOC"}
    alike = [name in source for kind, name, source in spans if kind == "PER"]
    assert sum(alike) > len(alike) / 2


class Speaker:
    """Translates all pairs as people did; writes the begin of one Hausa sentence and the end of another."""

    def __init__(self, pairs):
        self.pairs, self.sentences = pairs, list(pairs.values())

    def __call__(self, messages):
        """Answer."""
        request = messages[-1]["content"]
        if request.startswith("Translate"):
            return lines({number: self.pairs[text] for number, text in numbered(messages).items()})
        if request.startswith("Write"):
            return lines({number: self.invented(f"{request}{number}") for number in range(1, 11)})
        return lines(numbered(messages))

    def invented(self, seed):
        """A sentence that nobody wrote."""
        digest = sha256(seed.encode()).digest()
        one, other = (self.sentences[int.from_bytes(half) % len(self.sentences)] for half in (digest[:4], digest[4:8]))
        words = one.split()[: len(one.split()) // 2] + other.split()[len(other.split()) // 2 :]
        return " ".join(words)


@pytest.mark.shared
def test_a_language_model_writes_texts_of_each_topic_and_its_cost_is_kept(tmp_path):
    """Most of them pass the filters."""
    options = {"target_languages": ["hau-Latn"], "data_dir": "../shared/data/sib200"}
    task = tasks.build("sib200", options)
    hausa = {example.group: example.texts[0] for example in task.examples("hau-Latn", "train")}
    pairs = {example.texts[0]: hausa[example.group] for example in task.examples("eng-Latn", "train")}
    recipe = (FOLDER / "language_model.yaml").read_text(encoding="utf-8")
    with serving(Speaker(pairs)) as model:
        (tmp_path / "recipe.yaml").write_text(recipe.replace("http://localhost:8000/v1", model.url), encoding="utf-8")
        augment(read_recipe(tmp_path / "recipe.yaml"), tmp_path / "pseudo.jsonl", QUIET)
    (lot,) = read_object(tmp_path / "pseudo.json")["lots"]
    (record,) = lot["records"]
    assert (record["asked"], record["calls"], record["chrf"]) == ("google/gemma-3-27b-it", 1 + 7 * 10 * 2, 100.0)
    assert 350 < lot["made"]["llm"] <= 700
    assert {row["label"] for row in read_lines(tmp_path / "pseudo.jsonl")} == set(task.labels)
