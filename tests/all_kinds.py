"""The invented world as files of every kind of task, and a small recipe for each."""

from invented import SOURCE, TARGET, labelled_texts, translated, write_csv
from invented_kinds import SIZES, SUFFIXES, write_kinds
from lingraft.recipe.parsing import parse_recipe

KINDS = ("classification", "pairs", "span_qa", "tagging", "choice")
SMALL = ["train.num_train_epochs=2", "train.batch_size=4", "train.learning_rate=1e-2", "seeds=[1]", "device=cpu"]


def write_all_kinds(folder):
    """Write files of every kind in both languages, and pairs of other sentences."""
    write_kinds(folder)
    texts = labelled_texts(sum(SIZES.values()) + 1, 7)
    for kind in ("classification", "pairs"):
        (folder / kind).mkdir()
        for language, say in ((SOURCE, str), (TARGET, translated)):
            first = 0
            for split, count in SIZES.items():
                rows = [
                    (f"{split}{i}", say(texts[i][0]), say(texts[i + 1][0]), texts[i][1])
                    for i in range(first, first + count)
                ]
                header = ["key", "sentence", "other", "topic"]
                write_csv(folder / kind / f"{language}.{split}.csv", header, rows)
                first += count
    return folder


def recipe(kind, world, checkpoint, output, *overrides):
    """A small recipe with shots, pairs and an alignment loss."""
    fields = {
        "choice": {"text": "premise", "alternatives": ["one", "two"], "label": "label", "id": "key"},
        "classification": {"text": "sentence", "label": "topic", "id": "key"},
        "pairs": {"text": "sentence", "text_b": "other", "label": "topic", "id": "key"},
    }
    task = {
        "name": "classification" if kind == "pairs" else kind,
        "source_language": SOURCE,
        "target_languages": [TARGET],
        "files": {split: f"{{language}}.{split}.{SUFFIXES.get(kind, 'csv')}" for split in SIZES},
        "data_dir": str(world / kind),
        **({"fields": fields[kind]} if kind in fields else {}),
        **({"stride": 4} if kind == "span_qa" else {}),
    }
    values = {
        "task": task,
        "backbone": {"checkpoint": str(checkpoint), "max_length": 24},
        "parallel": {"files": str(world / "pairs.{language}.tsv")},
        "alignment": [{"name": "mse"}, {"name": "words", "layer": 2}],
    }
    return parse_recipe(values, [*SMALL, f"output_dir={output}", "shots.k=[1]", *overrides])
