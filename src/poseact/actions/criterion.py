"""What action networks are trained to minimise."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from poseact.models.outputs import Action


class ActionCriterion(nn.Module):
    """Cross-entropy of every block of every stream and of the fusion (CVPR 2018).

    Args:
        label_smoothing: Share of the target that is spread evenly over all actions.
    """

    def __init__(self, label_smoothing: float = 0.0) -> None:
        super().__init__()
        self.label_smoothing = label_smoothing

    def forward(
        self, actions: Mapping[str, Sequence[Action]], targets: Tensor
    ) -> dict[str, Tensor]:
        """The terms by stream, scalars; each is the sum over the stream's blocks.

        Args:
            actions: As ``recognise`` returns them. The ``fused`` answer of one stream alone is that
                stream's last block and counts once.
            targets: ``(B,)`` indices of the true actions.
        """
        streams = [name for name in actions if name != "fused"]
        counted = streams if len(streams) == 1 else [*streams, "fused"]
        return {
            name: torch.stack([self.block_term(block, targets) for block in actions[name]]).sum()
            for name in counted
        }

    def block_term(self, action: Action, targets: Tensor) -> Tensor:
        """Cross-entropy of one block, averaged over the clips."""
        # Log-probabilities are logits of themselves.
        return F.cross_entropy(
            action.log_probabilities, targets, label_smoothing=self.label_smoothing
        )

    def total(self, terms: Mapping[str, Tensor]) -> Tensor:
        """The sum of the terms: every output weighs the same, as in the paper."""
        return torch.stack(list(terms.values())).sum()
