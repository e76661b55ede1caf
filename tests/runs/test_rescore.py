"""A trained run scored again, on another benchmark; and predictions scored from files."""

import json
from types import SimpleNamespace

import pytest

from identities import identity_of
from lingraft.core.errors import DataError, RunError
from lingraft.core.records import Prediction
from lingraft.recipe.parsing import parse_recipe
from lingraft.runs import rescore
from lingraft.tasks.benchmarks.catalogue import is_held_out

TEXTS = {"eng": ("good", "bad", "good"), "ace": ("bad", "good", "good", "bad")}


@pytest.fixture
def call(command):
    """Call the command line; its exit code and what it printed, each output on one line."""

    def run(*arguments):
        done = command(*arguments)
        return SimpleNamespace(code=done.code, out=" ".join(done.out.split()), err=done.err)

    return run


class Stub:
    """What `load` gives, for a run that answers by rule; it notes what it was asked."""

    def __init__(self, kind, labels, answer, *, task="nusax"):
        options = {"scheme": "bio"} if kind == "tagging" else {}
        self.identity = identity_of(task=task, kind=kind, labels=labels, languages=("ace-Latn",), kind_options=options)
        self.answer, self.asked, self.targets = answer, [], self.identity.languages

    def predict_examples(self, examples, language):
        """Answers by rule."""
        self.asked += [(language, example.id) for example in examples]
        return [Prediction(example.id, language, self.answer(example), 1.0) for example in examples]


@pytest.fixture
def trained(tmp_path, monkeypatch):
    """A function that makes a run folder of a recipe's task, and lets `load` give a stub."""

    def make(stub, **task):
        block = {"name": "nusax", "target_languages": ["ace"], "data_dir": str(tmp_path / "nusax")} | task
        block = {key: value for key, value in block.items() if value is not None}
        folder = tmp_path / "run"
        folder.mkdir()
        recipe = parse_recipe({"task": block, "seeds": [7], "shots": {"k": [0, 5]}})
        (folder / "recipe.yaml").write_text(recipe.to_yaml(), encoding="utf-8")
        (folder / "summary.json").write_text('{"selected_trial": "k5-draw0-seed7"}', encoding="utf-8")
        monkeypatch.setattr(rescore, "load", lambda path, backbone: stub)
        return folder

    return make


@pytest.fixture
def nusax(tmp_path):
    """NusaX in miniature: English and Acehnese, two labels, a text ends with its label."""
    folder = tmp_path / "nusax" / "sentiment"
    folder.mkdir(parents=True)
    for code, name in (("eng", "english"), ("ace", "acehnese")):
        for split in ("train", "test"):
            rows = "".join(f"{i},{name} {i} {label},{label}\n" for i, label in enumerate(TEXTS[code]))
            (folder / f"{name}.{split}.csv").write_text(f"id,text,label\n{rows}", encoding="utf-8")
    return folder.parent


LABELS = ("bad", "good")


def last_word(example):
    """The label that a text ends with."""
    return example.texts[0].split()[-1]


def values(scores):
    """Language, metric, value and number of examples."""
    return {(s.language, s.metric): (s.value, s.n) for _, s in scores}


def test_the_run_s_own_task_is_scored_in_all_its_languages(nusax, trained):
    """Right answers score 1, under the selected training's numbers, and the part that was used is told."""
    stub = Stub("classification", LABELS, last_word)
    scores = rescore.rescore(trained(stub), None, "test", quiet=True)
    assert values(scores) == {
        (code, metric): (1.0, n)
        for code, n in (("eng-Latn", 3), ("ace-Latn", 4))
        for metric in ("accuracy", "macro_f1")
    }
    assert {(s.shots, s.draw, s.seed, s.task, s.method) for _, s in scores} == {(5, 0, 7, "nusax", "lingraft")}
    assert {(s.language, part) for part, s in scores} == {
        ("eng-Latn", "task part alone"), ("ace-Latn", "language and task part"),
    }  # fmt: skip


def test_what_was_trained_without_its_recipe_is_not_scored(trained):
    """As in the folder of one trial: what it was tested on stands in the run's."""
    folder = trained(Stub("classification", ("good", "bad"), lambda example: "good"))
    (folder / "recipe.yaml").unlink()
    with pytest.raises(RunError, match=r"no .*recipe\.yaml, which says what to score on; give the folder of the run"):
        rescore.rescore(folder, None, "test", quiet=True)


def test_a_limit_takes_the_same_examples_every_time(nusax, trained):
    """Chosen by a hash of their ids, whatever their order in the file."""
    stub = Stub("classification", LABELS, lambda example: "good")
    folder = trained(stub)
    for _ in range(2):
        (score, _) = (s for _, s in rescore.rescore(folder, ["ace"], "test", limit=2, quiet=True))
        assert score.n == 2
    assert stub.asked[:2] == stub.asked[2:]


def test_another_benchmark_of_the_kind_is_scored(nusax, trained, tmp_path):
    """AfriSenti in Swahili by a run on NusaX, with intervals around the value."""
    folder = tmp_path / "afrisenti"
    folder.mkdir()
    (folder / "swa.test.tsv").write_text("tweet\tlabel\n" + "x good\tgood\ny good\tbad\n" * 5, encoding="utf-8")
    stub = Stub("classification", LABELS, last_word)
    scores = rescore.rescore(trained(stub), ["sw"], "test", task_name="afrisenti", data_dir=folder, quiet=True)
    accuracy = next(s for _, s in scores if s.metric == "accuracy")
    assert (accuracy.task, accuracy.language, accuracy.value, accuracy.n) == ("afrisenti", "swh-Latn", 0.5, 10)
    assert accuracy.low < 0.5 < accuracy.high
    assert {language for language, _ in stub.asked} == {""}  # nothing was learned for it: the task part alone


def test_a_benchmark_is_looked_for_where_the_recipe_has_it(nusax, trained):
    """The run's own, and what it learned from; another one under `data`."""
    stub = Stub("classification", LABELS, last_word)
    folder = trained(stub)
    assert rescore.rescore(folder, ["ace"], "test", task_name="nusax", quiet=True)
    with pytest.raises(DataError, match=r"no folder data/afrisenti .*--data-dir"):
        rescore.rescore(folder, ["ha"], "test", task_name="afrisenti", quiet=True)


@pytest.fixture
def elsewhere(tmp_path, monkeypatch):
    """Work in a folder that is not the one in which recipes were run."""
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")


def test_data_are_found_beside_the_run_from_another_folder(nusax, trained, elsewhere):
    """The recipe's path began in the folder that it was run in: here the one that the run is in."""
    folder = trained(Stub("classification", LABELS, last_word), data_dir="nusax")
    scores = rescore.rescore(folder, ["ace"], "test", quiet=True)
    assert [score.n for _, score in scores] == [4, 4]
    again = rescore.rescore(folder, ["ace"], "test", task_name="nusax", quiet=True)
    assert [score.value for _, score in again] == [score.value for _, score in scores]


def test_what_was_learnt_from_is_found_beside_the_run_too(nusax, trained, elsewhere):
    """Its labels are those of the run."""
    source = {"name": "nusax", "data_dir": "nusax"}
    folder = trained(Stub("classification", LABELS, last_word), data_dir="nusax", train_from=source)
    scores = rescore.rescore(folder, ["ace"], "test", quiet=True)
    assert [score.n for _, score in scores] == [4, 4]


def test_own_files_are_found_beside_the_run_without_a_data_dir(trained, tmp_path, elsewhere):
    """By the files that the recipe names, where the working directory has none of them."""
    rows = "".join(f"a {label},{label}\n" for label in LABELS)
    (tmp_path / "mine [1]").mkdir()
    for name in ("train", "test"):
        (tmp_path / "mine [1]" / f"eng.{name}.csv").write_text(f"text,label\n{rows}", encoding="utf-8")
    files = {name: f"mine [1]/{{language}}.{name}.csv" for name in ("train", "test")}
    own = {"source_language": "eng", "target_languages": [], "files": files, "data_dir": None}
    stub = Stub("classification", LABELS, last_word, task="classification")
    folder = trained(stub, name="classification", **own)
    scores = rescore.rescore(folder, ["eng"], "test", quiet=True)
    assert {score.n for _, score in scores} == {len(LABELS)}


def test_data_that_are_nowhere_are_said_to_be_so(nusax, trained, elsewhere, tmp_path):
    """With where they were looked for, and the option that says where they are now."""
    folder = trained(Stub("classification", LABELS, last_word), data_dir="gone/nusax")
    told = rf"data_dir gone/nusax is no folder relative to {tmp_path}/elsewhere, nor to {folder}.*with --data-dir"
    with pytest.raises(DataError, match=told):
        rescore.rescore(folder, ["ace"], "test", quiet=True)
    assert rescore.rescore(folder, ["ace"], "test", data_dir=nusax, quiet=True)


def test_labels_of_another_benchmark_are_not_taken_for_missing_ones(trained, tmp_path):
    """A run that lets its own test set have more tags is still refused a tag set it knows nothing of."""
    for code, lines in (("yo.test", "Ada NOUN\n"), ("en.train", "Ada B-PER\nran O\n"), ("yo.dev", "Ada B-PER\n")):
        (tmp_path / f"{code}.tsv").write_text(lines.replace(" ", "\t"), encoding="utf-8")
    (tmp_path / "yo_x-ud-test.conllu").write_text("1\tAda\t_\tNOUN\t_\t_\t_\t_\t_\t_\n", encoding="utf-8")
    stub = Stub("tagging", ("B-PER", "O"), lambda example: "O", task="panx")
    folder = trained(stub, name="panx", target_languages=["yo"], data_dir=str(tmp_path), allow_unseen_labels=True)
    with pytest.raises(DataError, match="the run tells B-PER, O apart"):
        rescore.rescore(folder, ["yo"], "test", task_name="ud_pos", data_dir=tmp_path, quiet=True)


def test_language_parts_can_be_left_out(nusax, trained):
    """What was learned for a language is used unless it is not wanted."""
    stub = Stub("classification", LABELS, last_word)
    folder = trained(stub)
    rescore.rescore(folder, ["ace"], "test", quiet=True)
    assert {language for language, _ in stub.asked} == {"ace-Latn"}
    stub.asked.clear()
    ((part, _), *_) = rescore.rescore(folder, ["ace"], "test", task_part_alone=True, quiet=True)
    assert ({language for language, _ in stub.asked}, part) == ({""}, "task part alone")


def test_languages_without_files_are_passed_over_unless_asked_for(nusax, trained):
    """All languages of a benchmark by default; one that was asked for must be there."""
    folder = trained(Stub("classification", LABELS, last_word))
    scores = rescore.rescore(folder, None, "test", task_name="nusax", data_dir=nusax, quiet=True)
    assert {s.language for _, s in scores} == {"eng-Latn", "ace-Latn"}
    with pytest.raises(DataError, match=r"nusax has no test examples in Javanese \(jav-Latn\)"):
        rescore.rescore(folder, ["jav"], "test", task_name="nusax", data_dir=nusax, quiet=True)


def test_of_a_benchmark_with_more_languages_than_it_names_the_run_s_are_scored(trained, tmp_path):
    """SIB-200 has those of FLORES-200: the source alone would look like all that there is."""
    for code in ("eng", "ace", "swh"):
        rows = "".join(f"{n}\t{label}\t{code} {label}\n" for n, label in enumerate(LABELS))
        (tmp_path / f"{code}_Latn.test.tsv").write_text(f"index_id\tcategory\ttext\n{rows}", encoding="utf-8")
    folder = trained(Stub("classification", LABELS, last_word))
    scores = rescore.rescore(folder, None, "test", task_name="sib200", data_dir=tmp_path, quiet=True)
    assert {s.language for _, s in scores} == {"eng-Latn", "ace-Latn"}


def test_nothing_to_score_is_an_error(nusax, trained, tmp_path):
    """A wrong folder, or a split that is not there, is no empty table."""
    folder = trained(Stub("classification", LABELS, last_word))
    with pytest.raises(DataError, match=r"there is no folder .*elsewhere with the files of nusax"):
        rescore.rescore(folder, None, "test", task_name="nusax", data_dir=tmp_path / "elsewhere", quiet=True)
    with pytest.raises(DataError, match=r"nusax has no dev examples in .*; ask for languages that .* --languages"):
        rescore.rescore(folder, None, "dev", task_name="nusax", data_dir=nusax, quiet=True)


UNSCORED = "Acehnese (ace-Latn): there is no test set, so its 9 labelled examples are cross-validated in 3 folds"


def without_test(tmp_path, trained, **files):
    """The folder of a run on files of one's own, without a labelled test set."""
    rows = "".join(f"a {label},{label}\n" for label in LABELS)
    (tmp_path / "train.csv").write_text(f"text,label\n{rows}", encoding="utf-8")
    (tmp_path / "bare.csv").write_text("text\nb good\n", encoding="utf-8")
    stub = Stub("classification", LABELS, last_word, task="classification")
    own = {"source_language": "eng", "data_dir": str(tmp_path), "files": {"train": "train.csv"} | files}
    folder = trained(stub, name="classification", **own)
    (folder / "data.json").write_text(
        json.dumps(
            {
                "task": "classification",
                "kind": "classification",
                "words": {},
                "metrics": {"accuracy": "mean"},
                "source_language": "eng-Latn",
                "target_languages": [],
                "languages": {},
                "unscored": [UNSCORED],
            }
        ),
        encoding="utf-8",
    )
    return folder


def test_it_is_said_where_the_scores_of_a_cross_validated_run_are(trained, tmp_path):
    """There is nothing to score again, but the run has scores."""
    folder = without_test(tmp_path, trained)
    with pytest.raises(DataError) as plain:
        rescore.rescore(folder, None, "test", quiet=True)
    assert UNSCORED in str(plain.value)
    assert "scores.jsonl" not in str(plain.value)
    score = {"task": "t", "method": "lingraft", "language": "ace-Latn", "metric": "accuracy", "value": 1.0, "n": 9}
    score |= {"shots": "all", "draw": 0, "seed": 7, "run": "run"}
    (folder / "scores.jsonl").write_text(json.dumps(score) + "\n", encoding="utf-8")
    with pytest.raises(DataError, match=rf"these scores are in {folder}/scores\.jsonl and {folder}/report\.html"):
        rescore.rescore(folder, None, "test", quiet=True)


def test_a_test_file_without_labels_is_not_scored(trained, tmp_path):
    """Whatever is predicted would count as wrong."""
    folder = without_test(tmp_path, trained, test={"ace": "bare.csv"})
    with pytest.raises(DataError, match="the 1 test examples in ace-Latn have no labels to score by"):
        rescore.rescore(folder, None, "test", quiet=True)


def test_another_kind_and_other_labels_are_refused(nusax, trained, tmp_path):
    """What a run cannot say would be wrong whatever it says."""
    folder = trained(Stub("classification", ("negative", "positive"), last_word))
    with pytest.raises(DataError, match=r"xquad is span_qa, but the run was trained for classification \(nusax\)"):
        rescore.rescore(folder, None, "test", task_name="xquad", quiet=True)
    with pytest.raises(DataError, match=r"labels bad, good in eng-Latn, but the run tells negative, positive apart"):
        rescore.rescore(folder, None, "test", task_name="nusax", data_dir=nusax, quiet=True)


def test_tags_that_the_run_lacks_count_as_missed_but_some_must_be_known(nusax, trained, tmp_path):
    """Dates beside persons are missed; dates alone are another task."""
    (tmp_path / "ner").mkdir()
    path = tmp_path / "ner" / "hau.test.txt"
    path.write_text("Ada B-PER\nMonday B-DATE\n", encoding="utf-8")
    stub = Stub("tagging", ("O", "B-PER"), lambda example: "B-PER O")
    folder = trained(stub)
    scores = rescore.rescore(folder, ["ha"], "test", task_name="masakhaner", data_dir=path.parent, quiet=True)
    assert values(scores)["hau-Latn", "span_f1"] == (pytest.approx(2 / 3), 1)
    path.write_text("Monday B-DATE\n", encoding="utf-8")
    with pytest.raises(DataError, match="masakhaner has the labels B-DATE in hau-Latn, but the run tells O, B-PER"):
        rescore.rescore(folder, ["ha"], "test", task_name="masakhaner", data_dir=path.parent, quiet=True)


def xquad(folder, code):
    """Ten paragraphs of a question each; the right answer is the first word."""
    paragraphs = [
        {
            "context": f"Ada{i} ran in {code}.",
            "qas": [{"id": f"q{i}", "question": "Who?", "answers": [{"text": f"Ada{i}", "answer_start": 0}]}],
        }
        for i in range(10)
    ]
    folder.mkdir(exist_ok=True)
    text = json.dumps({"data": [{"title": "T", "paragraphs": paragraphs}]})
    (folder / f"xquad.{code}.json").write_text(text, encoding="utf-8")


def test_paragraphs_that_a_run_learned_from_are_not_scored(trained, tmp_path):
    """A run with shots from XQuAD is scored on what they were not drawn from, named as its task or as a benchmark."""
    for code in ("en", "de"):
        xquad(tmp_path / "xquad", code)
    stub = Stub("span_qa", (), lambda example: example.context.split()[0], task="xquad")
    held = {f"q{i}" for i in range(10) if is_held_out(f"T/{i}")}
    assert 0 < len(held) < 10
    block = {"target_languages": ["de"], "data_dir": str(tmp_path / "xquad"), "train_on_evaluation_set": True}
    folder = trained(stub, name="xquad", **block)
    for task in (None, "xquad"):
        stub.asked.clear()
        scores = rescore.rescore(folder, ["de"], "test", task_name=task, data_dir=tmp_path / "xquad", quiet=True)
        assert {key for _, key in stub.asked} == {f"q{i}" for i in range(10)} - held
        assert values(scores)["deu-Latn", "f1"] == (1.0, 10 - len(held))
        assert {s.context_language for _, s in scores} == {"deu-Latn"}


def test_the_command_writes_a_table_a_file_and_the_licence(nusax, trained, call, tmp_path):
    """`evaluate RUN --task nusax` with its languages; the licence stands with the progress, not the results."""
    folder = trained(Stub("classification", LABELS, last_word))
    written = tmp_path / "scores.jsonl"
    arguments = ("--task", "nusax", "--data-dir", nusax, "--languages", "en,ace", "--output", written)
    printed = call("evaluate", folder, *arguments)
    assert printed.code == 0
    assert "accuracy" in printed.out and "1.000" in printed.out and "ace-Latn" in printed.out
    assert "licence of nusax: CC BY-SA 4.0" in printed.err
    rows = [json.loads(line) for line in written.read_text(encoding="utf-8").splitlines()]
    assert [(row["language"], row["metric"], row["n"]) for row in rows] == [
        ("eng-Latn", "accuracy", 3), ("eng-Latn", "macro_f1", 3), ("ace-Latn", "accuracy", 4),
        ("ace-Latn", "macro_f1", 4),
    ]  # fmt: skip


def test_scores_are_written_over_nothing_but_scores(nusax, trained, call, tmp_path):
    """Earlier ones, or an empty file; whatever else somebody has there stays."""
    folder, written = trained(Stub("classification", LABELS, last_word)), tmp_path / "mine.csv"
    arguments = ("--task", "nusax", "--data-dir", nusax, "--languages", "en", "--output", written)
    written.write_text("text,label\nada,river\n")
    refused = call("evaluate", folder, *arguments)
    assert (refused.code, written.read_text()) == (1, "text,label\nada,river\n")
    assert "holds no scores; give another name" in refused.err
    written.write_text("")
    assert [call("evaluate", folder, *arguments).code for _ in range(2)] == [0, 0]
    assert len(written.read_text(encoding="utf-8").splitlines()) == 2


def test_the_command_refuses_in_one_line(nusax, trained, call):
    """An unknown benchmark is answered with the nearest."""
    printed = call("evaluate", trained(Stub("classification", LABELS, last_word)), "--task", "nusac")
    assert printed.code == 1
    assert "unknown benchmark 'nusac'; did you mean 'nusax'?" in printed.err
    assert "Traceback" not in printed.err


def test_anybody_s_answers_are_scored(call, tmp_path):
    """`score` against SQuAD's JSON: half of the answers are right; what is missing is refused, or wrong."""
    xquad(tmp_path, "hi")
    answers = {f"q{i}": f"Ada{i}" if i % 2 else "no" for i in range(10)}
    predictions = tmp_path / "predictions.json"
    predictions.write_text(json.dumps(answers), encoding="utf-8")
    gold = tmp_path / "xquad.hi.json"
    printed = call("score", predictions, gold, "--metric", "mlqa:hi")
    assert (printed.code, "10 examples" in printed.out) == (0, True)
    assert "0.5000" in printed.out
    predictions.write_text(json.dumps({"q1": "Ada1"}), encoding="utf-8")
    assert "9 of 10 ids" in call("score", predictions, gold, "--metric", "squad").err
    assert "0.1000" in call("score", predictions, gold, "--metric", "squad", "--missing-is-wrong").out


def test_labels_are_scored_as_the_recipe_reads_them(call, tmp_path):
    """`--labels` is the recipe's setting; another word, or one name, is refused."""
    gold, given = tmp_path / "gold.csv", tmp_path / "given.csv"
    gold.write_text("id,label\n1,0\n2,1\n", encoding="utf-8")
    given.write_text("id,label\n1,sport\n2,sport\n", encoding="utf-8")
    printed = call("score", given, gold, "--metric", "accuracy", "--labels", "sport, trade")
    assert "accuracy 0.5000" in printed.out
    refused = call("score", given, gold, "--metric", "accuracy", "--labels", "normalize")
    assert (refused.code, "expected as_written, normalise, or names as sport,trade" in refused.err) == (1, True)
    refused = call("score", given, gold, "--metric", "span_f1", "--columns", "1")
    assert (refused.code, "expected two columns" in refused.err) == (1, True)


def test_the_list_of_tasks_is_printed(call):
    """With languages, sizes and licence."""
    printed = call("list", "tasks")
    assert {"licence", "languages", "xquad", "masakhaner"} <= set(printed.out.replace("│", " ").split())


@pytest.mark.parametrize(("split", "said"), [("train", True), ("test", False)])
def test_scores_on_what_was_learned_from_are_called_so(split, said, nusax, trained, tmp_path, capsys):
    """Nobody is to take what a run remembers for what it can do."""
    source = {"name": "nusax", "data_dir": str(tmp_path / "nusax"), "split": split}
    folder = trained(Stub("classification", LABELS, last_word), train_from=source)

    rescore.rescore(folder, ["eng"], "train", task_name="nusax", data_dir=tmp_path / "nusax")

    assert ("the run learned from nusax's train examples" in " ".join(capsys.readouterr().err.split())) is said
