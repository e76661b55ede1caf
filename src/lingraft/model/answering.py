"""Whether a part is learnt in the decoder of an encoder-decoder, too: where that writes the answers of the task."""

from __future__ import annotations

from ..backbones import LayerStack
from ..backbones.encoder_decoder import AnswerDecoder, EncoderDecoderStack
from ..core.errors import ConfigError
from .heads import Head
from .heads.language_model import LanguageModelHead


def as_answering(stack: LayerStack, head: Head) -> LayerStack:
    """Return the stack without a decoder that does not answer: nothing would come of what is learnt in it."""
    if isinstance(stack, EncoderDecoderStack) and not isinstance(head, LanguageModelHead):
        return stack.without_decoder()
    return stack


def answering(stack: LayerStack, wanted: bool | None, part: str) -> AnswerDecoder | None:
    """Return the decoder that writes the answers, where a part is to be learnt in it, too.

    Args:
        stack: The frozen layers, with the decoder where there is one that writes.
        wanted: Whether it must be there; None takes it where it is.
        part: What is learnt, as the recipe calls it.

    Raises:
        ConfigError: It must be, and is not.
    """
    there = stack.decoder if isinstance(stack, EncoderDecoderStack) else None
    if wanted and there is None:
        family = stack.configuration["model_type"]
        why = "a head answers this task" if stack.facts.answers_apart else f"{family} has no decoder beside its layers"
        raise ConfigError(
            [
                f"{part}.decoder: true is for answers that the decoder of an encoder-decoder writes (T5, mT5, umT5; "
                f"task.name: generation, or answer_by: generation), and {why}; leave it out"
            ]
        )
    return None if wanted is False else there
