"""Which language to transfer from: ``lingraft sources``.

Each candidate is taken for the source language of the recipe, and what a run from there would have is put together:
its labels, its pairs with the targets, its frozen head. Nothing is trained by gradient. What was encoded stays in the
cache, where a run from any of the languages finds it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

import torch

from ..backbones.checkpoint_files import usual_prefix
from ..backbones.encoding import Encoded
from ..backbones.loading import Backbone, empty_stack, load_tokenizer
from ..core.counted import counted
from ..core.errors import LingraftError, problems_of
from ..core.files import write_json, write_text
from ..core.progress import Reporter, roughly
from ..core.records import Features
from ..core.version import __version__, source_revision
from ..data.language_distances import CURE, distances, has_distances
from ..data.languages import canonical, display_name
from ..data.token_overlap import token_ids
from ..recipe.settings import Recipe
from ..recipe.source_choice import SourceChoiceSettings
from ..results.pages.experiment_page import write_report
from ..results.pages.source_choice_markdown import sources_page
from ..results.pages.source_choice_report import PAGE as REPORT
from ..results.pages.source_choice_report import source_choice_report
from ..results.source_choice import (
    Candidate,
    Joint,
    Ranking,
    SourceChoice,
    as_plain,
    first_overall,
    rank_candidates,
)
from ..results.wording import listed
from ..runs.checks import gather_checked, resolve_cut
from ..runs.folder import open_run_folder
from ..runs.frozen_states import encode_texts, tokenise
from ..runs.needs import states_size
from ..runs.preparation import load
from ..runs.timing import STARTING, operations_per_token
from ..tasks.material import Materials
from ..training.pools import Context
from .cost import FITTED, rate_of
from .source_candidates import gather_candidates, has_pairs, is_bound, with_sources
from .source_measures import (
    Source,
    answer_alike,
    count_agreement,
    fit_source,
    retrieve,
    score_all,
    score_elsewhere,
    score_labels,
    share_tokens,
)

PAGE, NUMBERS = "sources.md", "sources.json"

Tokenised = Mapping[tuple[str, str], Sequence[Features]]
Put = Callable[[Mapping[tuple[str, ...], Materials]], list[Source]]
"""Puts together what a run from each source would have; see :func:`put_together`."""


def choose_sources(recipe: Recipe, *, quiet: bool = False, command: str | None = None) -> SourceChoice:
    """Rank the candidates of a recipe, and write the page and the numbers into its folder.

    Args:
        recipe: Whose ``source_choice`` block says what there is to choose from.
        quiet: Say nothing but warnings.
        command: What was typed, for the page.

    Raises:
        LingraftError: With one clear message; what was encoded stays in the cache.
    """
    reporter = Reporter(quiet=quiet)
    gathered, left_out = gather_candidates(recipe, reporter)
    with open_run_folder(recipe.output_dir, recipe) as folder:
        backbone, device = load(recipe, reporter)
        put = partial(put_together, recipe=recipe, backbone=backbone, device=device, reporter=reporter)
        sources = put({(code,): materials for code, materials in gathered.items()})
        found = _choose(recipe, sources, backbone, left_out, reporter)
        found = _with_joint(found, recipe, sources, put)
        write_json(folder / NUMBERS, as_plain(found))
        write_text(folder / PAGE, sources_page(found, command=command))
        write_report(source_choice_report(found), folder, command=command, page=REPORT)
    return found


def describe_cost(recipe: Recipe) -> list[str]:
    """Say what there is to choose from and what that costs, before anything is computed.

    Args:
        recipe: The recipe.

    Raises:
        LingraftError: There is nothing to choose from, or the data or the checkpoint do not allow it.
    """
    gathered, left_out = gather_candidates(recipe)
    name, stack = recipe.backbone.checkpoint, empty_stack(recipe.backbone.checkpoint)
    prefix = usual_prefix(name) if recipe.backbone.text_prefix is None else recipe.backbone.text_prefix
    tokenizer = load_tokenizer(name)
    texts = _texts(_tokenise(materials, tokenizer, prefix, recipe) for materials in gathered.values())
    tokens = sum(len(row.input_ids) for row in texts.values())
    encoding = tokens * operations_per_token(stack, stack.num_layers) / rate_of(recipe, stack)
    size = states_size({("", ""): list(texts.values())}, stack.width, recipe.cache.dtype)
    lines = [
        f"{display_name(code)}: {counted(len(materials.draws[0].labelled), 'labelled example')}"
        for code, materials in gathered.items()
    ]
    return [
        *lines,
        *(f"{display_name(code)}: left out ({reason})" for code, reason in left_out.items()),
        f"at most {tokens:,} tokens to encode, {size / 1e6:,.0f} MB in the cache, less what it has already; in all at "
        f"most about {roughly(STARTING + encoding + FITTED * len(gathered))}",
    ]


# ---- Data, states and a head -----------------------------------------------------------------------


def put_together(
    gathered: Mapping[tuple[str, ...], Materials],
    *,
    recipe: Recipe,
    backbone: Backbone,
    device: torch.device,
    reporter: Reporter,
) -> list[Source]:
    """Encode what a run from each source would read, each text once, and fit its frozen head.

    Args:
        gathered: Materials by source languages.
        recipe: The recipe, whose settings of the backbone and the cache count.
        backbone: The frozen model.
        device: Where to compute.
        reporter: What reports how it goes.
    """
    read = {
        codes: _tokenise(materials, backbone.tokenizer, backbone.text_prefix, recipe)
        for codes, materials in gathered.items()
    }
    cut = resolve_cut(recipe, backbone.stack.num_layers)  # where a run would keep them
    known, found = dict[tuple[str, ...], Encoded](), list[Source]()
    with reporter.task("encoding", sum(len(row.input_ids) for row in _texts(read.values()).values())) as advance:
        for rows in (rows for features in read.values() for rows in features.items() if rows[1]):
            if _key(*rows) not in known:
                known[_key(*rows)] = encode_texts(rows[1], backbone, recipe, cut, device, advance)
    with reporter.task("fitting heads", len(read)) as advance:
        for codes, features in read.items():
            pools = {key: known[_key(key, rows)] for key, rows in features.items() if rows}
            context = Context(with_sources(recipe, codes), gathered[codes], backbone, cut, pools, device)
            found.append(fit_source(codes, context))
            advance(1, display_name(codes[0]))
    return found


def _tokenise(
    materials: Materials, tokenizer: Any, prefix: str, recipe: Recipe
) -> dict[tuple[str, str], list[Features]]:
    """Return features of all texts but the source's test set, which tells nothing here."""
    without = replace(materials, test={**materials.test, materials.task.source_language: ()})
    return tokenise(without, tokenizer, prefix, recipe)


def _key(place: tuple[str, str], rows: Sequence[Features]) -> tuple[str, ...]:
    """Return what tells the same texts of a language, which several candidates share."""
    return (*place, *(row.example_id for row in rows))


def _texts(read: Iterable[Tokenised]) -> dict[tuple[int, ...], Features]:
    """Return each different text once, by its tokens."""
    return {tuple(row.input_ids): row for features in read for rows in features.values() for row in rows}


# ---- Measures --------------------------------------------------------------------------------------


def _choose(
    recipe: Recipe, sources: Sequence[Source], backbone: Backbone, left_out: Mapping[str, str], reporter: Reporter
) -> SourceChoice:
    asked, task = recipe.source_choice or SourceChoiceSettings(), sources[0].materials.task
    own = canonical(str(recipe.task.options.get("source_language", "eng-Latn")))
    elsewhere = {one.language: score_elsewhere(one, sources) for one in sources}
    rankings = list[Ranking]()
    with reporter.task("measuring", len(task.target_languages)) as advance:
        for target in task.target_languages:
            candidates = _measure(sources, target, own, elsewhere, backbone.tokenizer)
            rankings.append(rank_candidates(target, display_name(target), candidates, asked.rank_by))
            advance(1, display_name(target))
    chosen = first_overall(rankings)
    offered = [own, *(code for code in chosen if code != own)] if is_bound(recipe) else chosen
    return SourceChoice(
        task=task.name,
        metric=next(iter(task.kind.metrics)),
        source=own,
        rankings=tuple(rankings),
        offered=tuple(offered[: asked.together]),
        names={code: display_name(code) for code in (own, *chosen)},
        left_out=left_out,
        notes=(*_not_ranked_by(asked, rankings), *_notes(recipe, classified=task.kind.class_logits)),
        revision=", revision ".join(filter(None, [__version__, source_revision()])),
        remarks=tuple(recipe.notes),
    )


def _measure(
    sources: Sequence[Source], target: str, own: str, elsewhere: Mapping[str, float | None], tokenizer: Any
) -> list[Candidate]:
    """Measure all candidates of a target, and score their heads where its test set has labels.

    Args:
        sources: The candidates.
        target: The target.
        own: The recipe's own source language.
        elsewhere: What each scores in the others.
        tokenizer: Of the backbone.
    """
    agreement, scores = count_agreement(answer_alike(sources, target)), score_all(sources, target, own)
    written, found = token_ids(sources[0].materials.written(target), tokenizer), list[Candidate]()
    for source in sources:
        measures = {
            "labels": score_labels(source, target),
            "agreement": agreement.get(source.language),
            "transfer": elsewhere[source.language],
            "retrieval": retrieve(source, target),
            "tokens": share_tokens(source, written, tokenizer),
            **distances(source.language, target),
        }
        known = {name: value for name, value in measures.items() if value is not None}
        score, ahead = scores.get(source.languages, (None, None))
        labels = len(source.draw.labelled)
        found.append(Candidate(source.language, display_name(source.language), labels, known, score, ahead))
    return found


def _with_joint(found: SourceChoice, recipe: Recipe, sources: Sequence[Source], put: Put) -> SourceChoice:
    """Add what the first two, three, … languages give together, where that can be scored."""
    scored = any(one.score is not None for ranking in found.rankings for one in ranking.candidates)
    several = [found.offered[:count] for count in range(2, len(found.offered) + 1)] if scored else []
    try:
        joint = put({codes: gather_checked(with_sources(recipe, codes)) for codes in several})
    except LingraftError as error:
        return replace(found, notes=(*found.notes, f"Not learnt from together: {'; '.join(problems_of(error))}"))
    own = [source for source in sources if source.language == found.source]

    def add(ranking: Ranking) -> Ranking:
        scores = score_all([*own, *joint], ranking.language, found.source) if joint else {}
        return replace(ranking, joint=tuple(Joint(codes, *scores[codes]) for codes in several if codes in scores))

    return replace(found, rankings=tuple(map(add, found.rankings)))


def _not_ranked_by(asked: SourceChoiceSettings, rankings: Sequence[Ranking]) -> Iterator[str]:
    """Yield which of the measures that the recipe names could not be ranked by, and what was instead."""
    if asked.rank_by == SourceChoiceSettings().rank_by:  # of which not every task has all
        return
    for one in rankings:
        if lacking := [measure for measure in asked.rank_by if measure not in one.ranked_by]:
            instead = listed(list(one.ranked_by)) if one.ranked_by else "nothing"
            yield (
                f"{one.name}: `source_choice.rank_by` names {listed(lacking)}, which not every candidate has; "
                f"the ranks are by {instead}."
            )


def _notes(recipe: Recipe, *, classified: bool) -> list[str]:
    """Say what is not measured, and what it would take."""
    notes = []
    if not classified:
        notes.append(
            "No head is fitted in closed form for this kind of task, so labels, agreement, transfer and true scores "
            "are missing."
        )
    if not has_pairs(recipe):
        notes.append(
            "Retrieval needs translations between each candidate and each target, which a task that is parallel across "
            "languages has: `parallel: {from: task}`."
        )
    if not has_distances():
        notes.append(f"Distances of the languages need the tables of URIEL: `{CURE}`.")
    return notes
