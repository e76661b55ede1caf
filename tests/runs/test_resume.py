"""A run that was stopped between any two steps leaves what an uninterrupted one leaves, in every file."""

import shutil

import hypothesis.strategies as st
import pytest
from hypothesis import Phase, given, settings

from invented import SOURCE, TARGET, TOPICS, labelled_texts, translated, write_csv
from lingraft.recipe.parsing import parse_recipe
from quick_run import Stopping, differing, run

OTHER = "swh-Latn"
TRIALS, STEPS = 2, 24
"""Two seeds; steps of both trials together, at least as many as are tried."""


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    """The invented task in two target languages, the second of which says things backwards."""
    folder = tmp_path_factory.mktemp("world")
    texts = labelled_texts(46, labels=tuple(TOPICS))
    says = {SOURCE: str, TARGET: translated, OTHER: lambda text: " ".join(reversed(translated(text).split()))}
    for split, part in (("train", texts[:16]), ("dev", texts[16:22]), ("test", texts[22:28])):
        for language, say in says.items():
            rows = [(f"{split}{i}", say(text), label) for i, (text, label) in enumerate(part)]
            write_csv(folder / f"{language}.{split}.csv", ["key", "sentence", "topic"], rows)
    for language in (TARGET, OTHER):
        lines = [f"{text}\t{says[language](text)}" for text, _ in texts[28:]]
        (folder / f"pairs.{language}.tsv").write_text("source\ttarget\n" + "\n".join(lines) + "\n", encoding="utf-8")
    return folder


def recipe(world, checkpoint, output):
    """Everything that has a state: a gated prompt, phases, balanced weights, an averaged teacher, two seeds."""
    return parse_recipe(
        {
            "output_dir": str(output),
            "seeds": [1, 2],
            "device": "cpu",
            "backbone": {"checkpoint": str(checkpoint), "max_length": 32},
            "task": {
                "name": "classification",
                "source_language": SOURCE,
                "target_languages": [TARGET, OTHER],
                "files": {split: f"{{language}}.{split}.csv" for split in ("train", "dev", "test")},
                "fields": {"text": "sentence", "label": "topic", "id": "key"},
                "data_dir": str(world),
            },
            "parallel": {"files": str(world / "pairs.{language}.tsv")},
            "prompt": {"name": "gated", "length": 2, "language_length": 1},
            "adapter": {"name": "bottleneck", "width": 4, "language_width": 2},
            "alignment": [{"name": "mse"}, {"name": "prediction"}],
            "train": {
                "num_train_epochs": 3,
                "batch_size": 8,
                "learning_rate": 1e-2,
                "average_last": 2,
                "balance": 0.5,
                "ema_decay": 0.8,
            },
        }
    )


@pytest.fixture(scope="module")
def whole(world, tiny_checkpoint, tmp_path_factory):
    """The folder of a run that nobody stopped."""
    return run(recipe(world, tiny_checkpoint, tmp_path_factory.mktemp("whole") / "two-run"))


def stopped_and_continued(world, checkpoint, folder, steps):
    """Stop at each of ``steps`` (counted from the one before), then run to the end."""
    for at in steps:
        with pytest.raises(KeyboardInterrupt):
            run(recipe(world, checkpoint, folder), reporter=Stopping(at), save_every=-1.0)
    return run(recipe(world, checkpoint, folder))


@settings(max_examples=4, deadline=None, phases=[Phase.explicit, Phase.generate])
@given(st.integers(1, STEPS))
def test_a_run_stopped_between_any_two_steps_ends_the_same(world, tiny_checkpoint, whole, tmp_path_factory, step):
    """Whichever step of whichever trial it is: weights, records, warnings, tables and report."""
    folder = tmp_path_factory.mktemp("stopped") / "one-run"
    assert differing(stopped_and_continued(world, tiny_checkpoint, folder, [step]), whole) == []
    shutil.rmtree(folder)


def test_a_run_stopped_again_and_again_ends_the_same(world, tiny_checkpoint, whole, tmp_path):
    """Also amid what was continued."""
    assert differing(stopped_and_continued(world, tiny_checkpoint, tmp_path / "one-run", [3, 5, 9]), whole) == []


def test_what_safetensors_left_half_written_is_no_part_of_the_run(world, whole, tiny_checkpoint, tmp_path):
    """A kill in the middle of saving: the library has a temporary file of its own beside ours."""
    with pytest.raises(KeyboardInterrupt):
        run(recipe(world, tiny_checkpoint, tmp_path / "two-run"), reporter=Stopping(3), save_every=-1.0)
    place = tmp_path / "two-run" / "trials" / "k0-draw0-seed1"
    for name in (".tmpA0Dc2X", ".lingraft-training-abcd_12x.safetensors"):
        (place / name).write_bytes(b"half")
    folder = run(recipe(world, tiny_checkpoint, tmp_path / "two-run"))
    assert not list(place.glob(".*"))
    assert differing(whole, folder) == []
