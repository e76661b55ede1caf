"""Where training stands, on disk."""

import torch

from lingraft.training.state import TrainingState, load_training_state, save_training_state


def test_a_state_that_was_read_does_not_hang_on_its_file(tmp_path):
    """It is saved again under the same name, which Windows refuses while the file is mapped into memory."""
    path, given = tmp_path / "training.safetensors", torch.randn(5_000, generator=torch.Generator().manual_seed(0))
    save_training_state(path, TrainingState(parameters={"a": given}, optimizer={"a": {"exp_avg": given * 2}}))
    found = load_training_state(path)
    with path.open("r+b") as file:
        file.write(bytes(path.stat().st_size))
    assert torch.equal(found.parameters["a"], given)
    assert torch.equal(found.optimizer["a"]["exp_avg"], given * 2)
