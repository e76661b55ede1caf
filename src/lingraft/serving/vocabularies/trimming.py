"""A checkpoint, or a run with it, that has the pieces of the vocabulary that a corpus needs and no others.

In a multilingual model most parameters are word embeddings, and a text in a few languages reads a few of them. What is
written is proven before it appears under its name: the new tokenizer cuts every text of the corpus into the same
pieces, each has the same embedding, all other weights are the same, and states and answers are equal to the bit.
"""

from __future__ import annotations

import gc
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

import torch

from ...backbones.checkpoint_files import checkpoint_folder, lasting_name
from ...backbones.depth import shortened
from ...backbones.loading import Backbone, load_backbone
from ...backbones.markers import LINE_BREAK
from ...backbones.pooling import pooled_by
from ...backbones.vocabulary import Vocabulary, needed_pieces, trim_tokenizer
from ...core.errors import CheckpointError, DataError
from ...core.files import TEMPORARY, publish_folder
from ...data.unlabelled import read_texts
from ...model.checkpoint import SUFFIX, adaptation_path
from ..loading import load
from ..own_names import own_names
from ..predictor import Adapted
from .proof import prove_answers, prove_backbone
from .writing import NAME_COLUMN, NewVocabulary, refuse_existing, write_checkpoint, write_run


def trim(
    source: str, corpus: Sequence[Path], output: Path, *, text: str | None = None, backbone: Path | None = None
) -> list[str]:
    """Write a smaller copy of a checkpoint or a run, and return lines that say what is in it and what is not.

    Args:
        source: ``bundled:NAME``, a folder or a Hub id; or a folder that `lingraft run` wrote.
        corpus: Files with all texts that are to be read as before: one a line, or tables.
        output: The folder to write; not there yet.
        text: Column of the text, in tables; by default ``text``, or what a run's own data call it.
        backbone: Where the checkpoint of a run is now.

    Raises:
        CheckpointError: There is no such checkpoint or run, or its tokenizer cannot be trimmed; or the folder is there
            already.
        DataError: A file cannot be read.
    """
    refuse_existing(output)
    if not corpus:
        raise DataError("--corpus: give at least one file with the texts that are to be read")
    column = text or str(own_names(Path(source).expanduser()).fields.get("text", "text"))
    texts = list(dict.fromkeys(one for path in corpus for one in read_texts(path, text=column, cure=NAME_COLUMN)))
    run = _run_at(source, backbone)
    if run and run.identity.decoder_digest:
        raise CheckpointError(
            f"{source} answers with the decoder of {run.backbone.name}, which a trimmed checkpoint does not have: use "
            "the run as it is"
        )
    if run and run.identity.rounded:
        raise CheckpointError(
            f"{source} was trained on matrices of {run.identity.rounded[0]} bit, which are not written; trim the "
            "checkpoint first, and train on that"
        )
    whole = run.backbone if run else load_backbone(source)
    read = _as_read(whole, texts)
    vocabulary = needed_pieces(whole.tokenizer, read)
    output.parent.mkdir(parents=True, exist_ok=True)
    with TemporaryDirectory(dir=output.parent, prefix=TEMPORARY) as scratch:
        made = Path(scratch) / output.name
        made.mkdir()
        said = write_checkpoint(whole, _smaller(whole, vocabulary), made, made=_made(whole, vocabulary))
        proven = _prove(whole, run, vocabulary, read, made, output)
        gc.collect()  # what was loaded maps files into memory, and Windows moves no folder with such a file
        sizes = _size(checkpoint_folder(whole.name)), _size(made)
        publish_folder(made, output)
    return [*_counts(whole, vocabulary, sizes), *proven, *said, f"written: {output}"]


def _prove(
    whole: Backbone, run: Adapted | None, vocabulary: Vocabulary, read: Sequence[str], made: Path, output: Path
) -> list[str]:
    """Load what was written, and prove that it reads, and answers, as the whole one does; a run is written, too.

    Args:
        whole: The checkpoint before.
        run: That was trained on it, if there is one.
        vocabulary: What is left of the pieces.
        read: Texts.
        made: Folder of what was written.
        output: Where that will be.
    """
    small = load_backbone(str(made), text_prefix=whole.text_prefix, precision=whole.stack.precision)
    small = shortened(small, whole.stack.num_layers)
    small = pooled_by(small, "last" if whole.stack.pooling.last else "mean")
    proven = prove_backbone(whole, small, vocabulary, read)
    if run:
        write_run(run, small, lasting_name(str(output.absolute())), made)
        again = load(made / f"adaptation{SUFFIX}", backbone=small, device="cpu")
        proven.append(prove_answers(run, again, vocabulary, read))
    return proven


def _run_at(source: str, backbone: Path | None) -> Adapted | None:
    """Return the run that a folder holds; nothing where it holds none."""
    folder = Path(source).expanduser()
    if not folder.is_dir() or not adaptation_path(folder).is_file():
        return None
    return load(folder, backbone=backbone, device="cpu")


def _smaller(whole: Backbone, vocabulary: Vocabulary) -> NewVocabulary:
    """Return what is written: the pieces that stay, with their rows."""
    kept = torch.tensor(vocabulary.kept)
    return NewVocabulary(trim_tokenizer(whole.tokenizer, vocabulary), lambda words: words[kept], vocabulary.new_id)


def _made(whole: Backbone, vocabulary: Vocabulary) -> str:
    return f"{whole.name} with {len(vocabulary.kept):,} of its {len(whole.tokenizer):,} pieces"


def _as_read(backbone: Backbone, texts: Sequence[str]) -> list[str]:
    """Return texts as a model may get them: as they are, after a blank or its prefix, with a line break between two."""
    prefix = backbone.text_prefix
    before = dict.fromkeys(("", " ", prefix))
    return [*(start + text for start in before for text in texts), LINE_BREAK, *([prefix] if prefix else ())]


def _size(folder: Path) -> int:
    """Return the bytes of the files of a folder."""
    return sum(path.stat().st_size for path in folder.iterdir() if path.is_file())


def _counts(whole: Backbone, vocabulary: Vocabulary, sizes: tuple[int, int]) -> list[str]:
    pieces, before, after = len(vocabulary.kept), *(size / 1e6 for size in sizes)
    return [
        f"pieces: {pieces:,} of {len(whole.tokenizer):,}; files: {before:,.1f} MB before, {after:,.1f} MB now",
    ]
