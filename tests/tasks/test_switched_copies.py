"""Code-switched copies of the benchmarks that the examples learn from."""

import json

import pytest

from lingraft.core.examples import SpanExample
from lingraft.recipe.parsing import read_recipe
from lingraft.runs.checks import gather_checked
from tiny import REPOSITORY

EXAMPLES = REPOSITORY / "examples" / "tokens"


def gathered(name, monkeypatch, *overrides):
    """What the variant of a comparison with consistency learns from, gathered from the shared data."""
    monkeypatch.chdir(REPOSITORY)
    path = EXAMPLES / f"{name}.yaml"
    consistency = json.dumps(read_recipe(path).compare.variants["consistent"]["consistency"])
    return gather_checked(
        read_recipe(path, ["compare=null", "parallel=null", f"consistency={consistency}", *overrides])
    )


@pytest.mark.shared
def test_questions_are_copied_with_their_answers(monkeypatch, shared_data):
    """Nearly every question of SQuAD has a copy in Spanish and in Hindi; answers stand where they are said to."""
    materials = gathered("xquad_parts", monkeypatch, "task.target_languages=[spa-Latn, hin-Deva, deu-Latn]")
    (draw,) = materials.draws
    assert sorted(draw.copies) == ["hin-Deva", "spa-Latn"]
    assert draw.texts("deu-Latn", "eng-Latn") == []
    for language, (copies,) in draw.copies.items():
        assert len(copies) > 0.99 * len(draw.labelled) > 3_000
        assert {copy.example.id for copy in copies} == {e.id for e in draw.texts(language, "eng-Latn")}
        for copy in copies:
            made = copy.example
            assert isinstance(made, SpanExample)
            assert made.context_language == made.language == language
            assert len(made.answers) == len(copy.original.answers) > 0
            for answer in made.answers:
                assert made.context[answer.start : answer.start + len(answer.text)] == answer.text
        changed = sum(copy.example.answers[0].text != copy.original.answers[0].text for copy in copies)
        assert 0.1 * len(copies) < changed < 0.6 * len(copies)


@pytest.mark.shared
def test_only_what_is_in_the_lexicons_language_is_copied(monkeypatch, shared_data):
    """Indonesian pairs that are learnt from besides have no English words to replace."""
    given = (
        "task.train_from=[{name: pawsx, data_dir: ../shared/data/pawsx, split: dev, hold_out: 400}, "
        "{name: paws_wiki_id, data_dir: ../shared/data/paws_wiki_id, language: ind-Latn}]"
    )
    (draw,) = gathered("pawsx", monkeypatch, given).draws
    languages = {example.language for example in draw.labelled}
    assert languages == {"eng-Latn", "ind-Latn"}
    for (copies,) in draw.copies.values():
        assert {copy.original.language for copy in copies} == {"eng-Latn"}
        assert len(copies) > 1_500
        assert all(copy.example.label == copy.original.label is not None for copy in copies)
