"""Random encoder-decoders that write, with parts in both halves, and slower ways to what they say."""

from dataclasses import replace

import torch
from transformers import AutoModelForSeq2SeqLM

from identities import identity_of
from lingraft.backbones.encoder_decoder import write
from lingraft.backbones.loading import load_backbone
from lingraft.backbones.walk import pad_batch
from lingraft.model.adaptation import build_adaptation
from lingraft.model.checkpoint import load_adaptation, save_adaptation
from lingraft.model.heads.language_model import LanguageModelHead
from lingraft.model.network import GraftedModel
from lingraft.recipe.blocks import Block
from tiny import save_checkpoint, seq2seq_tokenizer, writing_model

CPU = torch.device("cpu")
TARGET = "yor-Latn"
FAMILIES = ["mt5", "t5", "umt5"]
TEXTS = [[5, 9, 30, 17, 8, 22, 2], [19, 6, 2], [11, 2]]
SAID = torch.tensor([[5, 6, 2], [7, 2, -1], [8, 30, 12]])
MOST = 9


def made_checkpoint(folder, family="mt5"):
    """A random whole model in a folder."""
    return str(save_checkpoint(folder, writing_model(family, tied=False, sharpness=2), seq2seq_tokenizer()))


def saved_and_loaded(model, checkpoint, folder, **parts):
    """The parts of a model, which are described as ``parts``, after they were written to a file and read again."""
    backbone = load_backbone(checkpoint, writing=True)
    described = {"kind": "generation", "labels": (), "kind_options": {"max_answer_tokens": MOST}} | parts
    who = identity_of(backbone, decoder_digest=backbone.decoder_digest, **described)
    save_adaptation(folder / "adaptation.safetensors", model.adaptation, who)

    loaded, _ = load_adaptation(folder / "adaptation.safetensors", backbone)

    tensors = model.adaptation.state_dict()
    assert loaded.state_dict().keys() == tensors.keys()
    assert all(torch.equal(one, tensors[name]) for name, one in loaded.state_dict().items())
    return loaded


def grafted(backbone, *, prompt=None, adapter=None, cut=1):
    """A model whose decoder writes, at its start."""
    torch.manual_seed(1)
    return GraftedModel(
        backbone.stack,
        build_adaptation(
            prompt=Block.model_validate(prompt) if prompt else None,
            adapter=Block.model_validate(adapter) if adapter else None,
            stack=backbone.stack,
            cut=cut,
            languages=(TARGET,),
            head=LanguageModelHead(MOST),
            initial=lambda how, layer, count: torch.randn(count, backbone.stack.width),
        ),
    )


def asked(backbone):
    """Texts as ids, with what is to be said to each."""
    return replace(pad_batch(TEXTS, backbone.stack, CPU), said=SAID)


def likelihoods(model, backbone, *, training=False, gradient=False):
    """The summed log-likelihood of each answer."""
    with torch.set_grad_enabled(gradient):
        return model.train(training)(asked(backbone), TARGET)[1]


def loaded_by_transformers(checkpoint):
    """The whole model; transformers 5 says of every umT5 that its words are tied, and would scale its logits."""
    theirs = AutoModelForSeq2SeqLM.from_pretrained(checkpoint).eval()
    theirs.config.tie_word_embeddings = False
    return theirs


def log_likelihoods_of(theirs):
    """The same by Hugging Face's model, one text at a time, with its own labels."""
    found = []
    for text, said in zip(TEXTS, SAID, strict=True):
        labels = said[said >= 0]
        loss = theirs(input_ids=torch.tensor([text]), labels=labels[None]).loss
        found.append(-loss * len(labels))
    return torch.stack(found)[:, None]


def said_by(theirs):
    """What Hugging Face's model says to each text: the likeliest token each time, all read again for each."""
    found = []
    for text in TEXTS:
        said = [0]
        while len(said) <= MOST:
            with torch.no_grad():
                given = torch.tensor([text]), torch.tensor([said])
                logits = theirs(input_ids=given[0], decoder_input_ids=given[1], use_cache=False).logits
            said.append(int(logits[0, -1].argmax()))
        found.append(said[1:])
    return found


def written(model):
    """What our model writes, with keys and values kept; nothing ends it before its time."""
    with torch.no_grad():
        final = model.eval().run_layers(pad_batch(TEXTS, model.stack, CPU), TARGET)
    return [list(one.ids) for one in write(model.merged(TARGET), final, most=MOST, ends=lambda token: False)]
