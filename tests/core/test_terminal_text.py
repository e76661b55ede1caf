"""What is printed for people, and what is not."""

import io

import pytest

from lingraft.core.terminal_text import Terminal


class Full(io.StringIO):
    """A file on a disk without room, until there is some."""

    room = False

    def write(self, text):
        """Refuse, as the system does: without a name."""
        if not self.room:
            raise OSError(28, "No space left on device")
        return super().write(text)

    def flush(self):
        """Refuse in the same way."""
        if not self.room:
            raise OSError(28, "No space left on device")


def test_what_could_not_be_written_does_not_come_out_later():
    """The next line is that line alone, and the file that refused is named."""
    file = Full()
    terminal = Terminal(file=file)
    with pytest.raises(OSError, match="No space left on device") as told:
        terminal.print("lost")
    assert told.value.filename == "standard output"
    file.room = True
    terminal.print("next")
    assert file.getvalue() == "next\n"
