"""Many methods on one recipe's data, draws and passes: ``lingraft compare``.

Each method is a variant of the recipe, works in a process of its own and keeps a folder of its own,
so a comparison that was killed continues with the training it was at. Cheap methods come first.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryFile
from typing import IO, Any

from .backbones.loading import CheckpointFacts, describe_checkpoint, load_tokenizer, usual_prefix
from .comparison_page import page_text, read_comparison
from .comparison_settings import OURS, CompareSettings
from .config import Recipe
from .encode import usual_cut
from .errors import ConfigError, RunError
from .freezing import freezing
from .materials import Draw, Materials, gather
from .pipeline import resolved_cut, tokenise
from .plan import EFFICIENCY, matrix_rate, tokens_by_example
from .progress import Advance, Reporter
from .records import IDS
from .run_files import read_lines, read_object
from .run_folder import changed_settings, opened, units, write_json, write_lines, write_text
from .variants import Variant, variants
from .wording import duration

Counts = Mapping[tuple[str, str], Mapping[str, int]]
"""Tokens of each text by language and purpose, then by example id."""


@dataclass(frozen=True)
class Estimate:
    """What a method will cost."""

    variant: Variant
    seconds: float

    @property
    def share(self) -> int:
        """Of the progress bar; never nothing."""
        return max(1, round(self.seconds))


def compare(recipe: Recipe, *, quiet: bool = False, command: str | None = None) -> Path:
    """Run every method of a recipe's ``compare`` block, or continue where it stopped; returns the folder.

    Args:
        recipe: The recipe.
        quiet: Say nothing but warnings.
        command: What was typed, for the page.

    Raises:
        LingraftError: With one clear message; what was finished stays finished.
    """
    reporter, output = Reporter(quiet=quiet), recipe.output_dir
    methods = variants(recipe)
    with opened(output, recipe.model_copy(update={"compare": None})):
        if (output / "units").exists():
            raise RunError(
                f"{output} holds a run; give the comparison a folder of its own: output_dir={output}-compared"
            )
        tuning_epochs = (recipe.compare or CompareSettings()).tuning_epochs
        done = [method for method in methods if _is_done(method, tuning_epochs)]
        if len(done) < len(methods):
            (output / "README.md").unlink(missing_ok=True)  # a folder that has it is finished
            _run([method for method in methods if method not in done], recipe, reporter)
        _collect(output, recipe, methods)
        write_text(output / "README.md", page_text(read_comparison(output), command=command))
    return output


def estimates(methods: Sequence[Variant], recipe: Recipe) -> list[Estimate]:
    """Seconds of each method on this machine, cheapest first; encoding is left out, for it is shared.

    Raises:
        LingraftError: The data or the checkpoint is not as the recipe says.
    """
    facts = describe_checkpoint(recipe.backbone.checkpoint)
    _check_cuts(methods, facts.num_layers)
    prefix = recipe.backbone.text_prefix
    prefix = usual_prefix(facts.name) if prefix is None else prefix
    materials = gather(recipe)
    features = tokenise(materials, load_tokenizer(facts.name), prefix, recipe)
    counts = {key: tokens_by_example(group) for key, group in features.items()}
    rate = matrix_rate(facts.width, recipe.backbone.precision) * EFFICIENCY
    trial = (recipe.compare or CompareSettings()).tuning_epochs
    found = [Estimate(method, _seconds(method, trial, materials, counts, facts, rate)) for method in methods]
    return sorted(found, key=lambda estimate: estimate.seconds)


def _check_cuts(methods: Sequence[Variant], layers: int) -> None:
    """Tell which of the methods want a cut, a layer or a schedule that the checkpoint does not allow."""
    problems = []
    for method in methods:
        try:
            resolved_cut(method.recipe, layers)
        except ConfigError as error:
            problems += [f"compare, {method.name}: {problem}" for problem in error.problems]
    if problems:
        raise ConfigError(problems)


# ---- Cost ------------------------------------------------------------------------------------------

STEP_PER_PARAMETER = 3e-9
"""Seconds that AdamW takes for a parameter in a step: seven reads and writes of four bytes at 10 GB/s."""


def _seconds(
    method: Variant, trial: int, materials: Materials, counts: Counts, facts: CheckpointFacts, rate: float
) -> float:
    recipe, draw, languages = method.recipe, materials.draws[-1], materials.task.languages
    layers, per_layer = facts.num_layers, 24 * facts.width**2  # multiply-adds of a block, twice, per token
    tested = sum(sum(counts.get((code, "test"), {}).values()) for code in languages)
    number = len(units(recipe))
    if not method.trained and materials.task.kind.name == "classification":
        return 2.0 * number
    # Where a head must be trained by gradient, that is a walk forward, with nothing but the head's own gradient.
    depth, passes, thawed = layers, 2.0 if method.trained else 1.0, 0.0
    if not method.trained:
        depth -= max(0, resolved_cut(recipe, layers))
    elif method.network == "grafted":
        cut = resolved_cut(recipe, layers)
        depth, whole = layers - max(0, cut), cut < 0
        learns = freezing.build(recipe.freezing.name, recipe.freezing.options).highest_cut(layers) < layers
        passes = 3.0 if learns else 2.0  # forward, gradient of the states, and that of the weights
        if learns:
            thawed = depth * per_layer / 2 + (facts.vocabulary * facts.width if whole else 0)
    tokens, steps = _per_epoch(method, draw, materials, counts)
    epochs = recipe.train.num_train_epochs * number + (trial * len(method.rates) if len(method.rates) > 1 else 0)
    flops = (tokens * passes * epochs + tested * number) * per_layer * depth
    return flops / rate + steps * epochs * thawed * STEP_PER_PARAMETER + 5.0


def _per_epoch(method: Variant, draw: Draw, materials: Materials, counts: Counts) -> tuple[float, float]:
    """Tokens and steps of one pass over the data."""
    source, size = materials.task.source_language, method.recipe.train.batch_size
    extra = method.options.get("num_virtual_tokens", 0) if method.network == "peft-prompt" else 0
    labelled = [counts[source, "learn"][e.id] + extra for e in draw.labelled]
    batches, texts = 0, list[int]()
    for code in materials.task.target_languages:
        ids = {e.id for e in draw.shots[code]}
        if method.recipe.train.max_pairs != 0:
            ids |= {pair[1].id for pair in draw.pairs[code]}
        texts += [counts[code, "learn"][i] + extra for i in ids]
        batches += -(-len(ids) // size)
    steps = max(batches, -(-len(labelled) // size))
    mean = sum(labelled) / len(labelled) * min(size, len(labelled))
    target = sum(texts) / batches if batches else 0.0
    return steps * (mean + target), steps


# ---- Running ---------------------------------------------------------------------------------------


def _is_done(method: Variant, tuning_epochs: int) -> bool:
    """Whether the method's folder is complete.

    Raises:
        RunError: It holds the results of another recipe.
    """
    folder = method.recipe.output_dir
    facts = read_object(folder / "method.json")
    if not facts or "impossible" in facts:  # another release of PEFT may be able to
        return False
    rate = facts["learning_rate"]["value"] if method.rates else None
    recipe = method.at_rate(rate) if rate is not None else method.recipe
    chosen, now = facts.get("chosen", {}), method.chosen(tuning_epochs)  # older folders do not have it
    changed = [f"{key} is {chosen[key]!r} there and {now[key]!r} now" for key in chosen if chosen[key] != now[key]]
    if changed := [*changed, *changed_settings(folder, recipe)]:
        raise RunError(
            f"{folder} holds {method.name} with other settings: {changed[0]}; choose another output_dir, or delete "
            "that folder"
        )
    return set(facts["units"]) == {unit.name for unit in units(recipe)}


def _run(methods: Sequence[Variant], recipe: Recipe, reporter: Reporter) -> None:
    """Encode what is needed, then each method; all of them are tried before an error is raised."""
    planned = estimates(methods, recipe)
    total = sum(estimate.seconds for estimate in planned)
    for estimate in planned:
        number = len(units(estimate.variant.recipe))
        reporter.say(f"{estimate.variant.name}: {number} trainings, about {duration(estimate.seconds)}")
    reporter.say(f"estimated time on this machine, in all: about {duration(total)}")
    layers = describe_checkpoint(recipe.backbone.checkpoint).num_layers
    for first in _one_per_encoding(methods, layers):
        failure = _work(first, recipe, reporter, Advance(), 0, encode_only=True)
        if failure:
            raise RunError(failure)
    failed = {}
    with reporter.task("comparing", sum(estimate.share for estimate in planned)) as advance:
        for estimate in planned:
            name = estimate.variant.name
            (estimate.variant.recipe.output_dir / "method.json").unlink(
                missing_ok=True
            )  # it said why it was impossible
            failure = _work(estimate.variant, recipe, reporter, advance, estimate.share, encode_only=False)
            if failure:
                reporter.say(f"{name}: {failure}")
                failed[name] = failure
    if failed:
        reasons = "; ".join(f"{name}: {reason}" for name, reason in failed.items())
        raise RunError(
            f"{len(failed)} of {len(methods)} methods failed; the others are kept, and the same command continues. "
            f"What cannot work with this recipe can be left out of compare.methods. {reasons}"
        )


def _one_per_encoding(methods: Sequence[Variant], layers: int) -> Iterator[Variant]:
    """One method for each set of frozen states, so that none pays for encoding what others use as well."""
    seen = []
    for method in methods:
        recipe, cut = method.recipe, resolved_cut(method.recipe, layers)
        texts = (recipe.task, recipe.shots, recipe.parallel, recipe.backbone.max_length, recipe.backbone.text_prefix)
        key = (*texts, recipe.cache.dtype, usual_cut(layers) if cut == IDS else cut)
        if key not in seen:
            seen.append(key)
            yield method


def _work(
    method: Variant, recipe: Recipe, reporter: Reporter, advance: Advance, share: int, *, encode_only: bool
) -> str | None:
    """One method in its own process; returns what went wrong, if anything did."""
    wanted = {
        "recipe": recipe.model_dump(mode="json", by_alias=True),
        "name": method.name,
        "encode_only": encode_only,
    }
    parts = len(units(method.recipe)) + (len(method.rates) if len(method.rates) > 1 else 0)
    progress, error = _Progress(advance, share, parts, method.name), None
    with TemporaryFile("w+", encoding="utf-8") as complaints, _worker(json.dumps(wanted), complaints) as process:
        assert process.stdout is not None
        for line in process.stdout:
            facts = _event(line)
            if "share" in facts:
                progress.at(facts["unit"], facts["share"])
            if "say" in facts and not encode_only:
                reporter.say(f"{method.name}: {facts['say']}")
            error = facts.get("error", error)
            if "impossible" in facts:
                folder = method.recipe.output_dir
                note = {"name": method.name, "about": method.about, "impossible": facts["impossible"]}
                write_json(folder / "method.json", note)
                reporter.say(f"{method.name}: not possible: {facts['impossible']}")
        code = process.wait()
        complaints.seek(0)
        last = (complaints.read().strip().splitlines() or [""])[-1]
    progress.end()
    if code and not error:
        what = f"its process ended with code {code}" if code > 0 else f"its process was killed (signal {-code})"
        return f"{what}: {last}" if last else what
    return error


@contextmanager
def _worker(wanted: str, complaints: IO[str]) -> Iterator[subprocess.Popen[str]]:
    """The process that does it; it goes when we go."""
    command = [sys.executable, "-m", "lingraft.compare_worker"]
    pipe = subprocess.PIPE
    with subprocess.Popen(command, stdin=pipe, stdout=pipe, stderr=complaints, text=True, encoding="utf-8") as process:
        try:
            assert process.stdin is not None
            process.stdin.write(wanted)
            process.stdin.close()
            process.stdin = None
            yield process
        except BaseException:
            process.terminate()
            raise


def _event(line: str) -> dict[str, Any]:
    """A line of the worker; libraries print lines too."""
    try:
        facts = json.loads(line)
    except json.JSONDecodeError:
        return {}
    return facts if isinstance(facts, dict) else {}


class _Progress:
    """The share of the bar that belongs to a method, as its units get done."""

    def __init__(self, advance: Advance, share: int, parts: int, name: str) -> None:
        self.advance, self.share, self.parts, self.name = advance, share, max(1, parts), name
        self.units: dict[str, float] = {}
        self.shown = 0

    def at(self, unit: str, share: float) -> None:
        """``share`` of a unit is done."""
        self.units[unit] = max(share, self.units.get(unit, 0.0))
        done = sum(share for name, share in self.units.items() if name != "encoding")
        self._show(round(self.share * min(1.0, done / self.parts)), f"{self.name}, {unit}")

    def end(self) -> None:
        """The method is done, or has failed: go on with the next."""
        self._show(self.share, self.name)

    def _show(self, at: int, note: str) -> None:
        if at > self.shown:
            self.advance(at - self.shown, note)
            self.shown = at


# ---- Results ---------------------------------------------------------------------------------------


def _collect(output: Path, recipe: Recipe, methods: Sequence[Variant]) -> None:
    """Put together what the methods left: ``scores.jsonl`` and ``comparison.json``.

    Raises:
        RunError: No method was possible.
    """
    settings = recipe.compare or CompareSettings()
    facts = [read_object(method.recipe.output_dir / "method.json") for method in methods]
    if all("impossible" in found for found in facts):
        reasons = "; ".join(f"{found['name']}: {found['impossible']}" for found in facts)
        raise RunError(f"no method is possible, so there is nothing to compare. {reasons}")
    rows = [
        row
        for method, found in zip(methods, facts, strict=True)
        for unit in found.get("units", ())
        for row in read_lines(method.recipe.output_dir / "units" / unit / "scores.jsonl")
        if row["method"] == method.name
    ]
    write_lines(output / "scores.jsonl", rows)
    data = next(filter(None, (read_object(m.recipe.output_dir / "data.json") for m in reversed(methods))), {})
    write_json(
        output / "comparison.json",
        {
            "data": data,
            "reference": OURS,
            "passes": recipe.train.num_train_epochs,
            "compare": settings.model_dump(mode="json"),
            "methods": facts,
        },
    )
