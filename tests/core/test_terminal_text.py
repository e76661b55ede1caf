"""What is printed for people, and what is not."""

import io

import pytest

from lingraft.core.terminal_text import Terminal


class FullOnce(io.StringIO):
    """A file that has no room for the first that is written."""

    def __init__(self):
        super().__init__()
        self.room = False

    def write(self, text):
        """Refuse once."""
        if not self.room:
            self.room = True
            raise OSError(28, "No space left on device")
        return super().write(text)


def test_what_could_not_be_written_does_not_come_out_later():
    """The next line is that line alone."""
    file = FullOnce()
    terminal = Terminal(file=file)
    with pytest.raises(Exception, match="No space left on device"):
        terminal.print("lost")
    terminal.print("next")
    assert file.getvalue() == "next\n"
