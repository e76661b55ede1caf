"""What `lingraft check` says before a run."""

import pytest
import torch

from invented import TARGET, TRANSLATION, world_recipe, write_world
from lingraft.core.errors import ConfigError
from lingraft.runs.plan import plan

HEADINGS = ("language", "labelled", "pairs", "pair tokens", "dev", "test", "tokens", "truncated", "unknown", "pieces")


@pytest.fixture
def world(tmp_path):
    """The invented tables with a lexicon and unlabelled text."""
    write_world(tmp_path)
    words = "".join(f"{a}\t{b}\n" for a, b in TRANSLATION.items())
    (tmp_path / f"words.{TARGET}.tsv").write_text(words, encoding="utf-8")
    (tmp_path / f"text.{TARGET}.txt").write_text("quna rilo sava\nquna tolu\n", encoding="utf-8")
    return tmp_path


@pytest.fixture
def checked(world, tiny_checkpoint):
    """The plan of a recipe on the tiny checkpoint, the target's row by its headings."""

    def check(overrides=(), **changes):
        backbone = {"checkpoint": str(tiny_checkpoint), "cut": 1, "max_length": 32}
        given = [f"output_dir={world / 'run'}", *overrides]
        found = plan(world_recipe(world, given, backbone=backbone, **changes))
        return found, dict(zip(HEADINGS, found.languages[1], strict=True))

    return check


def test_pairs_and_their_tokens_are_counted(checked, world):
    """Tokens on the target side: the words of a pair, and the two special tokens."""
    _, row = checked(parallel={"files": str(world / "pairs.{language}.tsv")})
    lines = (world / f"pairs.{TARGET}.tsv").read_text(encoding="utf-8").splitlines()[1:]
    words = sum(len(line.split("\t")[1].split()) for line in lines)
    assert (row["pairs"], row["pair tokens"]) == ("24", str(words + 2 * 24))


def test_what_headings_of_the_table_mean_is_said_below_it(checked):
    """With the bound that texts are cut at; and draws are counted as one says it."""
    lines = checked()[0].lines
    assert lines[0] == (
        "labels, pairs: what is learnt from; cut short: texts that have more tokens than backbone.max_length (32); "
        "unknown: share of tokens that the tokenizer has only a stand-in for; tokens per word: few where it knows the "
        "language well, above 4 where it hardly does"
    )
    assert any(line.startswith("trials: ") and "1 draw ×" in line for line in lines)


def test_training_texts_that_are_tested_are_warned_of_once(checked, world):
    """Texts of the files of pairs are counted where it is said what was read of them."""
    train, test = world / "eng-Latn.train.csv", world / f"{TARGET}.test.csv"
    text = train.read_text(encoding="utf-8").splitlines()[1].split(",")[1]
    with test.open("a", encoding="utf-8") as file:
        file.write(f"copy,{text},bird\n")
    pairs = world / f"pairs.{TARGET}.tsv"
    tested = test.read_text(encoding="utf-8").splitlines()[1].split(",")[1]
    with pairs.open("a", encoding="utf-8") as file:
        file.write(f"ada ada ada ada\t{tested}\n")
    found, _ = checked(parallel={"files": str(world / "pairs.{language}.tsv")})
    assert "1 training text occurs in an evaluation set and is left out" in found.warnings
    assert not any("parallel" in warning for warning in found.warnings)
    (note,) = (line for line in found.lines if " pairs from " in line)
    assert "left out because a side is in the" in note


def test_copies_are_counted(checked, world):
    """A lexicon's code-switched copies are pairs."""
    found, row = checked(parallel={"lexicon": str(world / "words.{language}.tsv")})
    assert row["pairs"] == "24"
    assert any("24 copies by code-switching" in line for line in found.lines)


def test_mining_is_announced(checked, world):
    """How many words will be tried is told; no weights are loaded, and nothing warns of missing pairs."""
    found, row = checked(parallel={"text": str(world / "text.{language}.txt"), "copies": 2})
    assert row["pairs"] == "0"
    assert any("mined during the run, 16 words against 4" in line for line in found.lines)
    assert found.warnings == []


def test_a_covered_language_has_no_warning(checked):
    """Whole words of the tokenizer."""
    found, row = checked(alignment=[])
    assert (row["unknown"], row["pieces"]) == ("0.0%", "1.0")
    assert not any("tokenizer" in warning for warning in found.warnings)


def test_an_unknown_language_is_called_hopeless(checked, world):
    """With a fifth of the words unknown the warning says how much, and what to do."""
    path = world / f"{TARGET}.test.csv"
    path.write_text(path.read_text(encoding="utf-8").replace("dilo", "nonsense").replace("fuma", "rubbish"))
    found, row = checked()
    assert float(row["unknown"].rstrip("%")) > 10
    (warning,) = (w for w in found.warnings if "tokenizer" in w)
    assert warning.startswith(f"{TARGET}: the tokenizer does not know")
    assert warning.endswith("choose another checkpoint, or give this one pieces for the script with lingraft extend")


def test_words_in_too_many_pieces_are_called_hopeless(checked, world):
    """A language of which little but letters is left."""
    path = world / f"{TARGET}.test.csv"
    path.write_text("key,sentence,topic\n" + "".join(f"t{i},ada-ada-ada-ada,bird\n" for i in range(9)))
    found, row = checked()
    assert row["pieces"] == "7.0"
    assert any("7.0 pieces for a word" in w or "does not know" in w for w in found.warnings)


def test_texts_longer_than_the_checkpoint_takes_are_refused(checked):
    """Before the run, not in it."""
    with pytest.raises(ConfigError, match=r"backbone\.max_length: 999 is more than the checkpoint's 64"):
        checked(["backbone.max_length=999"])


@pytest.mark.skipif(torch.cuda.is_available(), reason="this machine has such a device")
def test_a_device_that_is_not_there_is_refused(checked):
    """Told with all other mistakes."""
    with pytest.raises(ConfigError, match="device: cuda was asked for, but torch finds none on this machine"):
        checked(["device=cuda"])


def test_pairs_that_are_not_passed_are_warned_of(checked, world):
    """Losses without pairs are said to do nothing; no losses, no warning."""
    told = "train.max_pairs is 0, so nothing is aligned"
    files = {"files": str(world / "pairs.{language}.tsv")}
    assert any(told in w for w in checked(["train.max_pairs=0"], parallel=files)[0].warnings)
    assert not any(told in w for w in checked(["train.max_pairs=0"], parallel=files, alignment=[])[0].warnings)
    assert not any(told in w for w in checked(parallel=files)[0].warnings)


def test_words_that_are_aligned_in_a_language_s_own_parts_are_warned_of(checked, world):
    """The task's own texts never pass these; shared parts, and losses on sentences, are as they should be."""
    files, words = {"files": str(world / "pairs.{language}.tsv")}, [{"name": "words"}]
    own = {"prompt": {"name": "deep", "length": 2, "language_length": 3}, "adapter": None, "parallel": files}
    shared = own | {"prompt": {"name": "deep", "length": 2, "language_length": 0}}

    def told(*overrides, **changes):
        return [w for w in checked(overrides, **changes)[0].warnings if "a language's own" in w]

    (warning,) = told(**own, alignment=words)
    assert "words moves 144 parameters" in warning  # three virtual tokens of width 24 in each of two layers
    assert told(**shared, alignment=words) == told(**own, alignment=[{"name": "mse"}]) == []
    assert told("train.max_pairs=0", **own, alignment=words) == []


@pytest.mark.parametrize("layer", [0, 1])
def test_a_loss_on_frozen_states_is_refused(checked, world, layer):
    """At the cut and below it, the embeddings too, there is no gradient."""
    with pytest.raises(
        ConfigError, match=rf"alignment\.0\.layer: states after layer {layer} are frozen .* no gradient"
    ):
        checked(parallel={"files": str(world / "pairs.{language}.tsv")}, alignment=[{"name": "mse", "layer": layer}])


def test_trained_parameters_are_those_of_the_parts(checked):
    """A head alone: three classes, and a bias each."""
    found, _ = checked(prompt=None, adapter=None)
    assert any("trained by gradient: 75 parameters" in line for line in found.lines)


# ---- The folder ------------------------------------------------------------------------------------


def test_a_folder_that_can_be_written_is_left_as_it_was(checked, world):
    """What was made to try is gone again, its parents too; what was there stays."""
    before = sorted(world.rglob("*"))
    checked([f"output_dir={world}/deep/down/run"])
    assert sorted(world.rglob("*")) == before
    (world / "empty").mkdir()
    checked([f"output_dir={world}/empty"])
    assert sorted(world.rglob("*")) == sorted([*before, world / "empty"])


def test_a_folder_that_cannot_be_made_is_told_with_the_rest(checked, world):
    """Beneath a file there is no room for one."""
    (world / "file").write_text("here already")
    with pytest.raises(ConfigError) as caught:
        checked([f"output_dir={world}/file/run", "backbone.max_length=999"])
    problems = "\n".join(caught.value.problems)
    assert f"output_dir: cannot write to {world}/file/run: Not a directory; choose another output_dir" in problems
    assert "backbone.max_length" in problems


def test_a_folder_of_something_else_is_refused(checked, world):
    """As the run would."""
    with pytest.raises(ConfigError, match=r"output_dir: .* is not empty and not a run folder"):
        checked([f"output_dir={world}"])


def test_what_does_nothing_without_training_is_said(checked, world):
    """Settings of a training that there is not; and no advice on parts that nothing trains."""
    given = {"alignment": [{"name": "mse"}], "parallel": {"files": str(world / "pairs.{language}.tsv")}}
    untrained = ("train.num_train_epochs=0", "train.last_layer_strength=null", "train.ensemble=2")
    found, _ = checked(untrained, prompt=None, adapter=None, **given)
    (warning,) = (line for line in found.warnings if "no effect" in line)
    assert warning.startswith("nothing is trained by gradient, so alignment and train.ensemble have no effect")
    assert not any("only the task part will be trained" in line for line in found.warnings)


def test_copies_and_their_words_do_nothing_without_training(checked, world):
    """Neither aligned nor learnt from; a lexicon that pseudo-data are made with does something."""
    (world / f"lexicon.{TARGET}.tsv").write_text("ada\tpira\n", encoding="utf-8")
    untrained = ("train.num_train_epochs=0", "train.last_layer_strength=null")
    lexicon = {"lexicon": str(world / "lexicon.{language}.tsv")}
    pseudo = {"generators": [{"name": "word-translation"}], "early": True}
    given = {"prompt": None, "adapter": None, "alignment": []}

    def without_effect(**blocks):
        found = [line for line in checked(untrained, **given, **blocks)[0].warnings if "no effect" in line]
        return [line.removeprefix("nothing is trained by gradient, so ").partition(" ha")[0] for line in found]

    assert without_effect(parallel=lexicon) == ["parallel.lexicon"]
    assert without_effect(parallel=lexicon | {"copies": 2}) == ["parallel.lexicon and parallel.copies"]
    assert without_effect(parallel=lexicon, pseudo=pseudo) == ["pseudo.early"]
    assert without_effect(parallel=lexicon, pseudo=pseudo | lexicon) == ["parallel.lexicon and pseudo.early"]
    assert without_effect(parallel={"files": str(world / "pairs.{language}.tsv")}) == []


def test_what_a_map_needs_is_said_where_there_is_a_language_to_map(checked, world, tiny_checkpoint):
    """Labels in one language have nothing to be mapped to."""
    untrained = ("train.num_train_epochs=0", "train.last_layer_strength=null")
    given = {"prompt": None, "adapter": None, "alignment": []}

    def trained(lines):
        (line,) = (line for line in lines if line.startswith("trained by gradient: "))
        return line

    files = {split: f"eng-Latn.{split}.csv" for split in ("train", "test")}
    fields = {"text": "sentence", "label": "topic"}
    task = {"name": "classification", "language": "eng-Latn", "files": files, "fields": fields, "data_dir": str(world)}
    backbone = {"checkpoint": str(tiny_checkpoint), "max_length": 32}
    alone = world_recipe(world, [f"output_dir={world / 'run'}", *untrained], task=task, backbone=backbone, **given)
    nothing = "trained by gradient: nothing; a head on frozen states is all"
    assert trained(checked(untrained, **given)[0].lines).startswith(f"{nothing}: a map needs single texts with classes")
    assert trained(plan(alone).lines) == nothing


def test_seeds_of_what_is_fitted_in_closed_form_are_said_to_be_one_trial(checked):
    """A head, a map and n-grams have no chance in them; a training has."""
    untrained = ("train.num_train_epochs=0", "train.last_layer_strength=null", "seeds=[4, 9]")
    given = {"prompt": None, "adapter": None, "alignment": []}
    (said,) = (line for line in checked(untrained, **given)[0].warnings if "seeds" in line)
    assert said.endswith("so seeds [4, 9] give the same trial 2 times; leave one of them: seeds: [4]")
    assert not any("seeds" in line for line in checked(("seeds=[4, 9]",))[0].warnings)
