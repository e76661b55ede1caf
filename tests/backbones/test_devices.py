"""Random numbers on a device follow from the seed alone."""

import torch

from lingraft.backbones.devices import seed_generators


def test_seeded_generators_draw_what_torch_would():
    """On a CPU, the numbers are those that follow ``torch.manual_seed``."""
    torch.manual_seed(7)
    wanted = torch.rand(5)
    torch.rand(3)
    seed_generators(7, torch.device("cpu"))
    assert torch.equal(torch.rand(5), wanted)
