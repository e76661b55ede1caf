"""What says how well a language would transfer, on frozen states and without a gradient: each measure a function.

None of them looks at a label of a test set.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from transformers import PreTrainedTokenizerBase

from ..backbones.encoding import Encoded
from ..core.examples import Example
from ..core.records import Trial
from ..data.token_overlap import Ids, count_shared, token_ids
from ..model.heads.linear import LinearHead
from ..results.findings import Estimate
from ..results.metrics import Metric
from ..results.resampling import Floats, resample
from ..results.statistics import Difference, bounds, difference
from ..results.units import unit_of
from ..runs.retention import MOST, hits
from ..tasks import Task
from ..tasks.material import Draw, Materials
from ..training.head_fits import closed_form_head
from ..training.pools import Context, pools_of

Answers = Sequence[str]
"""A label for each of some texts."""


@dataclass(frozen=True)
class Source:
    """One language to transfer from, or several at once, as a run from there would have it: data, states, and a head.

    Attributes:
        languages: The source, and further ones.
        context: Materials and frozen states.
        head: The frozen head, of the sources' labels alone; None where none is fitted in closed form.
    """

    languages: tuple[str, ...]
    context: Context
    head: LinearHead | None

    @property
    def language(self) -> str:
        """The first."""
        return self.languages[0]

    @property
    def materials(self) -> Materials:
        """What it is learnt from."""
        return self.context.materials

    @property
    def draw(self) -> Draw:
        """The one draw that there is."""
        return self.materials.draws[0]

    @cached_property
    def metric(self) -> Metric:
        """The one that counts."""
        return next(iter(self.materials.task.kind.metrics.values()))

    def encoded(self, language: str, purpose: str) -> Encoded:
        """Return frozen states."""
        return self.context.pools[language, purpose]

    def answers(self, encoded: Encoded, ids: Sequence[str]) -> Answers:
        """Return what the head says of examples."""
        assert self.head is not None
        return [self.materials.task.labels[i] for i in self.head.logits(encoded.pooled(ids)).argmax(1).tolist()]

    def counts(self, encoded: Encoded, examples: Sequence[Example]) -> Floats:
        """Return what each example's answer adds to the sums of the metric that counts: ``[N, K]``."""
        answers = self.answers(encoded, [example.id for example in examples])
        return self.metric.table([example.gold for example in examples], answers)


def fit_source(languages: Sequence[str], context: Context) -> Source:
    """Fit the frozen head to the labels of the sources, as a run does; shots of the targets are left out."""
    if not context.materials.task.kind.class_logits:
        return Source(tuple(languages), context, None)
    draw = context.materials.draws[0]
    pools = pools_of(Trial(draw.k, draw.draw, 0), context)
    return Source(tuple(languages), context, closed_form_head(pools.source, (), pools.standardiser, context))


def score_labels(source: Source, target: str) -> float | None:
    """Score the head on the labelled examples that the recipe has of the target (its shots); None where it has none."""
    shots = source.draw.shots[target]
    if source.head is None or not shots:
        return None
    return source.metric.of_table(source.counts(source.encoded(target, "learn"), shots))


def score_elsewhere(source: Source, others: Sequence[Source]) -> float | None:
    """Score the head on the development sets of the other candidates, and average: how well it transfers at all."""
    task = source.materials.task
    known = [one for one in others if one is not source and knows(task, one.materials.dev)]
    if source.head is None or not known:
        return None
    tables = [source.counts(one.encoded(one.language, "dev"), one.materials.dev) for one in known]
    return float(np.mean([source.metric.of_table(table) for table in tables]))


def count_agreement(answers: Mapping[str, Answers]) -> dict[str, float]:
    """Return for each candidate how often another one's head gives the same answer, on average over texts and others.

    Where heads err, they err in different ways; who agrees with the rest is more often right. No label is needed.
    """
    votes, others = [Counter(given) for given in zip(*answers.values(), strict=True)], len(answers) - 1
    if not votes or not others:
        return {}
    return {
        code: float(np.mean([vote[answer] - 1 for vote, answer in zip(votes, own, strict=True)])) / others
        for code, own in answers.items()
    }


def answer_alike(sources: Sequence[Source], target: str) -> dict[str, Answers]:
    """Answer the same texts of a target with each head: the target sides of translations, else the test set.

    Returns:
        By language of the source; empty where there are no heads.
    """
    if any(source.head is None for source in sources):
        return {}
    sides = [dict.fromkeys(pair[1].id for pair in source.draw.pairs[target]) for source in sources]
    purpose, ids = "learn", [i for i in sides[0] if all(i in other for other in sides)]
    if not ids:
        purpose, ids = "test", [example.id for example in sources[0].materials.test[target]]
    return {source.language: source.answers(source.encoded(target, purpose), ids) for source in sources}


def retrieve(source: Source, target: str) -> float | None:
    """Return how often a sentence's nearest frozen state in the other language is its translation; None without pairs.

    Recall at 1, the mean of both directions, each side centred by its own mean.
    """
    pairs = source.draw.pairs[target][:MOST]
    if len(pairs) < 2:
        return None
    own = source.encoded(source.language, "learn").pooled([pair[0].id for pair in pairs])
    other = source.encoded(target, "learn").pooled([pair[1].id for pair in pairs])
    return float(np.mean([hits(own, other).mean(), hits(other, own).mean()]))


def share_tokens(source: Source, target: Ids, tokenizer: PreTrainedTokenizerBase) -> float | None:
    """Return the share of the target's tokens, given as ids, that the source's labelled texts have, too."""
    learnt = [text for example in source.draw.labelled for text in example.texts]
    return count_shared(target, token_ids(learnt, tokenizer))


def score_all(
    sources: Sequence[Source], target: str, own: str
) -> dict[tuple[str, ...], tuple[Estimate, Difference | None]]:
    """Score the head of each source on the target's test set: with intervals, and beside that of one of them.

    Args:
        sources: Fitted to different languages.
        target: A target language.
        own: The language whose score is taken from the others'; where it is none of them there is no difference.

    Returns:
        By source languages; empty where the test set has no labels, or there is no head.
    """
    if not sources[0].materials.is_scored(target) or sources[0].head is None:
        return {}
    tables = {one.languages: one.counts(one.encoded(target, "test"), one.materials.test[target]) for one in sources}
    drawn = resample([example.group for example in sources[0].materials.test[target]])
    metric, found = sources[0].metric, dict[tuple[str, ...], tuple[Estimate, Difference | None]]()
    resampled = {codes: drawn.metric(metric.made, table[None]) for codes, table in tables.items()}
    ends = unit_of(next(iter(sources[0].materials.task.kind.metrics))).ends
    reference = (own,)
    for codes, table in tables.items():
        value, ahead = metric.of_table(table), None
        if reference in tables and codes != reference:
            less = metric.of_table(tables[reference])
            ahead = difference(value - less, resampled[codes] - resampled[reference], drawn.groups, ends)
        found[codes] = Estimate(value, *bounds(drawn, metric.made, table, ends)), ahead
    return found


def knows(task: Task, examples: Sequence[Example]) -> bool:
    """Return whether examples have labels of a task, and no others."""
    return bool(examples) and task.kind.can_score({label for example in examples for label in example.labels})
