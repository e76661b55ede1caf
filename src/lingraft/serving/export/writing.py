"""Load a run, and write it in a format: the whole folder or none of it."""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory

from ...core.errors import CheckpointError, ConfigError
from ...core.files import TEMPORARY, publish_folder
from ...data.languages import among, canonical, display_name
from ..predictor import Adapted, load
from . import Trained, Write, formats


def export_run(
    run: Path,
    format: str,
    output: Path,
    *,
    language: str | None = None,
    ensembled: bool = True,
    int8: bool = False,
    backbone: Path | None = None,
) -> list[str]:
    """Write a run in a format, and return lines that say what was written.

    Args:
        run: What `lingraft run` wrote, or a method's folder of a comparison.
        format: Name of the format.
        output: The folder to write; not there, or empty.
        language: Whose parts are exported; by default the run's only target.
        ensembled: With what the run answers with beside the network.
        int8: With weights of 8 bits besides, where the format has them.
        backbone: Where the checkpoint is now.

    Raises:
        CheckpointError: The run cannot be loaded, or the format cannot hold it.
        ConfigError: There is no such format, the folder is in use, or the language is none of the run's.
    """
    write: Write = formats.build(format)
    if int8 and format != "onnx":
        raise ConfigError([f"--int8 is for --to onnx; {format} has weights as they are"])
    if output.exists() and not (output.is_dir() and not any(output.iterdir())):
        raise ConfigError([f"{output} is there already; name a new folder"])
    adapted = load(run, backbone=backbone, device="cpu")
    trained = Trained(run, adapted, _language(adapted, language), ensembled, int8)
    output.parent.mkdir(parents=True, exist_ok=True)
    with TemporaryDirectory(dir=output.parent, prefix=TEMPORARY) as scratch:
        made = Path(scratch) / output.name
        made.mkdir()
        said = write(trained, made)
        publish_folder(made, output)
    return [*said, f"written: {output}"]


def _language(adapted: Adapted, asked: str | None) -> str:
    """Return the language that is exported.

    Raises:
        CheckpointError: None is named and there are several, or nothing was trained for it.
    """
    trained = (*adapted.identity.languages, adapted.identity.source_language)
    known = ", ".join(f"{display_name(code)} ({code})" for code in trained)
    if asked is None:
        if len(adapted.identity.languages) != 1:
            raise CheckpointError(f"an export answers in one language; name it with --language: {known}")
        return adapted.identity.languages[0]
    code = among(canonical(asked), trained)
    if code not in trained:
        raise CheckpointError(f"nothing was trained for {display_name(code)}; the run has {known}")
    return code
