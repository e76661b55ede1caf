"""Weights that stay in their file: pages go back to the system, numbers stay."""

import subprocess
import sys

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import save_file

from lingraft.backbones.mapped import CHUNK, read_in_chunks

ROWS = 3 * CHUNK // 4 // 1024 + 7
"""Of 1024 numbers: more than three chunks."""

PROGRAM = """
import sys
import torch
from safetensors import safe_open
from lingraft.backbones.mapped import read_in_chunks

def resident():
    lines = open("/proc/self/status").read().splitlines()
    return sum(1024 * int(line.split()[1]) for line in lines if line.startswith("RssFile"))

with safe_open(sys.argv[1], "pt") as file:
    values = file.get_tensor("values")
    sum(float(chunk.sum()) for chunk in read_in_chunks(values[:8]))
    before = resident()
    total = sum(float(chunk.sum()) for chunk in read_in_chunks(values))
    print(resident() - before, total, float(values.sum()), resident() - before)
"""


@pytest.fixture
def file(tmp_path):
    """Some sixty megabytes of numbers."""
    path = tmp_path / "values.safetensors"
    save_file({"values": torch.ones(ROWS, 1024)}, path)
    return path


@pytest.mark.skipif(sys.platform != "linux", reason="pages are given back on Linux only")
def test_what_was_read_does_not_stay_resident(file):
    """Of a mapped matrix no more than a chunk remains after its digest; used again, all of it comes back."""
    printed = subprocess.run([sys.executable, "-c", PROGRAM, str(file)], capture_output=True, text=True, check=True)
    left, total, again, back = map(float, printed.stdout.split())

    assert total == again == ROWS * 1024
    assert left < CHUNK
    assert back > 2 * CHUNK


def test_what_was_written_to_is_kept(file):
    """A page that is no longer the file's would be lost, and so would memory that never was."""
    with safe_open(file, "pt") as opened:
        values = opened.get_tensor("values")
        values[ROWS // 2] = 3.0
        own = torch.full((ROWS, 1024), 2.0)
        for tensor in (values, own):
            list(read_in_chunks(tensor))

        assert float(values[ROWS // 2].sum()) == 3 * 1024
        assert float(values.sum()) == (ROWS + 2) * 1024
        assert float(own.sum()) == 2 * ROWS * 1024
