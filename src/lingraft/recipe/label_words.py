"""The block ``compare.label_words``: what a decoder is asked, and in which words it may answer."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field, field_validator

from ..core.prompt_template import problem_of

ANSWERS = ("label", "alternative")
FIELDS = ("text", "text_b", "question", *ANSWERS)


class LabelWordsSettings(BaseModel):
    """What `label-words` asks a decoder, and how it compares the answers."""

    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True)

    template: str = Field(min_length=1, max_length=100_000)
    """The prompt, with fields in braces: `{text}`, `{text_b}` (of pairs) and `{label}` in classification, as
    `"{text}\\nTopic: {label}"`; `{text}`, `{question}` and `{alternative}` in choices."""
    words: dict[str, str] = {}
    """What stands for a label in the prompt, by label; by default the label itself."""
    pmi: bool = False
    """Take off how likely each label's words are after the template without its texts (pointwise mutual information:
    Holtzman et al., 2021): words that are frequent anyway win less often."""
    batch_calibration: bool = False
    """Take off each class's mean over the texts that are answered together, none of them labelled (Zhou et al., 2024);
    in classification."""

    @field_validator("template")
    @classmethod
    def _fields(cls, template: str) -> str:
        if problem := problem_of(template, FIELDS, once=ANSWERS):
            raise ValueError(problem)
        return template
