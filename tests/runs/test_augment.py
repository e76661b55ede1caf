"""Pseudo-data by themselves: the bytes of a run, read back by another."""

import json

import pytest

from invented import SOURCE, TARGET, TRANSLATION, world_recipe, write_world
from lingraft.core.errors import ConfigError, DataError, RunError
from lingraft.core.examples import PairExample
from lingraft.core.files import read_lines, read_object
from lingraft.core.progress import Reporter
from lingraft.pseudo.generators import Generator, generators
from lingraft.runs.augment import augment
from lingraft.runs.checks import gather_checked
from quick_run import run

QUIET = Reporter(quiet=True)
ONE_TEMPLATE = {"templates": [{"text": "omi {what}", "label": "bird"}], "words": {"what": ["yára"]}}
ROWS = {"any": {}, "null": {"k": None}, "none": {"k": 0}, "one": {"k": 1}, "all": {"k": "all"}, "other": {"k": 4}}


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    """The invented tables, and a lexicon."""
    folder = write_world(tmp_path_factory.mktemp("world"))
    entries = "".join(f"{source}\t{target}\n" for source, target in TRANSLATION.items())
    (folder / f"lexicon.{TARGET}.tsv").write_text(entries, encoding="utf-8")
    return folder


def recipe(world, checkpoint, output, *overrides, **pseudo):
    """A recipe that trains little, with a block of pseudo-data."""
    wanted = {"generators": [{"name": "word-translation"}], "lexicon": str(world / "lexicon.{language}.tsv")}
    return world_recipe(
        world,
        [f"output_dir={output}", "seeds=[1]", "device=cpu", "preset=instant", *overrides],
        backbone={"checkpoint": str(checkpoint), "max_length": 32},
        pseudo=pseudo or wanted,
    )


def test_it_writes_what_a_run_makes(world, tiny_checkpoint, tmp_path):
    """Both files, byte for byte."""
    folder = run(recipe(world, tiny_checkpoint, tmp_path / "run", "shots.draws=2"))
    augment(recipe(world, tiny_checkpoint, tmp_path / "other", "shots.draws=2"), tmp_path / "made.jsonl", QUIET)
    assert (tmp_path / "made.jsonl").read_bytes() == (folder / "pseudo.jsonl").read_bytes()
    assert (tmp_path / "made.json").read_bytes() == (folder / "pseudo.json").read_bytes()
    assert not (tmp_path / "other").exists()


def test_nothing_made_is_warned_of_with_what_was_left_out(world, tiny_checkpoint, tmp_path):
    """In each draw, also when it is kept."""
    blank = {"name": "templates", "templates": [{"text": "{w}", "label": "bird"}], "words": {"w": ["", "  "]}}
    wanted = recipe(world, tiny_checkpoint, tmp_path / "run", "shots.draws=2", generators=[blank])
    for _ in range(2):
        warnings = []
        told = Reporter(quiet=True, callbacks=[lambda event, into=warnings: into.append(event)])
        augment(wanted, tmp_path / "made.jsonl", told)
        assert [event["text"] for event in warnings if event["event"] == "warning"] == [
            f"{TARGET}: pseudo-data: none (2 not made or left out: a text of it is empty: 2); draw {draw} learns "
            "nothing of what the recipe makes"
            for draw in (0, 1)
        ]


def test_a_file_is_learnt_from_as_what_was_made(world, tiny_checkpoint, tmp_path):
    """The same texts, labels, weights and origins, in each draw its own; the same numbers come out."""
    made = recipe(world, tiny_checkpoint, tmp_path / "made", "shots.draws=2")
    augment(made, tmp_path / "pseudo.jsonl", QUIET)
    read = recipe(world, tiny_checkpoint, tmp_path / "read", "shots.draws=2", files=[str(tmp_path / "pseudo.jsonl")])
    one, other = gather_checked(made), gather_checked(read)
    for first, second in zip(one.draws, other.draws, strict=True):
        assert [(e.text_a, e.label, e.weight, e.origin, e.group) for e in first.pseudo[TARGET]] == [
            (e.text_a, e.label, e.weight, e.origin, e.group) for e in second.pseudo[TARGET]
        ]
    scores = [[row["value"] for row in read_lines(run(wanted) / "scores.jsonl")] for wanted in (made, read)]
    assert scores[0] == scores[1]
    more = recipe(world, tiny_checkpoint, tmp_path / "more", "shots.draws=3", files=[str(tmp_path / "pseudo.jsonl")])
    with pytest.raises(DataError, match=r"pseudo.jsonl has nothing for draw 2 of yor-Latn"):
        gather_checked(more)


@generators.register("spoken-shots")
def spoken_shots():
    """The shots, said twice."""

    def generate(sources):
        for shot in sources.shots or sources.labelled[:1]:
            own = (f"{sources.draw}/{shot.id}", shot.group, sources.language, "spoken-shots", 0.5)
            yield PairExample(*own, text_a=2 * f"{shot.text_a} ", label=shot.label)

    return Generator(generate, needs=frozenset({"shots"}))


def test_a_file_made_of_shots_is_learnt_from_with_as_many_shots(world, tiny_checkpoint, tmp_path):
    """Each number of shots has its own rows, as in the run that makes them; one that the file lacks is refused."""
    wanted = {"generators": [{"name": "spoken-shots"}, {"name": "templates", **ONE_TEMPLATE}], "filters": []}
    made = recipe(world, tiny_checkpoint, tmp_path / "made", "shots.k=[0,2]", **wanted)
    augment(made, tmp_path / "pseudo.jsonl", QUIET)

    def read(k):
        files = {"files": [str(tmp_path / "pseudo.jsonl")], "filters": []}
        return gather_checked(recipe(world, tiny_checkpoint, tmp_path / "read", f"shots.k={k}", **files))

    texts = [[e.text_a for e in draw.pseudo[TARGET]] for draw in gather_checked(made).draws]
    assert [len(found) for found in texts] == [2, 7]
    for k, expected in (("[0]", texts[:1]), ("[2]", texts[1:]), ("[0,2]", texts)):
        assert [[e.text_a for e in draw.pseudo[TARGET]] for draw in read(k).draws] == expected
    with pytest.raises(DataError, match=r"has nothing for shots.k 1 of yor-Latn in draw 0, only for 0, 2: it was made"):
        read("[1]")


def test_rows_without_a_number_of_shots_are_learnt_from_with_any(world, tiny_checkpoint, tmp_path):
    """Beside rows with one."""
    rows = [{"language": TARGET, "text_a": f"omi {name}", "label": "bird", **own} for name, own in ROWS.items()]
    (tmp_path / "mine.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    files = {"files": [str(tmp_path / "mine.jsonl")], "filters": []}
    found = gather_checked(recipe(world, tiny_checkpoint, tmp_path / "read", "shots.k=[0,1,all]", **files))
    assert {draw.k: [e.text_a for e in draw.pseudo[TARGET]] for draw in found.draws} == {
        0: ["omi any", "omi null", "omi none"],
        1: ["omi any", "omi null", "omi one"],
        "all": ["omi any", "omi null", "omi all"],
    }


def test_what_was_stopped_goes_on_with_the_next_draw(world, tiny_checkpoint, tmp_path, monkeypatch):
    """What was made is not made again, and the whole is what an uninterrupted command writes."""
    wanted = recipe(world, tiny_checkpoint, tmp_path / "run", "shots.draws=3")
    augment(wanted, tmp_path / "whole.jsonl", QUIET)
    build, asked = generators.build, []

    def stopping(name, options):
        inner = build(name, options)

        def generate(sources):
            asked.append(sources.draw)
            if sources.draw == 1 and asked.count(1) == 1:
                raise KeyboardInterrupt
            yield from inner.generate(sources)

        return Generator(generate, inner.needs, inner.kinds)

    monkeypatch.setattr(generators, "build", stopping)
    with pytest.raises(KeyboardInterrupt):
        augment(wanted, tmp_path / "parts.jsonl", QUIET)
    augment(wanted, tmp_path / "parts.jsonl", QUIET)
    assert asked == [0, 1, 1, 2]
    for suffix in ("jsonl", "json"):
        assert (tmp_path / f"parts.{suffix}").read_bytes() == (tmp_path / f"whole.{suffix}").read_bytes()


def test_other_settings_need_another_file(world, tiny_checkpoint, tmp_path):
    """What is there was made with a weight of a half; asked for with another one it is not taken for that."""
    lexicon = str(world / "lexicon.{language}.tsv")
    augment(recipe(world, tiny_checkpoint, tmp_path / "run"), tmp_path / "pseudo.jsonl", QUIET)
    heavier = {"generators": [{"name": "word-translation", "weight": 0.9}], "lexicon": lexicon}
    with pytest.raises(RunError, match="was made with other settings"):
        augment(recipe(world, tiny_checkpoint, tmp_path / "run", **heavier), tmp_path / "pseudo.jsonl", QUIET)


def test_a_file_that_is_there_is_not_written_over(world, tiny_checkpoint, tmp_path):
    """The examples that a recipe reads, say, under the name of what it makes."""
    mine = tmp_path / "mine.jsonl"
    mine.write_text(json.dumps(GOOD) + "\n", encoding="utf-8")
    wanted = recipe(world, tiny_checkpoint, tmp_path / "run", files=[str(mine)])
    with pytest.raises(RunError, match=r"mine.jsonl is there already"):
        augment(wanted, mine, QUIET)
    assert json.loads(mine.read_text(encoding="utf-8")) == GOOD


def test_there_must_be_something_to_make_and_a_name_to_read_it_by(world, tiny_checkpoint, tmp_path):
    """A recipe without the block, and a file that pseudo.files would not read."""
    wanted = recipe(world, tiny_checkpoint, tmp_path / "run")
    with pytest.raises(ConfigError, match=r"expected a file that ends in .jsonl"):
        augment(wanted, tmp_path / "pseudo.csv", QUIET)
    with pytest.raises(ConfigError, match=r"pseudo: is missing.*\{generators: \[\{name: label-projection\}\]\}`"):
        augment(wanted.model_copy(update={"pseudo": None}), tmp_path / "pseudo.jsonl", QUIET)


def test_a_file_in_other_languages_is_refused(world, tiny_checkpoint, tmp_path):
    """Nothing of it would be learnt."""
    file = tmp_path / "own.jsonl"
    file.write_text(json.dumps(GOOD | {"language": "ha"}), encoding="utf-8")
    with pytest.raises(DataError, match=r"has examples of hau-Latn, and of none of the target languages \(yor-Latn\)"):
        gather_checked(recipe(world, tiny_checkpoint, tmp_path / "run", files=[str(file)]))


def test_the_command_says_what_it_made(world, tiny_checkpoint, tmp_path, command):
    """And where it is; `lingraft list` knows what makes it."""
    (tmp_path / "recipe.yaml").write_text(recipe(world, tiny_checkpoint, tmp_path / "run").to_yaml(), encoding="utf-8")
    done = command("augment", tmp_path / "recipe.yaml", "-o", tmp_path / "made.jsonl", "-q")
    assert done.code == 0
    assert "yor-Latn: pseudo-data: 24 examples by word-translation, of weight 0.5" in done.out
    assert read_object(tmp_path / "made.json")["lots"][0]["made"] == {"word-translation": 24}
    listed = command("list", "generators").out
    assert "word-translation" in listed
    assert "apertium" in command("list", "translators").out


GOOD = {"id": "1", "language": "yo", "text_a": "pira hano", "label": "bird"}


@pytest.mark.parametrize(
    ("row", "said"),
    [
        ({"language": None}, "expected the language of the example in `language`"),
        ({"label": None}, "has no label"),
        ({"label": "cloud"}, "'cloud' is no label of classification, which has bird, river, stone"),
        ({"weight": -1}, "expected a weight from 1e-09 to 10; got -1"),
        ({"weight": 1e-300}, "expected a weight from 1e-09 to 10; got 1e-300"),
        ({"text_a": " "}, "a text is empty"),
        ({"text_a": ["pira"]}, "is no example of classification: text_a"),
        ({"text_b": "hano"}, "has two texts, other than the examples of classification"),
        ({"wieght": 0.5}, "unknown key 'wieght'; did you mean 'weight'?"),
        ({"language": "!!"}, "unknown language '!!'"),
    ],
)
def test_a_row_that_cannot_be_learnt_from_is_named_with_its_line(world, tiny_checkpoint, tmp_path, row, said):
    """The first line is right: any spelling of the language, an origin of its own, a weight of 1."""
    file = tmp_path / "own.jsonl"
    file.write_text(json.dumps(GOOD) + "\n", encoding="utf-8")
    wanted = recipe(world, tiny_checkpoint, tmp_path / "run", files=[str(file)])
    (made,) = gather_checked(wanted).draws[0].pseudo[TARGET]
    assert (made.origin, made.weight, made.language, made.label) == ("file", 1.0, TARGET, "bird")
    file.write_text("\n".join(map(json.dumps, (GOOD, GOOD | row))) + "\n", encoding="utf-8")
    with pytest.raises(DataError) as caught:
        gather_checked(wanted)
    assert "own.jsonl, line 2" in str(caught.value)
    assert said in str(caught.value)
    assert SOURCE not in str(caught.value)
