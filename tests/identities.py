"""Who a saved adaptation is, for tests that look at a part of it."""

from lingraft.model.checkpoint import Identity


def identity_of(backbone=None, **known):
    """An identity with what is ``known``; the rest is of a text classifier of two labels, made on ``backbone``."""
    given = ("name", "weights_digest", "tokenizer_digest")
    checkpoint, *digests = ("", "", "") if backbone is None else (getattr(backbone, field) for field in given)
    return Identity(
        **{
            "checkpoint": checkpoint,
            "weights_digest": digests[0],
            "tokenizer_digest": digests[1],
            "text_prefix": "",
            "cut": 1,
            "max_length": 16,
            "task": "topic",
            "kind": "classification",
            "labels": ("a", "b"),
            "source_language": "eng-Latn",
            "languages": ("yor-Latn",),
            "prompt": None,
            "adapter": None,
            "version": "0",
        }
        | known
    )
