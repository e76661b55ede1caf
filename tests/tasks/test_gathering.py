"""What a run learns from and is tested on: drawn, split and cleaned."""

import unicodedata
from collections import Counter

import pytest

from invented import (
    SOURCE,
    TARGET,
    TOPICS,
    TRANSLATION,
    labelled_texts,
    translated,
    world_recipe,
    write_csv,
    write_world,
)
from lingraft.core.errors import ConfigError, DataError
from lingraft.core.examples import SpanExample
from lingraft.data.augmentation.code_switching import CODE_SWITCHING
from lingraft.tasks.gathering import _translations, gather
from tiny import WORDS

FROM_TASK = {"from": "task"}


@pytest.fixture
def world(tmp_path):
    """The invented tables."""
    return write_world(tmp_path)


def materials(folder, **changes):
    """What the recipe gathers."""
    return gather(world_recipe(folder, **changes))


def groups(examples):
    """The groups of examples, or of the source sides of pairs."""
    return {(e[0] if isinstance(e, tuple) else e).group for e in examples}


def rewrite(folder, language, split, change):
    """Let ``change`` alter the rows (key, text, label) of a table."""
    lines = (folder / f"{language}.{split}.csv").read_text(encoding="utf-8").splitlines()[1:]
    rows = change([tuple(line.split(",")) for line in lines])
    write_csv(folder / f"{language}.{split}.csv", ["key", "sentence", "topic"], rows)


# ---- Splits ----------------------------------------------------------------------------------------


def test_without_parallel_text_all_labels_are_kept(world):
    """Zero-shot without pairs: every training example of the source is labelled, the target gives its tests."""
    found = materials(world)
    (draw,) = found.draws
    assert (len(draw.labelled), draw.shots[TARGET], draw.pairs[TARGET]) == (24, (), ())
    assert {language: len(test) for language, test in found.test.items()} == {SOURCE: 12, TARGET: 12}
    assert len(found.dev) == 9
    assert found.learn(TARGET) == []


def test_a_class_without_examples_is_not_blamed_on_pairs_that_there_are_not(world):
    """Without parallel text the cure is more examples, and no setting of pairs."""
    for split in ("train", "dev"):
        rewrite(world, SOURCE, split, lambda rows: [*rows, ("rare", "a text of a class that is rare", "sport")])
    with pytest.raises(DataError, match=r"draw 1 leaves no labelled eng-Latn example of sport: 24 training") as caught:
        materials(world)
    assert "more examples of each class, or join rare classes" in str(caught.value)
    assert "pairs" not in str(caught.value)


def test_labels_and_pairs_come_from_different_sentences(world):
    """A (labelled) and B (pairs) share no group; together they are the training set."""
    for draw in materials(world, parallel=FROM_TASK, shots={"draws": 4}).draws:
        a, b = groups(draw.labelled), groups(draw.pairs[TARGET])
        assert (len(a), len(b), a & b) == (12, 12, set())
        assert a | b == {f"train{i}" for i in range(24)}


def test_pairs_are_translations_without_labels(world):
    """Both sides of a pair are the same sentence, and neither tells what it is about."""
    for source, target in materials(world, parallel=FROM_TASK).draws[0].pairs[TARGET]:
        assert (source.group, source.id) == (target.group, target.id)
        assert target.text_a == translated(source.text_a)
        assert (source.language, target.language) == (SOURCE, TARGET)
        assert (source.label, target.label) == (None, None)


def test_shots_come_from_the_pairs(world):
    """With pairs from the task, the target's labelled examples are of B: A's sentences are the source's."""
    for draw in materials(world, parallel=FROM_TASK, shots={"k": [0, 1, 2], "draws": 3}).draws:
        shots = draw.shots[TARGET]
        assert Counter(shot.label for shot in shots) == Counter(dict.fromkeys(TOPICS, draw.k) if draw.k else {})
        assert groups(shots) <= groups(draw.pairs[TARGET])
        assert not groups(shots) & groups(draw.labelled)
        assert {shot.language for shot in shots} <= {TARGET}


def test_all_languages_share_the_split(world):
    """With two target languages the same sentences are pairs in both."""
    for split in ("train", "test"):
        text = (world / f"{TARGET}.{split}.csv").read_text(encoding="utf-8")
        (world / f"quy-Latn.{split}.csv").write_text(text.replace("quna", "xilo xilo"), encoding="utf-8")
    recipe = world_recipe(world, ["task.target_languages=[yor-Latn, quy-Latn]"], parallel=FROM_TASK, shots={"k": 1})
    (draw,) = gather(recipe).draws
    assert groups(draw.pairs[TARGET]) == groups(draw.pairs["quy-Latn"])
    assert not groups(draw.labelled) & groups(draw.pairs["quy-Latn"])


def test_draws_differ_and_repeat(world):
    """Another draw is another split; the same draw is the same one for everyone."""
    one, other = (materials(world, parallel=FROM_TASK, shots={"k": 1, "draws": 3}) for _ in range(2))
    assert one.draws == other.draws
    assert len({frozenset(groups(draw.labelled)) for draw in one.draws}) == 3
    assert [(draw.k, draw.draw) for draw in one.draws] == [(1, 0), (1, 1), (1, 2)]


def test_more_shots_leave_the_split_alone(world):
    """Within a draw, runs of 0 and of 2 shots learn from the same labels and pairs."""
    zero, two = materials(world, parallel=FROM_TASK, shots={"k": [0, 2]}).draws
    assert (zero.labelled, zero.pairs) == (two.labelled, two.pairs)


def test_the_number_of_pairs_may_be_asked_for(world):
    """`pairs: 5` makes B five sentences and leaves the rest labelled."""
    (draw,) = materials(world, parallel={"from": "task", "pairs": 5}).draws
    assert (len(draw.pairs[TARGET]), len(draw.labelled)) == (5, 19)


def test_pairs_may_keep_their_source_labels(world):
    """`labelled: true` learns from the source side of B as well; the pairs themselves stay unlabelled."""
    (draw,) = materials(world, parallel={"from": "task", "labelled": True}).draws
    assert (len(draw.labelled), len(draw.pairs[TARGET])) == (24, 24)
    assert {example.label for pair in draw.pairs[TARGET] for example in pair} == {None}


def test_pairs_of_files_are_read(world):
    """A table of other sentences takes no label away, and is counted in a note."""
    found = materials(world, parallel={"files": str(world / "pairs.{language}.tsv")})
    (draw,) = found.draws
    assert (len(draw.labelled), len(draw.pairs[TARGET])) == (24, 24)
    assert all(target.text_a == translated(source.text_a) for source, target in draw.pairs[TARGET])
    assert any("24 pairs from pairs.yor-Latn.tsv" in note for note in found.notes)


def test_the_first_pairs_of_a_file_may_be_asked_for(world):
    """`pairs` bounds files as well."""
    found = materials(world, parallel={"files": str(world / "pairs.{language}.tsv"), "pairs": 7})
    assert len(found.draws[0].pairs[TARGET]) == 7


def test_files_join_the_pairs_of_the_task(world):
    """`pairs` bounds what the task gives, all of the file comes on top, and the labels stay those of the split."""
    files = str(world / "pairs.{language}.tsv")
    (alone,) = materials(world, parallel={"from": "task", "pairs": 5}).draws
    (draw,) = materials(world, parallel={"from": "task", "pairs": 5, "files": files}).draws
    assert draw.pairs[TARGET][:5] == alone.pairs[TARGET]
    assert len(draw.pairs[TARGET]) == 5 + 24
    assert draw.labelled == alone.labelled


def test_learn_has_every_text_once(world):
    """All draws together: each id once, in a fixed order, with the text it stands for."""
    found = materials(world, parallel=FROM_TASK, shots={"k": [0, 1], "draws": 3})
    for language in (SOURCE, TARGET):
        learnt = found.learn(language)
        assert [e.id for e in learnt] == sorted({e.id for e in learnt})
        needed = {(e.id, e.text_a) for draw in found.draws for e in draw.texts(language, SOURCE)}
        assert {(e.id, e.text_a) for e in learnt} == needed


# ---- Bounds ----------------------------------------------------------------------------------------


def test_source_examples_are_at_most_so_many(world):
    """A bound on the source's labels keeps that many, all classes among them."""
    (draw,) = materials(world, shots={"source_examples": 10}).draws
    assert len(draw.labelled) == 10
    assert {example.label for example in draw.labelled} == set(TOPICS)


@pytest.mark.parametrize("count", [1, 2])
def test_source_examples_that_leave_a_class_without_any_are_said_to(world, count):
    """Not the number of training examples, of which there are enough."""
    said = (
        rf"draw 1 leaves no labelled eng-Latn example of \w+(, \w+)?: shots\.source_examples takes {count} of 24, "
        r"groups that belong together whole, in the order of the draw; raise it, or leave it out"
    )
    with pytest.raises(DataError, match=said):
        materials(world, shots={"source_examples": count})


def test_source_examples_count_examples_where_groups_are_shared(world):
    """With four examples to a group, 18 examples are at most 18, not 18 groups."""
    header = ["key", "par", "sentence", "topic"]
    for split in ("train", "dev", "test"):
        lines = (world / f"{SOURCE}.{split}.csv").read_text(encoding="utf-8").splitlines()[1:]
        rows = [(key, f"{split}{i // 4}", *rest) for i, (key, *rest) in enumerate(line.split(",") for line in lines)]
        write_csv(world / f"{SOURCE}.{split}.csv", header, rows)
        write_csv(world / f"{TARGET}.{split}.csv", header, [(k, p, translated(t), label) for k, p, t, label in rows])
    recipe = world_recipe(world, ["task.fields.group=par"], shots={"source_examples": 18})
    labelled = gather(recipe).draws[0].labelled
    assert 12 <= len(labelled) <= 18


def test_pairs_are_at_most_so_many(world):
    """More pairs than shared sentences are all of them."""
    (draw,) = materials(world, parallel={"from": "task", "pairs": 99, "labelled": True}).draws
    assert len(draw.pairs[TARGET]) == 24


def test_pairs_that_leave_no_labels_are_refused(world):
    """Nothing to label is told with what to change."""
    with pytest.raises(DataError, match=r"no labelled eng-Latn example of bird, river, stone.* 24 went into pairs"):
        materials(world, parallel={"from": "task", "pairs": 24})


def test_too_few_shots_are_refused(world):
    """More shots than a class has examples is an error that names the classes."""
    with pytest.raises(DataError, match=r"draw 1 needs 30 shots of every class.*bird 8, river 8, stone 8"):
        materials(world, shots={"k": 30})


def test_a_task_that_is_not_parallel_has_no_pairs(world):
    """Line numbers of unrelated files are not translations."""
    recipe = world_recipe(world, ["task.parallel=false"], parallel=FROM_TASK)
    with pytest.raises(DataError, match="classification is not parallel across languages"):
        gather(recipe)


def test_a_target_without_tests_is_not_scored(world):
    """It is learnt all the same, and the user is told so."""
    found = materials(world, splits=("train", "dev"))
    assert (found.test[TARGET], found.is_scored(TARGET), found.draws[0].folds) == ((), False, ())
    assert list(found.unscored) == [
        "Yoruba (yor-Latn): there is no test set, so nothing is scored at 0 shots: no labels of it are learnt from"
    ]
    assert set(found.unscored) <= set(found.notes)


def test_a_missing_test_file_is_named(world):
    """Which language and which file is told."""
    (world / f"{TARGET}.test.csv").unlink()
    with pytest.raises(DataError, match=r"no file for Yoruba \(yor-Latn\).*yor-Latn\.test\.csv"):
        materials(world)


def test_target_training_files_are_needed_for_shots_only(world):
    """Zero-shot with pairs from files reads no training file of the target."""
    (world / f"{TARGET}.train.csv").unlink()
    materials(world, parallel={"files": str(world / "pairs.{language}.tsv")})
    with pytest.raises(DataError, match="no file for Yoruba"):
        materials(world, shots={"k": 1})


# ---- The development set ---------------------------------------------------------------------------


def test_without_a_development_set_one_is_held_out(world):
    """An eighth of the training groups, no longer trained on, and a note that says so."""
    found = materials(world, splits=("train", "test"))
    assert (len(found.dev), len(found.draws[0].labelled)) == (3, 21)
    assert not groups(found.dev) & groups(found.draws[0].labelled)
    assert "English: 3 of 24 labelled texts are held out to choose settings by (no dev set)" in found.notes


def test_held_out_sentences_are_held_out_in_every_language(world):
    """Where the task is parallel, what the development set holds is no shot in the target either."""
    for k in (1, 2, 5):
        found = materials(world, splits=("train", "test"), shots={"k": k, "draws": 3})
        for draw in found.draws:
            assert not groups(draw.shots[TARGET]) & groups(found.dev)


# ---- Leaks -----------------------------------------------------------------------------------------


def in_tests(world, text):
    """Make ``text`` the target's first test sentence."""
    rewrite(world, TARGET, "test", lambda rows: [(rows[0][0], text, rows[0][2]), *rows[1:]])


@pytest.mark.parametrize("form", ["NFC", "NFD"])
def test_a_test_sentence_is_not_learnt_from(world, form):
    """The target's test sentence, typed in another way, goes from the source's labels and is counted."""
    in_tests(world, unicodedata.normalize(form, "Ọjọ́ DÁRA"))
    other = unicodedata.normalize("NFD" if form == "NFC" else "NFC", "  ọjọ́  dára")
    rewrite(world, SOURCE, "train", lambda rows: [(rows[0][0], other, rows[0][2]), *rows[1:]])
    found = materials(world)
    assert found.overlap == {"train": 1, "parallel": 0}
    assert len(found.draws[0].labelled) == 23
    assert "train0" not in groups(found.draws[0].labelled)


def test_target_sentences_leak_too(world):
    """A training sentence of the target that is tested, in either language, is neither shot nor pair."""
    rewrite(world, TARGET, "train", lambda rows: [(rows[0][0], "Tested Words", rows[0][2]), *rows[1:]])
    rewrite(world, SOURCE, "test", lambda rows: [(rows[0][0], "tested words", rows[0][2]), *rows[1:]])
    found = materials(world, parallel=FROM_TASK, shots={"k": 1, "draws": 4})
    assert found.overlap == {"train": 1, "parallel": 0}
    assert all("train0" not in groups(draw.pairs[TARGET]) | groups(draw.shots[TARGET]) for draw in found.draws)


def test_development_sentences_are_not_learnt_from(world):
    """What chooses the model does not train it."""
    rewrite(world, SOURCE, "dev", lambda rows: [(rows[0][0], "Chosen Words", rows[0][2]), *rows[1:]])
    rewrite(world, SOURCE, "train", lambda rows: [(rows[0][0], "chosen words", rows[0][2]), *rows[1:]])
    assert materials(world).overlap == {"train": 1, "parallel": 0}


@pytest.mark.parametrize("side", [0, 1], ids=["source", "target"])
def test_parallel_pairs_leak_by_either_side(world, side):
    """A pair goes if one of its sides is tested, in whichever language."""
    in_tests(world, unicodedata.normalize("NFC", "Ọjọ́ dára"))
    path = world / f"pairs.{TARGET}.tsv"
    pair = ["some words", "more words"]
    pair[side] = unicodedata.normalize("NFD", "ọjọ́ DÁRA")
    path.write_text(path.read_text(encoding="utf-8") + "\t".join(pair) + "\n", encoding="utf-8")
    found = materials(world, parallel={"files": str(world / "pairs.{language}.tsv")})
    assert found.overlap == {"train": 0, "parallel": 1}
    assert len(found.draws[0].pairs[TARGET]) == 24


def test_clean_data_loses_nothing(world):
    """The invented world has no leaks."""
    assert materials(world, parallel=FROM_TASK).overlap == {"train": 0, "parallel": 0}


def test_the_same_id_in_two_splits_is_no_confusion(world):
    """Line numbers that train and test share name different texts."""
    for split in ("train", "dev", "test"):
        for language in (SOURCE, TARGET):
            rewrite(world, language, split, lambda rows: [(str(i), *row[1:]) for i, row in enumerate(rows)])
    found = materials(world, parallel=FROM_TASK)
    assert found.overlap["train"] == 0
    assert {e.id for e in found.learn(SOURCE)}.isdisjoint(e.id for e in found.test[SOURCE])


def test_the_invented_texts_are_balanced_and_different():
    """The world is what its description says."""
    texts = labelled_texts(60)
    assert len({text for text, _ in texts}) == 60
    assert Counter(label for _, label in texts) == Counter(dict.fromkeys(TOPICS, 20))


# ---- Lexicons --------------------------------------------------------------------------------------


@pytest.fixture
def lexicon(world):
    """A lexicon file of the invented world, with its `{language}`."""
    lines = [f"{a}\t{b}" for a, b in TRANSLATION.items()]
    (world / f"words.{TARGET}.tsv").write_text("\n".join(lines) + "\n", encoding="utf-8")
    return str(world / "words.{language}.tsv")


def test_a_lexicon_switches_the_labelled_sentences(world, lexicon):
    """Every labelled sentence has a copy with half of its words, by type, in the other language; labels stay."""
    found = materials(world, parallel={"lexicon": lexicon})
    (draw,) = found.draws
    assert (len(draw.labelled), len(draw.pairs[TARGET])) == (24, 24)
    assert {example.label for pair in draw.pairs[TARGET] for example in pair} == {None}
    for source, target in draw.pairs[TARGET]:
        words = set(source.text_a.split())
        replaced = {a for a, b in zip(source.text_a.split(), target.text_a.split(), strict=True) if a != b}
        assert all(b in (a, TRANSLATION[a]) for a, b in zip(source.text_a.split(), target.text_a.split(), strict=True))
        assert len(replaced) == max(1, round(0.5 * len(words)))
        assert (source.language, target.language, source.group) == (SOURCE, TARGET, target.group)
    assert any("the lexicon has 16 entries, covering 100%" in note for note in found.notes)


def test_copies_are_different_texts(world, lexicon):
    """Three copies are at most three, none twice; all of a sentence's words make one."""
    pairs = materials(world, parallel={"lexicon": lexicon, "copies": 3}).draws[0].pairs[TARGET]
    assert 48 < len(pairs) <= 72
    assert len({target.text_a for _, target in pairs}) == len({target.id for _, target in pairs}) == len(pairs)
    whole = (
        materials(
            world, parallel={"lexicon": lexicon, "copies": 3, "augmentation": {"name": CODE_SWITCHING, "ratio": 1.0}}
        )
        .draws[0]
        .pairs[TARGET]
    )
    assert [(s.text_a, translated(s.text_a)) for s, _ in whole] == [(s.text_a, t.text_a) for s, t in whole]
    assert len(whole) == 24


def test_code_switching_without_words_is_refused(world):
    """A generator that needs a lexicon says so, rather than making nothing."""
    with pytest.raises(ConfigError, match=r"parallel\.augmentation: code-switching needs a `lexicon`, or `text`"):
        materials(world, parallel={"from": "task", "augmentation": {"name": CODE_SWITCHING}})


def test_pairs_bound_the_copies_too(world, lexicon):
    """`pairs` counts code-switched copies by themselves."""
    for given, total in (({}, 5), ({"files": str(world / "pairs.{language}.tsv")}, 10), (FROM_TASK, 10)):
        found = materials(world, parallel={"lexicon": lexicon, "pairs": 5, **given})
        assert len(found.draws[0].pairs[TARGET]) == total


def test_source_sides_of_pairs_are_switched_too(world, lexicon):
    """With pairs of the task both halves of the training set have copies, each sentence once."""
    for settings in (FROM_TASK, {**FROM_TASK, "labelled": True}):
        (draw,) = materials(
            world, parallel={**settings, "lexicon": lexicon, "augmentation": {"name": CODE_SWITCHING, "ratio": 0.3}}
        ).draws
        copies = [pair for pair in draw.pairs[TARGET] if pair[1].origin == CODE_SWITCHING]
        assert len({source.id for source, _ in copies}) == len(copies) >= 23
        assert len(draw.pairs[TARGET]) - len(copies) == (24 if "labelled" in settings else 12)


def test_copies_are_learnt_by_their_own_id(world, lexicon):
    """Two draws switch a sentence differently, and both texts are there to be encoded."""
    found = materials(world, parallel={"lexicon": lexicon}, shots={"draws": 2})
    learnt = {e.id: e.text_a for e in found.learn(TARGET)}
    assert len(learnt) == sum(len(draw.pairs[TARGET]) for draw in found.draws)
    assert all(learnt[target.id] == target.text_a for draw in found.draws for _, target in draw.pairs[TARGET])
    assert len(found.learn(SOURCE)) == 24


def test_evaluation_texts_are_neither_entries_nor_copies(world, lexicon):
    """An entry that is a test text goes, and so does a copy that becomes one; both are counted."""
    sentence = next(text for text, _ in labelled_texts(24) if len(text.split()) == 2)
    one, other = (TRANSLATION[word] for word in sentence.split())
    rewrite(world, TARGET, "test", lambda rows: [(rows[0][0], TRANSLATION["ada"], rows[0][2]), *rows[1:]])
    rewrite(world, TARGET, "test", lambda rows: [rows[0], (rows[1][0], f"{one} {other}", rows[1][2]), *rows[2:]])
    found = materials(
        world,
        parallel={"lexicon": lexicon, "augmentation": {"name": CODE_SWITCHING, "ratio": 1.0}},
        splits=("train", "test"),
    )
    texts = {target.text_a for _, target in found.draws[0].pairs[TARGET]}
    assert found.overlap["parallel"] >= 2
    assert f"{one} {other}" not in texts
    assert not any(TRANSLATION["ada"] in text.split() for text in texts)


def test_what_was_written_in_a_language_has_no_copies(world, lexicon):
    """Coverage is measured on texts of the language: tests, pairs and unlabelled ones."""
    (world / f"text.{TARGET}.txt").write_text("quna rilo\nquna sava\n", encoding="utf-8")
    settings = {**FROM_TASK, "lexicon": lexicon, "text": str(world / "text.{language}.txt")}
    found = materials(world, parallel=settings)
    own = found.written(TARGET)
    assert len(own) == 12 + 12 + 2
    assert not set(WORDS[:16]) & {word for text in own for word in text.split()}


def test_a_missing_lexicon_is_named(world):
    """Which file was looked for is told."""
    with pytest.raises(DataError, match=r"no file for Yoruba .*words\.yor-Latn\.tsv"):
        materials(world, parallel={"lexicon": str(world / "words.{language}.tsv")})


def test_of_several_questions_on_a_paragraph_those_of_one_id_are_a_pair():
    """The last of each language's may be another question; a group of one needs no common id."""

    def asked(language, *names, group="p"):
        return [SpanExample(name, group, language, question=f"{language} {name}", context="c") for name in names]

    english = [*asked("en", "q1", "q2", "q3"), *asked("en", "a", group="one"), *asked("en", "x", "y", group="apart")]
    yoruba = [*asked("yo", "q3", "q2"), *asked("yo", "b", group="one"), *asked("yo", "z", group="apart")]
    found = _translations(english, [*yoruba, *asked("yo", "q9", group="elsewhere")])
    assert {group: (ours.text_a, theirs.text_a) for group, (ours, theirs) in found.items()} == {
        "p": ("en q2", "yo q2"),
        "one": ("en a", "yo b"),
    }
    assert [example.id for example in found["p"]] == ["q2/text", "q2/text"]
