"""What a kind of task is: how examples become rows of tokens, rows become logits, logits become answers.

All that is particular to a kind is said here and nowhere else: what it is asked by a user, what is special about
training it, what pages call it. A new kind is a file with a factory of :class:`Kind`.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Literal

from torch import Tensor

from ...core.errors import CheckpointError
from ...core.examples import Example
from ...core.records import Features, Prediction, Target
from ...core.registry import Registry
from ...results.metrics import Metric
from ...results.units import ERRORS
from ...results.words import NEUTRAL, Words
from .items import Asked, read_columns
from .prompted import Prompted

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

NO_LABEL = -100
"""Target of what has no label; it takes no part in the loss."""


def whole(value: Any) -> Sequence[str]:
    """Return a value as the one answer that it is."""
    return (str(value),)


def no_limit(examples: Sequence[Example], features: Sequence[Features]) -> str:
    """Return nothing: whatever is right can be given."""
    return ""


def no_columns(example: Example) -> Mapping[str, Any]:
    """Return nothing: a prediction's line has the text, what is right and what was said."""
    return {}


def whole_answer(item: Any, prediction: Prediction, abstain: float | None) -> Prediction:
    """Return the prediction, without its answer where that is less probable than ``abstain``."""
    if abstain is None or prediction.confidence is None or prediction.confidence >= abstain:
        return prediction
    return replace(prediction, value="", start=None, end=None, abstained=True)


def no_details(prediction: Prediction) -> Mapping[str, Any]:
    """Return nothing: an answer is its value."""
    return {}


@dataclass(frozen=True)
class Kind:
    """A shape of task, whatever its data: classification, extractive question answering, tagging, choice.

    Notation: ``R`` rows of a batch (one or several for each example), ``T`` their padded length, ``C`` outputs
    of the head, for each row or, ``per_token``, for each of its tokens.
    """

    name: str
    example: type[Example]
    """What it reads."""
    outputs: int
    """``C``."""
    encode: Callable[[Sequence[Example], PreTrainedTokenizerBase, int, str], list[Features]]
    """Examples, tokenizer, maximum length and text prefix to rows: examples in order, the parts of each in order.
    Any kind reads a :class:`PairExample` without a label as plain text, as parallel sentences come."""
    collate: Callable[[Sequence[Target | None], int], Tensor]
    """Targets of ``R`` rows, and ``T``, to a tensor ``[R, ...]``; ``NO_LABEL`` where none is known."""
    loss: Callable[[Tensor, Tensor, Tensor, Tensor, Tensor], Tensor]
    """Logits ``[R, C]`` or ``[R, T, C]``, targets, mask ``[R, T]``, class weights ``[len(labels)]`` and weights of the
    rows ``[R]`` to a scalar: a weighted mean over what has a target."""
    decode: Callable[[Sequence[Example], Sequence[Features], Sequence[Tensor]], list[Prediction]]
    """Examples, all their rows in order, and the logits of each row (``[C]``, or ``[T_row, C]`` of its real tokens) to
    one prediction for each example, in order, under the example's language."""
    metrics: Mapping[str, Metric]
    """The first is the one that counts."""
    labels: tuple[str, ...] = ()
    per_token: bool = False
    metrics_in: Callable[[str], Mapping[str, Metric]] | None = None
    """The same metrics for answers in a language, where its rules differ from those of ``metrics``."""
    head: str = "linear"
    """Name of the head that gives the outputs, see :mod:`lingraft.model.heads`."""
    head_learns: bool = True
    """Whether anything in that head is trained; if not, the frozen model answers as it is."""
    options: Mapping[str, Any] = field(default_factory=dict)
    """What builds the same kind again, as plain data, beside its name and labels."""

    # ---- What training asks ------------------------------------------------------------------------

    one_class_each: bool = False
    """Whether what is right of an example is one of ``labels``, and its target the number of it. Shots are then drawn
    and counted per class, classes can be weighed, and who takes what for what makes a confusion matrix."""
    class_logits: bool = False
    """Whether, besides, the ``C`` outputs of a linear head are the logits of those classes. The frozen head is then a
    logistic regression on pooled states instead of one trained by gradient, the last layer is retrained after
    training, character n-grams and prototypes have classes to speak for, and losses may compare the predictions of
    sentences."""
    label_logits: bool = False
    """Whether the ``C`` outputs of a thresholded head are the log-odds of ``labels``, any of which an example may have,
    and the threshold. The frozen head is then a logistic regression for each label, on pooled states, instead of one
    trained by gradient, the last layer is retrained after training, and character n-grams have labels to speak for."""
    numeric: bool = False
    """Whether the one output of a linear head is a number, which has no probability. The frozen head is then a ridge
    regression on pooled states instead of one trained by gradient."""
    softmax_over: Literal["outputs", "positions"] = "outputs"
    """What one distribution of answers is over: the outputs of a row or token, as those of classes and tags; or the
    positions of an example, its tokens or, where it does not read tokens, its rows, each output being one distribution.
    Copies that must get the same answers are compared by it."""
    choose_threshold: Callable[[Sequence[Example], Sequence[Features], Sequence[Tensor]], float] | None = None
    """Development examples, all their rows and the logits of each, made without a threshold, to the threshold that the
    head then has; for heads that have one."""
    outside: str | None = None
    """The label of what is nothing in particular, as ``O`` among tags: other data that share no more share nothing."""
    answers: Callable[[Any], Sequence[str]] = whole
    """A prediction's value, or what is right, to the answers in it: one, or one for each word. A model that gives
    the same to all has collapsed."""

    limit_of: Callable[[Sequence[Example], Sequence[Features]], str] = no_limit
    """Examples and all their rows to a sentence on right answers that cannot be given, whatever is learnt; empty where
    all can."""

    prompted: Prompted | None = None
    """How an example and its possible answers are put to a language model in words; None where they are not."""

    # ---- What users see ----------------------------------------------------------------------------

    columns: Callable[[Example], Mapping[str, Any]] = no_columns
    """What a prediction's line has beside the text. Pages show ``text_b`` under the text, and of ``alternatives``
    the one whose number a value is."""
    item_columns: tuple[str, ...] = ()
    """What an item of ``predict`` must have, where it is more than a text."""
    read_item: Callable[[Any, Asked], Example] | None = None
    """An item of ``predict`` to an example, or a :class:`DataError`. By default ``item_columns`` are the names of
    the example's fields, each of them a text."""
    text_columns: tuple[str, ...] = ("text",)
    """Columns of a table that hold an item which is a text, or words; the first one there is taken."""
    file_shapes: tuple[str, ...] = ()
    """Files of its own that ``predict`` reads beside tables and lines of text: ``conll``, ``squad``."""
    finish: Callable[[Any, Prediction, float | None], Prediction] = whole_answer
    """An item of ``predict``, its prediction, and the probability below which nothing is answered, to the answer."""
    details: Callable[[Prediction], Mapping[str, Any]] = no_details
    """What an answer's line has beside label and confidence."""
    probabilities: Callable[[Sequence[Features], Sequence[Tensor]], list[list[float]]] | None = None
    """All rows of some examples and the logits of each to the probabilities of each example's classes or
    alternatives, in order; None where there are none to choose from."""
    words: Words = NEUTRAL
    """How pages speak of it."""

    def __post_init__(self) -> None:
        of_texts = self.head == "linear" and not self.per_token
        if self.class_logits and not (self.one_class_each and of_texts and self.outputs == len(self.labels)):
            raise ValueError(
                f"{self.name}: class_logits needs one_class_each, and a linear head with an output for each of "
                f"{len(self.labels)} labels that does not read tokens; there are {self.outputs} outputs"
            )
        behind_labels = self.outputs - len(self.labels)
        if self.label_logits and (self.one_class_each or self.per_token or not self.labels or behind_labels != 1):
            raise ValueError(
                f"{self.name}: label_logits needs an output for each of {len(self.labels)} labels and one for the "
                f"threshold, not tokens, and not one class each; there are {self.outputs} outputs"
            )
        if self.numeric and (self.labels or not of_texts or self.outputs != 1):
            raise ValueError(f"{self.name}: numeric needs a linear head with one output, not tokens, and no labels")
        if next(iter(self.metrics)) in ERRORS:
            raise ValueError(f"{self.name}: the first metric is what counts, of which more must be better")
        if self.read_item is None and not self.item_columns:
            raise ValueError(f"{self.name}: name the item_columns that predict takes, or give it a read_item")

    @property
    def fitted(self) -> bool:
        """Whether the head can be fitted in closed form to pooled states: to classes, to labels, or to numbers."""
        return self.class_logits or self.label_logits or self.numeric

    @property
    def projects_labels(self) -> bool:
        """Whether what it says of a translation are probabilities of labels, which character n-grams may learn."""
        return self.class_logits or self.label_logits

    @property
    def classes(self) -> tuple[str, ...]:
        """The labels, where each example has one of them."""
        return self.labels if self.one_class_each else ()

    def metrics_of(self, example: Example) -> Mapping[str, Metric]:
        """Return the metrics that score an example."""
        if self.metrics_in is None or example.context_language is None:
            return self.metrics
        return self.metrics_in(example.context_language)

    def example_of(self, item: Any, asked: Asked) -> Example:
        """Return the example that an item of ``predict`` is.

        Raises:
            DataError: The item is not what the kind takes.
        """
        if self.read_item is not None:
            return self.read_item(item, asked)
        return self.example(**asked.identity, **read_columns(item, self.item_columns, asked))

    def can_score(self, found: Collection[str]) -> bool:
        """Return whether examples with the labels ``found`` are of what is classified here.

        Of classes all must be known; of labels within an example some, and not only the one for nothing.
        """
        known, found = set(self.labels), set(found)
        return found <= known or bool(not self.one_class_each and found & (known - {self.outside}))


kinds = Registry("lingraft.kinds", "lingraft.tasks.kinds")


def kind_of(name: str, labels: Sequence[str], options: Mapping[str, Any]) -> Kind:
    """Build a kind from its name, its labels (where it has some) and its other options.

    Raises:
        CheckpointError: Nobody knows it.
    """
    if name not in kinds:
        raise CheckpointError(
            f"unknown kind of task {name!r}; known are {', '.join(kinds)}; update lingraft, or install the package "
            "that brings it"
        )
    kind: Kind = kinds.build(name, {**({"labels": tuple(labels)} if labels else {}), **options})
    return kind
