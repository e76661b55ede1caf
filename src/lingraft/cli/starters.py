"""Recipes that lingraft writes itself: the commented one of ``init`` and the demo's."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from ..core.errors import DataError
from ..data.cldr import coverage
from ..data.languages import canonical, display_name
from ..recipe.parsing import parse_recipe
from ..recipe.settings import Recipe

DEMO_PAIRS = 400
"""At most so many translated names align the demo's language."""

TASKS = {
    "classification": """\
task:
  name: classification            # one text, or two (text_b), with a label
  source_language: eng-Latn       # the language with many labels
  target_languages: [{languages}]
  files:                          # .csv, .tsv, .jsonl or .parquet, also .gz; {{language}} becomes yor-Latn, yor, yo …
    train: data/train.{{language}}.csv   # of the target languages only needed for shots (k > 0)
    dev: data/dev.{{language}}.csv       # source language only; without it some training examples are held out
    test: data/test.{{language}}.csv
  fields: {{text: text, label: label}}   # our name: your column; also text_b, id, group
  licence: not stated             # printed in the report and the model card
""",
    "sib200": """\
task:
  name: sib200                    # topic of a sentence, 7 classes
  source_language: eng-Latn
  target_languages: [{languages}]
  data_dir: data/sib200           # publisher's layout, or one folder of yor_Latn.train.tsv …
""",
    "cldr_names": """\
task:
  name: cldr_names                # names of countries, languages, currencies, scripts, cities; no files needed
  source_language: eng-Latn
  target_languages: [{languages}]
""",
}

PARALLEL = {
    "classification": """\
parallel:                         # sentences (or words) in both languages, no labels; delete it if you have none
  files: data/parallel.{language}.tsv   # columns source and target; or .tmx, .po, .mo, line files (target_files)
  # lexicon: data/words.{language}.tsv  # word pairs: copies of the source sentences with words replaced
  # text: data/text.{language}.txt      # or only text of the target language: a lexicon is mined from it
""",
    "sib200": "parallel: {from: task, pairs: 351}   # training sentences as pairs; their labels are not used\n",
    "cldr_names": "parallel: {from: task, pairs: 150}   # training names as pairs\n",
}

RECIPE = """\
# A lingraft recipe. Check it:  lingraft check {path}
# Run it:                       lingraft run {path}
# Settings left out have the defaults shown; all of them: lingraft schema

output_dir: runs/my-run
seeds: [1, 2]                     # one training each; the report gives means and intervals

backbone:
  checkpoint: bundled:multilingual-e5-small   # or a folder, or any Hub id of a BERT, XLM-R, ModernBERT or mDeBERTa
  # cut: auto                     # layers below are computed once and cached; auto is half of the depth
  # max_length: 128               # tokens; how many texts were cut is reported

{task}
shots:
  k: 0                            # labelled target examples per class; a list runs each: [0, 5]
  # draws: 3                      # repeat with other labelled examples

{parallel}
# prompt: {{name: deep, length: 16, language_length: 8}}     # or gated, reparameterised, input, or null
# adapter: {{name: bottleneck, width: 32, language_width: 16}}   # or lora, scaling, adapterhub, or null
# alignment: [{{name: mse, weight: 1.0}}]                    # several are added up; all: lingraft list alignment
# freezing: {{name: frozen}}                                 # what of the backbone learns: lingraft list freezing
# train: {{num_train_epochs: 6, batch_size: 32, learning_rate: 2e-3, prompt_learning_rate: 5e-3}}
"""


def recipe_text(task: str, languages: Sequence[str], path: Path) -> str:
    """A commented recipe for one of the tasks in ``TASKS``."""
    codes = ", ".join(canonical(language) for language in languages)
    return RECIPE.format(path=path, task=TASKS[task].format(languages=codes), parallel=PARALLEL[task])


def demo_recipe(language: str, output_dir: Path | None) -> Recipe:
    """Names in one language, aligned by at most ``DEMO_PAIRS`` of its training names.

    Raises:
        DataError: The CLDR has too few names in the language.
    """
    code = canonical(language)
    counts = coverage(code)
    if code == "eng-Latn":
        raise DataError("English is the demo's source language; choose another one, see: lingraft list languages")
    if not counts.enough:
        raise DataError(
            f"the CLDR has too few names in {display_name(code)} ({code}): {counts.country} countries and "
            f"{counts.test} test names that differ from English; choose another language, see: lingraft list languages"
        )
    return parse_recipe(
        {
            "output_dir": str(output_dir or Path("runs") / f"demo-{code}"),
            "task": {"name": "cldr_names", "target_languages": [code]},
            "parallel": {"from": "task", "pairs": DEMO_PAIRS, "labelled": True},
            "alignment": [{"name": "mse"}],
        }
    )
