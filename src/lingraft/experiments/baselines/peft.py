"""Stock PEFT (Mangrulkar et al., 2022) as a network that our training loop and evaluation understand.

PEFT wraps the Hugging Face model itself and does the whole forward pass, from token ids: nothing of
ours takes part except the mean over real tokens and the head. The frozen model is kept in eval
mode, as ours is, so no method has dropout where the other has none.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor, nn

from ...backbones import LayerStack
from ...backbones.silence import silence_bitsandbytes
from ...core.errors import CheckpointError, ConfigError
from ...core.examples import Example
from ...core.records import IDS, States
from ...model.adaptation import Adaptation
from ...model.adapters.lora import LoraAdapter, LowRank
from ...model.adapters.peft_files import PLAIN, halves_by_place
from ...model.checkpoint import Identity
from ...model.heads import Head

METHODS = ("peft-prompt", "peft-prefix", "peft-lora")


class PeftUnsupportedError(CheckpointError):
    """PEFT cannot do this with a checkpoint of this family, whatever one changes in a recipe."""


class PeftParts(nn.Module):
    """What trains: PEFT's parameters and the head; soft prompts and prefixes are named ``prompt.…``."""

    leaves_states = False

    def __init__(self, method: str, model: nn.Module, head: Head) -> None:
        super().__init__()
        trained = {name: parameter for name, parameter in model.named_parameters() if parameter.requires_grad}
        # The parameters stay where PEFT has them, too; an attribute's name must not have dots.
        parts = nn.ParameterDict({name.replace(".", "/"): parameter for name, parameter in trained.items()})
        self.prompt = parts if method != "peft-lora" else None
        self.adapter = parts if method == "peft-lora" else None
        self.head = head


class PeftNetwork(nn.Module):
    """A PEFT model with a mean over tokens and a linear head: a :class:`lingraft.model.network.Network`.

    Args:
        method: One of :data:`METHODS`.
        model: What ``get_peft_model`` gave, with the task type ``FEATURE_EXTRACTION``.
        stack: The frozen layers, of which only the width is asked.
        head: Logits from the final states.
    """

    def __init__(self, method: str, model: nn.Module, stack: LayerStack, head: Head) -> None:
        super().__init__()
        self.model = model
        self.adaptation = PeftParts(method, model, head)
        self.stack = stack

    def forward(self, states: States, language: str, visited: dict[int, States] | None = None) -> tuple[States, Tensor]:
        """Compute states of the real tokens and logits ``[B, C]`` from token ids ``[B, T]`` (layer :data:`IDS`).

        Raises:
            ConfigError: States between two layers are asked for, as by an alignment loss.
        """
        if states.layer != IDS or visited is not None:
            raise ConfigError(["alignment: PEFT's forward pass offers no states in between; set `alignment: []`"])
        with self.stack.products():
            hidden: Tensor = self.model(input_ids=states.tokens, attention_mask=states.mask).last_hidden_state
        hidden = hidden.float()
        length = states.tokens.shape[1]
        # Soft prompts come first in the output; of a prefix there is nothing to see there.
        final = replace(states, tokens=hidden[:, -length:], layer=self.stack.num_layers)
        return final, self.adaptation.head.read(final)

    def ensemble(
        self, examples: Sequence[Example], logits: list[Tensor], pooled: Tensor, language: str
    ) -> list[Tensor]:
        """Return ``logits``: PEFT's methods are compared without a map or a text classifier beside them."""
        return logits

    def train(self, mode: bool = True) -> PeftNetwork:
        """Let only PEFT's own modules leave eval mode."""
        super().train(mode)
        self.stack.eval()
        self.model.eval()
        for name, module in self.model.named_modules():
            if "lora_" in name or "prompt_encoder" in name:
                module.train(mode)
        return self


def peft_network(
    method: str,
    options: Mapping[str, Any],
    encoder: Callable[[], nn.Module],
    stack: LayerStack,
    head: Head,
) -> PeftNetwork:
    """Wrap a freshly loaded encoder by PEFT.

    Args:
        method: One of :data:`METHODS`.
        options: Keyword arguments of PEFT's configuration.
        encoder: Loads the Hugging Face model that ``stack`` was made of.
        stack: The frozen layers, whose memory the encoder then shares.
        head: At its warm start.

    Raises:
        ConfigError: PEFT is not installed, or knows no such option.
        PeftUnsupportedError: PEFT cannot do this with models of this family.
    """
    configuration = _configuration(method, options)
    family = stack.configuration.get("model_type", "this family")
    model = encoder()
    share_memory(model, stack)
    from peft import get_peft_model

    try:
        wrapped: nn.Module = get_peft_model(model, configuration)
        network = PeftNetwork(method, wrapped, stack, head).eval().to(next(stack.parameters()).device)
        _try_out(network)
    except torch.OutOfMemoryError:  # a RuntimeError, but of the machine, not of the method
        raise
    except (ValueError, RuntimeError, TypeError, KeyError, NotImplementedError) as error:
        if "can't allocate memory" in str(error):  # torch's word for it on a CPU
            raise MemoryError(str(error)) from None
        reason, what = (str(error).strip() or type(error).__name__).splitlines()[0], method.removeprefix("peft-")
        raise PeftUnsupportedError(f"PEFT's {what} does not work on {family}: {reason}") from None
    return network


def as_graft(network: PeftNetwork, identity: Identity) -> tuple[Adaptation, Identity]:
    """Convert a trained LoRA of PEFT's to an adaptation of ours, which computes the same and can be loaded.

    One with PEFT's further options, such as DoRA, stays what it is.

    Args:
        network: Made with the method ``peft-lora``.
        identity: Of the training.
    """
    configuration: Any = network.model.peft_config["default"]  # type: ignore[index]
    if any(getattr(configuration, option, None) not in allowed for option, allowed in PLAIN.items()):
        return network.adaptation, identity  # type: ignore[return-value]
    found, _ = halves_by_place(dict(network.model.named_parameters()), network.stack)
    pairs = {place: LowRank(halves["A"], halves["B"]) for place, halves in found.items()}
    adapter = LoraAdapter(pairs, configuration.lora_alpha)
    options = {
        "rank": configuration.r,
        "alpha": configuration.lora_alpha,
        "targets": sorted({name for _, name in found}),
    }
    adaptation = Adaptation(None, adapter, network.adaptation.head)
    return adaptation, replace(identity, adapter={"name": "lora", **options})


def _configuration(method: str, options: Mapping[str, Any]) -> Any:
    silence_bitsandbytes()
    try:
        from peft import LoraConfig, PrefixTuningConfig, PromptTuningConfig
    except ImportError:
        raise ConfigError(
            [f'compare.methods: {method} needs PEFT; pip install "lingraft[peers]", or leave the peft- methods out']
        ) from None
    task = {"task_type": "FEATURE_EXTRACTION"}
    try:
        if method == "peft-prompt":
            return PromptTuningConfig(**(task | {"prompt_tuning_init": "SAMPLE_VOCAB"} | dict(options)))
        if method == "peft-prefix":
            return PrefixTuningConfig(**(task | dict(options)))
        return LoraConfig(**(task | dict(options)))
    except TypeError as error:
        raise ConfigError([f"{method}: PEFT's configuration does not take {dict(options)}: {error}"]) from None


def _try_out(network: PeftNetwork) -> None:
    """Try two short texts, one padded, forward and backward: refusals come now rather than after an hour."""
    device = next(network.model.parameters()).device
    mask = torch.tensor([[1, 1, 1], [1, 1, 0]], device=device)
    final, logits = network(States(tokens=mask.clone(), mask=mask, layer=IDS), "")
    if final.tokens.shape[1] != mask.shape[1]:
        raise RuntimeError(f"{mask.shape[1]} tokens came out as {final.tokens.shape[1]}")
    # Their sum would not do: of two rows w and -w, as a head on two classes has them, it is the same for every text.
    weights = torch.randn(logits.shape, generator=torch.Generator().manual_seed(0)).to(logits)
    (logits * weights).sum().backward()
    parts = network.adaptation.prompt or network.adaptation.adapter
    gradients = [parameter.grad for parameter in parts.parameters()] if parts is not None else []
    if not any(gradient is not None and bool(gradient.any()) for gradient in gradients):
        raise RuntimeError("its parameters have no effect on the output")
    network.zero_grad(set_to_none=True)


def keep_layers(model: nn.Module, stack: LayerStack) -> nn.Module:
    """Leave out of a Hugging Face model the uppermost blocks that ``stack`` does not have; returns it."""
    blocks: Any = model.get_submodule(stack.facts.blocks)
    if len(blocks) > stack.num_layers:
        del blocks[stack.num_layers :]
        config: Any = model.config
        config.num_hidden_layers = stack.num_layers
    return model


def share_memory(model: nn.Module, stack: nn.Module) -> None:
    """Let ``model`` hold its frozen parameters where ``stack`` has the same ones; no number changes."""
    held = {_content(parameter): parameter for parameter in stack.parameters()}
    for parameter in model.parameters():
        same = held.get(_content(parameter))
        if same is not None:
            parameter.data = same.data
    model.requires_grad_(False)


def _content(parameter: Tensor) -> bytes:
    values = parameter.detach().cpu().contiguous()
    digest = hashlib.blake2b(f"{values.dtype} {tuple(values.shape)}".encode())
    content: Any = values.reshape(-1).view(torch.uint8).numpy()  # shares the parameter's memory
    digest.update(content)
    return digest.digest()
