"""Time and memory of one training step, beside what a user would pick instead, in one run.

Every method trains the same checkpoint on the same texts in the same order: batches of 32 that
``compose_epoch`` composed, first SIB-200 English in length buckets, then sentences joined to 128
tokens each. A step is forward, loss, backward, clipping, AdamW and zeroing the gradients, from the
end of one step to the end of the next, so that fetching a batch (collating token ids there,
reading cached states here) counts. Methods take turns, a few steps each, and every batch counts
with its median over the rounds: another process that wakes up disturbs all methods alike. The
first step of each turn, on the shortest batch, makes the optimiser's state and does not count.

``full`` and the kinds of ``peft`` run in the Hugging Face Trainer as it comes: dropout 0.1, float32,
its optimiser, ``peft-lora`` on PEFT's default modules for the family (query and value); the rows
``+bf16`` are the same under its bfloat16 autocast. The ``lingraft`` rows run
:func:`lingraft.training.loop.train` on states from a real cache, in the precision that
``backbone.precision: auto`` chooses here; the row ``+float32`` in float32.

Peak memory is ``ru_maxrss`` of a fresh process per method: the whole process, with Python, torch,
the tokenizer and the loaded weights. A process inherits the peak of the one that starts it, which
is why nothing large is imported here before the last of them is done.

The floor is what the multiplications of a ``lingraft`` step take at the best rate that this
machine reached in this run on matrices of these shapes; see :func:`lingraft_flops`. It is that of
BERT's family; of others there are ratios alone.

    python benchmarks/step_time.py --json step_time.json
    python benchmarks/step_time.py --checkpoint bundled:gemma-3-270m --steps 2 --repeat 2
"""

from __future__ import annotations

import argparse
import json
import math
import os
import statistics
import sys
import tempfile
import time
import warnings
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import cache
from importlib.util import find_spec
from itertools import pairwise
from multiprocessing import get_context
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

# As the command line of lingraft does, for all methods, before torch loads.
os.environ.setdefault("OMP_WAIT_POLICY", "passive")
os.environ.setdefault("GOMP_SPINCOUNT", "0")
os.environ.setdefault("HF_HUB_OFFLINE", "1")
os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")

from lingraft.core.errors import LingraftError
from lingraft.core.examples import PairExample
from lingraft.core.memory import peak_bytes
from lingraft.core.records import Features

if TYPE_CHECKING:
    from lingraft.backbones import Precision
    from lingraft.backbones.encoding import Encoded
    from lingraft.backbones.loading import Backbone
    from lingraft.recipe.settings import Recipe, TrainSettings
    from lingraft.training.batches import Pool, Step

FLOAT32: Precision = "float32"
WINDOW = 0.5  # seconds of each measurement of the matrix rate
ENGLISH, YORUBA = "eng-Latn", "yor-Latn"
BATCH, FIXED_LENGTH = 32, 128
VIRTUAL_TOKENS = 20  # of peft-prompt
BERTS = ("bert", "roberta", "xlm-roberta")  # whose blocks lingraft_flops counts
DATA = Path(__file__).resolve().parents[2] / "shared" / "data" / "sib200"

METHODS = {
    "full": "full fine-tuning, Trainer",
    "peft-lora": "LoRA r 8 on query and value of all layers, Trainer",
    "peft-prompt": "20 virtual tokens before the first layer, Trainer",
    "peft-prompt-no-dropout": "the same, dropout of the backbone set to 0",
    "peft-lora+bf16": "LoRA under bfloat16 autocast",
    "peft-prompt+bf16": "20 virtual tokens under bfloat16 autocast",
    "lingraft": "16 virtual tokens and an adapter of 32 in each layer above the cut, cached states, task loss",
    "lingraft+float32": "the same in float32",
    "lingraft+alignment": "the same texts, with mse and contrastive loss to their own teacher states",
    "lingraft+pairs": "a joint step: those 32 English texts and 32 Yoruba sentences with their teacher (64 texts)",
}
UNCACHED = "lingraft, computing the frozen layers in every step"

Run = Callable[["Plan"], list[float]]
"""Trains on the batches of a plan and returns the seconds of each, the first (warm-up) left out."""


@dataclass(frozen=True)
class Plan:
    """The texts of one data shape and the batches, by example id, that every method sees.

    ``batches`` are English, ``pairs`` Yoruba; the first of each is the warm-up.
    """

    title: str
    english: tuple[Features, ...]
    yoruba: tuple[Features, ...]
    batches: tuple[tuple[str, ...], ...]
    pairs: tuple[tuple[str, ...], ...]

    def lengths(self) -> list[list[int]]:
        """Tokens of each text of each timed batch."""
        length = {feature.example_id: len(feature.input_ids) for feature in self.english}
        return [[length[i] for i in batch] for batch in self.batches[1:]]

    def for_memory(self) -> Plan:
        """The longest batch twice: the optimiser's state is there in the second step."""
        longest = max(range(1, len(self.batches)), key=lambda i: max(self.lengths()[i - 1]))
        return replace(self, batches=(self.batches[longest],) * 2, pairs=(self.pairs[longest],) * 2)


@dataclass(frozen=True)
class Context:
    """What all processes share; plain data, so that a process without lingraft's model can read it."""

    checkpoint: str
    folder: str
    data_dir: str
    cache: str
    plans: dict[str, Plan]
    classes: int
    cut: int
    layers: int
    width: int
    inner: int | None
    """Of the feed-forward part, in the families whose operations are counted here, those of BERT."""
    encode_seconds: float
    steps_per_epoch: int
    precision: Precision
    why: str


# ---- The data --------------------------------------------------------------------------------------


def prepare(checkpoint: str, data_dir: str, cache_folder: str, steps: int) -> Context:
    """Read SIB-200, compose the batches, and encode their texts into a cache of our own (timed)."""
    import torch

    from lingraft.backbones.bundled import bundled_folder
    from lingraft.backbones.precision import choose_precision
    from lingraft.backbones.walk import states_at
    from lingraft.runs.checks import resolve_cut
    from lingraft.tasks import tasks

    recipe = recipe_of(checkpoint, data_dir)
    task = tasks.build("sib200", recipe.task.options)
    backbone = loaded(checkpoint)
    name = checkpoint.removeprefix("bundled:")
    folder = Path(checkpoint) if name == checkpoint else bundled_folder(name)
    config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    longest = min(FIXED_LENGTH, backbone.max_length - VIRTUAL_TOKENS)  # PEFT's prompt takes positions
    examples = {language: task.examples(language, "train") for language in (ENGLISH, YORUBA)}

    def features(chosen: Sequence[PairExample]) -> tuple[Features, ...]:
        return tuple(task.kind.encode(chosen, backbone.tokenizer, longest, backbone.text_prefix))

    short = {language: features(found) for language, found in examples.items()}
    long = {
        language: tuple(f for f in features(joined(found, short[language], longest)) if len(f.input_ids) == longest)
        for language, found in examples.items()
    }
    cut = resolve_cut(recipe, backbone.stack.num_layers)
    choice = choose_precision(recipe.backbone.precision, torch.device("cpu"), backbone.stack.width)
    context = Context(
        checkpoint=checkpoint,
        folder=str(folder),
        data_dir=data_dir,
        cache=cache_folder,
        plans={
            "sib200": plan(f"SIB-200 English, batches of {BATCH} in length buckets", short, short, steps),
            "fixed_128": plan(f"batches of {BATCH} x {longest} tokens", long, short, max(1, steps // 4)),
        },
        classes=len(task.labels),
        cut=cut,
        layers=backbone.stack.num_layers,
        width=backbone.stack.width,
        inner=config["intermediate_size"] if config["model_type"] in BERTS else None,
        encode_seconds=math.nan,
        steps_per_epoch=-(-len(short[ENGLISH]) // BATCH),
        precision=choice.precision,
        why=choice.why,
    )
    backbone.stack.precision = choice.precision
    states_at([f.input_ids for f in short[YORUBA][:BATCH]], backbone.stack, cut, torch.device("cpu"))  # warm-up
    started = time.perf_counter()
    encoded(context, short[ENGLISH], choice.precision)
    seconds = time.perf_counter() - started
    for each in context.plans.values():
        for precision in {choice.precision, FLOAT32}:
            encoded(context, each.english, precision)
            encoded(context, each.yoruba, precision)
    return replace(context, encode_seconds=seconds)


def recipe_of(checkpoint: str, data_dir: str) -> Recipe:
    """The defaults of lingraft, with what the benchmark fixes."""
    from lingraft.recipe.parsing import parse_recipe

    return parse_recipe(
        {
            "backbone": {"checkpoint": checkpoint},
            "task": {"name": "sib200", "target_languages": [YORUBA], "data_dir": data_dir},
            "parallel": {"from": "task"},
            "prompt": {"name": "deep", "length": 16},
            "adapter": {"name": "bottleneck", "width": 32},
            "train": {"num_train_epochs": 1, "batch_size": BATCH},
            "alignment": [{"name": "mse"}, {"name": "contrastive"}],
        }
    )


def joined(examples: Sequence[PairExample], short: Sequence[Features], length: int) -> list[PairExample]:
    """Sentences put together until they fill ``length`` tokens."""
    found, texts, tokens = [], list[str](), 0
    for example, feature in zip(examples, short, strict=True):
        texts.append(example.text_a)
        tokens += len(feature.input_ids) - 4  # without prefix and special tokens
        if tokens >= length + 8:
            found.append(replace(example, text_a=" ".join(texts)))
            texts, tokens = [], 0
    return found


def plan(
    title: str, texts: dict[str, tuple[Features, ...]], warmup: dict[str, tuple[Features, ...]], steps: int
) -> Plan:
    """Choose ``steps`` batches that represent all lengths, and the shortest of ``warmup`` to begin with."""
    chosen, kept = {}, {}
    for language, features in texts.items():
        first = bucketed(warmup[language])[0]
        batches = bucketed(features)
        spread = [batches[int((i + 0.5) / steps * len(batches))] for i in range(steps)]
        chosen[language] = (first, *spread)
        if warmup is not texts or language == YORUBA:  # encode no more than needed, but for the timed English texts
            used = {i for batch in chosen[language] for i in batch}
            everything = {f.example_id: f for f in (*warmup[language], *features)}
            kept[language] = tuple(feature for i, feature in everything.items() if i in used)
        else:
            kept[language] = features
    return Plan(title, kept[ENGLISH], kept[YORUBA], chosen[ENGLISH], chosen[YORUBA])


def bucketed(features: tuple[Features, ...]) -> list[tuple[str, ...]]:
    """The full batches of an epoch as lingraft composes them, the shortest texts first."""
    from lingraft.recipe.settings import TrainSettings
    from lingraft.training.batches import compose_epoch

    length = {feature.example_id: len(feature.input_ids) for feature in features}
    texts = SimpleNamespace(ids=tuple(length), labelled=(), longest=length)
    composed = compose_epoch(texts, [], TrainSettings(batch_size=BATCH), seed=0, epoch=0)
    batches = [tuple(ids) for ((_, ids),) in composed]
    full = [batch for batch in batches if len(batch) == BATCH]
    if not full:
        raise LingraftError(f"the data give {len(length)} texts, too few for a batch of {BATCH}; see --data-dir")
    return sorted(full, key=lambda batch: sum(length[i] for i in batch))


# ---- Lingraft --------------------------------------------------------------------------------------


@cache
def loaded(checkpoint: str) -> Backbone:
    """The frozen backbone, once per process; a bundled one comes from the user's own cache."""
    from lingraft.backbones.loading import load_backbone

    return load_backbone(checkpoint)


@contextmanager
def states_in(folder: str) -> Iterator[None]:
    """Keep cached states in ``folder`` for a while."""
    before = os.environ.get("LINGRAFT_CACHE")
    os.environ["LINGRAFT_CACHE"] = folder
    try:
        yield
    finally:
        if before is None:
            del os.environ["LINGRAFT_CACHE"]
        else:
            os.environ["LINGRAFT_CACHE"] = before


def encoded(context: Context, features: tuple[Features, ...], precision: Precision) -> Encoded:
    """Frozen states of ``features`` from the benchmark's cache; the backbone is left in ``precision``."""
    import torch

    from lingraft.backbones.encoding import encode

    recipe = recipe_of(context.checkpoint, context.data_dir)
    loaded(context.checkpoint).stack.precision = precision
    with states_in(context.cache):
        return encode(
            features,
            loaded(context.checkpoint),
            cut=context.cut,
            dtype=recipe.cache.dtype,
            max_bytes=int(recipe.cache.max_gigabytes * 1e9),
            device=torch.device("cpu"),
        )


def lingraft(method: str, context: Context) -> tuple[Run, int]:
    """A ``lingraft`` row: how to run it, and how many parameters it trains."""
    import torch

    from lingraft.backbones.walk import states_at
    from lingraft.core.records import Batch
    from lingraft.model.adaptation import build_adaptation
    from lingraft.model.heads.linear import LinearClassifier
    from lingraft.model.network import GraftedModel
    from lingraft.model.prompts.initialisers import prompt_initialiser
    from lingraft.model.standardiser import Standardiser
    from lingraft.tasks.kinds.classification import class_weights, cross_entropy
    from lingraft.training.alignment_terms import AlignmentTerms
    from lingraft.training.loop import Hooks, train
    from lingraft.training.losses import Objective

    recipe = recipe_of(context.checkpoint, context.data_dir)
    backbone, device = loaded(context.checkpoint), torch.device("cpu")
    stack = backbone.stack
    precision: Precision = FLOAT32 if method.endswith("+float32") else context.precision
    languages = [YORUBA] if method == "lingraft+pairs" else []
    torch.manual_seed(0)
    first = next(iter(context.plans.values()))
    some = states_at([f.input_ids for f in first.english[:BATCH]], stack, context.cut, device)
    adaptation = build_adaptation(
        prompt=recipe.prompt,
        adapter=recipe.adapter,
        stack=stack,
        cut=context.cut,
        languages=languages,
        head=LinearClassifier(stack.width, context.classes),
        initial=prompt_initialiser(backbone, some, (), torch.Generator().manual_seed(0)),
    )
    model = GraftedModel(stack, adaptation)

    @cache
    def pools(title: str) -> tuple[Pool, Pool | None]:
        plan = next(plan for plan in context.plans.values() if plan.title == title)
        english = pool_of(ENGLISH, encoded(context, plan.english, precision))
        if not languages:
            return english, None
        yoruba = pool_of(YORUBA, encoded(context, plan.yoruba, precision))
        # Any English teacher costs the same; that of a sentence's translation need not be in the plan.
        teachers = list(english.teacher.values())
        return english, replace(
            yoruba, labelled=(), teacher={i: teachers[n % len(teachers)] for n, i in enumerate(yoruba.teacher)}
        )

    def afresh(pool: Pool, ids: Sequence[str]) -> Batch:
        features = [pool.encoded.features[pool.encoded.row[i]] for i in ids]
        batch, known = pool.batch(ids[:1], device), pool.targets
        return Batch(
            states=states_at([f.input_ids for f in features], stack, context.cut, device),
            language=batch.language,
            targets=torch.tensor([known[i] for i in ids]),
            teacher=batch.teacher.expand(len(ids), -1),
            has_teacher=batch.has_teacher.expand(len(ids)),
            is_source=batch.is_source,
        )

    def run(plan: Plan) -> list[float]:
        english, yoruba = pools(plan.title)
        stack.precision = precision
        weights = class_weights(
            [int(str(target)) for target in english.targets.values()], context.classes, balanced=True
        )
        standardiser = Standardiser.fit(torch.stack(list(english.teacher.values())))
        steps: list[Step] = []
        for ids, paired in zip(plan.batches, plan.pairs, strict=True):
            if yoruba is not None:
                steps.append(lambda ids=ids, paired=paired: (english.batch(ids, device), yoruba.batch(paired, device)))
            elif method == UNCACHED:
                steps.append(lambda ids=ids: (afresh(english, ids),))
            else:
                steps.append(lambda ids=ids: (english.batch(ids, device),))
        ends: list[float] = []
        alignment = (
            AlignmentTerms(recipe.alignment, {stack.num_layers: standardiser})
            if method in ("lingraft+alignment", "lingraft+pairs")
            else None
        )
        train(
            model,
            Steps(steps, recipe.train),
            Objective(
                lambda logits, targets, mask, rows: cross_entropy(logits, targets, mask, weights, rows), alignment
            ),
            hooks=Hooks(advance=lambda progress: ends.append(time.perf_counter())),
        )
        return durations(ends)

    return run, sum(parameter.numel() for parameter in adaptation.parameters())


@dataclass(frozen=True)
class Steps:
    """A training of one epoch with given steps."""

    steps: Sequence[Step]
    settings: TrainSettings
    seed: int = 0
    epochs: int = 1

    def epoch(self, epoch: int) -> Sequence[Step]:
        """All of them."""
        return self.steps


def pool_of(language: str, texts: Encoded) -> Pool:
    """Texts of one language with their labels and their own teacher states."""
    from lingraft.training.batches import Pool

    ids = tuple(feature.example_id for feature in texts.features)
    labels = frozenset(feature.example_id for feature in texts.features if feature.target is not None)
    teacher = dict(zip(ids, texts.pooled(ids), strict=True))
    return Pool(language, texts, ids=ids, labelled=labels, teacher=teacher, is_source=language == ENGLISH)


def durations(ends: Sequence[float]) -> list[float]:
    """Times at which steps ended to the seconds of each but the first."""
    return [after - before for before, after in pairwise(ends)]


# ---- What a user would pick instead ----------------------------------------------------------------


def hugging_face(method: str, context: Context) -> tuple[Run, int]:
    """A row of the Trainer: how to run it, and how many parameters it trains."""
    from torch.utils.data import Sampler, SequentialSampler
    from transformers import (
        AutoModelForSequenceClassification,
        AutoTokenizer,
        DataCollatorWithPadding,
        PrinterCallback,
        Trainer,
        TrainerCallback,
        TrainingArguments,
    )
    from transformers.utils import logging

    warnings.filterwarnings("ignore", category=FutureWarning, module="transformers")
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    rates = ("hidden_dropout_prob", "attention_probs_dropout_prob")
    options = dict.fromkeys(rates, 0.0) if method == "peft-prompt-no-dropout" else {}
    model: Any = AutoModelForSequenceClassification.from_pretrained(
        context.folder, num_labels=context.classes, local_files_only=True, dtype="float32", **options
    )
    tokenizer = AutoTokenizer.from_pretrained(context.folder, local_files_only=True)
    tokenizer.pad_token = tokenizer.pad_token or tokenizer.eos_token  # decoders often have none
    model.config.pad_token_id = tokenizer.pad_token_id
    method, autocast = method.removesuffix("+bf16"), method.endswith("+bf16")
    if method != "full":
        model = with_peft(method, model)
    collate = DataCollatorWithPadding(tokenizer)

    class InOrder(Trainer):  # type: ignore[misc]
        """The Trainer, with the batches that the other methods see."""

        def _get_train_sampler(self, train_dataset: Any = None) -> Sampler[int]:
            return SequentialSampler(self.train_dataset if train_dataset is None else train_dataset)

    class Clock(TrainerCallback):  # type: ignore[misc]
        """Notes when each step ends."""

        def __init__(self) -> None:
            self.ends: list[float] = []

        def on_step_end(self, *_: object, **__: object) -> None:
            self.ends.append(time.perf_counter())

    def run(plan: Plan) -> list[float]:
        texts = {feature.example_id: feature for feature in plan.english}
        rows = [{"input_ids": list(texts[i].input_ids), "labels": texts[i].target} for b in plan.batches for i in b]
        clock = Clock()
        with tempfile.TemporaryDirectory() as folder:
            arguments = TrainingArguments(
                output_dir=folder,
                per_device_train_batch_size=BATCH,
                num_train_epochs=1,
                use_cpu=True,
                bf16=autocast,
                report_to="none",
                save_strategy="no",
                logging_strategy="no",
                disable_tqdm=True,
                remove_unused_columns=False,
                label_names=["labels"],
                dataloader_pin_memory=False,
            )
            trainer = InOrder(model, arguments, data_collator=collate, train_dataset=rows, callbacks=[clock])
            trainer.remove_callback(PrinterCallback)
            trainer.train()
        return durations(clock.ends)

    return run, sum(parameter.numel() for parameter in model.parameters() if parameter.requires_grad)


def with_peft(method: str, model: Any) -> Any:
    """The model as PEFT wraps it for ``method``."""
    from peft import LoraConfig, PromptTuningConfig, TaskType, get_peft_model

    if method == "peft-lora":
        return get_peft_model(model, LoraConfig(task_type=TaskType.SEQ_CLS, r=8))
    return get_peft_model(model, PromptTuningConfig(task_type=TaskType.SEQ_CLS, num_virtual_tokens=VIRTUAL_TOKENS))


def contestant(method: str, context: Context) -> tuple[Run, int]:
    """How to run a method, and how many parameters it trains."""
    return (lingraft if method.startswith("lingraft") else hugging_face)(method, context)


# ---- Measuring -------------------------------------------------------------------------------------


def peak_memory(method: str, context: Context) -> dict[str, int]:
    """Peak bytes of this process on the longest batch of each plan; run in a process of its own."""
    run, _ = contestant(method, context)
    found = {}
    for name, plan in context.plans.items():  # from small to large: a peak never sinks
        run(plan.for_memory())
        found[name] = peak_bytes() or 0
    return found


def in_fresh_process(function: Callable[..., Any], *arguments: object) -> Any:
    """Call ``function`` in a new interpreter that ends with the call."""
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
        return pool.submit(function, *arguments).result()


@dataclass(frozen=True)
class Timing:
    """Seconds per step of a method, and by which share of that its rounds differed from each other."""

    seconds: float
    spread: float


def take_turns(
    runs: dict[str, Run], plan: Plan, repeat: int, between: Callable[[], object] = lambda: None
) -> dict[str, Timing]:
    """Let the methods take turns; each batch counts with its median over the rounds."""
    found: dict[str, list[list[float]]] = {method: [] for method in runs}
    for turn in range(repeat):
        between()
        for method, run in runs.items():
            say(f"{plan.title}: round {turn + 1} of {repeat}, {method}")
            found[method].append(run(plan))
    timings = {}
    for method, rounds in found.items():
        seconds = statistics.fmean(statistics.median(batch) for batch in zip(*rounds, strict=True))
        means = [statistics.fmean(one) for one in rounds]
        timings[method] = Timing(seconds, (max(means) - min(means)) / seconds)
    return timings


class MatrixRate:
    """The best rate of a layer's matrix products, over all the windows in which it was measured.

    Forward and activation gradient of the four ``H x H`` projections and of the two of the
    feed-forward part, for all tokens of a batch at once.
    """

    def __init__(self, *, tokens: int, width: int, inner: int, precision: Precision) -> None:
        import torch

        dtype = getattr(torch, precision)
        self.weights = [torch.randn(width, width, dtype=dtype) for _ in range(4)]
        self.weights += [torch.randn(inner, width, dtype=dtype), torch.randn(width, inner, dtype=dtype)]
        self.inputs = {size: torch.randn(tokens, size, dtype=dtype) for size in (width, inner)}
        self.flops = 4 * tokens * sum(weight.numel() for weight in self.weights)
        self.best = 0.0

    def measure(self) -> None:
        """Three more windows."""
        import torch

        for _ in range(3):
            done, started = 0, time.perf_counter()
            while (elapsed := time.perf_counter() - started) < WINDOW or not done:
                for weight in self.weights:
                    torch.nn.functional.linear(self.inputs[weight.shape[1]], weight)
                    torch.mm(self.inputs[weight.shape[0]], weight)
                done += 1
            self.best = max(self.best, done * self.flops / elapsed)


def lingraft_flops(
    lengths: Sequence[int], *, width: int, inner: int, layers: int, prompt: int, adapter: int, classes: int
) -> int:
    """Floating-point operations that a ``lingraft`` step on texts of these lengths cannot do without.

    Counted are matrix products only, on real tokens (no padding), two operations for each
    multiplication and addition, no recomputation. Of the ``layers`` BERT blocks above the cut:

    * Forward: four projections and the feed-forward part for each token; keys and values of the
      ``prompt`` rows once for the whole batch; scores and their sums of values over words and
      prompt rows; the adapter.
    * Backward: the same products once more for the gradients of their inputs (twice for the two
      products of attention, whose factors both vary); none for frozen weights; for the adapter,
      also those of its weights.
    * In the first block, the states come from the cache and need no gradient. What is left of its
      attention's backward pass is what leads to the prompt rows: the output projection, three
      products between each token and each prompt row, and the rows' own keys and values. Its
      feed-forward part and its adapter are on the way.

    The head counts with its gradients. Normalisations, softmax, GELU, losses, the optimiser and
    reading the cache do not: that is what the floor leaves out.

    Args:
        lengths: Tokens of each text of the batch.
        width: ``H``.
        inner: Width of the feed-forward part.
        layers: Blocks above the cut.
        prompt: Virtual tokens in each block.
        adapter: Width of the bottleneck.
        classes: Outputs of the head.
    """
    tokens = sum(lengths)
    projection = 2 * tokens * width * width
    rows = 2 * 2 * prompt * width * width
    feed_forward = 2 * 2 * tokens * width * inner
    attention = 2 * width * sum(length * (length + prompt) for length in lengths)
    bottleneck = 2 * 2 * tokens * width * adapter
    forward = 4 * projection + rows + feed_forward + 2 * attention + bottleneck
    backward = 4 * projection + rows + feed_forward + 4 * attention + 2 * bottleneck
    first_backward = projection + rows + feed_forward + 3 * 2 * width * tokens * prompt + 2 * bottleneck
    head = 3 * 2 * len(lengths) * width * classes
    return layers * forward + (layers - 1) * backward + first_backward + head


# ---- One run ---------------------------------------------------------------------------------------


def measure(context: Context, methods: Sequence[str], memory: dict[str, dict[str, int]], repeat: int) -> dict[str, Any]:
    """Time all methods on all plans; returns what goes into the JSON file."""
    made = {method: contestant(method, context) for method in methods}
    runs = {method: run for method, (run, _) in made.items()}
    result: dict[str, Any] = {}
    for name, plan in context.plans.items():
        lengths = plan.lengths()
        tokens = sum(map(sum, lengths)) // len(lengths)
        rates = matrix_rates(context, tokens)
        entrants = runs if result else {**runs, UNCACHED: contestant(UNCACHED, context)[0]}
        timings = take_turns(entrants, plan, repeat, lambda rates=rates: [rate.measure() for rate in rates.values()])
        shape = {
            "rows": [
                {
                    "method": method,
                    "seconds_per_step": timings[method].seconds,
                    "peak_memory_bytes": memory[method][name],
                    "trainable_parameters": made[method][1],
                }
                for method in methods
            ],
            **floors(context, lengths, rates),
        }
        print_table(plan, shape, timings)
        if result:
            result[name] = shape
        else:
            print(f"lingraft computes products in {context.precision}: {context.why}")
            result = shape | {"precision": context.precision, "encoding": encoding_figures(context, timings)}
    return result


def matrix_rates(context: Context, tokens: int) -> dict[Precision, MatrixRate]:
    """What measures the rates of both precisions, where the floor is known."""
    if context.inner is None:
        return {}
    shape = {"tokens": tokens, "width": context.width, "inner": context.inner}
    return {
        precision: MatrixRate(precision=precision, **shape) for precision in dict.fromkeys((context.precision, FLOAT32))
    }


def floors(context: Context, lengths: Sequence[Sequence[int]], rates: dict[Precision, MatrixRate]) -> dict[str, float]:
    """What the multiplications of a step take at the best rates; nothing for families that are not counted."""
    if context.inner is None:
        return {}
    shape = {"width": context.width, "inner": context.inner, "layers": context.layers - context.cut}
    flops = statistics.fmean(
        lingraft_flops(each, prompt=16, adapter=32, classes=context.classes, **shape) for each in lengths
    )
    return {
        "floor_seconds_per_step": flops / rates[context.precision].best,
        "matrix_flops_per_second": rates[context.precision].best,
        "float32_floor_seconds_per_step": flops / rates[FLOAT32].best,
        "float32_matrix_flops_per_second": rates[FLOAT32].best,
    }


def encoding_figures(context: Context, timings: dict[str, Timing]) -> dict[str, float]:
    """What encoding costs once, and after how many epochs it has paid for itself; printed too."""
    spared = timings[UNCACHED].seconds - timings["lingraft"].seconds
    epochs = context.encode_seconds / (context.steps_per_epoch * spared) if spared > 0 else math.inf
    print(
        f"encoding the English training texts once: {context.encode_seconds:.1f} s; a step without the cache: "
        f"{timings[UNCACHED].seconds:.3f} s; paid for after {epochs:.2f} epochs of {context.steps_per_epoch} steps "
        f"(in epoch {math.ceil(epochs) if spared > 0 else 'none'})"
    )
    return {
        "seconds": context.encode_seconds,
        "uncached_seconds_per_step": timings[UNCACHED].seconds,
        "paid_for_after_epochs": epochs,
    }


def print_table(plan: Plan, shape: dict[str, Any], timings: dict[str, Timing]) -> None:
    """The rows of one data shape, the floor, and whether the aims are met."""
    lengths = plan.lengths()
    tokens = sum(map(sum, lengths)) / len(lengths)
    padded = sum(len(batch) * max(batch) for batch in lengths) / len(lengths)
    base = timings["lingraft"].seconds
    print(f"\n{plan.title}: {tokens:,.0f} tokens a step ({padded:,.0f} with padding)")
    print(f"{'method':<23} {'s/step':>8} {'rounds':>7} {'x lingraft':>10} {'peak MB':>8} {'trainable':>12}  what")
    for row in shape["rows"]:
        method = row["method"]
        print(
            f"{method:<23} {row['seconds_per_step']:>8.3f} {timings[method].spread:>6.0%} "
            f"{row['seconds_per_step'] / base:>11.2f} {row['peak_memory_bytes'] / 1e6:>8,.0f} "
            f"{row['trainable_parameters']:>12,}  {METHODS[method]}"
        )
    if "floor_seconds_per_step" in shape:
        print_floor(shape, timings)
    memory = {row["method"]: row["peak_memory_bytes"] for row in shape["rows"]}
    aim = 6 if "floor_seconds_per_step" in shape else 3  # of decoders
    for peer in ("peft-prompt", "peft-prompt+bf16"):
        if peer in timings:
            print(
                f"lingraft is {timings[peer].seconds / base:.2f} times as fast as {peer} (aim: at least {aim}), with "
                f"{memory['lingraft'] / memory[peer]:.2f} of its peak memory (aim: at most 0.6)"
            )


def print_floor(shape: dict[str, Any], timings: dict[str, Timing]) -> None:
    """The floor, and how far lingraft is from it."""
    base, floor, rate = timings["lingraft"].seconds, shape["floor_seconds_per_step"], shape["matrix_flops_per_second"]
    print(
        f"{'floor of lingraft':<23} {floor:>8.3f} {'':>7} {floor / base:>10.2f}  {floor * rate / 1e9:.1f} GFLOP at "
        f"{rate / 1e9:.0f} GFLOP/s"
    )
    print(f"lingraft takes {base / floor:.2f} times its floor (aim: at most 1.3)")
    if "lingraft+float32" in timings:
        ratio = timings["lingraft+float32"].seconds / shape["float32_floor_seconds_per_step"]
        print(f"lingraft+float32 takes {ratio:.2f} times its floor of {shape['float32_floor_seconds_per_step']:.3f} s")


def say(text: str) -> None:
    """Progress, apart from the results."""
    print(text, file=sys.stderr, flush=True)


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure and print; see the top of this file."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0], epilog="A run takes about six minutes.")
    parser.add_argument("--checkpoint", default="bundled:multilingual-e5-small", help="bundled or a folder")
    parser.add_argument("--data-dir", type=Path, default=DATA, help="SIB-200: eng_Latn.train.tsv, yor_Latn.train.tsv")
    parser.add_argument("--steps", type=int, default=4, help="batches a round (a quarter as many of 128 tokens)")
    parser.add_argument("--repeat", type=int, default=3, help="rounds")
    parser.add_argument("--methods", default=",".join(METHODS), help="rows to measure; lingraft is always one")
    parser.add_argument("--json", type=Path, help="write the results here")
    options = parser.parse_args(arguments)
    chosen = {*options.methods.split(","), "lingraft"}
    if unknown := chosen - set(METHODS):
        parser.error(f"unknown methods: {', '.join(sorted(unknown))}; there are {', '.join(METHODS)}")
    if not options.data_dir.is_dir():
        parser.error(f"there is no folder {options.data_dir}; give the one with SIB-200's files with --data-dir")
    methods = [method for method in METHODS if method in chosen]
    if any(method.startswith("peft") for method in methods) and find_spec("peft") is None:
        parser.error("the rows of PEFT need it: pip install 'lingraft[peers]', or leave them out with --methods")
    with tempfile.TemporaryDirectory() as folder:
        say("reading and encoding")
        try:
            context = in_fresh_process(
                prepare, options.checkpoint, str(options.data_dir.resolve()), folder, options.steps
            )
        except LingraftError as error:
            parser.error(str(error))
        memory = {}
        for method in methods:
            say(f"peak memory of {method}")
            memory[method] = in_fresh_process(peak_memory, method, context)
        result = measure(context, methods, memory, options.repeat)
    if options.json:
        options.json.write_text(json.dumps(result, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
