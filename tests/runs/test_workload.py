"""What is counted before a run is what the run does, to the token."""

import json
from contextlib import contextmanager

import pytest

from invented import SOURCE, TARGET, labelled_texts, translated, world_recipe, write_world
from lingraft.core.files import read_lines, read_object
from lingraft.core.progress import Reporter
from lingraft.runs.plan import plan
from lingraft.runs.retention import retention
from lingraft.runs.state_picture import picture_states
from lingraft.runs.workload import Workload
from quick_run import run
from tiny import WORDS
from trained_run import trained_run

SMALL = ["train.num_train_epochs=2", "train.batch_size=5", "seeds=[1]", "device=cpu"]
PARTS = [
    *("prompt.name=deep", "prompt.length=2", "prompt.language_length=1"),
    *("adapter.name=bottleneck", "adapter.width=4", "adapter.language_width=2"),
]
ADAPTER = ["prompt=null", *PARTS[3:]]


class Counting(Reporter):
    """Notes how much work each bar was announced with, and how much it was told of."""

    def __init__(self):
        super().__init__(quiet=True, clock=lambda: 0.0)
        self.announced, self.done = {}, {}

    @contextmanager
    def task(self, title, total):
        """Count under the title."""
        self.announced[title], self.done[title] = total, 0

        def advance(amount=1, note=""):
            self.done[title] += amount

        yield advance


@pytest.fixture(autouse=True)
def _nothing_encoded(monkeypatch, tmp_path):
    """What is encoded already would not be encoded again."""
    monkeypatch.setenv("LINGRAFT_CACHE", str(tmp_path / "cache"))


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    """The invented tables, and questions whose longer contexts are read in several windows."""
    folder = write_world(tmp_path_factory.mktemp("world"), train=30)
    for language, say in ((SOURCE, str), (TARGET, translated)):
        for split, count in {"train": 9, "dev": 4, "test": 5}.items():
            texts = [text for text, _ in labelled_texts(count, seed=len(split))]
            contexts = [f"{text} {text} {text}" if i % 3 else f"{text} mira luma" for i, text in enumerate(texts)]
            paragraphs = [paragraph(say(context), f"{split}{i}") for i, context in enumerate(contexts)]
            about = {"version": "1.1", "data": [{"title": "invented", "paragraphs": paragraphs}]}
            (folder / f"{language}.{split}.json").write_text(json.dumps(about), encoding="utf-8")
    entries = [f"{word}\t{number} cire {word}" for number, word in enumerate(WORDS[:16])]
    (folder / f"lexicon.{TARGET}.tsv").write_text("\n".join(entries) + "\n", encoding="utf-8")
    return folder


def paragraph(context, key):
    """A context, asked for its first word; its last is the answer."""
    first, *_, last = context.split()
    answers = [{"text": last, "answer_start": context.rindex(last)}]
    return {"context": context, "qas": [{"id": key, "question": first, "answers": answers}]}


def questions(world):
    """The task of those questions."""
    return {
        "task": {
            "name": "span_qa",
            "source_language": SOURCE,
            "target_languages": [TARGET],
            "files": {split: f"{{language}}.{split}.json" for split in ("train", "dev", "test")},
            "data_dir": str(world),
            "stride": 4,
        },
        "alignment": [{"name": "mse"}],
    }


def parallel(world):
    """Pairs of other texts."""
    return {"parallel": {"files": str(world / "pairs.{language}.tsv")}}


def copies(world):
    """Code-switched copies that must get the answers of the originals."""
    return {"consistency": {"lexicon": str(world / "lexicon.{language}.tsv")}}


def made_early(world):
    """Word-translated texts, in the first half of the epochs."""
    lexicon = str(world / "lexicon.{language}.tsv")
    return {"pseudo": {"generators": [{"name": "word-translation"}], "lexicon": lexicon, "early": True}}


FROM_TASK = {"parallel": {"from": "task", "labelled": True}}
CASES = {
    "pairs": ([*PARTS, "seeds=[1,2]"], parallel),
    "shots that are seen again": ([*PARTS, "shots.k=2", "train.shot_repeats=3"], parallel),
    "several shots and draws": ([*PARTS, "shots.k=[0,2]", "shots.draws=2"], parallel),
    "texts that are made, at first": (
        [*PARTS, "shots.k=[0,2]", "train.num_train_epochs=3"],
        lambda world: parallel(world) | made_early(world),
    ),
    "no pairs, and shots in some trials": ([*PARTS, "shots.k=[0,1]"], lambda world: {}),
    "some pairs": ([*PARTS, "train.max_pairs=7"], parallel),
    "no pair is learnt from": ([*PARTS, "train.max_pairs=0", "shots.k=1", "alignment=[]"], parallel),
    "one language after the other": ([*PARTS, "train.order=sequential", "shots.k=[0,2]"], parallel),
    "n-grams": (PARTS, lambda world: FROM_TASK),
    "members": ([*PARTS, "train.ensemble=2"], parallel),
    "layers that learn": (["prompt=null", "adapter=null", "freezing.name=top_layers", "freezing.layers=1"], parallel),
    "LoRA in all layers at the end": ([*PARTS, "freezing.name=frozen_then_lora", "freezing.rank=3"], parallel),
    "questions": ([*PARTS, "shots.k=[0,2]"], lambda world: questions(world) | parallel(world)),
    "copies of texts": ([*PARTS, "shots.k=[0,2]"], lambda world: parallel(world) | copies(world)),
    "copies of texts, and LoRA in all layers at the end": (
        [*PARTS, "shots.k=[0,2]", "freezing.name=frozen_then_lora"],
        lambda world: parallel(world) | copies(world),
    ),
    "one language after the other, twice": (
        [*PARTS, "train.order=sequential", "freezing.name=frozen_then_lora"],
        parallel,
    ),
    "copies of questions": (
        [*PARTS, "train.order=sequential"],
        lambda world: questions(world) | parallel(world) | copies(world),
    ),
    "questions from a random head": (
        [*PARTS, "train.warm_start=false"],
        lambda world: questions(world) | parallel(world),
    ),
}


@pytest.mark.parametrize("case", CASES)
def test_a_run_does_what_was_counted(case, world, tiny_checkpoint, tmp_path):
    """Tokens encoded and trained on, steps of both trainings, parts and parameters: equal for each trial."""
    overrides, changes = CASES[case]
    backbone = {"checkpoint": str(tiny_checkpoint), "cut": 1, "max_length": 20}
    given = [*SMALL, *overrides, f"output_dir={tmp_path / 'run'}"]
    recipe = world_recipe(world, given, **{"backbone": backbone} | changes(world))
    counted = plan(recipe).work
    reporter = Counting()

    folder = run(recipe, reporter=reporter)

    assert counted.tokens_encoded == reporter.done["encoding"]
    for work in counted.trials:
        place = folder / "trials" / work.trial.name
        rows = list(read_lines(place / "training.jsonl"))
        assert (work.steps, work.tokens) == (rows[-1]["step"], sum(row["tokens"] for row in rows))
        assert work.steps == reporter.done[f"training {work.trial.name}"]
        assert work.head_steps == reporter.done.get(f"frozen head {work.trial.name}", 0)
    summary = read_object(folder / "summary.json")
    chosen = next(work for work in counted.trials if work.trial.name == summary["selected_trial"])
    fitted = [p for p in summary["parameters"] if p["name"] in ("map", "character n-gram classifier", "weights")]
    assert chosen.trained == sum(part["count"] for part in summary["parameters"] if part not in fitted)
    parts = {part["part"] for part in summary["parameters"] if part["part"].startswith("language:")}
    assert parts <= {f"language:{code}" for code in chosen.languages}
    assert {part["part"] for part in fitted} == {f"language:{code}" for code in chosen.fitted}


def test_the_cases_differ_where_they_should(world, tiny_checkpoint):
    """A language that nothing is learnt from gets no part; a map is fitted where there are ten pairs."""

    def counted(case):
        overrides, changes = CASES[case]
        backbone = {"checkpoint": str(tiny_checkpoint), "cut": 1, "max_length": 20}
        return plan(world_recipe(world, [*SMALL, *overrides], **{"backbone": backbone} | changes(world))).work.trials

    without, shots = counted("no pairs, and shots in some trials")
    assert (without.languages, shots.languages) == ((), (TARGET,))
    assert without.trained < shots.trained
    assert [list(work.fitted) for work in counted("n-grams")] == [[TARGET]]
    assert [list(work.fitted) for work in counted("pairs")] == [[TARGET]] * 2
    assert not any(work.fitted for work in counted("some pairs"))
    assert [work.head_steps > 0 for work in counted("questions")] == [True] * 2


FORWARD = {
    "one loss on the last layer": (["alignment.0.name=mse"], parallel),
    "losses that need teachers": ([], lambda world: parallel(world) | {"alignment": TEACHERS}),
    "nothing held where it was": (
        ["train.source_regularisation=0"],
        lambda world: parallel(world) | {"alignment": TEACHERS},
    ),
    "n-grams": (["alignment.0.name=mse"], lambda world: FROM_TASK),
    "shots, the head not fitted again": (
        ["shots.k=1", "train.last_layer_strength=null"],
        lambda world: {"parallel": None},
    ),
    "questions": (["shots.k=1"], lambda world: questions(world) | parallel(world)),
    "LoRA in all layers at the end": (
        ["freezing.name=frozen_then_lora"],
        lambda world: parallel(world) | {"alignment": TEACHERS},
    ),
    "questions, and LoRA in all layers at the end": (
        ["freezing.name=frozen_then_lora", "shots.k=1"],
        lambda world: questions(world) | parallel(world),
    ),
    "copies of questions": ([], lambda world: questions(world) | copies(world) | {"alignment": []}),
    "sequential": (["train.order=sequential", "shots.k=1"], lambda world: {}),
    "the head alone, which reads cached states": (["adapter=null", "alignment=[]", "shots.k=1"], lambda world: {}),
    "nothing trained": (["adapter=null", "train.num_train_epochs=0"], lambda world: FROM_TASK),
    "nothing trained, and shots": (["adapter=null", "train.num_train_epochs=0", "shots.k=1"], lambda world: FROM_TASK),
}
TEACHERS = [{"name": "mse", "layer": 2}, {"name": "prediction"}, {"name": "transport"}]


@pytest.mark.parametrize("case", FORWARD)
def test_every_token_that_goes_forward_is_counted(case, world, tiny_backbone, tmp_path, monkeypatch):
    """Trainings, teachers, scores and fits, read off the mask of the last block each time that it is called."""
    overrides, changes = FORWARD[case]
    stack = tiny_backbone.stack
    passed = watch(stack, monkeypatch)
    trained = trained_run(world, tiny_backbone, tmp_path, *ADAPTER, *overrides, **changes(world))
    features = {key: encoded.features for key, encoded in trained.pools.items()}
    counted = Workload(trained.recipe, trained.materials, features, stack, 1)

    (work,) = counted.trials
    assert sum(passed) == counted.tokens_encoded + work.tokens + work.head_tokens + work.tokens_read


@pytest.mark.parametrize(
    ("parts", "change"),
    [(ADAPTER, {}), (ADAPTER, {"parallel": None}), (["prompt=null", "adapter=null", "alignment=[]"], {})],
)
def test_what_is_read_after_the_last_trial_is_counted(parts, change, world, tiny_backbone, tmp_path, monkeypatch):
    """Retention and the picture, with pairs to find translations among and without, and of a head alone."""
    trained = trained_run(world, tiny_backbone, tmp_path, *parts, "shots.k=[0,1]", **change)
    features = {key: encoded.features for key, encoded in trained.pools.items()}
    counted = Workload(trained.recipe, trained.materials, features, tiny_backbone.stack, 1)
    passed = watch(tiny_backbone.stack, monkeypatch)

    picture_states(*trained.given)
    retention(*trained.given)

    assert sum(passed) == counted.tokens_at_the_end > 0


def watch(stack, monkeypatch):
    """A list that gets the number of tokens each time that the last block is called."""
    passed, block, last = [], stack.block, stack.num_layers - 1

    def watched(i, hidden, mask, *options, **named):
        if i == last:
            passed.append(int(mask.sum()))
        return block(i, hidden, mask, *options, **named)

    monkeypatch.setattr(stack, "block", watched)
    return passed


@pytest.mark.parametrize("order", ["joint", "sequential"])
def test_of_very_many_epochs_some_stand_for_the_others(order, world, tiny_checkpoint, tmp_path, monkeypatch):
    """Steps to the last one, tokens nearly: every epoch reads the same pairs."""
    given = [*SMALL[1:], f"output_dir={tmp_path / 'run'}", "train.num_train_epochs=10", f"train.order={order}"]
    backbone = {"checkpoint": str(tiny_checkpoint), "cut": 1, "max_length": 32}
    recipe = world_recipe(world, given, backbone=backbone, parallel={"files": str(world / "pairs.{language}.tsv")})
    (every,) = plan(recipe).work.trials
    monkeypatch.setattr("lingraft.runs.workload.MOST_COUNTED", 4)
    (some,) = plan(recipe).work.trials
    assert some.steps == every.steps
    assert some.tokens == pytest.approx(every.tokens, rel=0.05)
    assert some.tokens_read == pytest.approx(every.tokens_read, rel=0.05)
