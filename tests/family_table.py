"""README's table of which family does what, each cell tried on a small model: ``python tests/family_table.py``."""

from dataclasses import dataclass, replace
from itertools import groupby

import torch

from lingraft.backbones import backbones
from lingraft.backbones.encoding import Encoded
from lingraft.backbones.markers import mark_answers_apart, markers_of
from lingraft.backbones.reading import frozen_forward, log_likelihoods
from lingraft.backbones.spelling import Spelling
from lingraft.backbones.walk import at_layer, pad_batch, states_at
from lingraft.core.errors import CheckpointError
from lingraft.core.examples import Answer, ChoiceExample, PairExample, SpanExample, TaggedExample
from lingraft.core.records import States
from lingraft.model.adaptation import build_adaptation
from lingraft.model.generation import write_answers
from lingraft.model.heads import build_head
from lingraft.model.heads.language_model import LanguageModelHead
from lingraft.model.network import GraftedModel
from lingraft.recipe.blocks import Block
from lingraft.tasks.kinds.choice import choice_kind
from lingraft.tasks.kinds.classification import classification_kind
from lingraft.tasks.kinds.generation import GenerationExample, generation_kind
from lingraft.tasks.kinds.span_qa import span_qa_kind
from lingraft.tasks.kinds.tagging import tagging_kind
from stacks import DECODERS, build, speaking
from tiny import REPOSITORY, decoder_tokenizer, random_tokenizer, seq2seq_tokenizer, writing_model

CPU, LANGUAGE = torch.device("cpu"), "eng-Latn"
BEGIN, END = "<!-- tried by `python tests/family_table.py`: begin -->", "<!-- end -->"
STEPS, FALLS = 12, 0.9


def named(example, number, **fields):
    """An example with an id."""
    return example(str(number), str(number), LANGUAGE, **fields)


KINDS = {
    "texts": (
        classification_kind(["x", "y"]),
        [named(PairExample, i, text_a=text, label="xy"[i]) for i, text in enumerate(("ada beli", "cora dune"))],
    ),
    "pairs of texts": (
        classification_kind(["x", "y"]),
        [
            named(PairExample, i, text_a="ada beli", text_b=text, label="xy"[i])
            for i, text in enumerate(("eli fara", "cora dune"))
        ],
    ),
    "tags": (
        tagging_kind(("NOUN", "VERB"), scheme="plain"),
        [
            named(TaggedExample, 0, words=("ada", "beli", "cora"), tags=("NOUN", "VERB", "NOUN")),
            named(TaggedExample, 1, words=("dune", "eli"), tags=("VERB", "VERB")),
        ],
    ),
    "questions": (
        span_qa_kind(unanswerable=True),
        [
            named(SpanExample, 0, question="ada", context="cora dune eli", answers=(Answer("dune", 5),)),
            named(SpanExample, 1, question="beli", context="fara goma hilu", answers=(Answer("goma hilu", 5),)),
            named(SpanExample, 2, question="luma", context="fara goma", unanswerable=True),
        ],
    ),
    "choice": (
        choice_kind(),
        [
            named(ChoiceExample, i, text="ada", question="cause", alternatives=("beli", "cora"), label=i)
            if i
            else named(ChoiceExample, i, text="dune", question="cause", alternatives=("eli", "fara"), label=i)
            for i in range(2)
        ],
    ),
}
"""What each kind of task is tried on."""


def learns(family, kind, examples):
    """Whether a head and LoRA above the cut learn the examples, all of whose parameters move, and each is answered."""
    torch.manual_seed(0)
    tokenizer = decoder_tokenizer() if family in DECODERS else random_tokenizer()
    _, stack = build(family)
    stack.closing = len(markers_of(tokenizer).after)
    features = kind.encode(examples, tokenizer, 24, "")
    lora = Block.model_validate({"name": "lora", "rank": 2})
    adaptation = build_adaptation(
        prompt=None, adapter=lora, stack=stack, cut=1, languages=[], head=build_head(kind, stack), initial=None
    )
    model = GraftedModel(stack, adaptation)
    states = states_at([feature.input_ids for feature in features], stack, 1, CPU)
    targets = kind.collate([feature.target for feature in features], states.tokens.shape[1])
    weights, rows = torch.ones(max(1, len(kind.labels))), torch.ones(len(features))
    before = {name: value.clone() for name, value in adaptation.named_parameters()}
    optimiser, losses = torch.optim.Adam(adaptation.parameters(), 5e-3), []
    for _ in range(STEPS):
        _, logits = model.train()(states, LANGUAGE)
        loss = kind.loss(logits, targets, states.mask, weights, rows)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        losses.append(loss.item())
    moved = all(not torch.equal(value, before[name]) for name, value in adaptation.named_parameters())
    with torch.no_grad():
        _, logits = model.eval()(states, LANGUAGE)
    read = [row[: len(f.input_ids)] if kind.per_token else row for row, f in zip(logits, features, strict=True)]
    answered = [answer.example_id for answer in kind.decode(examples, features, read)]
    return moved and losses[-1] < FALLS * losses[0] and answered == [example.id for example in examples]


def whole(family):
    """A stack with what it answers in words by; none where the family does not."""
    if family in DECODERS:
        return speaking(family)[1]
    return backbones.build(family)(writing_model(family)) if backbones.build(family).facts.answers_apart else None


def writes(family):
    """Whether LoRA above the cut learns to say answers, after the text or by a decoder apart, and one is written."""
    stack = whole(family)
    if stack is None:
        return False
    tokenizer = decoder_tokenizer() if family in DECODERS else seq2seq_tokenizer()
    if stack.facts.answers_apart:
        mark_answers_apart(tokenizer)
    stack.spelling = Spelling(tokenizer)
    kind = generation_kind(max_answer_tokens=4)
    texts = {"ada beli": "cora", "dune eli fara": "goma hilu"}
    examples = [named(GenerationExample, i, text=t, answers=(texts[t],)) for i, t in enumerate(texts)]
    features = tuple(kind.encode(examples, tokenizer, 24, ""))
    torch.manual_seed(0)
    lora = Block.model_validate({"name": "lora", "rank": 2})
    adaptation = build_adaptation(
        prompt=None, adapter=lora, stack=stack, cut=1, languages=[], head=build_head(kind, stack), initial=None
    )
    model = GraftedModel(stack, adaptation)
    rows = states_at([feature.input_ids for feature in features], stack, 1, CPU)
    states = Encoded(features, FewTexts(rows)).batch([0, 1])
    targets, ones = kind.collate([feature.target for feature in features], 0), torch.ones(2)
    before = {name: value.clone() for name, value in adaptation.named_parameters()}
    optimiser, losses = torch.optim.Adam(adaptation.parameters(), 5e-3), []
    for _ in range(STEPS):
        loss = kind.loss(model.train()(states, LANGUAGE)[1], targets, states.mask, ones, ones)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        losses.append(loss.item())
    moved = all(not torch.equal(value, before[name]) for name, value in adaptation.named_parameters())
    answers, _ = write_answers(model.eval(), features, LANGUAGE)
    found = kind.decode(examples, features, answers)
    return moved and losses[-1] < FALLS * losses[0] and all(0 < one.confidence <= 1 for one in found)


@dataclass(frozen=True)
class FewTexts:
    """The states of some texts, all of which are asked for."""

    states: States

    def batch(self, rows):
        """Those of all."""
        return self.states


def speaks(family):
    """Whether it says how likely words are after a text, which label words go by."""
    stack = whole(family)
    if stack is None:
        return False
    if stack.facts.answers_apart:
        encoded = at_layer(stack, pad_batch([[5, 6, 7]], stack, CPU), stack.num_layers)
        found = LanguageModelHead(2).logits(replace(encoded, said=torch.tensor([[8, 9]])), stack)
        first, second = (stack.speak(stack.answer(encoded, torch.tensor([ids]))[0, -1]) for ids in ([0], [0, 8]))
        return abs(float(found) - float(first.log_softmax(-1)[8] + second.log_softmax(-1)[9])) < 1e-4
    (found,) = log_likelihoods(frozen_forward(stack), stack, [[5, 6, 7]], [[[8, 9], [10]]])
    final = stack.finish(at_layer(stack, pad_batch([[5, 6, 7, 8]], stack, CPU), stack.num_layers).tokens)[0]
    chances = stack.speak(final).log_softmax(-1)
    return abs(found[0] - float(chances[2, 8] + chances[3, 9])) < 1e-4


def takes_adapterhub(family):
    """Whether an adapter can stand inside the block, where AdapterHub's do."""
    _, stack = build(family)
    try:
        stack.block(0, torch.randn(1, 4, stack.width), torch.ones(1, 4), feed_forward=lambda dense, rest, norm: dense)
    except CheckpointError:
        return False
    return True


def try_all():
    """What each family does: of each, truth values in the order of the columns."""
    return {
        family: (
            *(learns(family, *KINDS[name]) for name in KINDS),
            writes(family),
            speaks(family),
            takes_adapterhub(family),
        )
        for family in backbones.names()
    }


COLUMNS = (*KINDS, "answers in words", "label words", "AdapterHub's adapters")


def render(cells):
    """The table: families that do the same are one row, encoders first."""
    facts = sorted(
        cells, key=lambda family: (family in DECODERS, [not cell for cell in reversed(cells[family])], family)
    )
    lines = [f"| `model_type` | {' | '.join(COLUMNS)} |", "|---" * (1 + len(COLUMNS)) + "|"]
    for row, families in groupby(facts, key=lambda family: cells[family]):
        said = ", ".join(f"`{family}`" for family in families), *("yes" if cell else "–" for cell in row)
        lines.append(f"| {' | '.join(said)} |")
    return "\n".join(lines)


def between(page):
    """What stands between the marks."""
    return page.partition(f"{BEGIN}\n")[2].partition(f"\n{END}")[0]


def main():
    """Put the table into README."""
    path = REPOSITORY / "README.md"
    page = path.read_text(encoding="utf-8")
    path.write_text(page.replace(between(page), render(try_all())), encoding="utf-8")


if __name__ == "__main__":
    main()
