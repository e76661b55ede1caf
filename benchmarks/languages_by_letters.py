"""How often a text's letters say which of several languages it is in, as a run without a language given finds it.

SIB-200: the letters of so many training sentences of each language are counted as a run counts them, and the first 60
test sentences of each are told, whole and by their first 40 letters.

    python benchmarks/languages_by_letters.py
"""

from __future__ import annotations

from lingraft.core.progress import Reporter
from lingraft.data.character_model import KEPT, CharacterModel, likeliest
from lingraft.tasks import tasks

FOLDER = "../shared/data/sib200"
GROUPS = {
    "far from each other": ["yor", "quy", "wol", "ibo", "xho", "ayr", "lug", "swh"],
    "neighbours": ["ace", "min", "ban", "sun", "ind"],
}
SIZES, TESTED, LETTERS = (20, 50, 351), 60, 40


def main() -> None:
    """Print the share of test sentences whose language is told, with English in each group."""
    reporter = Reporter()
    print("| languages, with English | sentences of each | told, whole | told, first 40 letters | n |")
    print("| --- | --: | --: | --: | --: |")
    for group, names in GROUPS.items():
        targets = [f"{name}-Latn" for name in names]
        task = tasks.build("sib200", {"target_languages": targets, "data_dir": FOLDER})
        codes = [task.source_language, *targets]
        learnt, tested = (
            {code: [one.texts[0] for one in task.examples(code, split)] for code in codes}
            for split in ("train", "test")
        )
        for size in SIZES:
            reporter.say(f"{group}: {size} sentences of each language")
            counts = {code: CharacterModel.of_texts(learnt[code][:size]).counts for code in codes}
            models = {code: CharacterModel(dict(found.most_common(KEPT))) for code, found in counts.items()}
            texts = [(code, text) for code in codes for text in tested[code][:TESTED]]
            whole = sum(likeliest(text, models) == code for code, text in texts) / len(texts)
            cut = sum(likeliest(text[:LETTERS], models) == code for code, text in texts) / len(texts)
            print(f"| {', '.join(names)} | {size} | {100 * whole:.1f} % | {100 * cut:.1f} % | {len(texts)} |")


if __name__ == "__main__":
    main()
