"""Score a trained run again: on its task's test or development sets in any language, or on another benchmark."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from pydantic import TypeAdapter

from ..core.errors import DataError, RunError
from ..core.examples import Example
from ..core.files import read_lines, read_object
from ..core.progress import Reporter
from ..core.records import Score, Trial
from ..core.written_recipe import NAME as RECIPE
from ..data.languages import among, canonical
from ..data.sampling import rank
from ..recipe.parsing import read_recipe
from ..recipe.settings import Recipe
from ..results.method_schemas import METHOD
from ..results.saved_trial import saved_trial
from ..results.schemas import DATA, SCORE
from ..serving.loading import load
from ..serving.predictor import Adapted
from ..tasks import Task, tasks
from ..tasks.benchmarks.catalogue import TrainingSource, TrainingSources, benchmark, is_held_out
from ..tasks.benchmarks.files import read_split
from ..tasks.kinds import kind_of
from ..tasks.material import is_labelled
from ..tasks.scores import score_by_language
from .folder import trials_of
from .moved_data import find_data, with_places

CHUNK = 64
"""Examples between two steps of the progress bar."""


def rescore(
    folder: Path,
    languages: Sequence[str] | None,
    split: str,
    *,
    task_name: str | None = None,
    data_dir: Path | None = None,
    limit: int | None = None,
    task_part_alone: bool = False,
    backbone: Path | None = None,
    quiet: bool = False,
) -> list[tuple[str, Score]]:
    """Score the saved adaptation, each language with the part that is used for it.

    Args:
        folder: A finished run, or a method's folder of a comparison.
        languages: Any spelling; of contexts, where questions are about some. Default: those of the run or, of another
            benchmark, those that it has; the run's, where these are too many to name.
        split: ``dev`` or ``test``.
        task_name: A benchmark of the same kind, instead of the task that was trained.
        data_dir: Its folder; default: the recipe's, or data/NAME, from the working directory or beside the run.
        limit: Score only so many examples of each language, chosen by a hash of their ids.
        task_part_alone: Leave the language parts out.
        backbone: Where the checkpoint is now that the run was trained on; by default where it was.
        quiet: Say nothing.

    Raises:
        LingraftError: The folder is not a finished run, the benchmark is of another kind or has other labels, or
            there are no such examples: in a language that was asked for, or in any.
    """
    reporter = Reporter(quiet=quiet)
    adapted = load(folder, backbone=backbone)
    recipe = _recipe_of(folder)
    if task_name is not None:
        sources = _sources(recipe)
        known = {one.name for one in sources} | {recipe.task.name}
        learned = task_name in known and recipe.task.options.get("train_on_evaluation_set", False)
        place = data_dir or find_data(_folder(recipe, sources, task_name), folder, named=False)
        task = _benchmark(task_name, adapted, place, languages, without_held_out=learned)
        reporter.say(f"licence of {task.name}: {task.licence}")
        if _was_learned(recipe, task_name, split):
            reporter.say(
                f"the run learned from {task_name}'s {split} examples: its scores there say nothing of new ones"
            )
    else:
        options = dict(recipe.task.options) | ({"data_dir": str(data_dir.absolute())} if data_dir else {})
        options = with_places(recipe.task.name, options, folder)
        if languages is not None:
            own = (adapted.identity.source_language, *adapted.identity.languages)
            languages = [among(canonical(code), own) for code in languages]
            others = [code for code in languages if code != adapted.identity.source_language]
            options["target_languages"] = others or options["target_languages"]
        task = tasks.build(recipe.task.name, options)
    trial = _selected(folder, trials_of(recipe))
    method = str(read_object(folder / "method.json", METHOD).get("name", "lingraft"))
    wanted = task.languages if languages is None else tuple(map(canonical, languages))
    own_test = task_name is None and data_dir is None and split == "test"
    scores, unscored, problem = [], list[str](), f"{task.name} has no {split} examples in {', '.join(wanted)}"
    for language in wanted:
        said = _said_of_test(folder, language) if own_test else ""
        try:
            examples = _some(_examples(task, language, split), limit)
        except DataError as error:
            if languages is not None:
                raise DataError(f"{error}{said}") from error
            problem = f"{error}{said}"
            unscored += [problem] if said else []
            continue
        if task_name is not None or not recipe.task.options.get("allow_unseen_labels"):
            _check_labels(examples, task, language)
        both = language in adapted.identity.languages and not task_part_alone
        part, code = ("language and task part", language) if both else ("task part alone", "")
        with reporter.task(f"{language}: {len(examples)} examples, {part}", len(examples)) as advance:
            predicted = _predict(adapted, examples, code, advance)
        found = score_by_language(
            examples, predicted, task, method=method, language=language, trial=trial, run=folder.name
        )
        scores += [(part, one) for one in found]
    if not scores:
        raise DataError(problem)
    for sentence in unscored:
        reporter.say(sentence)
    return scores


def _predict(adapted: Adapted, examples: Sequence[Example], language: str, advance: Callable[[int], None]) -> list[str]:
    """Return what is predicted for examples, with the part of a language."""
    predicted = list[str]()
    for at in range(0, len(examples), CHUNK):
        some = examples[at : at + CHUNK]
        predicted += [prediction.value for prediction in adapted.predict_examples(some, language)]
        advance(len(some))
    return predicted


def _recipe_of(folder: Path) -> Recipe:
    """Return the recipe of a run.

    Raises:
        RunError: There is none, as in the folder of one trial.
    """
    if not (folder / RECIPE).is_file():
        raise RunError(f"there is no {folder / RECIPE}, which says what to score on; give the folder of the run")
    return read_recipe(folder / RECIPE)


def _was_learned(recipe: Recipe, name: str, split: str) -> bool:
    """Return whether the run's training examples come from this split of a benchmark."""
    return any((one.name, one.split) == (name, split) for one in _sources(recipe))


def _sources(recipe: Recipe) -> list[TrainingSource]:
    """Return what a recipe learns from, where that is not what it scores."""
    return TypeAdapter(TrainingSources).validate_python(recipe.task.options.get("train_from") or [])


def _folder(recipe: Recipe, sources: Sequence[TrainingSource], name: str) -> Path:
    """Return where a recipe has the files of a benchmark, or else where they would be."""
    given = recipe.task.options.get("data_dir") if name == recipe.task.name else None
    return next(
        (Path(place) for place in (given, *(one.data_dir for one in sources if one.name == name)) if place),
        Path("data") / name,
    )


def _examples(task: Task, language: str, split: str) -> list[Example]:
    examples = list(task.examples(language, split))
    if not examples:
        others = "ask for languages that have some with --languages, or for another --split"
        raise DataError(f"{task.name} has no {split} examples in {language}; {others}")
    if not is_labelled(examples):
        raise DataError(f"{task.name}: the {len(examples)} {split} examples in {language} have no labels to score by")
    return examples


def _said_of_test(folder: Path, language: str) -> str:
    """Return what a run did in a language that it has no labelled test set of, and where its scores are."""
    data = read_object(folder / "data.json", DATA)
    found = [sentence for sentence in data.get("unscored", ()) if f"({language}): " in sentence]
    if found and any(row.get("language") == language for row in read_lines(folder / "scores.jsonl", SCORE)):
        found.append(f"these scores are in {folder / 'scores.jsonl'} and {folder / 'report.html'}")
    return "".join(f"; {sentence}" for sentence in found)


def _check_labels(examples: Sequence[Example], task: Task, language: str) -> None:
    """Refuse labels that the run cannot give, which would be wrong whatever it says; of tags it may lack some.

    Raises:
        DataError: The run was trained to tell other things apart.
    """
    if not task.labels:
        return
    found = {label for example in examples for label in example.labels}
    if not task.kind.can_score(found):
        raise DataError(
            f"{task.name} has the labels {', '.join(sorted(found))} in {language}, but the run tells "
            f"{', '.join(task.labels)} apart; score it on a benchmark with its labels"
        )


def _benchmark(
    name: str,
    adapted: Adapted,
    place: Path,
    languages: Sequence[str] | None,
    *,
    without_held_out: bool,
) -> Task:
    """Return a benchmark as a task for a run that was trained on something else.

    ``without_held_out`` leaves the groups out that the run learned from, where the benchmark is an evaluation set.

    Raises:
        DataError: The run was trained for another kind of task.
    """
    entry, identity = benchmark(name), adapted.identity
    if entry.kind != identity.kind:
        raise DataError(f"{name} is {entry.kind}, but the run was trained for {identity.kind} ({identity.task})")
    source = identity.source_language
    targets = tuple(map(canonical, languages or entry.languages or adapted.targets))

    def examples(language: str, split: str) -> list[Example]:
        found = read_split(entry, language, split, place, source=source, pairs=True)[0]
        return [example for example in found if not (without_held_out and is_held_out(example.group))]

    return Task(
        name=name,
        kind=kind_of(identity.kind, identity.labels, identity.kind_options | entry.options),
        source_language=source,
        target_languages=tuple(code for code in targets if code != source),
        examples=examples,
        licence=entry.licence,
        citation=entry.citation,
    )


def _some(examples: Sequence[Example], limit: int | None) -> list[Example]:
    """Return at most ``limit`` examples, long ones last, so that batches have one length."""
    chosen = examples if limit is None else sorted(examples, key=lambda e: rank(0, "limit", e.id))[:limit]
    return sorted(chosen, key=lambda example: sum(map(len, example.texts)))


def _selected(folder: Path, done: Sequence[Trial]) -> Trial:
    name = saved_trial(folder)
    return next((trial for trial in done if trial.name == name), done[0])
