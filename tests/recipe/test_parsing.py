"""Recipes: read, refused with every mistake at once, and written back."""

import io
import json
import sys
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from ruamel.yaml import YAML

from lingraft.core.errors import ConfigError
from lingraft.recipe.parsing import draft_recipe, parse_recipe, read_recipe, schema
from lingraft.recipe.renamed import RENAMED
from lingraft.recipe.settings import Recipe, TrainSettings

TASK = {"name": "cldr_names", "target_languages": ["yor-Latn"]}


def parsed(overrides=(), **blocks):
    """A recipe of the CLDR task with these blocks."""
    return parse_recipe({"task": TASK, **blocks}, overrides)


def problems(overrides=(), **blocks):
    """What is wrong with it."""
    with pytest.raises(ConfigError) as caught:
        parsed(overrides, **blocks)
    return caught.value.problems


def written(folder, content):
    """A recipe file with this content."""
    path = folder / "recipe.yaml"
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


MINIMAL = "task: {name: cldr_names, target_languages: [yor-Latn]}\n"


def test_a_recipe_may_come_from_standard_input(monkeypatch):
    """What is wrong with it is said of that, and a closed one is no traceback."""
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(MINIMAL.encode())))
    assert read_recipe(Path("-"), ["seeds=[7]"]) == parsed(["seeds=[7]"])
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(b"task: {name: cldr_nam}\nseeds: [x\n")))
    with pytest.raises(ConfigError, match=r"standard input: 1 problem\n.*line 2"):
        draft_recipe(Path("-"))
    monkeypatch.setattr(sys, "stdin", None)
    with pytest.raises(ConfigError, match="standard input is closed; give a recipe file"):
        read_recipe(Path("-"))


def test_defaults_fill_in_what_is_left_out():
    """A recipe of one line is complete."""
    recipe = parsed(parallel={"from": "task"})
    assert (recipe.seeds, recipe.backbone.cut, recipe.shots.ks) == ([1, 2], "auto", [0])
    assert (recipe.prompt.name, recipe.adapter.name, [a.name for a in recipe.alignment]) == (
        "deep", "bottleneck", ["mse"],
    )  # fmt: skip


def test_every_mistake_comes_at_once():
    """Wrong values, misspelt keys and wrong options of five blocks are told together."""
    found = problems(
        shots={"k": -1},
        shotz=1,
        train={"learning_rat": 1, "batch_size": 0},
        prompt={"name": "deap"},
        adapter={"name": "bottleneck", "widht": 3, "width": "x"},
        alignment=[{"name": "mse", "weight": -1, "temp": 3}],
        parallel={"fil": "x"},
    )
    assert len(found) == 10
    for beginning in (
        "shots.k: k counts examples per class and cannot be negative",
        "shotz: unknown key 'shotz'; did you mean 'shots'?",
        "train.learning_rat: unknown key 'learning_rat'; did you mean 'learning_rate'?",
        "train.batch_size: expected a number greater than 0",
        "prompt.name: unknown prompt 'deap'; did you mean 'deep'?",
        "adapter.widht: unknown option of bottleneck 'widht'; did you mean 'width'?",
        "adapter.width: expected a whole number",
        "alignment.0.weight: expected a number greater than 0",
        "alignment.0.temp: unknown option of mse 'temp'",
        "parallel.fil: unknown key 'fil'; did you mean 'files'?",
    ):
        assert any(problem.startswith(beginning) for problem in found), beginning


def test_overrides_and_blocks_are_checked_together_with_the_rest():
    """A bad override does not hide the mistakes of the file."""
    assert len(problems(["novalue"], shotz=1)) == 2


def test_the_message_counts_and_lists(tmp_path):
    """The error's text begins with the file and how many problems it has."""
    with pytest.raises(ConfigError, match=r"recipe\.yaml: 2 problems\n  - .*\n  - "):
        read_recipe(written(tmp_path, MINIMAL + "a: 1\nb: 2\n"))


@pytest.mark.parametrize(
    ("blocks", "sentence"),
    [
        ({"seeds": [1, 1]}, "seeds: [1, 1] names a seed twice"),
        ({"seeds": []}, "seeds: expected at least 1 of them"),
        ({"shots": {"k": []}}, "shots.k: give at least one number of shots"),
        ({"backbone": {"cut": -1}}, "backbone.cut: the cut counts layers from 0 upwards"),
        ({"parallel": {}}, "parallel: needs `files`, `from: task`, a `lexicon`, `text`, or an `augmentation`"),
        (
            {"parallel": {"pairs": 5}},
            "parallel: needs `files`, `from: task`, a `lexicon`, `text`, or an `augmentation`",
        ),
        ({"alignment": [{"name": "mse"}]}, "alignment: needs parallel text"),
        ({"alignment": [{"weight": 1}], "parallel": {"from": "task"}}, "alignment.0.name: is missing"),
        ({"prompt": "deep"}, "prompt: expected {name: deep}, with its options beside the name, got 'deep'"),
        (
            {"pseudo": {"generators": ["self-training"]}},
            "pseudo.generators.0: expected {name: self-training}, with its options beside the name",
        ),
        ({"shots": {"k": 0}, "parallel": "pairs.tsv"}, "parallel: expected a block of keys (files, "),
        ({"prompt": {"name": "input"}, "backbone": {"cut": 2}}, "backbone.cut: an input prompt implies cut 0, got 2"),
        ({"train": {"order": "one by one"}}, "train.order: expected 'joint' or 'sequential'"),
        ({"train": {"balance": 0}}, "train.balance: expected a number greater than 0"),
        ({"train": {"ema_decay": 1}}, "train.ema_decay: expected a number less than 1"),
        ({"train": {"max_pairs": -1}}, "train.max_pairs: expected a number of at least 0"),
        (
            {"freezing": {"name": "top_layer"}},
            "freezing.name: unknown freezing 'top_layer'; did you mean 'top_layers'?",
        ),
        ({"freezing": {"name": "top_layers", "layers": 0}}, "freezing.layers: expected a number greater than 0"),
        ({"freezing": {"name": "head_first", "share": 1}}, "freezing.share: expected a number less than 1"),
        ({"freezing": {"name": "full", "layers": 2}}, "freezing.layers: unknown option of full 'layers'"),
        ({"freezing": None}, "freezing: expected {name: …}, got nothing"),
        (
            {"alignment": [{"name": "mse", "layer": -1}], "parallel": {"from": "task"}},
            "alignment.0.layer: expected a number of at least 0",
        ),
        (
            {"adapter": {"name": "lora", "targets": ["query"], "rank": 0}},
            "adapter.rank: expected a number greater than 0",
        ),
        ({"train": {"warmup_share": 1}}, "train.warmup_share: expected a number less than 1"),
        ({"train": {"learning_rate": 1e300}}, "train.learning_rate: expected a number of at most 1e+36"),
        (
            {"alignment": [{"name": "mse", "weight": float("inf")}], "parallel": {"from": "task"}},
            "alignment.0.weight: expected a finite",
        ),
        ({"train": {"order": "sequential", "balance": 1}}, "train.balance: compares the gradients of task and"),
        ({"train": {"learning_rate": float("nan")}}, "train.learning_rate: expected a finite number"),
        ({"device": "gpu"}, "device: expected 'auto', 'cpu', 'cuda' or 'mps' (got 'gpu')"),
        ({"task": {"name": "cldr_names"}}, "task.target_languages: is missing; cldr_names needs it"),
        ({"task": {"target_languages": []}}, "task.name: is missing"),
    ],
)
def test_one_mistake_is_one_sentence(blocks, sentence):
    """Each says where and what."""
    (problem,) = problems(**blocks)
    assert problem.startswith(sentence)


@pytest.mark.parametrize(
    ("title", "sentence"),
    [
        ("a\ud800", r"task.title: 'a\ud800' holds half a surrogate pair, '\ud800', which is no character"),
        ("a\0", r"task.title: 'a\x00' holds the character NUL"),
    ],
)
def test_a_text_that_no_file_could_hold_is_refused_with_the_rest(title, sentence):
    """It would fail when the run is nearly done, in the page that names it."""
    found = problems(task={**TASK, "title": title}, shotz=1)
    assert found[0].startswith(sentence)
    assert "shotz: unknown key 'shotz'; did you mean 'shots'?" in found


def test_a_text_from_the_command_line_that_is_no_character_is_refused():
    """Bytes that are no UTF-8 reach Python as halves of surrogate pairs."""
    assert problems(
        ["task.licence=\udcff"],
    )[0].startswith(r"task.licence: '\udcff' holds half a surrogate pair")


def test_what_python_nests_without_end_is_refused():
    """Plain data that contain themselves are no recipe."""
    endless = {}
    endless["a"] = endless
    assert any("is more than 32 levels deep" in problem for problem in problems(compare=endless))


def test_a_recipe_needs_a_task():
    """Only the task has no default."""
    with pytest.raises(ConfigError, match="task: is missing"):
        parse_recipe({})


@pytest.mark.parametrize("seed", [-1, 2**40])
def test_seeds_that_no_generator_takes_are_refused(seed):
    """A seed that numpy or torch would refuse in the middle of a run is refused before."""
    (problem,) = problems(seeds=[seed])
    assert problem.startswith("seeds.0: ")


def test_target_files_need_source_files():
    """Half of two line files is no parallel text."""
    assert "parallel.target_files: needs `files` for the source side" in problems(
        parallel={"from": "task", "target_files": "x"}
    )


@pytest.mark.parametrize(("value", "got"), [(None, "nothing"), ([], "list"), ("text", "str"), (3, "int")])
def test_a_recipe_is_keys_and_values(value, got):
    """A list, a text or nothing at all is no recipe."""
    with pytest.raises(ConfigError, match=f"expected keys and values, got {got}"):
        parse_recipe(value)


# ---- Files -----------------------------------------------------------------------------------------


def test_no_is_norwegian(tmp_path):
    """In YAML 1.2 `no`, `on` and `y` are words."""
    text = "task: {name: cldr_names, target_languages: [no, on, y, off]}\nalignment: []\n"
    recipe = read_recipe(written(tmp_path, text))
    assert recipe.task.options["target_languages"] == ["no", "on", "y", "off"]
    again = read_recipe(written(tmp_path, recipe.to_yaml()))
    assert again.task.options["target_languages"] == ["no", "on", "y", "off"]


def test_bom_and_crlf_are_fine(tmp_path):
    """What Windows editors add changes nothing."""
    path = written(tmp_path, b"\xef\xbb\xbf" + (MINIMAL + "seeds: [3]\n").replace("\n", "\r\n").encode())
    assert read_recipe(path) == parsed(seeds=[3])


def test_invalid_yaml_names_the_line(tmp_path):
    """A bracket that is never closed is found by line and column."""
    with pytest.raises(ConfigError, match=r"line 3, column \d+: "):
        read_recipe(written(tmp_path, MINIMAL + "seeds: [1\ntrain: {}\n"))


def test_a_key_given_twice_is_refused(tmp_path):
    """Which of two values counts is not guessed."""
    with pytest.raises(ConfigError, match=r'line 3, column 1: .* found duplicate key "seeds"'):
        read_recipe(written(tmp_path, MINIMAL + "seeds: [1]\nseeds: [2]\n"))


def test_yaml_runs_no_code(tmp_path):
    """Tags that would make Python objects are refused."""
    with pytest.raises(ConfigError, match=r"line 1: has the tag .*os\.system"):
        read_recipe(written(tmp_path, "task: !!python/object/apply:os.system [echo]\n"))


@pytest.mark.parametrize("content", [b"task: \xff\xfe", b"\xff\xfet\x00a\x00", b"a: \x00"])
def test_bytes_that_are_no_text(tmp_path, content):
    """A recipe that is not UTF-8, or holds control characters, is refused without a traceback."""
    with pytest.raises(ConfigError):
        read_recipe(written(tmp_path, content))


def test_an_empty_file(tmp_path):
    """Nothing in a file is not a recipe."""
    with pytest.raises(ConfigError, match="expected keys and values, got nothing"):
        read_recipe(written(tmp_path, ""))


def test_a_missing_file_names_the_cure(tmp_path):
    """The message says how to get a recipe."""
    with pytest.raises(ConfigError, match=r"there is no file .*; write one with: lingraft init"):
        read_recipe(tmp_path / "none.yaml")


def test_a_folder_is_no_recipe(tmp_path):
    """Giving the run folder itself is told apart from a missing file."""
    with pytest.raises(ConfigError, match="is a folder; give the recipe file itself"):
        read_recipe(tmp_path)


# ---- Overrides -------------------------------------------------------------------------------------


def test_overrides_reach_into_blocks():
    """Numbers, lists, words, nothing, list items and blocks that the recipe leaves out can be set."""
    recipe = parsed(
        [
            "train.learning_rate=1e-3",
            "shots.k=[0,1]",
            "prompt=",
            "adapter.width=8",
            "parallel.files=a={language}.tsv",
            "alignment.0.weight=2",
            "task.target_languages=[no, yo]",
            "output_dir=runs/a",
        ],
        alignment=[{"name": "cosine"}],
    )
    assert (recipe.train.learning_rate, recipe.shots.k, recipe.prompt) == (0.001, [0, 1], None)
    assert (recipe.adapter.name, recipe.adapter.options["width"]) == ("bottleneck", 8)
    assert recipe.parallel.files == "a={language}.tsv"
    assert (recipe.alignment[0].name, recipe.alignment[0].weight) == ("cosine", 2.0)
    assert recipe.task.options["target_languages"] == ["no", "yo"]
    assert str(recipe.output_dir) == "runs/a"


def test_an_override_of_a_default_block_keeps_its_name():
    """`prompt.length=4` changes the default prompt, it does not make a nameless one."""
    recipe = parsed(["prompt.length=4"])
    assert (recipe.prompt.name, recipe.prompt.options["length"]) == ("deep", 4)


def test_an_override_reaches_into_a_default_list():
    """`alignment.0.weight=2` and `seeds.0=4` change the default lists."""
    recipe = parsed(["alignment.0.weight=2", "seeds.0=4"], parallel={"from": "task"})
    assert ([(a.name, a.weight) for a in recipe.alignment], recipe.seeds) == ([("mse", 2.0)], [4, 2])


@pytest.mark.parametrize(
    ("override", "sentence"),
    [
        ("novalue", "'novalue': an override looks like train.learning_rate=1e-3"),
        ("=3", "'=3': an override looks like"),
        ("seeds.x.y=1", "'seeds.x.y=1': 'x' leads nowhere, the recipe has [5] there"),
        ("seeds.7=1", "'seeds.7=1': '7' leads nowhere, the recipe has [5] there"),
        ("trian.batch_size=1", "trian: unknown key 'trian'; did you mean 'train'?"),
        ("train.batch_siz=1", "train.batch_siz: unknown key 'batch_siz'; did you mean 'batch_size'?"),
        ("train.batch_size=[", "train.batch_size: expected a whole number"),
        ("task.foo=1", "task.foo: unknown option of cldr_names 'foo'"),
    ],
)
def test_bad_overrides_are_told_like_the_rest(override, sentence):
    """A typing error on the command line is as clear as one in the file."""
    (problem,) = problems([override], seeds=[5])
    assert problem.startswith(sentence)


def test_overrides_leave_the_caller_s_values_alone():
    """In a notebook the same dictionary serves for many runs."""
    values = {"task": dict(TASK), "train": {"batch_size": 4}}
    parse_recipe(values, ["train.batch_size=8", "task.target_languages=[sw]"])
    assert values == {"task": TASK, "train": {"batch_size": 4}}


@settings(max_examples=50, deadline=None)
@given(st.text(max_size=20))
def test_no_override_makes_a_traceback(text):
    """Whatever is typed is a recipe or a clear refusal."""
    for override in (text, f"seeds.{text}", f"train.{text}=1", f"prompt={text}"):
        try:
            parsed([override])
        except ConfigError as error:
            assert error.problems


# ---- Writing back ----------------------------------------------------------------------------------


def read_back(recipe):
    """The recipe that its own text gives."""
    return parse_recipe(YAML(typ="safe", pure=True).load(recipe.to_yaml()))


@settings(max_examples=50, deadline=None)
@given(
    st.text(st.characters(codec="utf-8", exclude_categories=["Cc", "Cs", "Cn"]), max_size=30),
    st.floats(1e-300, 1e36),
    st.integers(0, 10**6),
    st.sampled_from(["null", "no", "~", "1e3", "0x1", "1_000", "true", "", " a", "a: b", "# a", "- a", "2001-01-01"]),
)
def test_a_recipe_survives_writing(text, number, seed, awkward):
    """Any text, number or word that YAML might take for something else comes back as it went."""
    recipe = parse_recipe(
        {
            "task": {
                "name": "classification",
                "source_language": awkward,
                "target_languages": [text, awkward],
                "files": {"train": text, "test": awkward},
            },
            "seeds": [seed],
            "train": {"learning_rate": number, "weight_decay": min(number, 1e6)},
            "prompt": None,
            "alignment": [],
        }
    )
    assert read_back(recipe) == recipe


def test_the_written_recipe_is_resolved():
    """Every default is written out, those of the named factories too: a later release's must not change it."""
    values = YAML(typ="safe", pure=True).load(parsed().to_yaml())
    assert values["train"] == TrainSettings().model_dump()
    assert values["prompt"] == {"name": "deep", "length": 16, "language_length": 8, "init": "states", "text": None}
    assert values["adapter"] == {"name": "bottleneck", "width": 32, "language_width": 16, "dropout": 0.1}
    assert values["task"]["source_language"] == "eng-Latn"
    assert values["freezing"] == {"name": "frozen"}
    gradual = parsed(freezing={"name": "gradual"}).to_yaml()
    assert YAML(typ="safe", pure=True).load(gradual)["freezing"] == {"name": "gradual", "layers": 4}


def test_a_recipe_without_parallel_text_survives_writing():
    """The default alignment loss does not come back as one that was asked for and lacks its text."""
    recipe = parsed()
    assert read_back(recipe) == recipe


def test_from_is_written_as_from():
    """The key that Python cannot call `from` is so called in the file."""
    recipe = parsed(parallel={"from": "task"}, alignment=[{"name": "contrastive", "temperature": 0.2}])
    values = YAML(typ="safe", pure=True).load(recipe.to_yaml())
    assert values["parallel"]["from"] == "task"
    assert "from_" not in values["parallel"]
    assert read_back(recipe) == recipe


def test_settings_do_not_change():
    """A validated recipe stays what it is."""
    from pydantic import ValidationError

    recipe = parsed()
    with pytest.raises(ValidationError):
        recipe.seeds = [3]
    with pytest.raises(ValidationError):
        recipe.train.batch_size = 3


def test_shots_are_sorted_and_each_once():
    """However `k` is written, its numbers come in order."""
    assert [parsed(shots={"k": k}).shots.ks for k in (3, [5, 0, 5], [2])] == [[3], [0, 5], [2]]


def test_the_schema_is_plain_json():
    """Editors get every key with its description, and no key that is not one."""
    found = json.loads(json.dumps(schema()))
    assert found["required"] == ["task"]
    assert set(found["properties"]) == set(Recipe.model_fields)
    assert found["additionalProperties"] is False
    assert all(found["properties"][name]["description"] for name in ("seeds", "output_dir", "device"))
    names = {name for model in found["$defs"].values() for name in model["properties"]}
    assert "from" in names
    assert "from_" not in names


def test_the_schema_is_a_schema_and_knows_our_recipes():
    """A validator accepts it, accepts a good recipe, and refuses an unknown key."""
    jsonschema = pytest.importorskip("jsonschema")
    validator = jsonschema.Draft202012Validator
    validator.check_schema(schema())
    good = {"task": TASK, "shots": {"k": [0, 5]}, "parallel": {"from": "task"}}
    assert validator(schema()).is_valid(good)
    assert not validator(schema()).is_valid({**good, "shotz": {}})


@pytest.mark.parametrize("text", ["-_", "._", "{[1]: 2}", "0x_"])
def test_what_only_looks_like_a_number_makes_no_traceback(text, tmp_path):
    """Texts at which the YAML library stumbles are refused like any other wrong value."""
    with pytest.raises(ConfigError):
        parsed([f"train.learning_rate={text}"])
    (tmp_path / "recipe.yaml").write_text(f"seeds: {text}\n", encoding="utf-8")
    with pytest.raises(ConfigError):
        read_recipe(tmp_path / "recipe.yaml")


def test_a_lexicon_means_code_switching():
    """A resolved recipe says what makes the copies, with its options; where there are none, nothing is said."""
    parallel = {"lexicon": "words.{language}.tsv"}
    values = {"task": {"name": "cldr_names", "target_languages": ["yor-Latn"]}, "parallel": parallel}
    assert parse_recipe(values).model_dump()["parallel"]["augmentation"] == {
        "name": "code-switching", "ratio": 0.5, "inflections": False,
    }  # fmt: skip
    assert parse_recipe(values | {"parallel": {"from": "task"}}).parallel.augmentation is None


RENAMES = [
    ("keep_weight", "source_regularisation", 0),
    ("refit_strength", "last_layer_strength", None),
    ("lexical_strength", "ngram_classifier", True),
    ("ngram_classifier_strength", "ngram_classifier", True),
    ("epochs", "num_train_epochs", 3),
    ("num_epochs", "num_train_epochs", 3),
    ("lr", "learning_rate", 0.001),
    ("per_device_train_batch_size", "batch_size", 16),
]


@pytest.mark.parametrize(("old", "new", "value"), RENAMES)
def test_the_old_name_of_a_setting_is_answered_with_the_new_one(old, new, value):
    """Wherever it stands: in the recipe, on the command line, in a fragment of a comparison; once each."""
    variants = {"mine": {"train": {old: value}}}
    sentence = f"is called {new} here; rename it"
    assert problems(train={old: value}) == [f"train.{old}: {sentence}"]
    assert problems([f"train.{old}=1"]) == [f"train.{old}: {sentence}"]
    assert problems(compare={"variants": variants}) == [f"compare.variants.mine.train.{old}: {sentence}"]
    assert problems([f"compare.variants.mine.train.{old}=1"]) == [f"compare.variants.mine.train.{old}: {sentence}"]


def test_the_old_name_of_an_option_is_answered_with_the_new_one():
    """Options of a block in a list are found as well; the same word elsewhere is not a renamed option."""
    losses = [{"name": "mse"}, {"name": "transport", "special": 2}]
    asked = {"parallel": {"from": "task"}, "alignment": losses}
    assert problems(**asked) == ["alignment.1.special: is called prefix_tokens here; rename it"]
    found = problems(compare={"variants": {"mine": {"alignment": losses}}})
    assert found == ["compare.variants.mine.alignment.1.special: is called prefix_tokens here; rename it"]
    assert "prefix_tokens" not in problems(prompt={"name": "deep", "special": 2})[0]


def test_old_names_are_named_with_all_other_mistakes():
    """One round of editing is enough."""
    found = problems(train={"keep_weight": 0, "batch_size": 0})
    assert [problem.split(":")[0] for problem in found] == ["train.keep_weight", "train.batch_size"]


def test_every_new_name_is_a_setting():
    """What the error tells people to write is accepted."""
    written = {f"train.{new}={value}" if value is not None else f"train.{new}=" for _, new, value in RENAMES}
    assert parsed(sorted(written)).train.source_regularisation == 0
    assert parsed(alignment=[{"name": "transport", "prefix_tokens": 2}], parallel={"from": "task"})
    assert set(RENAMED) == {f"train.{old}" for old, _, _ in RENAMES} | {"alignment.special"}


# ---- Drafts ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "kept"),
    [
        ("train: {batch_size: 0, learning_rate: 0.5}\n", ("train", "learning_rate", 0.5)),
        ("prompt: {name: deap}\nseeds: [7]\n", ("seeds", None, [7])),
        ("shots: {k: [1, x], draws: 3}\n", ("shots", "draws", 3)),
        ("alignment: [{name: mse, weight: -1}, {nam: x}, {name: cosine, temp: 1}]\nseeds: [7]\n", ("seeds", None, [7])),
        ("backbone: {cut: -1, max_length: 9}\n", ("backbone", "max_length", 9)),
        ("parallel: 5\nseeds: [7]\n", ("seeds", None, [7])),
        ("shotz: 5\nseeds: [7]\n", ("seeds", None, [7])),
        ("seeds: [-1]\nbackbone: {cut: -1, max_length: 9}\n", ("backbone", "max_length", 9)),  # no seed is left
    ],
)
def test_what_is_right_of_a_recipe_can_be_checked_further(tmp_path, text, kept):
    """Wrong settings are named, and leave the rest as it is."""
    recipe, found = draft_recipe(written(tmp_path, MINIMAL + text))
    block, key, value = kept
    at = getattr(recipe, block)
    assert (at if key is None else getattr(at, key)) == value
    with pytest.raises(ConfigError) as caught:
        read_recipe(tmp_path / "recipe.yaml")
    assert caught.value.problems == found != []


@pytest.mark.parametrize("text", ["task: 5\n", "task: {name: cldr_nam}\n", "task: {name: cldr_names}\n", "{}\n"])
def test_without_a_task_there_is_nothing_to_check_further(tmp_path, text):
    """What is wrong is said at once."""
    with pytest.raises(ConfigError, match="task"):
        draft_recipe(written(tmp_path, text))


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("# nothing\n", "expected keys and values, got nothing; `lingraft init` writes one to start from"),
        (
            "task:\nname: cldr_names\n",
            "task: expected {name: …}, got nothing; are the lines that belong to it indented?",
        ),
    ],
)
def test_what_is_empty_is_said_to_be_empty(tmp_path, text, said):
    """In no words of Python's."""
    with pytest.raises(ConfigError) as caught:
        read_recipe(written(tmp_path, text))
    assert said in caught.value.problems


def test_a_draft_of_a_good_recipe_is_the_recipe(tmp_path):
    """Nothing is wrong with it."""
    path = written(tmp_path, MINIMAL)
    assert draft_recipe(path) == (read_recipe(path), [])


def test_an_unknown_key_of_a_small_block_is_told_with_what_its_keys_mean():
    """Where none is near: who writes `n` for the number of labels learns that it is `k`."""
    shots, backbone = sorted(problems(shots={"n": 5}, backbone={"zzzz": 1}), reverse=True)
    assert shots.startswith("shots.n: unknown key 'n'; known: draws (how many different draws of labels), folds (")
    assert ", k (labelled target examples per class), source_examples (at most this many labelled" in shots
    assert "known: checkpoint (`bundled:NAME`, a folder, or a Hub id), cut (layers below the cut are" in backbone
