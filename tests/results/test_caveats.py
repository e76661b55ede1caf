"""What a reader is warned of before the headline of a run."""

import json
from dataclasses import replace

import pytest

from invented_run import LABELS, write_object, write_run
from lingraft.results.caveats import warnings
from lingraft.results.findings import results
from lingraft.results.run_files import read_run


@pytest.mark.parametrize("metrics", [{"accuracy": "mean", "macro_f1": "macro_f1"}, {"accuracy": "mean"}])
def test_classes_that_no_test_text_has_are_named(tmp_path, metrics):
    """Of each language, and what macro-F1 makes of them where the run has one; a long list is cut."""
    folder = write_run(tmp_path / "run")
    assert "of the" not in " ".join(warnings(read_run(folder), []))
    data = json.loads((folder / "data.json").read_text(encoding="utf-8"))
    others = [f"class {n}" for n in range(9)]
    write_object(folder / "data.json", data | {"classes": [*LABELS, *others], "metrics": metrics})

    run = read_run(folder)
    found = [one for one in warnings(run, results(run)) if "classes" in one]

    in_mean = ", and macro-F1 counts each as 0" if "macro_f1" in metrics else ""
    assert found == [
        f"{name}: no test text for 9 of the 14 classes ({', '.join(others[:8])}, …), so nothing is known of "
        f"them{in_mean}."
        for name in ("Yoruba", "English")
    ]


@pytest.mark.parametrize(
    ("n", "value", "asked"), [(50, 0.02, True), (30, 2 / 30, True), (50, 0.06, False), (19, 0.0, False)]
)
def test_translations_that_the_frozen_model_hardly_recognises_are_asked_about(tmp_path, n, value, asked):
    """They may be in another order on each side, which nothing else shows."""
    run = read_run(write_run(tmp_path / "run"))
    row = {"n": n, "before": {"value": value}, "after": {"value": 0.9}}
    run = replace(run, retention={"retrieval": {"yor-Latn": row}})

    said = [one for one in warnings(run, []) if "side by side" in one]

    share = f"{100 * value:.0f}\u00a0%"
    assert said == asked * [
        f"Yoruba: of {n} translations the frozen model recognises {share}. It hardly knows the language, or the "
        "sentences are not each other's translations: look whether they stand side by side."
    ]
