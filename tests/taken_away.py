"""Ways in which somebody takes a run folder away, each leaving another thing in its place."""

import shutil


def empty(folder):
    """Remove all that a shell's `*` names, so that the hidden lock stays."""
    for path in folder.glob("[!.]*"):
        shutil.rmtree(path) if path.is_dir() else path.unlink()


def replace_by_file(folder):
    """Put a file where the folder was."""
    shutil.rmtree(folder)
    folder.write_text("something else", encoding="utf-8")


def replace_by_copy(folder):
    """Put a copy where the folder was: the same files, and other ones."""
    shutil.copytree(folder, folder.with_name("copy"))
    shutil.rmtree(folder)
    folder.with_name("copy").rename(folder)


LOST = {
    "deleted": shutil.rmtree,
    "emptied": empty,
    "renamed": lambda folder: folder.rename(folder.with_name("elsewhere")),
    "replaced by a file": replace_by_file,
    "replaced by a copy": replace_by_copy,
    "left without its lock": lambda folder: (folder / ".lock").unlink(),
}
