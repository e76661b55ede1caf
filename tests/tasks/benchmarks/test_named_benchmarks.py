"""The named benchmarks: from the public files, from the publishers' layouts, from the Hub; and what may not leak."""

import gzip
import json
import sys
from collections import Counter
from functools import partial
from pathlib import Path
from types import SimpleNamespace

import pytest

from lingraft.cli.listing import rows_of
from lingraft.core.errors import ConfigError, DataError
from lingraft.data.languages import canonical
from lingraft.data.text import normalise
from lingraft.recipe.parsing import parse_recipe, read_recipe
from lingraft.tasks import tasks
from lingraft.tasks.benchmarks.catalogue import benchmark, benchmarks, is_held_out
from lingraft.tasks.benchmarks.entries import Hub
from lingraft.tasks.benchmarks.files import _groups_by_id, _hub_place, find, known_languages, read_split
from lingraft.tasks.gathering import gather
from lingraft.tasks.kinds import kind_of

ENGLISH = "eng-Latn"


def ids(examples):
    """Their ids, in order."""
    return [example.id for example in examples]


def groups(examples):
    """The set of their groups."""
    return {example.group for example in examples}


def sentences(examples):
    """All that is written in them, as leakage is judged."""
    return {normalise(text) for example in examples for text in example.texts}


def write(path, text):
    """A file in its folder."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(gzip.compress(text.encode()) if path.suffix == ".gz" else text.encode())


def table(path, header, *rows):
    """A table with tabs."""
    write(path, "".join("\t".join(map(str, row)) + "\n" for row in (header, *rows)))


def squad(path, **articles):
    """SQuAD's JSON: title -> {context: {id: question}}; the answer to all is a context's first word."""
    data = [
        {
            "title": title.replace("_", " "),
            "paragraphs": [
                {
                    "context": context,
                    "qas": [
                        {"id": key, "question": asked, "answers": [{"text": context.split()[0], "answer_start": 0}]}
                        for key, asked in questions.items()
                    ],
                }
                for context, questions in paragraphs.items()
            ],
        }
        for title, paragraphs in articles.items()
    ]
    write(path, json.dumps({"data": data}))


@pytest.fixture
def public(shared_data):
    """The folder of a public data set, as text."""

    def folder(name):
        if not (shared_data / name).is_dir():
            pytest.skip(f"{name} is not among the public data sets")
        return str(shared_data / name)

    return folder


# ---- The public files ------------------------------------------------------------------------------


@pytest.mark.shared
def test_xquad_has_the_same_paragraphs_in_all_languages(public):
    """1190 questions on 240 paragraphs, the same ids and groups in nine languages; SQuAD is learned from."""
    targets = ["ar", "de", "el", "es", "hi", "ru", "vi", "zh"]
    source = {"name": "squad", "data_dir": public("squad_en"), "hold_out": 300}
    task = tasks.build("xquad", {"target_languages": targets, "data_dir": public("xquad"), "train_from": source})
    english = task.examples(ENGLISH, "test")
    assert (len(english), len(groups(english))) == (1190, 240)
    for code in task.target_languages:
        assert [(e.id, e.group) for e in task.examples(code, "test")] == [(e.id, e.group) for e in english]
    training, dev = task.examples(ENGLISH, "train"), task.examples(ENGLISH, "dev")
    assert len(training) + len(dev) == 3939
    assert 280 <= len(dev) <= 300
    assert not groups(training) & groups(dev)
    assert not sentences(training) & {normalise(e.context) for e in english}
    assert all(e.group.startswith("squad/") for e in training)
    assert (task.parallel, task.global_groups, task.kind.options["normaliser"]) == (True, True, "squad")
    assert task.licence == "xquad: CC BY-SA 4.0; squad: CC BY-SA 4.0"


MLQA_PAIRS = {
    "eng": {"eng": 1148, "arb": 517, "deu": 512, "spa": 500, "vie": 511, "zho": 504},
    "arb": {"arb": 517, "eng": 517}, "deu": {"deu": 512, "eng": 512}, "spa": {"spa": 500, "eng": 500},
    "vie": {"vie": 511, "eng": 511}, "zho": {"zho": 504, "eng": 504},
}  # fmt: skip
"""Questions by language of the context and of the question, as the publisher counts them."""


@pytest.mark.shared
def test_mlqa_has_every_pair_of_languages_and_its_articles_as_groups(public):
    """Counts as published; a question is in the same group in all its languages, and so is all its article."""
    options = {
        "target_languages": ["ar", "de", "es", "vi", "zh"],
        "data_dir": public("mlqa"),
        "score_split": "dev",
        "train_from": {"name": "squad", "data_dir": public("squad_en")},
    }
    task = tasks.build("mlqa", {**options, "question_languages": "all"})
    found = {code: task.examples(code, "test") for code in task.languages}
    counted = {code[:3]: dict(Counter(e.language[:3] for e in examples)) for code, examples in found.items()}
    assert counted == MLQA_PAIRS
    everything = [example for examples in found.values() for example in examples]
    assert len(set(ids(found[ENGLISH]))) == len(found[ENGLISH])
    group_of = {}
    for example in everything:
        assert group_of.setdefault(example.id.partition("/")[0], example.group) == example.group
    assert len(groups(everything)) == len(groups(found[ENGLISH])) == 520
    same = tasks.build("mlqa", options).examples("deu-Latn", "test")
    assert [(e.id, e.group) for e in same] == [(e.id, e.group) for e in found["deu-Latn"] if e.language == "deu-Latn"]


PLACEHOLDERS = {"deu": (32, 68), "spa": (1, 38), "fra": (14, 8), "zho": (25, 16)}
"""Rows that say NS in test and development set, as the publisher's files have them."""


@pytest.fixture
def pawsx(public):
    """PAWS-X learned from its English development pairs, of which 400 select."""

    def build(*others, **changes):
        own = {"name": "pawsx", "split": "dev", "data_dir": public("pawsx"), "hold_out": 400} | changes
        targets = ["de", "es", "fr", "zh"]
        return tasks.build(
            "pawsx", {"target_languages": targets, "data_dir": public("pawsx"), "train_from": [own, *others]}
        )

    return build


@pytest.mark.shared
def test_pawsx_drops_and_counts_its_placeholders(pawsx):
    """No text is NS; what was left out is noted for each language that has such rows."""
    task = pawsx()
    names = {code[:3]: code for code in task.target_languages}
    notes = {
        f"pawsx, {names[code]} test: left out {n} placeholder row{'s' * (n > 1)} (NS)"
        for code, (n, _) in PLACEHOLDERS.items()
    }
    for code, (test, _) in PLACEHOLDERS.items():
        assert len(task.examples(names[code], "test")) == 2000 - test
        assert "ns" not in sentences(task.examples(names[code], "test"))
    assert len(task.examples(ENGLISH, "test")) == 2000
    assert set(task.notes) == notes
    for code, (_, dev) in PLACEHOLDERS.items():  # what shots come from
        task.examples(names[code], "train")
        assert f"pawsx, {names[code]} dev: left out {dev} placeholder rows (NS)" in task.notes


@pytest.mark.shared
def test_placeholders_of_what_is_learned_from_are_counted_too(pawsx):
    """German development pairs as a second source: 68 of them are no pairs."""
    task = pawsx(language="de")
    assert "pawsx, deu-Latn dev (to learn from): left out 68 placeholder rows (NS)" in task.notes
    assert len(task.examples(ENGLISH, "train")) + len(task.examples(ENGLISH, "dev")) == 2000 - 68


@pytest.mark.shared
def test_pawsx_training_and_development_share_no_sentence(pawsx):
    """1600 and 400 pairs; fewer training pairs leave the development set as it is, and so does another data set."""
    task = pawsx()
    training, dev = task.examples(ENGLISH, "train"), task.examples(ENGLISH, "dev")
    assert (len(training), len(dev)) == (1600, 400)
    assert not sentences(training) & sentences(dev)
    fewer = pawsx(examples=200)
    assert fewer.examples(ENGLISH, "dev") == dev
    assert 195 <= len(fewer.examples(ENGLISH, "train")) <= 200
    assert set(ids(fewer.examples(ENGLISH, "train"))) < set(ids(training))


@pytest.mark.shared
def test_pawsx_shots_are_no_translations_of_development_pairs(pawsx):
    """German training pairs are the German development set without the 400 that select, in the same groups."""
    task = pawsx()
    held, german = groups(task.examples(ENGLISH, "dev")), task.examples("deu-Latn", "train")
    assert not groups(german) & held
    group_of = {e.id: e.group for e in task.examples(ENGLISH, "train")}
    assert all(group_of[e.id] == e.group for e in german)
    assert 1600 - PLACEHOLDERS["deu"][1] <= len(german) < 1600


@pytest.mark.shared
def test_indonesian_pairs_join_the_english_ones(pawsx, public):
    """A second source in another language keeps its language and gets ids of its own."""
    task = pawsx({"name": "paws_wiki_id", "data_dir": public("paws_wiki_id"), "language": "ind"})
    training = task.examples(ENGLISH, "train")
    assert Counter(e.language for e in training) == {ENGLISH: 1600, "ind-Latn": 7993}
    assert len(set(ids(training))) == 9593
    assert all(e.id.startswith("paws_wiki_id/") for e in training if e.language == "ind-Latn")
    assert len(task.examples(ENGLISH, "dev")) == 400
    assert "nothing is stated" in task.licence


@pytest.mark.shared
def test_tydiqa_keeps_every_tenth_question_for_tests(public):
    """3696 English and 2755 Swahili questions fall into disjoint parts, nine to one."""
    task = tasks.build("tydiqa_goldp", {"target_languages": ["sw"], "data_dir": public("tydiqa_goldp")})
    for code, total in ((ENGLISH, 3696), ("swh-Latn", 2755)):
        training, test = task.examples(code, "train"), task.examples(code, "test")
        assert (len(training), len(test)) == (total - total // 10, total // 10)
        assert not set(ids(training)) & set(ids(test))


@pytest.mark.shared
def test_afriqa_asks_about_english_passages(public):
    """Questions in Hausa, contexts in English; SQuAD to learn from."""
    source = {"name": "squad", "data_dir": public("squad_en")}
    options = {"target_languages": ["ha", "sw"], "data_dir": public("afriqa"), "train_from": source}
    task = tasks.build("afriqa", options)
    assert [len(task.examples("hau-Latn", split)) for split in ("train", "test")] == [198, 272]
    assert {(e.language, e.context_language) for e in task.examples("hau-Latn", "test")} == {("hau-Latn", ENGLISH)}
    assert (len(task.examples("swh-Latn", "test")), task.examples("swh-Latn", "train")) == (264, [])


@pytest.mark.shared
def test_the_three_pairs_of_a_premise_are_one_group(public):
    """In XNLI's English, and in AmericasNLI, where no English names the groups and a language may lack a pair."""
    xnli = {"name": "xnli", "split": "dev", "data_dir": public("xnli"), "hold_out": 300}
    targets = ["gn", "oto-Latn", "nah-Latn"]
    options = {"target_languages": targets, "data_dir": public("americasnli"), "train_from": xnli}
    task = tasks.build("americasnli", options)
    training, dev = task.examples(ENGLISH, "train"), task.examples(ENGLISH, "dev")
    assert (len(training), len(dev)) == (2190, 300)
    assert set(Counter(e.group for e in (*training, *dev)).values()) == {3}
    guarani = {e.id: e.group for e in task.examples("grn-Latn", "test")}
    assert len(guarani) == 750
    numbers = sorted(map(int, guarani))
    assert all(len({guarani[str(n)] for n in numbers[i : i + 3]}) == 1 for i in range(0, 750, 3))
    assert all(e.group == guarani[e.id] for e in task.examples("oto-Latn", "test"))
    assert len(task.examples("nah-Latn", "test")) == 735
    assert "americasnli, nah-Latn test: left out 3 placeholder rows (a text is blank)" in task.notes
    assert "xnli: CC BY-NC 4.0" in task.licence


@pytest.mark.shared
def test_xnli_may_be_scored_where_its_test_set_is_not(public):
    """On another language's development set, without what selects; its own training set is what it learns from."""
    own = {"name": "xnli", "split": "dev", "data_dir": public("xnli"), "hold_out": 300}
    options = {"target_languages": ["de"], "data_dir": public("xnli"), "train_from": own}
    task = tasks.build("xnli", options)
    with pytest.raises(
        DataError, match=r"xnli has no test examples in German \(deu-Latn\).*the benchmark has arb-Arab"
    ):
        task.examples("deu-Latn", "test")
    scored = tasks.build("xnli", options | {"score_split": "dev"})
    assert len(scored.examples("deu-Latn", "test")) == 2490
    assert scored.examples("deu-Latn", "train") == []
    german = task.examples("deu-Latn", "train")
    assert (len(german), groups(german) & groups(task.examples(ENGLISH, "dev"))) == (2190, set())


@pytest.mark.shared
def test_nusax_is_parallel(public):
    """500, 100 and 400 sentences in every language, under the same ids, and labels agree."""
    task = tasks.build("nusax", {"target_languages": ["bjn", "bbc"], "data_dir": public("nusax")})
    assert (task.labels, task.parallel) == (("negative", "neutral", "positive"), True)
    for split, count in (("train", 500), ("dev", 100), ("test", 400)):
        english = [(e.id, e.label) for e in task.examples(ENGLISH, split)]
        assert len(english) == count
        assert [(e.id, e.label) for e in task.examples("bbc-Latn", split)] == english


@pytest.mark.shared
@pytest.mark.parametrize("name", [name for name in benchmarks() if name not in ("mlqa", "sib200")])
def test_no_public_file_is_overlooked(public, name):
    """Its files are found, whatever a publisher calls a language; a part of SQuAD and one of COPA are not asked for."""
    entry, folder = benchmark(name), Path(public({"squad": "squad_en", "ud_pos": "ud"}.get(name, name)))
    patterns = [p for layout in entry.layouts for p in (layout.train, layout.dev, layout.test) if p]
    found = {find(p, code, folder, entry.spellings) for p in patterns for code in entry.languages}
    files = (folder / "sentiment" if name == "nusax" else folder).iterdir()
    assert {file.name for file in files if file not in found} <= {
        "README.md",
        "squad-v1.1-random.json.gz",
        "copa.val.en.jsonl",
    }


@pytest.mark.shared
def test_afrisenti_learns_from_nusax(public):
    """It has no English; NusaX has the same three labels."""
    source = {"name": "nusax", "data_dir": public("nusax"), "hold_out": 80}
    options = {"target_languages": ["rw", "ts"], "data_dir": public("afrisenti"), "train_from": source}
    task = tasks.build("afrisenti", options)
    assert [len(task.examples(ENGLISH, split)) for split in ("train", "dev", "test")] == [420, 80, 0]
    assert [len(task.examples("kin-Latn", split)) for split in ("train", "test")] == [3302, 1026]
    assert len(task.examples("tso-Latn", "test")) == 254


@pytest.mark.shared
def test_masakhaner_s_dates_are_unseen_in_panx(public):
    """Refused with the tag and the option that lets it be; then tests and shots have it."""
    source = {"name": "panx", "data_dir": public("panx"), "examples": 500, "hold_out": 100}
    options = {"target_languages": ["ha", "yo"], "data_dir": public("masakhaner"), "train_from": source}
    swahili = source | {"language": "sw"}  # has the same seven tags, and is sooner read
    strict = tasks.build("masakhaner", options | {"train_from": swahili})
    assert strict.labels == ("B-LOC", "B-ORG", "B-PER", "I-LOC", "I-ORG", "I-PER", "O")
    for split in ("train", "test"):
        with pytest.raises(
            DataError, match=r"\(.*masakhaner\), sentence \d+: label 'B-DATE' .*task\.allow_unseen_labels"
        ):
            strict.examples("hau-Latn", split)
    task = tasks.build("masakhaner", options | {"allow_unseen_labels": True})
    assert [len(task.examples("hau-Latn", split)) for split in ("train", "test")] == [1912, 552]
    assert any("B-DATE" in e.tags for e in task.examples("hau-Latn", "test"))
    assert [len(task.examples(ENGLISH, split)) for split in ("train", "dev")] == [500, 100]
    assert "CC BY-NC 4.0" in task.licence


@pytest.mark.shared
def test_panx_is_scored_on_its_development_sets(public):
    """They are the only ones with labels; so they do not select."""
    task = tasks.build("panx", {"target_languages": ["yo", "qu"], "data_dir": public("panx")})
    assert [len(task.examples(ENGLISH, split)) for split in ("train", "dev", "test")] == [20000, 0, 10000]
    assert [len(task.examples("quy-Latn", split)) for split in ("train", "test")] == [100, 100]


@pytest.mark.shared
def test_parts_of_speech_are_learned_from_english_development_sentences(public):
    """EWT's training set is not there; 17 tags, of which Telugu has some."""
    own = {"name": "ud_pos", "split": "dev", "data_dir": public("ud"), "hold_out": 300}
    options = {"target_languages": ["te", "hsb", "mr"], "data_dir": public("ud"), "train_from": own}
    task = tasks.build("ud_pos", options | {"allow_unseen_labels": True})
    assert [len(task.examples(ENGLISH, split)) for split in ("train", "dev", "test")] == [1701, 300, 2077]
    assert [len(task.examples("tel-Telu", split)) for split in ("train", "test")] == [1051, 146]
    assert (len(task.examples("hsb-Latn", "test")), len(task.examples("mar-Deva", "train"))) == (644, 373)
    assert {"NOUN", "VERB"} < set(task.labels)
    assert list(task.kind.metrics) == ["tag_accuracy"]


@pytest.mark.shared
def test_xcopa_learns_from_english_copa(public):
    """400 English items, none of which a target's training item translates."""
    task = tasks.build("xcopa", {"target_languages": ["quy", "ht"], "data_dir": public("xcopa")})
    assert [len(task.examples(ENGLISH, split)) for split in ("train", "dev", "test")] == [400, 0, 0]
    assert [len(task.examples("hat-Latn", split)) for split in ("train", "test")] == [100, 500]
    assert not groups(task.examples(ENGLISH, "train")) & groups(task.examples("hat-Latn", "train"))


# ---- The publishers' layouts -----------------------------------------------------------------------

NLI = ["premise", "hypothesis", "label"]
COPA = {"premise": "p", "choice1": "a", "choice2": "b", "question": "cause", "label": 1, "idx": 3}
CONLL = "Ada B-PER\nruns O\n"
CONLLU = "".join(
    "\t".join(row) + "\n" for row in (["1", "Ada", "_", "PROPN", *"______"], ["2", "runs", "_", "VERB", *"______"])
)
LAYOUTS = {
    "mlqa": ("dev/dev-context-{two}-question-{two}.json", lambda path: squad(path, A={"Ada ran": {"q": "Who?"}})),
    "tydiqa_goldp": (
        "tydiqa-goldp-v1.1-dev/tydiqa.goldp.{two}.dev.json", lambda path: squad(path, A={"Ada ran": {"q": "Who?"}}),
    ),
    "pawsx": (
        "{two}/test_2k.tsv", lambda path: table(path, ["id", "sentence1", "sentence2", "label"], [1, "a", "b", 0]),
    ),
    "americasnli": (
        "anli_final/test/{two}.tsv",
        lambda path: table(path, ["id", "language", *NLI], [7, "gn", "p", "h", "neutral"]),
    ),
    "nusax": (
        "datasets/sentiment/{name}/test.csv", lambda path: write(path, "id,text,label\n1,a,positive\n"),
    ),
    "afrisenti": ("data/{three}/test.tsv", lambda path: table(path, ["tweet", "label"], ["a", "positive"])),
    "masakhaner": ("data/{three}/test.txt", lambda path: write(path, CONLL)),
    "panx": ("dev-{two}.tsv", lambda path: write(path, CONLL.replace(" ", "\t"))),
    "ud_pos": ("UD_Somewhere-X/{two}_x-ud-test.conllu", lambda path: write(path, CONLLU)),
    "xcopa": ("data/{two}/test.{two}.jsonl", lambda path: write(path, json.dumps(COPA) + "\n")),
}  # fmt: skip
TARGETS = {
    "mlqa": ("deu-Latn", "de", "deu"), "tydiqa_goldp": ("swh-Latn", "sw", "swa"), "pawsx": ("deu-Latn", "de", "deu"),
    "americasnli": ("grn-Latn", "gn", "grn"), "nusax": ("ace-Latn", "ace", "ace"),
    "afrisenti": ("swh-Latn", "sw", "swa"), "masakhaner": ("swh-Latn", "sw", "swa"), "panx": ("yor-Latn", "yo", "yor"),
    "ud_pos": ("tel-Telu", "te", "tel"), "xcopa": ("quy-Latn", "qu", "quy"),
}  # fmt: skip


@pytest.mark.parametrize("name", LAYOUTS)
def test_the_publisher_s_folders_are_read(tmp_path, name):
    """The file of a target's test set, named as its publisher names it, compressed or not."""
    pattern, make = LAYOUTS[name]
    language, two, three = TARGETS[name]
    path = tmp_path / pattern.format(two=two, three=three, name="acehnese")
    split = "dev" if name == "mlqa" else "test"
    for place in (path, path.with_name(f"{path.name}.gz")):
        make(place)
        found, left_out = read_split(benchmark(name), language, split, tmp_path, source="eng", pairs=False)
        assert (len(found), found[0].language, left_out) == (1, language, 0)
        place.unlink()


def test_one_file_for_all_languages_is_read_by_its_language_column(tmp_path):
    """XNLI as published: rows of other languages are left alone, pairs of one number are one example."""
    header = ["language", "gold_label", "sentence1", "sentence2", "pairID"]
    rows = [
        (code, label, f"{code} p", f"{code} h{n}", n)
        for code in ("en", "de", "fr")
        for n, label in enumerate(("neutral", "entailment", "contradiction"), 1)
    ]
    for split in ("dev", "test"):
        table(tmp_path / "XNLI-1.0" / f"xnli.{split}.tsv", header, *rows)
    own = {"name": "xnli", "split": "dev", "data_dir": str(tmp_path)}
    task = tasks.build("xnli", {"target_languages": ["de"], "data_dir": str(tmp_path), "train_from": own})
    assert [(e.id, e.text_a, e.text_b) for e in task.examples("deu-Latn", "test")] == [
        ("1", "de p", "de h1"), ("2", "de p", "de h2"), ("3", "de p", "de h3"),
    ]  # fmt: skip
    assert len(groups((*task.examples("deu-Latn", "test"), *task.examples(ENGLISH, "test")))) == 1


def test_english_of_pawsx_is_not_translated(tmp_path):
    """Its training file has another name than the others'."""
    for code, name in (("en", "train.tsv"), ("de", "translated_train.tsv")):
        table(tmp_path / code / name, ["id", "sentence1", "sentence2", "label"], [1, f"{code} a", "b", 0])
    for code in ("en", "de"):
        (found,), _ = read_split(benchmark("pawsx"), code, "train", tmp_path, source="eng", pairs=False)
        assert (found.text_a, found.group) == (f"{code} a", "train/1")


def test_tydiqa_s_languages_are_told_apart_in_one_file(tmp_path):
    """Google's training file has all languages, and ids begin with their names."""
    questions = {f"{name}-{i}": "Who?" for name in ("swahili", "telugu") for i in range(2)}
    squad(tmp_path / "tydiqa-goldp-v1.1-train.json", A={"Ada ran": questions})
    squad(tmp_path / "tydiqa-goldp-v1.1-dev" / "tydiqa-goldp-dev-swahili.json", A={"Ada ran": {"swahili-9": "Who?"}})
    read = partial(read_split, benchmark("tydiqa_goldp"), "sw", folder=tmp_path, source="eng", pairs=False)
    assert ids(read("train")[0]) == ["swahili-0", "swahili-1"]
    assert ids(read("test")[0]) == ["swahili-9"]


def test_afriqa_s_own_files_are_read(tmp_path):
    """Offsets that are off are mended; questions without a span in the passage are left out, and counted."""
    rows = [
        ("0", "Ada was in Wa, and Ada ran.", ["Ada"], [17]),
        ("1", "Ada ran.", ["yes"], [-1]),
        ("2", "Ada ran.", ["Eli"], [0]),
        ("3", None, [""], [0]),
    ]
    lines = [
        json.dumps(
            {"id": i, "question_lang": "Wane?", "context": context, "answer_pivot": {"text": text, "answer_start": at}}
        )
        for i, context, text, at in rows
    ]
    folder = tmp_path / "data" / "gold_passages" / "hau"
    write(folder / "gold_span_passages.afriqa.hau.en.test.json", "\n".join(lines) + "\n")
    (found,), left_out = read_split(benchmark("afriqa"), "hau", "test", tmp_path, source="eng", pairs=False)
    assert (found.id, found.language, found.context_language, left_out) == ("0", "hau-Latn", ENGLISH, 3)
    assert [(answer.text, answer.start) for answer in found.answers] == [("Ada", 19)]


def test_an_evaluation_set_is_learned_from_only_if_one_says_so(tmp_path):
    """Also by way of `train_from`; then of the groups that are held out of scoring, and of no other."""
    questions = {f"Ada ran {i}": {f"q{i}": "Who?"} for i in range(40)}
    squad(tmp_path / "xquad.en.json", A=questions)
    squad(tmp_path / "dev" / "dev-context-de-question-de.json", B={"Ada lief": {"d": "Wer?"}})
    source = {"name": "xquad", "split": "test", "data_dir": str(tmp_path), "hold_out": 2}
    options = {"target_languages": ["de"], "data_dir": str(tmp_path), "score_split": "dev", "train_from": source}
    with pytest.raises(DataError, match=r"xquad is made to evaluate on: .*`train_on_evaluation_set: true`"):
        tasks.build("mlqa", options)
    task = tasks.build("mlqa", options | {"train_on_evaluation_set": True})
    learned = [*task.examples(ENGLISH, "train"), *task.examples(ENGLISH, "dev")]
    assert 0 < len(learned) < 20
    assert all(is_held_out(example.group.removeprefix("xquad/")) for example in learned)


def test_numbers_that_begin_anew_are_no_groups_of_the_test_set(tmp_path):
    """Pair 1 of PAWS-X's training set is not pair 1 of its test set, and is not dropped for it."""
    header = ["id", "sentence1", "sentence2", "label"]
    for split, word in (("translated_train", "tree"), ("dev_2k", "river"), ("test_2k", "stone")):
        rows = [(i, f"{word} {i}", f"{i} {word}", i % 2) for i in (1, 2, 3)]
        for code in ("en", "de"):
            table(tmp_path / code / f"{split}.tsv", header, *rows)
    recipe = parse_recipe({"task": {"name": "pawsx", "target_languages": ["de"], "data_dir": str(tmp_path)}})
    found = gather(recipe)
    assert (len(found.draws[0].labelled), len(found.dev), found.overlap["train"]) == (3, 3, 0)
    assert groups(found.draws[0].labelled) == {"train/1", "train/2", "train/3"}


def test_two_treebanks_of_a_language_are_not_chosen_between(tmp_path):
    """Both names are told."""
    for bank in ("ewt", "gum"):
        write(tmp_path / f"en_{bank}-ud-test.conllu", CONLLU)
    with pytest.raises(DataError, match=r"en_ewt-ud-test\.conllu and en_gum-ud-test\.conllu both fit"):
        find("{language}_*-ud-test.conllu", "eng", tmp_path)


def test_a_missing_folder_and_a_missing_file_are_reported(tmp_path):
    """With what to set, what was looked for, and which languages there are."""
    options = {"target_languages": ["de"], "data_dir": str(tmp_path / "nowhere")}
    with pytest.raises(DataError, match=r"there is no folder .*nowhere with the files of nusax; set task\.data_dir"):
        tasks.build("nusax", options)
    write(tmp_path / "sentiment" / "english.train.csv", "id,text,label\n1,a,good\n2,b,bad\n")
    task = tasks.build("nusax", options | {"data_dir": str(tmp_path)})
    with pytest.raises(DataError, match=r"no test examples in German .*sentiment/\{language\}\.test\.csv; .*ace-Latn"):
        task.examples("deu-Latn", "test")


def test_every_missing_test_set_is_told_at_once(tmp_path):
    """Placeholders are counted where there are files; what is missing is told together."""
    table(tmp_path / "dev.en.tsv", ["id", "sentence1", "sentence2", "label"], [1, "a", "b", 0], [2, "c", "d", 1])
    own = {"name": "pawsx", "split": "dev", "data_dir": str(tmp_path)}
    task = {"name": "pawsx", "target_languages": ["de", "fr"], "data_dir": str(tmp_path), "train_from": own}
    with pytest.raises(ConfigError) as caught:
        gather(parse_recipe({"task": task}))
    assert "German" in str(caught.value) and "French" in str(caught.value)


def test_every_entry_of_the_catalogue_is_complete():
    """Kinds can be built, languages are known, layouts name some split, whoever made it is named."""
    for name, entry in benchmarks().items():
        labels = ("O", "B-PER") if entry.kind in ("classification", "tagging") else ()
        assert kind_of(entry.kind, labels, entry.options).name == entry.kind
        assert len({canonical(code) for code in entry.languages}) == len(entry.languages)
        assert all(layout.train or layout.dev or layout.test for layout in entry.layouts)
        assert entry.licence and "(20" in entry.citation, name
        assert entry.evaluation_only == (name in ("xquad", "mlqa"))


def test_listed_tasks_show_languages_sizes_and_licence():
    """Benchmarks with all three, one's own kinds without; languages as they can be written in a recipe."""
    headings, rows = rows_of("tasks")
    assert headings == ["name", "what it is", "languages", "examples of a language", "licence"]
    listed = {row[0]: row[1:] for row in rows}
    about, languages, sizes, licence = listed["xquad"]
    assert about.endswith("(made to evaluate on)")
    assert (sizes, licence) == ("test 1,190", "CC BY-SA 4.0")
    assert {"deu", "zho", "vie"} < set(languages.split(", "))
    assert "BY-NC" in listed["masakhaner"][3]
    assert listed["tagging"][1:] == ["", "", ""]
    assert listed["sib200"][1:3] == ["those of FLORES-200", "train 701, dev 99, test 204"]
    for row in rows:
        for code in row[2].split(", ") if row[2] and row[0] != "sib200" else ():
            canonical(code)


# ---- The Hub ---------------------------------------------------------------------------------------


@pytest.fixture
def hub(monkeypatch):
    """A `datasets` that gives rows by configuration, and notes what it was asked for."""
    asked = []

    def serve(rows):
        def load_dataset(name, config, split, revision=None):
            asked.append((name, config, split, revision))
            return rows(config, split) if callable(rows) else rows

        monkeypatch.setitem(sys.modules, "datasets", SimpleNamespace(load_dataset=load_dataset))
        _groups_by_id.cache_clear()  # the Hub's revisions do not change, but inventions do
        return asked

    return serve


def test_the_hub_s_numbered_labels_get_their_names(hub):
    """Configuration by ISO 639-3 code, split and revision as the catalogue says."""
    asked = hub([{"id": n, "text": f"text {n}", "label": n} for n in range(3)])
    task = tasks.build("nusax", {"target_languages": ["ace"], "data_dir": "hub"})
    assert task.labels == ("negative", "neutral", "positive")
    assert [e.label for e in task.examples("ace-Latn", "test")] == ["negative", "neutral", "positive"]
    assert asked == [
        ("indonlp/NusaX-senti", "eng", "train", "refs/convert/parquet"),
        ("indonlp/NusaX-senti", "ace", "test", "refs/convert/parquet"),
    ]


@pytest.mark.parametrize(
    ("name", "language", "config"),
    [
        ("americasnli", "ayr", "aym"), ("americasnli", "gn", "gn"), ("americasnli", "quy", "quy"),
        ("afrisenti", "sw", "swa"), ("afrisenti", "om", "orm"), ("masakhaner", "sw", "swa"),
        ("masakhaner", "ha", "hau"), ("panx", "quy", "PAN-X.qu"), ("xcopa", "et", "et"), ("pawsx", "zh", "zh"),
        ("xnli", "sw", "sw"), ("tydiqa_goldp", "sw", "secondary_task"),
    ],
)  # fmt: skip
def test_the_hub_s_own_codes_are_used(hub, name, language, config):
    """Whatever a data set calls a language."""
    entry = benchmark(name).hub
    assert isinstance(entry, Hub)
    assert _hub_place(entry, "test", language, language).split(":")[1] == f"{entry.id}/{config}"


def test_the_hub_s_numbered_tags_get_their_names(hub):
    """Words and classes are lists; the classes are numbers."""
    hub([{"id": "0", "tokens": ["Ada", "runs"], "ner_tags": [1, 0]}])
    task = tasks.build("masakhaner", {"source_language": "ha", "target_languages": ["sw"], "data_dir": "hub"})
    (example,) = task.examples("swh-Latn", "test")
    assert (example.words, example.tags) == (("Ada", "runs"), ("B-PER", "O"))


def question(key, context, asked="Who?"):
    """A row as the Hub has it."""
    return {"id": key, "question": asked, "context": context, "answers": {"text": ["Ada"], "answer_start": [0]}}


def test_the_hub_s_xquad_has_the_same_groups_in_all_languages(hub):
    """Without titles, languages meet by their ids: what is held out in one is held out in all."""
    rows = {"en": "runs", "de": "rennt"}
    hub(
        lambda config, split: [
            question(f"q{i}", f"Ada {rows.get(config[-2:], config[-2:])} {i // 2}") for i in range(40)
        ]
    )
    task = tasks.build("xquad", {"target_languages": ["de"], "data_dir": "hub", "train_on_evaluation_set": True})
    english, german = (
        {e.id: e.group for split in ("train", "test") for e in task.examples(code, split)} for code in task.languages
    )
    assert english == german
    assert len(set(english.values())) == 20
    assert groups(task.examples(ENGLISH, "train")) == groups(task.examples("deu-Latn", "train"))
    assert english["q0"] == english["q1"] != english["q2"]


def test_the_hub_s_mlqa_has_questions_in_other_languages(hub):
    """`question_languages: all` asks for every configuration about a context's language."""

    def rows(config, split):
        return [question("q", f"Ada {config.split('.')[1] if '.' in config else 'alone'}", asked=config)]

    asked = hub(rows)
    options = {"target_languages": ["de"], "data_dir": "hub", "train_from": {"name": "squad", "data_dir": "hub"}}
    same = tasks.build("mlqa", options).examples("deu-Latn", "test")
    every = tasks.build("mlqa", options | {"question_languages": "all"}).examples("deu-Latn", "test")
    assert [(e.question, e.context) for e in same] == [("mlqa.de.de", "Ada de")]
    assert {e.question for e in every} == {f"mlqa.de.{code}" for code in ("ar", "de", "en", "es", "hi", "vi", "zh")}
    assert {e.context_language for e in every} == {"deu-Latn"}
    assert len(groups(every)) == 1
    assert ("facebook/mlqa", "mlqa.de.hi", "test", "refs/convert/parquet") in asked


def test_what_is_not_on_the_hub_is_reported():
    """With what to do instead."""
    with pytest.raises(DataError, match=r"ud_pos is not read from the Hub; download it and set task\.data_dir"):
        tasks.build("ud_pos", {"target_languages": ["te"], "data_dir": "hub"})


# ---- Evaluation sets -------------------------------------------------------------------------------


@pytest.fixture
def little_xquad(tmp_path):
    """Twenty paragraphs of two questions each in two languages, and a SQuAD of one article."""
    for code, word in (("en", "runs"), ("de", "rennt")):
        paragraphs = {f"Ada {word} {i}": {f"q{i}a": f"Who {word}?", f"q{i}b": f"What {word}?"} for i in range(20)}
        squad(tmp_path / f"xquad.{code}.json", Races=paragraphs)
    contexts = {f"Eli sleeps {i}": {f"s{i}": f"Who sleeps {i}?"} for i in range(10)}
    squad(tmp_path / "squad" / "squad-v1.1-17articles.json", Sleep=contexts)
    return tmp_path


def xquad_block(folder, **changes):
    """A recipe's task block."""
    source = {"name": "squad", "data_dir": str(folder / "squad"), "hold_out": 3}
    block = {"name": "xquad", "target_languages": ["de"], "data_dir": str(folder), "train_from": source}
    return {key: value for key, value in (block | changes).items() if value is not None}


def test_an_evaluation_set_is_not_learned_from_without_a_word(little_xquad):
    """The refusal has the words to add, for shots as for the source language."""
    words = r"xquad is made to evaluate on: .*`train_on_evaluation_set: true` in the task block.*shots\.k to 0"
    with pytest.raises(DataError, match=words):
        gather(parse_recipe({"task": xquad_block(little_xquad), "shots": {"k": 1}}))
    with pytest.raises(DataError, match=words):
        gather(parse_recipe({"task": xquad_block(little_xquad, train_from=None)}))
    assert len(gather(parse_recipe({"task": xquad_block(little_xquad)})).test["deu-Latn"]) == 40


def test_with_the_word_some_groups_are_held_out_in_all_languages(little_xquad):
    """What is learned from and what is scored share no paragraph, in any language, and are everything together."""
    block = xquad_block(little_xquad, train_on_evaluation_set=True)
    task = tasks.build("xquad", {key: value for key, value in block.items() if key != "name"})
    english, german = (groups(task.examples(code, "test")) for code in task.languages)
    held = groups(task.examples("deu-Latn", "train"))
    assert english == german
    assert (len(held) > 0, held & german, held | german) == (True, set(), {f"Races/{i}" for i in range(20)})
    assert held == {group for group in held | german if is_held_out(group)}
    assert groups(task.examples(ENGLISH, "train")) <= {f"squad/Sleep/{i}" for i in range(10)}
    found = gather(parse_recipe({"task": block, "shots": {"k": 1}}))
    (shot,) = found.draws[0].shots["deu-Latn"]
    assert shot.group in held
    assert len(found.test["deu-Latn"]) == 2 * len(german)


def test_a_test_set_is_cut_down_to_whole_groups_the_same_in_each_language(little_xquad):
    """Seven questions are three paragraphs of two; what is scored, and of how many, is noted."""
    block = xquad_block(little_xquad, test_examples=7)
    materials = gather(parse_recipe({"task": block, "shots": {"k": 0}}))
    english, german = (groups(materials.test[code]) for code in (ENGLISH, "deu-Latn"))
    assert english == german
    assert [len(materials.test[code]) for code in (ENGLISH, "deu-Latn")] == [6, 6]
    for language in (ENGLISH, "deu-Latn"):
        noted = f"xquad, {language}: scored on 6 of 40 examples (task.test_examples), whole groups"
        assert materials.notes.count(noted) == 1
    with pytest.raises(ConfigError, match=r"task\.test_examples: no group of examples of xquad in .* as small as 1;"):
        gather(parse_recipe({"task": xquad_block(little_xquad, test_examples=1), "shots": {"k": 0}}))


@pytest.mark.shared
def test_held_out_paragraphs_of_xquad_are_about_one_in_five(public):
    """In the public files, the same ones in Arabic, Hindi and English."""
    source = {"name": "squad", "data_dir": public("squad_en")}
    options = {"target_languages": ["ar", "hi"], "data_dir": public("xquad"), "train_from": source}
    task = tasks.build("xquad", options | {"train_on_evaluation_set": True})
    held = [groups(task.examples(code, "train")) for code in task.target_languages]
    scored = [groups(task.examples(code, "test")) for code in task.languages]
    assert held[0] == held[1] and scored[0] == scored[1] == scored[2]
    assert 30 < len(held[0]) < 66
    assert (len(held[0] | scored[0]), held[0] & scored[0]) == (240, set())


def test_what_is_scored_does_not_select(tmp_path):
    """With `score_split: dev` the development set is the test set, and a part of the training set selects."""
    for split, word in (("train", "tree"), ("valid", "river")):
        for code in ("english", "acehnese"):
            rows = "".join(f"{i},{code} {word} {i},{'good' if i % 2 else 'bad'}\n" for i in range(16))
            write(tmp_path / "sentiment" / f"{code}.{split}.csv", f"id,text,label\n{rows}")
    block = {"name": "nusax", "target_languages": ["ace"], "data_dir": str(tmp_path), "score_split": "dev"}
    found = gather(parse_recipe({"task": block}))
    assert (len(found.test["ace-Latn"]), len(found.dev), len(found.draws[0].labelled)) == (16, 2, 14)


# ---- Leakage ---------------------------------------------------------------------------------------


def test_a_training_question_on_a_tested_paragraph_is_dropped(little_xquad):
    """Its context is in the test set of another language; all questions about it go, and are counted."""
    contexts = {"ADA  rennt 7": {"l1": "Wer?", "l2": "Was?"}} | {
        f"Eli sleeps {i}": {f"s{i}": "Who?"} for i in range(10)
    }
    squad(little_xquad / "squad" / "squad-v1.1-17articles.json", Sleep=contexts)
    found = gather(parse_recipe({"task": xquad_block(little_xquad)}))
    learned = (*found.draws[0].labelled, *found.dev)
    assert found.overlap["train"] == 2 - sum(e.context == "ADA  rennt 7" for e in found.dev)
    assert all(normalise(e.context) != "ada rennt 7" for e in found.draws[0].labelled)
    assert len(learned) == 12 - found.overlap["train"]


@pytest.mark.parametrize("text", ["WHO  rennt?", "ada rennt 3"], ids=["question", "context"])
@pytest.mark.parametrize("side", [0, 1], ids=["source side", "target side"])
def test_a_parallel_sentence_that_is_tested_is_dropped(little_xquad, text, side):
    """Whether it is a question or a context, on either side."""
    pair = ["a sentence", "ein Satz"]
    pair[side] = text
    table(little_xquad / "pairs.de.tsv", ["source", "target"], pair, ["another one", "noch einer"])
    parallel = {"files": str(little_xquad / "pairs.{language}.tsv")}
    found = gather(parse_recipe({"task": xquad_block(little_xquad), "parallel": parallel}))
    assert found.overlap["parallel"] == 1
    assert [b.text_a for _, b in found.draws[0].pairs["deu-Latn"]] == ["noch einer"]


def test_leakage_of_pairs_is_judged_on_their_order(tmp_path):
    """The tested pair goes from the training set, the swapped pair stays, and what shares a sentence is counted."""
    header = ["id", "sentence1", "sentence2", "label"]
    training = [(1, "a", "b", 0), (2, "b", "a", 1), (3, "a", "c", 0), (4, "d", "e", 1), (5, "f", "g", 0)]
    table(tmp_path / "train.en.tsv", header, *training)
    table(tmp_path / "dev.en.tsv", header, (6, "x", "y", 1))
    table(tmp_path / "test.en.tsv", header, (7, "m", "n", 1))
    table(tmp_path / "test.de.tsv", header, (7, "A", " B", 1), (8, "NS", "q", 0))
    found = gather(parse_recipe({"task": {"name": "pawsx", "target_languages": ["de"], "data_dir": str(tmp_path)}}))
    assert found.overlap["train"] == 1
    assert ids(found.draws[0].labelled) == ["train/2", "train/3", "train/4", "train/5"]
    assert any(note.startswith("2 of 4 eng-Latn training pairs share a text") for note in found.notes)
    assert "pawsx, deu-Latn test: left out 1 placeholder row (NS)" in found.notes


# ---- The recipe's block ----------------------------------------------------------------------------


def test_a_recipe_with_train_from_is_written_and_read_back(tmp_path):
    """One source or several: the resolved recipe says the same, and builds the same options."""
    one = {"name": "squad", "data_dir": "../somewhere", "hold_out": 300}
    for source in (one, [one, {"name": "tydiqa_goldp", "language": "sw", "split": "train", "examples": 9}]):
        recipe = parse_recipe({"task": {"name": "xquad", "target_languages": ["de"], "train_from": source}})
        path = tmp_path / "recipe.yaml"
        path.write_text(recipe.to_yaml(), encoding="utf-8")
        again = read_recipe(path)
        assert again == recipe
        assert again.task.options["train_from"] == source
        assert again.task.options["score_split"] == "test"


@pytest.mark.parametrize(
    ("source", "told"),
    [
        ({"name": "squad", "hold_uot": 3}, r"task\.train_from: .*key of train_from 'hold_uot'; did you mean 'hold_out"),
        ([{"name": "squad"}, {"name": "squad", "dir": "x"}], r"task\.train_from: .*unknown key of train_from 'dir'"),
        ({"name": "squad", "hold_out": 0}, r"task\.train_from: expected a number greater than 0"),
        ({"name": "squad", "split": "validation"}, r"task\.train_from: expected 'train', 'dev' or 'test'"),
        ("squad", r"task\.train_from: .*write \{name: squad\}"),
        ({"data_dir": "x"}, r"task\.train_from: Field required"),
    ],
)  # fmt: skip
def test_a_mistake_in_train_from_is_told_before_a_file_is_read(source, told):
    """What is wrong, and what was meant."""
    with pytest.raises(ConfigError, match=told):
        parse_recipe({"task": {"name": "xquad", "target_languages": ["de"], "train_from": source}})


def test_sources_of_another_kind_or_name_are_refused(little_xquad):
    """A classifier is not learned from questions, and an unknown data set is answered with the nearest."""
    for source, told in (("xnli", "xnli is classification, xquad is span_qa"), ("squat", "did you mean 'squad'")):
        with pytest.raises(DataError, match=told):
            tasks.build("xquad", {"target_languages": ["de"], "train_from": {"name": source}})


@pytest.mark.parametrize("numbers", [{"hold_out": 10}, {"hold_out": 40}])
def test_numbers_that_leave_nothing_to_learn_from_are_reported(little_xquad, numbers):
    """Ten questions in ten groups cannot all select."""
    source = {"name": "squad", "data_dir": str(little_xquad / "squad"), **numbers}
    with pytest.raises(DataError, match=r"squad has 10 train examples in eng-Latn, in 10 groups.*change these numbers"):
        tasks.build("xquad", {"target_languages": ["de"], "data_dir": str(little_xquad), "train_from": source})


# ---- Scripts that contain each other ---------------------------------------------------------------


def write_sentences(path, *words):
    """A table of SIB-200's."""
    rows = "".join(f"{i}\t{label}\t{word}\n" for i, (word, label) in enumerate(zip(words, "ab", strict=True)))
    path.write_text(f"index_id\tcategory\ttext\n{rows}", encoding="utf-8")


def test_a_listed_language_is_found_by_an_overlapping_script(tmp_path):
    """PAWS-X has Korean as it is usually written; SIB-200 and FLORES call the same kor_Hang."""
    notes = []
    assert known_languages(benchmark("pawsx"), ["en", "kor-Hang", "deu"], tmp_path, notes) == [
        "eng-Latn", "kor-Kore", "deu-Latn",
    ]  # fmt: skip
    assert notes == ["kor-Hang is called kor-Kore here, as in pawsx: the scripts overlap"]


def test_without_a_list_the_files_decide(tmp_path):
    """A task says which code it goes by; both forms of Chinese being there, neither stands for `Hani`."""
    for code in ("eng_Latn", "kor_Hang", "zho_Hans", "zho_Hant"):
        for split in ("train", "dev", "test"):
            write_sentences(tmp_path / f"{code}.{split}.tsv", "Ada", "Eli")
    task = tasks.build("sib200", {"target_languages": ["ko"], "data_dir": tmp_path})
    assert task.target_languages == ("kor-Hang",)
    assert task.notes == ["kor-Kore is called kor-Hang here, as in sib200: the scripts overlap"]
    assert [e.language for e in task.examples("kor-Hang", "test")] == ["kor-Hang"] * 2
    assert known_languages(benchmark("sib200"), ["zho-Hani", "zh"], tmp_path, []) == ["zho-Hani", "zho-Hans"]


def test_the_length_of_answers_is_set_for_questions_only(tmp_path):
    """A longer one where a data set has long answers; what is no question has none."""
    squad(tmp_path / "xquad.en.json", A={"Ada ran": {"q": "Who?"}})
    squad(tmp_path / "xquad.de.json", A={"Ada lief": {"d": "Wer?"}})
    options = {"target_languages": ["de"], "data_dir": str(tmp_path), "train_on_evaluation_set": True}
    with pytest.raises(
        DataError, match=r"task\.max_answer_length: pawsx is classification, whose answers have no such"
    ):
        tasks.build("pawsx", {"target_languages": ["de"], "data_dir": str(tmp_path), "max_answer_length": 59})
    source = {"name": "xquad", "split": "test", "data_dir": str(tmp_path)}
    task = tasks.build("xquad", options | {"max_answer_length": 59, "train_from": [source]})
    assert task.kind.options["max_answer_length"] == 59


def test_questions_are_answered_in_writing_where_a_recipe_says_so(tmp_path):
    """The benchmark's own scores stay; lengths of pieces mean nothing there."""
    squad(tmp_path / "xquad.en.json", A={"Ada ran": {"q": "Who?"}})
    squad(tmp_path / "xquad.de.json", A={"Ada lief": {"d": "Wer?"}})
    source = {"name": "xquad", "split": "test", "data_dir": str(tmp_path)}
    options = {
        "target_languages": ["de"],
        "data_dir": str(tmp_path),
        "train_on_evaluation_set": True,
        "train_from": [source],
        "answer_by": "generated_span",
    }
    kind = tasks.build("xquad", options | {"max_answer_tokens": 8}).kind
    assert (kind.name, kind.outputs, kind.options["normaliser"]) == ("generative_qa", 8, "squad")
    assert kind.options["within_context"] is True
    with pytest.raises(ConfigError, match=r"task\.max_answer_length: goes with `answer_by: span_head`"):
        tasks.build("xquad", options | {"max_answer_length": 59})
