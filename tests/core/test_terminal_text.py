"""What is printed for people, and what is not."""

import io

import pytest

from lingraft.core.terminal_text import Terminal, spell_missing_letters


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


@pytest.mark.parametrize(("encoding", "expected"), [("cp1252", b"caf\xe9 \\u1ecd\n"), ("utf-8", "café ọ\n".encode())])
def test_letters_that_an_encoding_lacks_are_written_by_their_numbers(encoding, expected):
    """A table with them ends no command on a console of Windows; all others are as they are."""
    stream = io.TextIOWrapper(io.BytesIO(), encoding=encoding, newline="\n")
    spell_missing_letters(stream)
    Terminal(file=stream).print("café ọ")
    stream.flush()
    assert stream.buffer.getvalue() == expected


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
