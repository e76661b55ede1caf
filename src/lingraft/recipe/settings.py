"""The settings of a recipe: every key, its default, its bounds, and what it means."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    StringConstraints,
    field_validator,
    model_validator,
)

from ..core.amounts import (
    MOST_GIGABYTES,
    Copies,
    Count,
    CountOrNone,
    Factor,
    FactorOrNone,
    Layers,
    LayersOrNone,
    Rate,
    Rounds,
    RoundsOrNone,
    Share,
)
from ..core.errors import shown
from ..core.shots import Shots, order_of_shots
from ..core.yaml_text import as_yaml
from .blocks import Block, Settings, WeightedBlock
from .comparison import CompareSettings
from .shot_curve import ShotCurveSettings
from .source_choice import SourceChoiceSettings
from .stability import StabilitySettings
from .tuning import TuneSettings


class BackboneSettings(Settings):
    """The frozen language model."""

    checkpoint: str = "bundled:multilingual-e5-small"
    """`bundled:NAME`, a folder, or a Hub id."""
    cut: LayersOrNone | Literal["auto"] = Field(default="auto", union_mode="left_to_right")
    """Layers below the cut are computed once and cached; `auto` is half of the depth (0 with an input prompt)."""
    layers: Layers | Literal["auto"] | None = Field(default=None, union_mode="left_to_right")
    """Texts are read after so many layers, through the model's final norm, and the others are not run: a number, or
    `auto`, which chooses half, two thirds or all by the source language's development log-loss (classification). By
    default all."""
    pooling: Literal["mean", "last"] = "mean"
    """A text is read off the mean of its tokens, or off its last one, which in a decoder has seen all (decoders, where
    whole texts are read)."""
    max_length: int = Field(default=128, ge=8, le=32_768)
    """Texts are truncated after this many tokens; how many were is reported."""
    text_prefix: str | None = None
    """Put before each text; by default what the checkpoint was trained with (`query: ` for e5)."""
    precision: Literal["auto", "float32", "bfloat16"] = "auto"
    """Of the matrix products in the backbone: `bfloat16` or `float32`; `auto` is `bfloat16` on processors that are
    faster in it, which is measured once a day on each machine, and `float32` elsewhere."""

    weights: Literal["float32", "stored", "8bit", "4bit"] = "float32"
    """`stored` keeps matrices of a checkpoint in 16 bit, and widens each for its products: half the memory, the same
    numbers. `8bit` and `4bit` round them by bitsandbytes: a quarter or an eighth, and other numbers."""

    @field_validator("cut", mode="before")
    @classmethod
    def _is_a_layer(cls, cut: Any) -> Any:
        if cut != "auto" and not re.fullmatch(r"[0-9]{1,3}", shown(cut).strip("'")):
            raise ValueError("the cut counts layers from 0 upwards, to at most 999; or it is auto")
        return cut

    @field_validator("layers", mode="before")
    @classmethod
    def _are_some(cls, layers: Any) -> Any:
        if layers not in (None, "auto") and not re.fullmatch(r"[1-9][0-9]{0,2}", shown(layers).strip("'")):
            raise ValueError("layers are counted from 1 to at most 999; or it is auto")
        return layers


class ShotSettings(Settings):
    """Labelled examples: how many per class of each target language, and how often drawn."""

    k: Annotated[list[CountOrNone | Literal["all"]], Field(max_length=100)] | CountOrNone | Literal["all"] = 0
    """Labelled target examples per class; 0 is zero-shot; `all` takes all that there are, however many each class has;
    a list runs each."""
    draws: int = Field(default=1, gt=0, le=1_000)
    """How many different draws of labels (and of parallel pairs, where they come from the task)."""
    source_examples: Count | None = None
    """At most this many labelled examples of the source language (default: all that are left)."""
    folds: Annotated[int, Field(ge=0, le=20)] | None = None
    """In how many folds the labels of a language without a test set are cross-validated, each by a model of its own;
    by default 5, or as many as the labels allow; 0 for none."""

    @field_validator("k", mode="before")
    @classmethod
    def _counts(cls, k: Any) -> Any:
        given = k if isinstance(k, list) else [k]
        if not given:
            raise ValueError("give at least one number of shots, e.g. k: 0")
        if len(given) > 100:
            raise ValueError("expected at most 100 numbers of shots")
        if not all(one == "all" or re.fullmatch(r"-?[0-9]+", shown(one).strip("'")) for one in given):
            raise ValueError("expected a number of examples per class, `all`, or a list of these")
        if any(one != "all" and int(one) < 0 for one in given):
            raise ValueError("k counts examples per class and cannot be negative")
        if any(one != "all" and int(one) > 10**9 for one in given):
            raise ValueError("k counts examples per class; for all that there are, write `all`")
        return k

    @property
    def ks(self) -> list[Shots]:
        """All numbers of shots to run."""
        return sorted(set(self.k), key=order_of_shots) if isinstance(self.k, list) else [self.k]


class ParallelSettings(BaseModel):
    """Where sentences in both languages come from."""

    model_config = ConfigDict(
        extra="forbid", frozen=True, populate_by_name=True, use_attribute_docstrings=True, allow_inf_nan=False
    )

    files: str | None = None
    """Path with `{language}` in it: .tsv, .csv, .jsonl, .tmx, .po, .mo, .txt (lexicon or source side of line files)."""
    target_files: str | None = None
    """Target side, where the two languages are two line files."""
    fields: dict[str, str | Annotated[int, Field(strict=True, ge=1, le=1_000)]] | None = None
    """Columns of `source` and `target` in tables: their names or, in a .tsv or .csv without a header, their numbers
    from 1."""
    from_: Literal["task"] | None = Field(default=None, alias="from")
    """`task`: the task is parallel across languages; its training ids give the pairs, without labels."""
    lexicon: str | None = None
    """Path with `{language}` in it, formats as `files`: word pairs. Copies of the source language's sentences with some
    of their words replaced are paired with the originals. (`files` with a lexicon pairs the words themselves.)"""
    text: str | None = None
    """Path with `{language}` in it: unlabelled text of the target language, a sentence a line or a table's column
    `text`. A lexicon is mined from it with the frozen backbone, and used as `lexicon` is."""
    pairs: Count | None = None
    """At most this many pairs per language (of the task's, where `files` join them), and at most so many
    copies. From the task, the default is half of what it shares with the source language, all of it where the source
    side is `labelled`."""
    labelled: bool = False
    """`from: task` only: the source side of the pairs keeps its label and is learnt from as well."""
    augmentation: Block | None = None
    """What makes the copies, e.g. `{name: code-switching, ratio: 0.5}`, which is meant where there is a `lexicon` or
    `text`; see `lingraft list augmentation`."""
    copies: Copies = 1
    """How often each sentence is copied, in another way each time."""

    @model_validator(mode="before")
    @classmethod
    def _refuse_ratio(cls, values: Any) -> Any:
        if isinstance(values, Mapping) and "ratio" in values:
            ratio = values["ratio"]
            raise ValueError(
                f"`ratio` belongs to what makes the copies: augmentation: {{name: code-switching, ratio: {ratio}}}"
            )
        return values

    @property
    def generator(self) -> Block | None:
        """What makes copies; None where none are asked for."""
        return self.augmentation or (Block(name="code-switching") if self.lexicon or self.text else None)

    @property
    def switches(self) -> bool:
        """Whether copies of sentences are asked for."""
        return self.generator is not None


def _named_folder(given: Any) -> Any:
    """Refuse what names no folder; nothing at all would be the working folder."""
    if not isinstance(given, Path) and not (isinstance(given, str) and given.strip()):
        raise ValueError("expected the name of a folder")
    return given


Folder = Annotated[Path, BeforeValidator(_named_folder)]


class PseudoSettings(Settings):
    """Labelled examples of the target languages that nobody labelled: what makes them, and from what."""

    generators: list[Block] = Field(default=[], max_length=100)
    """What makes them, e.g. `{name: word-translation, copies: 2, weight: 0.5}`; see `lingraft list generators`."""
    filters: Annotated[list[Block], Field(max_length=100)] | None = None
    """What takes away examples that look wrong, one after the other, e.g. `[{name: length}, {name: duplicates}]`; by
    default all that need no model (see `lingraft list filters`); `[]` for none."""
    files: list[str] = Field(default=[], max_length=100)
    """Files that `lingraft augment` wrote, or you: JSON lines, an example each."""
    lexicon: str | None = None
    """Path with `{language}` in it, formats as `parallel.files`: word pairs, for generators that need them; by default
    the lexicon of `parallel`."""
    languages: Annotated[list[str], Field(min_length=1, max_length=1_000)] | None = None
    """The target languages that examples are made of; by default all."""
    text: str | dict[str, str] | None = None
    """Text of the target languages, for generators that need it: a path with `{language}` in it, or a file for each
    language; by default that of `parallel.text`."""
    predictor: Folder | None = None
    """A finished run of the same task that gives labels, where a generator asks a model; by default one is fitted to
    the source language's labels first."""
    gold: bool = True
    """Learn from the source language's labels beside them."""
    early: bool | None = None
    """Learn from them in the first half of the epochs alone, so that what people labelled has the last word. By default
    where tokens are read and the language has labelled examples; never where it has nothing else to learn from."""
    label_noise: Share = 0.0
    """Share of them that get another class, at random, after the filters: for studies of how much noise they bear."""


class ConsistencySettings(Settings):
    """Code-switched copies of the labelled source examples must get the answers that the originals get."""

    lexicon: str
    """Path with `{language}` in it, formats as `parallel.files`: word pairs, which the copies are made with."""
    languages: Annotated[list[str], Field(min_length=1, max_length=1_000)] | None = None
    """The target languages that copies are made in; by default all."""
    ratio: Annotated[float, Field(gt=0, le=1)] = 0.5
    """Share of the different entries of an example that are replaced."""
    copies: Copies = 1
    """How often each example is copied in a language, in another way each time; a step reads one copy of each."""
    inflections: bool = False
    """Whether English words that the lexicon lists in another form are replaced too."""
    weight: Factor = 1.0
    """Factor in front of the loss."""
    temperature: Factor = 1.0
    """What logits are divided by; softer predictions say more about the answers that were not given."""


class TrainSettings(Settings):
    """How the trained parts learn."""

    num_train_epochs: RoundsOrNone = 6
    """Epochs: how often the parallel pairs are seen (the labelled source examples, where these are more); 0 trains
    nothing by gradient, as the preset `instant`."""
    head_epochs: Rounds | None = None
    """Epochs of the frozen head's own training, where none can be fitted (tasks that read tokens); by default as many
    as `num_train_epochs`."""
    batch_size: int = Field(default=32, gt=0, le=65_536)
    """Texts per language and step."""
    learning_rate: Rate = 2e-3
    """Peak learning rate of adapters and head."""
    prompt_learning_rate: Rate = 5e-3
    """Peak learning rate of prompts."""
    backbone_learning_rate: Rate = 5e-5
    """Peak learning rate of parameters of the backbone that `freezing` lets learn."""
    weight_decay: FactorOrNone = 0.01
    """AdamW weight decay; prompts have none."""
    warmup_share: Share = 0.1
    """Share of the steps in which the learning rate rises from zero."""
    max_grad_norm: Rate = 1.0
    """Gradients are clipped to this norm."""
    class_balanced: bool = True
    """Weigh classes by inverse frequency, in the task loss and in the final head (not in the frozen head)."""
    source_regularisation: FactorOrNone = 1.0
    """Weight of the source regularisation (self-distillation): the alignment loss of source-language examples against
    their own frozen states, relative to that of translations; without it, 2.5 points [0.5, 4.5] were lost on Hausa and
    Guarani (docs/results/knowledge-transfer.md)."""
    last_layer_strength: Factor | None = 0.003
    """Last-layer retraining: at the end the head is fitted to the adapted states, with this C (scikit-learn's, smaller
    is more regularised); null keeps the trained head, which was 2.6 points [0.7, 4.6] worse on Hausa and Guarani. Where
    nothing is trained it is chosen on source development data."""
    ngram_classifier: bool = True
    """Fit a character n-gram classifier for each language (classification of single texts, with pairs from the task): a
    ridge regression on a language's character n-grams, trained by label projection from the model's predictions for the
    translations, and ensembled with the model."""
    comparison_classifier: bool = True
    """Fit a comparison classifier (classification of pairs of texts, with at least 50 labelled ones and as many in the
    development set): boosted trees on what corresponds in the two texts, how alike it is and in which order it stands,
    by frozen states; ensembled with the model by weights that the development set decides."""
    shot_weight: Factor = 0.2
    """How much a labelled target example counts, where a source example counts 1. A few labels pull the head to where
    these few sentences are: on Hausa and Guarani a weight of 1 was 1.2 points [-0.5, 3.0] worse than 0.2. With a `map`
    this is for training alone: in the last layer a shot's translation counts in its place, as a source example, or
    where it has none, the weight is chosen by cross-validation on the shots."""
    shot_repeats: RoundsOrNone | None = None
    """How many times more than once a labelled target example is seen an epoch. By default never in classification,
    where a network that sees a few labels again and again soon overfits them, and where tokens are read so often that
    half of the target language's batches are such examples."""
    gradient_checkpointing: bool = False
    """Keep of each layer its input alone, and compute the layer again for its gradients: the same numbers, in a
    fraction of the memory, and about a third more time."""
    average_last: Rounds = 3
    """The result is the mean of the parameters after each of the last so many epochs."""
    patience: Rounds | None = None
    """Early stopping: end training when the source language's development score has not risen for so many epochs, and
    keep the parameters of the epoch in which it was best, instead of the mean of the last ones. By default none: that
    score says little of the target language."""
    ensemble: Annotated[int, Field(gt=0, le=100)] = 1
    """Members of a training: so many trainings from one start, in different orders and with different dropout, whose
    mean is what is saved (a model soup). It takes so many times as long, and predicting takes no longer; on Hausa,
    Guarani and Balinese three were no better than one."""
    order: Literal["joint", "sequential"] = "joint"
    """Source and target in every step, or all epochs on the source first and then as many on the targets."""
    max_pairs: CountOrNone | None = None
    """Learn from at most this many pairs per language, 0 for none; all are kept apart all the same, so that runs can
    be compared."""
    warm_start: bool = True
    """Start from the head that was fitted on frozen states; if not, from a random one."""
    continue_from: Folder | None = None
    """A finished run, or a method's folder of a comparison, of the same kind of task, with the same backbone, cut and
    parts: start from what it learned. Parts of languages that it did not know start anew, and so do n-gram
    classifiers."""
    balance: Factor | None = None
    """Weigh each alignment loss such that its gradient is this share of the task's, times its own weight; null keeps
    the weights fixed."""
    ema_decay: Share = 0.99
    """The teacher of the `prediction` loss is the network averaged over its steps with this decay; 0: as it is now."""


class CacheSettings(Settings):
    """The store of frozen states."""

    dtype: Literal["float32", "float16"] = "float32"
    """How states are stored; float16 halves the size."""
    max_gigabytes: float = Field(default=20.0, gt=0, le=MOST_GIGABYTES)
    """The least recently used states go when the store grows beyond this."""


Seed = Annotated[int, Field(ge=0, lt=2**32)]
Remark = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1)]


class Recipe(Settings):
    """Everything that decides a run."""

    seeds: list[Seed] = Field(default=[1, 2], min_length=1, max_length=1_000)
    """One trial per seed; results are means with intervals."""
    orders: list[Seed] | None = Field(default=None, min_length=1, max_length=1_000)
    """Seeds of the order of examples and of dropout, each with each of `seeds`, which then are those of new parameters
    alone; by default a seed is both."""
    output_dir: Folder = Path("runs/lingraft")
    """The run folder."""
    device: Literal["auto", "cpu", "cuda", "mps"] = "auto"
    """Where to train."""
    backbone: BackboneSettings = BackboneSettings()
    task: Block
    further_sources: list[Annotated[str, Field(min_length=1)]] = Field(default=[], max_length=100)
    """Languages besides the source language whose labelled examples are all learnt from, as those of the source are;
    `source_language: [eng-Latn, fra-Latn]` in the task block says the same. Pairs and the development set are of the
    first."""
    shots: ShotSettings = ShotSettings()
    prompt: Block | None = Block.model_validate({"name": "deep"})
    adapter: Block | None = Block.model_validate({"name": "bottleneck"})
    map: Block | None = Block.model_validate({"name": "kernel"})
    freezing: Block = Block.model_validate({"name": "frozen"})
    parallel: ParallelSettings | None = None
    pseudo: PseudoSettings | None = None
    consistency: ConsistencySettings | None = None
    train: TrainSettings = TrainSettings()
    alignment: list[WeightedBlock] = Field(default=[WeightedBlock.model_validate({"name": "mse"})])
    cache: CacheSettings = CacheSettings()
    notes: list[Remark] = Field(default=[], max_length=100)
    """Remarks in Markdown, one text or a list of them, for the pages of what the recipe runs; they decide no number."""
    preset: str | None = None
    """Settings to start from: `fast` (the default), `instant`, `best`, `paper`; the recipe's own keys come first."""
    shot_curve: ShotCurveSettings | None = None
    """What `lingraft shots` tries."""
    stability: StabilitySettings | None = None
    """What `lingraft stability` crosses."""
    tune: TuneSettings | None = None
    """Which settings `lingraft tune` searches, and how long."""
    source_choice: SourceChoiceSettings | None = None
    """What `lingraft sources` chooses from."""
    compare: CompareSettings | None = None
    """What `lingraft compare` runs on this recipe's data."""

    @field_validator("output_dir")
    @classmethod
    def _home(cls, folder: Path) -> Path:
        return folder.expanduser()

    def rounding(self, precision: str) -> float:
        """Return by how much of their size numbers may differ that were computed in other batches in ``precision``."""
        exact = self.cache.dtype == "float32" and precision == "float32"
        return 1e-3 if exact else 0.1  # half precision rounds at the third digit

    def network_alone(self) -> Recipe:
        """Return the recipe without what is fitted in closed form after training."""
        train = self.train.model_copy(update={"ngram_classifier": False, "comparison_classifier": False})
        return self.model_copy(update={"map": None, "train": train})

    def to_yaml(self) -> str:
        """Return the resolved recipe: every default written out."""
        return as_yaml(self.model_dump(mode="json", by_alias=True))
