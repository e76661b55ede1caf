"""The predictions for the two sides should agree.

Of all spaces to align in, that of the predictions asks for the least: a translation may keep states
of its own as long as the same label follows. The teacher is the same network, smoothed over steps
(``ema_teacher.py`` keeps the average), so it moves with the task.
"""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor

from ...core.amounts import Factor
from . import AlignmentLoss, View, alignment


@alignment.register("prediction")
def prediction(*, temperature: Factor = 2.0) -> AlignmentLoss:
    """KL divergence of the target's softened prediction from its translation's (Hinton et al., 2015)."""

    def loss(source: View, target: View) -> Tensor:
        assert source.logits is not None  # AlignmentLoss has looked
        assert target.logits is not None
        teacher = F.log_softmax(source.logits / temperature, dim=-1)
        student = F.log_softmax(target.logits / temperature, dim=-1)
        # Softening divides the gradient by the square of the temperature; this gives it back.
        return temperature**2 * F.kl_div(student, teacher, reduction="batchmean", log_target=True)

    return AlignmentLoss(loss, needs=frozenset({"predictions"}))
