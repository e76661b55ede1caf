"""Which situation of data a recipe is in, as `lingraft check` says it; and a closed form without any translation."""

import shutil

import pytest
import torch

from invented import SOURCE, TARGET, TRANSLATION, labelled_texts, translated, world_recipe, write_csv, write_world
from lingraft.backbones.walk import encode_batch
from lingraft.core.errors import ConfigError, DataError
from lingraft.core.files import read_lines, read_object
from lingraft.model.checkpoint import load_adaptation
from lingraft.recipe.parsing import parse_recipe, read_recipe
from lingraft.recipe.presets import preset_values
from lingraft.runs.check_warnings import warn_of_recipe
from lingraft.runs.checks import gather_checked
from lingraft.runs.plan import plan
from lingraft.runs.situation import describe_situation
from lingraft.serving.loading import load
from lingraft.tasks.gathering import gather
from quick_run import run
from tiny import REPOSITORY

FRENCH = "fra-Latn"
OTHERS = [text for text, _ in labelled_texts(120)][-20:]  # the world's own come before


@pytest.fixture
def world(tmp_path):
    """The invented tables, unlabelled text, and a further language that speaks as the source does."""
    write_world(tmp_path)
    (tmp_path / f"text.{TARGET}.txt").write_text("\n".join(map(translated, OTHERS)), encoding="utf-8")
    rows = [(f"f{i}", f"{text} {text}", label) for i, (text, label) in enumerate(labelled_texts(9, seed=5))]
    write_csv(tmp_path / f"{FRENCH}.train.csv", ["key", "sentence", "topic"], rows)
    return tmp_path


def said(world, **changes):
    """The sentences for a recipe."""
    recipe = world_recipe(world, **changes)
    return describe_situation(recipe, gather(recipe))


def test_pairs_without_labels_are_aligned_and_mapped(world):
    """The pairs of a file are not the task's own texts, so they train no n-grams."""
    assert said(world, parallel={"files": str(world / "pairs.{language}.tsv")}) == [
        "situation of Yoruba: 24 translations, no labels. Training aligns each translation with its source side; a "
        "kernel map is fitted to 24 translations"
    ]


def test_languages_in_the_same_situation_are_one_line(world):
    """And those in another have theirs."""
    for name in ("train.csv", "dev.csv", "test.csv"):
        shutil.copy(world / f"{TARGET}.{name}", world / f"{FRENCH}.{name}")
        shutil.copy(world / f"{TARGET}.{name}", world / f"swh-Latn.{name}")
    shutil.copy(world / f"pairs.{TARGET}.tsv", world / f"pairs.{FRENCH}.tsv")
    more = (world / f"pairs.{TARGET}.tsv").read_text(encoding="utf-8").splitlines()[:13]
    (world / "pairs.swh-Latn.tsv").write_text("\n".join(more), encoding="utf-8")
    languages = f"task.target_languages=[{TARGET}, {FRENCH}, swh-Latn]"
    recipe = world_recipe(world, [languages], parallel={"files": str(world / "pairs.{language}.tsv")})
    same, other = describe_situation(recipe, gather(recipe))
    assert same.startswith("situation of Yoruba and French: 24 translations, no labels. ")
    assert other.startswith("situation of Swahili: 12 translations, no labels. ")


def test_translations_too_few_for_n_grams_are_said_to_be(world):
    """Of the task's own texts, twenty that differ are needed."""
    few, enough = (said(world, parallel={"from": "task", "pairs": pairs})[0] for pairs in (19, 20))
    assert few.endswith("; no character n-gram classifier: that takes 20 different texts, and there are 19")
    assert enough.endswith("; a character n-gram classifier learns what the model predicts of the translations")


def test_text_alone_moves_the_mean_where_nothing_is_trained(world):
    """No lexicon is mined for a training that there is not."""
    given = preset_values("instant") | {"parallel": {"text": str(world / "text.{language}.txt")}}
    assert said(world, **given) == [
        "situation of Yoruba: no translations, no labels, 20 unlabelled texts. Mean and spread of the states of 20 "
        "texts become the source's, which helps where they are of the task's own domain"
    ]


def test_one_translation_is_said_to_be_too_few(world):
    """Where nothing is trained by gradient, nothing is done with it."""
    pairs = (world / f"pairs.{TARGET}.tsv").read_text(encoding="utf-8").splitlines(keepends=True)
    (world / f"few.{TARGET}.tsv").write_text("".join(pairs[:2]), encoding="utf-8")
    (line,) = said(world, **preset_values("instant") | {"parallel": {"files": str(world / "few.{language}.tsv")}})
    assert line == (
        "situation of Yoruba: 1 translation, no labels. That is too little to fit anything to (a map takes 10 "
        "translations, or as many texts), so the language is read with what the source language taught"
    )


@pytest.mark.parametrize(
    ("values", "done"),
    [
        ({}, "the task's part is trained on them"),
        (preset_values("instant"), "a head on frozen states learns from them"),
    ],
)
def test_labels_in_one_language_train_a_part_or_a_head_alone(world, values, done):
    """What is said to learn is what does."""
    files = {"train": "eng-Latn.train.csv", "test": "eng-Latn.test.csv"}
    fields = {"text": "sentence", "label": "topic"}
    task = {"name": "classification", "language": SOURCE, "files": files, "fields": fields, "data_dir": str(world)}
    recipe = parse_recipe({**values, "task": task})
    materials = gather(recipe)
    labels = len(materials.draws[-1].labelled)
    assert describe_situation(recipe, materials) == [
        f"situation: labels in English and no other language ({labels} labelled texts); {done} and nothing is "
        "transferred"
    ]


@pytest.mark.parametrize(("pairs", "most"), [(1, None), (9, None), (24, 5)])
def test_texts_are_mapped_where_translations_are_too_few_to_be(world, pairs, most):
    """One translation more takes nothing away."""
    lines = (world / f"pairs.{TARGET}.tsv").read_text(encoding="utf-8").splitlines(keepends=True)
    (world / f"few.{TARGET}.tsv").write_text("".join(lines[: pairs + 1]), encoding="utf-8")
    given = {"files": str(world / "few.{language}.tsv"), "text": str(world / "text.{language}.txt")}
    preset = preset_values("instant")
    (line,) = said(world, **preset | {"parallel": given, "train": preset["train"] | {"max_pairs": most}})
    assert line.endswith(
        "Mean and spread of the states of 20 texts become the source's, which helps where they are of "
        "the task's own domain"
    )


@pytest.mark.parametrize("count", [1, 9])
def test_fewer_than_ten_unlabelled_texts_are_said_to_be_too_few(world, count):
    """Ten is what a mean takes."""
    (world / f"few.{TARGET}.txt").write_text("\n".join(map(translated, OTHERS[:count])), encoding="utf-8")
    (line,) = said(world, **preset_values("instant") | {"parallel": {"text": str(world / "few.{language}.txt")}})
    assert "too little to fit anything to (a map takes 10 translations, or as many texts), so the language" in line


def test_where_no_amount_would_do_the_amount_is_not_said_to_be_the_cause(world, monkeypatch):
    """Tags have nothing in closed form, and without a map there is none for text; where they are trained it is said."""
    monkeypatch.chdir(REPOSITORY)
    lines = {}
    for preset in ("instant", "fast"):
        names = read_recipe(REPOSITORY / "examples" / "situations" / "names.yaml", [f"preset={preset}", "pseudo=null"])
        lines[preset] = describe_situation(names, gather(names))[0]
    assert lines["instant"].endswith(
        " no labels. Nothing is trained by gradient, and what is fitted to a language takes single texts with a class, "
        "labels or a number each, so the language is read with what the source language taught"
    )
    assert "raining aligns each translation with its source side" in lines["fast"]
    given = preset_values("instant") | {"map": None, "parallel": {"text": str(world / "text.{language}.txt")}}
    assert said(world, **given) == [
        "situation of Yoruba: no translations, no labels, 20 unlabelled texts. Nothing is trained by gradient, and no "
        "map is fitted (map: null), so the language is read with what the source language taught"
    ]


def test_check_says_that_text_alone_shifts_the_mean_and_that_no_layer_is_computed_again(world, tiny_checkpoint):
    """It promises neither a map nor n-grams, which need translations."""
    given = preset_values("instant") | {"parallel": {"text": str(world / "text.{language}.txt")}}
    lines = plan(world_recipe(world, **given, backbone={"checkpoint": str(tiny_checkpoint), "max_length": 32})).lines
    assert "trained by gradient: nothing; in closed form: a shift of the mean for Yoruba" in lines
    assert any(line.endswith("all frozen; all 3 layers are computed once") for line in lines), lines


def test_nothing_of_a_language_is_said_to_be_nothing(world):
    """It is read with what the source language taught."""
    (line,) = said(world)
    assert line.endswith(
        "There is nothing to learn the language from, so it is read with what the source language taught"
    )


def test_a_lexicon_for_copies_that_get_the_same_answers_is_something(world):
    """Nothing else of the language is needed for it."""
    entries = [f"{word}\t{meaning}" for word, meaning in TRANSLATION.items()]
    (world / f"lexicon.{TARGET}.tsv").write_text("\n".join(entries), encoding="utf-8")
    assert said(world, consistency={"lexicon": str(world / "lexicon.{language}.tsv")}) == [
        "situation of Yoruba: no translations, no labels, a lexicon. Code-switched copies of the source's labelled "
        "texts must get the answers of their originals"
    ]


def test_pseudo_data_are_something(world):
    """What is made with a lexicon alone is learnt from; a language that none is made of has nothing."""
    entries = [f"{word}\t{meaning}" for word, meaning in TRANSLATION.items()]
    (world / f"lexicon.{TARGET}.tsv").write_text("\n".join(entries), encoding="utf-8")
    made = {"generators": [{"name": "word-translation"}], "lexicon": str(world / "lexicon.{language}.tsv")}
    recipe = world_recipe(world, pseudo=made | {"languages": ["yor"]})
    (line,) = describe_situation(recipe, gather_checked(recipe))
    assert line.startswith("situation of Yoruba: no translations, no labels, a lexicon. ")
    assert line.endswith(" made texts (pseudo-data) are learnt from by their weight")


def test_shots_without_pairs_move_the_mean_when_there_are_ten(world):
    """Of fewer a mean is too far from the language's."""
    few, many = (said(world, shots={"k": k})[0] for k in (3, 4))
    assert "mean and spread" not in few
    assert (
        "12 labelled texts. The labels are learnt from beside the source's; mean and spread of the states of 12 texts"
        in many
    )


def test_labels_of_one_class_move_no_mean_and_are_warned_of(world):
    """Their mean would become that of all classes of the source."""
    one = [(str(i), translated(f"{text} {text}"), "bird") for i, (text, _) in enumerate(labelled_texts(12, seed=3))]
    write_csv(world / f"{TARGET}.train.csv", ["key", "sentence", "topic"], one)
    recipe = world_recipe(world, **preset_values("instant") | {"shots": {"k": "all"}})
    materials = gather(recipe)
    (line,) = describe_situation(recipe, materials)
    assert "12 labelled texts. The labels are learnt from beside the source's" in line
    assert "mean and spread" not in line
    warned = [sentence for sentence in warn_of_recipe(recipe, materials) if "of the class" in sentence]
    assert [sentence[:61] for sentence in warned] == ["yor-Latn: all 12 labelled texts are of the class 'bird', so t"]
    write_csv(world / f"{TARGET}.train.csv", ["key", "sentence", "topic"], [("0", "pira", "river"), *one[1:]])
    materials = gather(recipe)
    assert "mean and spread of the states of 12 texts" in describe_situation(recipe, materials)[0]
    assert not any("of the class" in sentence for sentence in warn_of_recipe(recipe, materials))


def test_labels_say_what_translations_are(world):
    """Of the shots that are in a pair, which come from the pairs' half of the task's texts."""
    (line,) = said(world, shots={"k": 2}, parallel={"from": "task"})
    assert "the labels are learnt from beside the source's, and are those of 6 translations in it" in line


def test_labels_that_are_seen_again_are_said_to_be(world):
    """How often, where that is known."""
    (line,) = said(world, shots={"k": 2}, train={"shot_repeats": 3})
    assert "The labels are learnt from beside the source's, each 4 times an epoch" in line


def test_pseudo_data_that_yield_to_labels_are_said_to(world):
    """What is made is there in the first half of the epochs alone, where the language has labels."""
    entries = [f"{word}\t{meaning}" for word, meaning in TRANSLATION.items()]
    (world / f"lexicon.{TARGET}.tsv").write_text("\n".join(entries), encoding="utf-8")
    made = {"generators": [{"name": "word-translation"}], "lexicon": str(world / "lexicon.{language}.tsv")}
    recipe = world_recipe(world, shots={"k": 2}, pseudo=made | {"early": True})
    (line,) = describe_situation(recipe, gather_checked(recipe))
    assert "learnt from by their weight, in the first half of the epochs alone; the labels are learnt from" in line


def test_the_mean_of_unlabelled_texts_becomes_the_sources(world, tiny_checkpoint):
    """What is saved subtracts the mean of the 20 texts, and the run is loaded and answers as it was scored."""
    backbone = {"checkpoint": str(tiny_checkpoint), "max_length": 32}
    changes = preset_values("instant") | {"parallel": {"text": str(world / "text.{language}.txt")}}
    given = ["seeds=[1]", "device=cpu", f"output_dir={world / 'run'}"]
    folder = run(world_recipe(world, given, backbone=backbone, **changes))
    answers = load(folder)
    rows = list(read_lines(folder / "predictions" / "k0-draw0-seed1" / f"{TARGET}.jsonl"))
    found = answers.predict([row["text"] for row in rows], language=TARGET)
    assert [answer.value for answer in found] == [row["value"] for row in rows]
    adaptation, _ = load_adaptation(folder / "adaptation.safetensors", answers.backbone)
    centre = adaptation.ensembles[TARGET].map.centre
    one_by_one = [mean_state(answers.backbone, translated(text)) for text in OTHERS]
    assert centre.tolist() == pytest.approx((sum(one_by_one) / 20).tolist(), abs=1e-4)
    assert read_object(folder / "data.json")["languages"][TARGET]["pairs"] == 0


def mean_state(backbone, text):
    """The pooled state of a text by itself, with nothing of the cache."""
    ids = backbone.tokenizer(backbone.text_prefix + text)["input_ids"]
    return encode_batch([ids], backbone.stack, backbone.stack.num_layers, torch.device("cpu"))[1][0]


def test_labels_of_a_further_language_are_the_sources(world):
    """All that is no evaluation text is learnt from, and named."""
    found = gather(world_recipe(world, further_sources=["fr"]))
    (draw,) = found.draws
    assert sum(example.language == FRENCH for example in draw.labelled) == 9
    assert len(draw.labelled) == 24 + 9
    assert "French: 9 labelled texts added to those of English" in found.notes


def test_a_bound_on_labels_is_of_all_sources_together(world):
    """And is said to be."""
    found = gather(world_recipe(world, further_sources=["fr"], shots={"source_examples": 12}))
    assert len(found.draws[0].labelled) <= 12
    assert "of all source languages together, 12 labels at most are learnt from" in found.notes


def test_copies_are_made_of_the_source_language_alone(world):
    """The lexicon knows no other."""
    entries = "".join(f"{word}\t{translation}\n" for word, translation in TRANSLATION.items())
    (world / f"words.{TARGET}.tsv").write_text(entries, encoding="utf-8")
    parallel = {"lexicon": str(world / "words.{language}.tsv")}
    found = gather(world_recipe(world, further_sources=[FRENCH], parallel=parallel))
    assert [pair[0].language for pair in found.draws[0].pairs[TARGET]] == [SOURCE] * 24


@pytest.mark.parametrize("code", [SOURCE, TARGET])
def test_a_further_language_is_neither_source_nor_target(world, code):
    """Its labels are learnt from another way."""
    with pytest.raises(DataError, match=f"further_sources: {code} is "):
        gather(world_recipe(world, further_sources=[code]))


def test_several_source_languages_may_be_listed():
    """The first is the source; saying it twice is refused."""
    task = {"name": "classification", "source_language": ["en", "fr"], "target_languages": ["yo"], "files": "a.csv"}
    recipe = parse_recipe({"task": task})
    assert (recipe.task.options["source_language"], recipe.further_sources) == ("en", ["fr"])
    with pytest.raises(ConfigError, match="leave one of the two out") as error:
        parse_recipe({"task": task, "further_sources": ["fr"]})
    assert len(error.value.problems) == 1
