"""Short ways to write a setting, written out before a recipe is checked."""

from __future__ import annotations

from typing import Any

from ..core.shots import Shots


def expand_shorthand(values: dict[str, Any]) -> list[str]:
    """Write out ``shots: all``, ``compare: [lingraft]``, ``task.language`` and the only target's test file, in place.

    ``notes: text`` is a list of one.

    ``task: {language: twi-Latn}`` is a task in one language: that of the labels and of the tests, without a target.
    What is learnt from there is all that is labelled, unless ``shots`` say how much. ``files: {test: test.es.csv}``
    is the file of the only target, whose name stays with it when the run is scored in other languages. Of several in
    ``source_language`` the first is the source, and the others are ``further_sources``.

    Args:
        values: A recipe as plain data.

    Returns:
        A problem for what is said twice.
    """
    _expand_values(values)
    task = values.get("task")
    if not isinstance(task, dict):
        return []
    _name_the_only_target(task)
    sources = task.get("source_language")
    if isinstance(sources, list) and sources:
        if "further_sources" in values:
            task["source_language"] = sources[0]
            return ["further_sources: task.source_language names several languages already; leave one of the two out"]
        task["source_language"], *values["further_sources"] = sources
    if "language" not in task:
        return []
    if twice := [key for key in ("source_language", "target_languages") if key in task]:
        return [
            f"task.language: is for a task in one language, which {' and '.join(twice)} contradict; leave out "
            "task.language, or the others"
        ]
    task |= {"source_language": task.pop("language"), "target_languages": []}
    if isinstance(given := values.get("shots", {}), dict):
        values["shots"] = {"k": "all", **given}
    return []


def _expand_values(values: dict[str, Any]) -> None:
    """Write out one number of shots, one remark, and the names of methods alone."""
    if _is_count(shots := values.get("shots")):
        values["shots"] = {"k": shots}
    if isinstance(note := values.get("notes"), str):
        values["notes"] = [note]
    compared = values.get("compare")
    if isinstance(compared, str | list):
        compared = values["compare"] = {"methods": compared}
    if isinstance(compared, dict) and isinstance(method := compared.get("methods"), str):
        values["compare"] = {**compared, "methods": [method]}


def _name_the_only_target(task: dict[str, Any]) -> None:
    """Say whose a test file is that no ``{language}`` and no column tells: that of the only target.

    Where it is the training file too, nothing is said: the task refuses it.
    """
    targets, files, fields = task.get("target_languages"), task.get("files"), task.get("fields")
    if not (isinstance(targets, list) and len(targets) == 1 and isinstance(files, dict)):
        return
    test, by_column = files.get("test"), isinstance(fields, dict) and "language" in fields
    if isinstance(test, str) and "{language}" not in test and test != files.get("train") and not by_column:
        files["test"] = {str(targets[0]): test}


def _is_count(value: Any) -> bool:
    known: Shots = value
    return known == "all" or (isinstance(value, int) and not isinstance(value, bool))
